//! What the tests share: a cache over a reference remote tier, on a clock that is set by hand.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod steps;

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cache_conformance::{FaultyTier, MemoryRemote};
use cache_dual::codec::Raw;
use cache_dual::{CacheKey, DualCache, DualOptions, InvalidationBus, LocalCache, ManualClock};

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
        self.process_with(None, |_| ())
    }

    /// A process on a bus, with other options.
    pub(crate) fn process_with(
        &self,
        bus: Option<Arc<dyn InvalidationBus>>,
        change: impl FnOnce(&mut DualOptions),
    ) -> Process {
        let memory: LocalCache<Bytes> = LocalCache::local()
            .max_entries(10_000)
            .clock(self.clock.clone())
            .build()
            .expect("valid options");
        let faults = Arc::new(FaultyTier::new(Arc::clone(&self.remote)));
        let mut builder = DualCache::builder()
            .memory(memory.clone())
            .remote(faults.clone(), Raw)
            .clock(self.clock.clone())
            .tune(|options| options.ttl = TTL)
            .tune(change);
        if let Some(bus) = bus {
            builder = builder.bus(bus);
        }
        let cache = builder.build().expect("valid options");
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

/// Waits until `holds`.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits until nothing is owed to the remote tier and the bus.
pub(crate) async fn settled(world: &World, cache: &DualCache<Bytes>) {
    let start = Instant::now();
    while cache.health().await.owed > 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "it is never made up for");
        world.clock.advance(Duration::from_secs(1)); // the breaker probes
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Polls `future` that many times and drops it; whether it ended before.
pub(crate) async fn polled(polls: usize, future: impl Future) -> bool {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        if poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}
