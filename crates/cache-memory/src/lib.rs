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
//! * **Expired is absent** for every method, to the millisecond, whether by its time to live or by
//!   the time that it may stand idle. Expired entries leave before any other, and each write
//!   reclaims a few; nothing scans the map. A [`Janitor`] may reclaim while nobody writes.
//! * **Nothing is locked while your code runs**: `Hash`, `Eq` and `Drop` of keys, `Clone` and `Drop`
//!   of values, weighers, predicates, initialisers and listeners may call the cache. The condition
//!   of [`MemoryCache::insert_if`] is the one exception.
//! * **A removal has the last word**: what an initialiser began to make before a write, removal or
//!   clear of its key is not stored after it ([`MemoryCache::get_or_insert_with`]).
//! * **A hit** takes one read lock and two reference counts, allocates nothing and, once its use is
//!   noted, writes nothing else.
//! * **Amortised constant time** for every operation under every [`Policy`].
//! * **Listeners** hear what happens to each key in the order in which it happened, with its
//!   [`Cause`].
//!
//! # How it works
//!
//! The map is a `DashMap`, and each of its shards has a *line* beside it: the order in which the
//! policy has its entries leave, and the order in which they expire. Both are changed together under
//! the shard's one lock. A hit notes its use on the entry itself, and the policy settles it when the
//! entry comes up for eviction. A budget shared by all shards counts entries and weight. A new entry
//! takes the allocation of the one that leaves for it, if nobody has a handle on that.
//!
//! What is stored is shared with those who read it: a [`Handle`] keeps its value alive whatever
//! happens to the cache meanwhile. Records are found by hash and compared by key when nothing is
//! locked.
//!
//! # Memory
//!
//! Beside key and value, with `n` entries in `s` shards (a power of two, at most four for each
//! processor, of 256 entries or more each):
//!
//! | what | bytes an entry |
//! |---|---|
//! | count of handles, marks, deadline, hash, place | 32 |
//! | table | 9 for each of its buckets, which are the next power of two above 8/7 · n/s |
//! | hash and links in line | 12 (`Fifo`, `Ttl`), 20 (`Lru`, `Lfu`), 21 (`TinyLfu`, sketch included) |
//! | if it expires | 16 |
//! | if weights differ | 8 |
//!
//! What is counted by place grows by a 32nd at a time. `TinyLfu` adds five miniatures of the cache,
//! of about 25 bytes for each of their 58 to 922 entries. The suite `memory` of the workspace's
//! benchmarks measures it with an allocator that counts.
//!
//! # Panics
//!
//! Panics of your code pass through and leave the cache as it was before the call, except that
//! entries may have been evicted to make room. Those of `Drop` come when the call's work is done, or
//! for `clear`, `remove_expired` and lower bounds, that of a part of the cache. Those of listeners are
//! contained and counted.
//!
//! # What this crate does not do
//!
//! Asynchronous loading, stale values, a second tier: `cache-dual` does that.

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
mod sync;
mod tier;
mod times;

pub use builder::{BuildError, MemoryBuilder};
pub use cache::{Compute, Computed, ENTRY_OVERHEAD, MemoryCache};
// What the signatures name, those of `LocalTier` included.
pub use cache_core::{
    BuildKeyHasher, CacheKey, Clock, Entry, Evictions, Inserted, Lifetime, LocalStats, LocalTier,
    ManualClock, SystemClock, Tag, TagStamp, Tags, Timestamp,
};
pub use events::{Cause, Event};
pub use janitor::Janitor;
pub use options::InsertOptions;
pub use policy::Policy;
pub use preset::Preset;
pub use record::Handle;
pub use tier::LocalCache;
