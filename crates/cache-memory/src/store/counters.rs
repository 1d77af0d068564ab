//! What the store counts. Only writes count, so only they pay.

use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::{Evictions, LocalStats};

#[derive(Default)]
#[repr(align(128))] // written by every write: kept off the cache lines that hits read
pub(super) struct Counters {
    pub(super) writes: AtomicU64,
    pub(super) removals: AtomicU64,
    pub(super) capacity: AtomicU64,
    pub(super) expired: AtomicU64,
    pub(super) too_heavy: AtomicU64,
}

pub(super) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn read(&self, entries: u64, weight: u64) -> LocalStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut evictions = Evictions::default(); // non-exhaustive: no literals outside its crate
        evictions.capacity = get(&self.capacity);
        evictions.expired = get(&self.expired);
        evictions.too_heavy = get(&self.too_heavy);
        let mut stats = LocalStats::default();
        stats.entries = entries;
        stats.weight = weight;
        stats.writes = get(&self.writes);
        stats.removals = get(&self.removals);
        stats.evictions = evictions;
        stats
    }
}
