//! [`Negatives`]: failed fetches that answer for their keys for a while.

use std::sync::Arc;
use std::time::Duration;

use cache_core::{BuildKeyHasher, CacheKey, Clock};
use cache_memory::{MemoryCache, Policy};

use crate::error::AnyError;

/// How many are kept.
const MOST: u64 = 10_000;

/// The errors of late, in this process only.
#[derive(Debug)]
pub(crate) struct Negatives(MemoryCache<CacheKey, AnyError, BuildKeyHasher>);

impl Negatives {
    pub(crate) fn new(ttl: Duration, clock: Arc<dyn Clock>) -> Self {
        let kept = MemoryCache::builder()
            .hasher(BuildKeyHasher)
            .policy(Policy::Fifo)
            .max_entries(MOST)
            .default_ttl(ttl)
            .clock(clock)
            .build();
        Self(kept.expect("a bound and a checked time are valid options"))
    }

    pub(crate) fn get(&self, key: &CacheKey) -> Option<AnyError> {
        self.0.get(key).map(|error| error.to_value())
    }

    /// Keeps `error` if the key was not invalidated since it was asked about.
    pub(crate) fn keep(&self, key: &CacheKey, error: AnyError, holds: impl FnOnce() -> bool) {
        let _ = self.0.insert_if(*key, error, holds);
    }

    pub(crate) fn forget(&self, key: &CacheKey) {
        self.0.remove(key);
    }

    pub(crate) fn clear(&self) {
        self.0.clear();
    }
}
