//! Redis as the second tier of a cache.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use cache_redis::{
//!     CacheKey, Clock, CodecId, Entry, Lifetime, Payload, RedisTier, RemoteTier, SystemClock,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tier = RedisTier::builder("redis://:password@127.0.0.1:6379/0")?
//!     .prefix("answers")
//!     .command_timeout(Duration::from_millis(50))
//!     .build()?; // connects when it is first used: Redis may be down
//!
//! let key = CacheKey::from_text("greeting/en");
//! let payload = Payload { codec: CodecId::RAW, bytes: Bytes::from("hello") };
//! let entry = Entry::new(payload, SystemClock.now(), Lifetime::new(Duration::from_secs(60)));
//! tier.put(&key, &entry).await?;
//! assert_eq!(tier.get(&key).await?.entry, Some(entry));
//! # Ok(()) }
//! ```
//!
//! # Guarantees
//!
//! Those of [`RemoteTier`], proved against a real server by the suite of
//! `cache-conformance`. Beyond them:
//!
//! * **One round trip** for every call, batches included; `purge` pages. (A second one when the server
//!   does not know the script yet, and to examine a connection that brought the record of another
//!   key.)
//! * **Nothing that was removed comes back.** Every write gives its key a random version in the
//!   header of the entry, a removal leaves a tombstone with one, and
//!   [`put_fenced`](cache_core::RemoteTier::put_fenced) compares and stores in one script. A fenced
//!   put is also refused when what was read has expired in the meantime.
//! * **Nothing comes late.** The server refuses a write that reaches it when its time limit is over.
//! * **Clocks do not matter.** Times are kept on the server's clock, and translated.
//! * **The stored bytes describe themselves** (`docs/entry-format.md`). What is damaged, foreign or
//!   of another version is a miss, counted by [`RedisTier::undecodable`], and never deleted for it.
//!
//! # When Redis is down
//!
//! The tier holds a few multiplexed connections that all calls pipeline over; none is checked out,
//! and none is made by a call. Background tasks connect, watch and replace them:
//!
//! * With no connection yet, a call waits for the first attempt, within its own time limit. While
//!   attempts fail, calls fail at once; attempts are up to a second apart, with jitter.
//! * A connection on which a call times out, or is dropped by a caller with less patience, is asked
//!   for a sign of life and given up if there is none within the connect timeout.
//! * A connection whose replies are out of step with its requests is given up. A record that somebody
//!   moved under another key only looks like it, and costs a miss and no connection.
//! * In a Cluster all masters have to answer; if not, the connections are made anew, and so its slots
//!   are read anew. Of sentinels another one is asked first at each attempt.
//! * A connection found broken is replaced. Calls that can be repeated go to another one within
//!   their time limit, so that an idle connection which the server closed costs no error.
//!
//! The tasks end with the last clone of the tier.
//!
//! # Invalidation between instances
//!
//! [`RedisTier::bus`] tells the instances that share a prefix what is no longer true, over Pub/Sub
//! (the format is in `docs/bus-format.md`). Pub/Sub
//! loses what is published while a connection is broken; the bus makes sure that nobody takes that
//! for silence:
//!
//! * **Every message is heard, or told to be missing.** Each subscriber gets each message of the
//!   others, in the order of its publisher, or [`Gap`](cache_core::Invalidation::Gap) before anything
//!   later. That includes those whose `publish` failed or was given up, unless nothing at all is ever
//!   heard of their publisher.
//! * **In bounded time.** A message that was lost last is noticed with the next heartbeat of its
//!   sender; a connection that went dead without a sign, a sender that is cut off and one that
//!   crashed are each noticed after three (see [`RedisBuilder::bus_heartbeat`]).
//! * **Once subscribed, always subscribed.** `subscribe` returns when the server has confirmed it.
//!   A connection that breaks later is replaced; subscribers get a `Gap` when it breaks and another
//!   one when they can hear again. A new stream begins without one.
//! * **Nobody waits.** `publish` and `subscribe` end within `command_timeout`. A subscriber that is
//!   more than 1,024 messages behind gets a `Gap` in their place and slows nobody down.
//! * **What is not understood is a `Gap`**, and counted: it may have been an invalidation by a later
//!   version.
//!
//! A bus may tell of a gap where nothing was missed, never the other way round. It listens on a
//! connection of its own and publishes over those of the tier.
//!
//! # Feature flags
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `encryption` | no | `RedisBuilder::encrypt`: payloads that Redis never sees in the clear, with a key for each tenant; the crates of XChaCha20-Poly1305 |
//! | `llmix` | no | `RedisTier::llmix`: the answers that llmix programs keep in the same Redis; `serde_json` |
//!
//! # What this crate does not do
//!
//! It makes errors, not decisions: leaving a failing Redis alone, serving stale answers and joining
//! concurrent misses are `cache-dual`'s. It does not read from replicas, which may be behind.

mod backoff;
mod bus;
mod config;
mod connections;
mod errors;
#[cfg(all(fuzzing, feature = "encryption", feature = "llmix"))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
#[cfg(feature = "llmix")]
mod llmix;
mod names;
mod purge;
mod random;
mod record;
mod script;
mod server;
mod skew;
mod tier;

pub use bus::{BusStats, RedisBus};
pub use config::{ConfigError, RedisBuilder};
#[cfg(feature = "llmix")]
pub use llmix::Llmix;
#[cfg(feature = "encryption")]
pub use record::encrypt::{KeyId, KeyRing};
pub use server::Tls;
pub use tier::RedisTier;

// What the signatures name, those of the traits included.
pub use cache_core::{
    BoxError, CacheKey, Capabilities, Clock, CodecId, Entry, Error, Fence, Invalidation,
    InvalidationBus, InvalidationStream, Lifetime, Lookup, Payload, PutFenced, RemoteTier,
    StoredEntry, SystemClock, Tag, TagStamp, Tags, Timestamp,
};
