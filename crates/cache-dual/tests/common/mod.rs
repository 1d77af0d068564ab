//! What the tests share: a cache over a reference remote tier, on a clock that is set by hand.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod steps;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache_conformance::{FaultyTier, MemoryRemote};
use cache_dual::codec::Raw;
use cache_dual::{CacheKey, DualCache, LocalCache, ManualClock};

/// One process of several that share a remote tier.
pub(crate) struct Process {
    pub(crate) cache: DualCache<Bytes>,
    pub(crate) memory: LocalCache<Bytes>,
    pub(crate) faults: Arc<FaultyTier<Arc<MemoryRemote>>>,
}

/// A remote tier on a clock of its own.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) remote: Arc<MemoryRemote>,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        Self { remote: Arc::new(MemoryRemote::new(clock.clone())), clock }
    }

    pub(crate) fn process(&self) -> Process {
        let memory: LocalCache<Bytes> = LocalCache::local()
            .max_entries(10_000)
            .clock(self.clock.clone())
            .build()
            .expect("valid options");
        let faults = Arc::new(FaultyTier::new(Arc::clone(&self.remote)));
        let cache = DualCache::builder()
            .memory(memory.clone())
            .remote(faults.clone(), Raw)
            .clock(self.clock.clone())
            .default_ttl(TTL)
            .build()
            .expect("valid options");
        Process { cache, memory, faults }
    }
}

pub(crate) const TTL: Duration = Duration::from_secs(60);

pub(crate) fn key(text: &str) -> CacheKey {
    CacheKey::from_text(text)
}

pub(crate) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// An origin's error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) retry_after: u64,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "status {}", self.status)
    }
}

impl std::error::Error for Refused {}
