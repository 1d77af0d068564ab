//! The shared words and traits of the layered LLM cache.
//!
//! Every other crate of the workspace points its arrows here, so this one knows as little as it
//! can: no I/O, no async runtime, no JSON.
//!
//! ```
//! use cache_core::{CacheKey, Entry, Lifetime, Timestamp};
//! use std::time::Duration;
//!
//! let key = CacheKey::from_text("greeting/en");
//! let now = Timestamp::from_unix_millis(1_000);
//! let entry = Entry::new("hello", now, Lifetime::new(Duration::from_secs(60)));
//!
//! assert!(entry.is_fresh(now));
//! assert!(entry.is_expired(Timestamp::from_unix_millis(61_000)));
//! assert_eq!(key.short().to_string().len(), 16); // what logs show
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`key`] | [`CacheKey`] and the pass-through hasher for maps keyed by it |
//! | [`time`] | [`Timestamp`] and the [`Clock`] that every time-dependent part is given |
//! | [`entry`] | [`Entry`]: a value with its times, tags and weight |
//! | [`local`] | [`LocalTier`]: a synchronous in-process tier |
//! | [`remote`] | [`RemoteTier`]: a tier across the network, with its contract |
//! | [`bus`] | [`InvalidationBus`]: how instances tell each other what is no longer true |
//! | [`codec`] | [`Codec`]: typed values to bytes and back |
//! | [`error`] | [`Error`]: why a tier could not answer (a miss is not an error) |
//! | [`stats`] | counters as read at one moment |
//! | `settings` | with the feature of that name: options in configuration, and errors that name them |

pub mod bus;
pub mod codec;
pub mod entry;
pub mod error;
pub mod key;
pub mod local;
pub mod remote;
#[cfg(feature = "settings")]
pub mod settings;
pub mod stats;
pub mod time;

pub use bus::{Invalidation, InvalidationBus, InvalidationStream};
pub use codec::{Codec, CodecId, Payload, Raw};
pub use entry::{Entry, Lifetime, StoredEntry, Tag, TagStamp, Tags};
pub use error::{BoxError, Error, Result};
pub use key::{BuildKeyHasher, CacheKey, KeyHasher, ShortKey};
pub use local::{Inserted, LocalTier};
pub use remote::{Capabilities, Fence, Lookup, PutFenced, RemoteTier};
pub use stats::{CacheStats, Evictions, LocalStats, RemoteStats};
pub use time::{Clock, ManualClock, RECENT, SystemClock, Timestamp};
