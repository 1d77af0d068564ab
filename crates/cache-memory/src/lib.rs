//! In-process cache on DashMap: eviction policies, time to live, capacity in entries and in weight.
//!
//! ```
//! use cache_memory::{Inserted, MemoryCache, Policy};
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! let cache: MemoryCache<String, Arc<str>> = MemoryCache::builder()
//!     .max_entries(10_000)
//!     .max_weight(64 << 20) // bytes
//!     .weigher(|key: &String, answer: &Arc<str>| (key.len() + answer.len()) as u64)
//!     .policy(Policy::Lru)
//!     .default_ttl(Duration::from_secs(3600))
//!     .build()?;
//!
//! assert_eq!(cache.insert("question".into(), "answer".into()), Inserted::Stored);
//! assert_eq!(&**cache.get("question").expect("just stored"), "answer");
//! # Ok::<(), cache_memory::BuildError>(())
//! ```
//!
//! Synchronous: no runtime, no thread of its own, no `unsafe`. As the tier in memory of a
//! `DualCache` it is called [`LocalCache`].
//!
//! # Guarantees
//!
//! * **The bounds hold at every instant**, in entries and in weight, under any number of threads:
//!   an entry's room is taken before it appears and given back after it left. Overwriting evicts
//!   nothing unless the new value is heavier. What is heavier than the whole cache may be is
//!   refused ([`Inserted::TooHeavy`]) and counted.
//! * **Expired is absent** for every method, to the millisecond. Expired entries leave before any
//!   other, and each write reclaims a few; nothing scans the map.
//! * **No lock is held while your code runs**: weighers, predicates, `Drop` of keys and values may
//!   call the cache. `Hash` and `Eq` of keys, `Clone` of values and the condition of
//!   [`MemoryCache::insert_if`] must not.
//! * **A hit** takes one read lock, allocates nothing and, once its use is noted, writes nothing.
//! * **Amortised constant time** for every operation under every [`Policy`].
//!
//! # How it works
//!
//! The map is a `DashMap`, and the map is the truth. Beside it, in shards of their own, stand two
//! orders of its entries: by the policy's rank and by the end of life. They name an entry by its
//! hash and a ticket that is never given out twice, so a stale name finds nothing. A hit notes its
//! use on the entry itself; the entry is moved to the place that its uses have earned when it comes
//! up for eviction. A budget shared by all shards counts entries and weight.
//!
//! # Panics
//!
//! Panics of your code pass through and leave the cache as it was before the call, except that
//! entries may have been evicted to make room.
//!
//! # What this crate does not do
//!
//! Time to idle, listeners, iteration and loading on a miss (`cache-dual` does that).

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod budget;
mod builder;
mod cache;
mod events;
mod janitor;
mod line;
mod loads;
mod lookups;
mod options;
mod policy;
mod preset;
mod record;
mod store;
mod tier;
mod times;

pub use builder::{BuildError, MemoryBuilder};
pub use cache::{Compute, Computed, ENTRY_OVERHEAD, MemoryCache};
pub use cache_core::{Inserted, LocalStats};
pub use events::{Cause, Event};
pub use janitor::Janitor;
pub use options::InsertOptions;
pub use policy::Policy;
pub use preset::Preset;
pub use record::Handle;
pub use tier::LocalCache;
