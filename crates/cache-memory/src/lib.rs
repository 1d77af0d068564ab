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
//! assert_eq!(cache.get("question").as_deref(), Some("answer"));
//! # Ok::<(), cache_memory::BuildError>(())
//! ```
//!
//! It is synchronous and needs no runtime and no thread of its own.

mod budget;
mod builder;
mod cache;
mod line;
mod policy;
mod ranks;
mod store;
mod tier;

pub use builder::{BuildError, MemoryBuilder};
pub use cache::{ENTRY_OVERHEAD, MemoryCache};
pub use cache_core::{Inserted, LocalStats};
pub use policy::Policy;
pub use tier::LocalCache;
