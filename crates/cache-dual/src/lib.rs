//! The hybrid cache that gateways import: memory in front, any remote tier behind, one fetch a key.
//!
//! ```
//! use cache_dual::{CacheKey, DualCache};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cache: DualCache<String> = DualCache::builder().build()?;
//! let key = CacheKey::from_text("capital of France");
//!
//! // Concurrent misses of one key share one call of the closure.
//! let answer = cache
//!     .get_or_fetch(&key, || async { Ok::<_, std::io::Error>("Paris".to_owned()) })
//!     .await?;
//! assert_eq!(answer.value, "Paris");
//!
//! let again = cache.get(&key).await.expect("it was stored");
//! assert!(again.source.is_hit());
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//!
//! * **One fetch a key** in this process, however many ask at once. If the caller that fetches goes
//!   away, another takes over; if the fetch fails, all who waited get that error, and it is not
//!   kept.
//! * **Nothing stale comes back.** What was read or fetched before a [`remove`](DualCache::remove)
//!   or an [`insert`](DualCache::insert) of its key is never stored after it, in either tier. Each
//!   miss takes a fence token before its first read, and storing checks it (see [`Ticket`]).
//! * **No life is lengthened.** Times are absolute; a fill from L2 keeps what is left.
//! * **The remote tier cannot hurt.** Each call to it has a deadline; after repeated failures it is
//!   left alone, but for one probe an interval. An unreachable tier makes lookups misses, never
//!   errors, and is joined as soon as it answers.
//! * **Each lookup counts once**: as an L1 hit, an L2 hit or a miss.
//!
//! With a bus ([`DualBuilder::bus`]) what one process removes or replaces leaves the memory of the
//! others as soon as they hear of it, and whoever may have missed something forgets all that it has in
//! memory. Without one, other processes' copies live until their time is up.
//!
//! # Features
//!
//! | feature | default | gives |
//! |---|---|---|
//! | `bincode` | yes | [`codec::Bincode`], for typed values in the remote tier |
//! | `messagepack` | no | [`codec::MessagePack`], the same, readable by other languages |
//! | `json` | no | `codec::Json`, the same as readable JSON |
//! | `redis` | no | `redis`: the `cache-redis` crate, re-exported |
//!
//! Without any of them there is no Redis, no HTTP and no JSON in the dependency tree.

mod builder;
mod cache;
pub mod codec;
mod counters;
mod detached;
mod epochs;
mod error;
mod events;
mod fence;
mod fetch;
pub mod flight;
mod forget;
mod health;
mod inner;
mod invalidate;
mod lead;
mod lease;
mod many;
mod negative;
mod options;
mod order;
mod outcome;
mod pauses;
mod peers;
mod queue;
mod read;
mod remote;
mod repairs;
mod room;
mod stamps;
mod strategy;
mod write;

pub use builder::DualBuilder;
pub use cache::{DualCache, ExportError, Imported, Query, Warmed};
pub use error::FetchError;
pub use events::Event;
pub use fence::Ticket;
pub use fetch::FetchCount;
pub use health::Health;
pub use options::{BuildError, DualOptions, LeaseOptions, WriteMode};
pub use outcome::{Fetched, Freshness, Fulfilled, InsertOptions, Lookup, Outcome, Source, Tiers};
pub use remote::{BreakerOptions, BreakerState};
pub use strategy::Strategy;

pub use cache_core::{
    BoxError, BuildKeyHasher, CacheKey, CacheStats, Clock, Codec, CodecId, Entry, Error, Inserted,
    InvalidationBus, LocalTier, ManualClock, RemoteTier, SystemClock, Tag, Timestamp,
};
pub use cache_memory::{self as memory, LocalCache};
#[cfg(feature = "redis")]
pub use cache_redis as redis;
