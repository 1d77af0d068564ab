//! [`InsertOptions`]: what one insert can be told.

use std::time::Duration;

use cache_core::Timestamp;

/// What one insert says for itself; what it does not say, the cache's own options do.
///
/// ```
/// use cache_memory::{InsertOptions, MemoryCache};
/// use std::time::Duration;
///
/// let cache: MemoryCache<&str, &str> = MemoryCache::builder().max_weight(1 << 20).build()?;
/// let options = InsertOptions::new().ttl(Duration::from_millis(1_500)).weight(120);
/// let _ = cache.insert_with("question", "answer", options);
/// assert_eq!(cache.weight(), 120);
/// # Ok::<(), cache_memory::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "options do nothing until an insert is given them"]
pub struct InsertOptions {
    pub(crate) ttl: Option<Duration>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) weight: Option<u64>,
}

impl InsertOptions {
    /// Options that say nothing.
    pub const fn new() -> Self {
        Self { ttl: None, until: None, weight: None }
    }

    /// How long the value lives. Part milliseconds count as whole ones; zero stores nothing.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Until when the value lives. Beside a [`ttl`](Self::ttl), the earlier end counts.
    pub const fn until(mut self, end: Timestamp) -> Self {
        self.until = Some(end);
        self
    }

    /// What the value weighs, in bytes, whatever a weigher would say; 0 counts as 1.
    pub const fn weight(mut self, bytes: u64) -> Self {
        self.weight = Some(bytes);
        self
    }
}

/// Options that say how long the value lives.
impl From<Duration> for InsertOptions {
    fn from(ttl: Duration) -> Self {
        Self::new().ttl(ttl)
    }
}

/// Options that say until when the value lives.
impl From<Timestamp> for InsertOptions {
    fn from(end: Timestamp) -> Self {
        Self::new().until(end)
    }
}
