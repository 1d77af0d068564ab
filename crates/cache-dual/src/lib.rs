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
//! * **One fetch a key** in this process, however many ask at once; with a
//!   [lease](DualOptions::lease), among all processes. If the caller that fetches goes away, another
//!   takes over; if the fetch fails, all who waited get that error, and it is not kept.
//! * **Nothing stale comes back.** What was read or fetched before a [`remove`](DualCache::remove), an
//!   [`insert`](DualCache::insert), a [`remove_tag`](DualCache::remove_tag) or a
//!   [`clear`](DualCache::clear) is never stored after it, in either tier. Each miss takes a fence
//!   token before its first read, and storing checks it (see [`Ticket`]).
//! * **No life is lengthened.** Times are absolute; a fill from L2 keeps what is left.
//! * **The remote tier cannot hurt.** Each call to it has a deadline; after repeated failures it is
//!   left alone, but for one probe an interval. An unreachable tier makes lookups misses, never
//!   errors, and is joined as soon as it answers. What it did not learn meanwhile it is told then.
//! * **Each lookup counts once**: as an L1 hit, an L2 hit or a miss.
//!
//! # Consistency
//!
//! When an invalidation has returned `Ok`, this process serves nothing older. Other processes serve
//! nothing older from the remote tier once [`recheck`](DualOptions::recheck) (for a tag or a clear; at
//! once for a key) has passed; from their memory, not after they have heard of it on the
//! [bus](DualBuilder::bus), nor after they have noticed a gap in the bus and the remote tier answers
//! again, nor, with or without a bus, after [`memory_ttl`](DualOptions::memory_ttl) or the entry's own
//! end. When it has returned an error, the same holds for this process at once, and for the others
//! from the moment at which a later attempt succeeds, which this cache makes in the background for as
//! long as it lives.
//!
//! # Beyond a hit and a miss
//!
//! | to | see |
//! |---|---|
//! | serve stale values while the origin fails or is slow | [`DualOptions::grace`], [`DualCache::get_or_fetch_detached`] with [`DetachedOptions::soft_timeout`] |
//! | refresh before values end | [`DetachedOptions::eager_refresh`] |
//! | invalidate by tenant, model, ... | [`Query::tags`], [`DualCache::remove_tag`] |
//! | ask for many keys at once | [`DualCache::get_many`], [`DualCache::get_or_fetch_many`] |
//! | give one call other options | [`DualCache::query`] |
//! | spare the origin when the remote tier is out | [`DualOptions::fetches_while_down`] |
//! | not wait for writes | [`WriteMode::Queued`] |
//! | fill memory at startup | [`DualCache::warm_from_remote`], [`DualCache::warm_with`], [`DualCache::import`] |
//! | be told what happens | [`DualBuilder::listener`], [`DualCache::stats`], the `metrics` facade |
//! | read options from configuration | feature `serde`, [`DualOptions`], [`Strategy`] |
//! | use another in-process cache | [`LocalTier`], [`DualBuilder::memory`] |
//!
//! # Features
//!
//! | feature | default | gives |
//! |---|---|---|
//! | `bincode` | yes | [`codec::Bincode`], for typed values in the remote tier |
//! | `messagepack` | no | [`codec::MessagePack`], the same, readable by other languages |
//! | `json` | no | `codec::Json`, the same as readable JSON |
//! | `serde` | no | `Serialize` and `Deserialize` for [`DualOptions`] |
//! | `redis` | no | `redis`: the `cache-redis` crate, re-exported |
//!
//! Without any of them there is no Redis, no HTTP and no JSON in the dependency tree.

mod builder;
mod cache;
pub mod codec;
mod counters;
mod detached;
mod detached_options;
mod epochs;
mod error;
mod events;
mod fence;
mod fetch;
pub mod flight;
mod forget;
#[cfg(doctest)]
mod guide;
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
#[cfg(feature = "serde")]
mod settings;
mod stamps;
mod strategy;
mod write;

pub use builder::DualBuilder;
pub use cache::{DualCache, ExportError, Imported, Query, Warmed};
pub use detached_options::DetachedOptions;
#[doc(hidden)]
pub use error::kind;
pub use error::{FetchError, FetchFailure, OriginError};
pub use events::Event;
pub use fence::Ticket;
pub use fetch::FetchCount;
pub use health::Health;
pub use options::{BuildError, DualOptions, LeaseOptions, WriteMode};
pub use outcome::{Fetched, Freshness, Fulfilled, InsertOptions, Lookup, Outcome, Source, Tiers};
pub use remote::{BreakerOptions, BreakerState};
pub use strategy::Strategy;

pub use cache_core::{
    BoxError, BuildKeyHasher, CacheKey, CacheStats, Clock, Codec, CodecId, Entry, Error, Evictions,
    Inserted, Invalidation, InvalidationBus, InvalidationStream, Lifetime, LocalStats, LocalTier,
    ManualClock, RemoteStats, RemoteTier, SystemClock, Tag, TagStamp, Tags, Timestamp,
};
pub use cache_memory::{self as memory, LocalCache};
#[cfg(feature = "redis")]
pub use cache_redis as redis;
