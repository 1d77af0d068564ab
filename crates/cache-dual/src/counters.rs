//! What the cache counts: for [`CacheStats`](cache_core::CacheStats) and for the `metrics` facade.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::{CacheStats, LocalStats};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// One number of [`CacheStats`] together with its counter in the facade.
#[derive(Debug)]
pub(crate) struct Count {
    value: Striped,
    metric: Counter,
}

impl Count {
    fn new(metric: Counter) -> Self {
        Self { value: Striped::default(), metric }
    }

    pub(crate) fn add_one(&self) {
        self.value.add_one();
        self.metric.increment(1);
    }

    fn get(&self) -> u64 {
        self.value.sum()
    }
}

/// Every number that a [`DualCache`](crate::DualCache) keeps.
///
/// The facade's handles are taken once, when the cache is built, so counting costs no lookup of
/// names; a recorder has to be installed before that. Labels are fixed words (A78).
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) l1_hits: Count,
    pub(crate) l2_hits: Count,
    pub(crate) misses: Count,
    pub(crate) fetches: Count,
    pub(crate) failed_fetches: Count,
    pub(crate) collapsed: Count,
    pub(crate) fenced: Count,
    pub(crate) l2_errors: Count,
    pub(crate) l2_timeouts: Count,
    pub(crate) l2_skipped: Count,
    pub(crate) l2_writes: Count,
    pub(crate) l2_failed_writes: Count,
    pub(crate) l2_removals: Count,
    pub(crate) l2_undecodable: Count,
    l2_get: Histogram,
    l2_put: Histogram,
    l2_remove: Histogram,
    entries: Gauge,
    weight: Gauge,
    pub(crate) bus_messages: Counter,
    pub(crate) bus_gaps: Counter,
    pub(crate) bus_failures: Counter,
    evicted: Counter,
    expired: Counter,
    too_heavy: Counter,
}

/// The remote operations that are timed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Get,
    Put,
    Remove,
}

impl Counters {
    pub(crate) fn new() -> Self {
        let lookups = |outcome| Count::new(counter!("cache_lookups_total", "outcome" => outcome));
        let remote = |result| Count::new(counter!("cache_remote_calls_total", "failure" => result));
        let evictions = |cause| counter!("cache_evictions_total", "cause" => cause);
        let seconds = |op| histogram!("cache_remote_seconds", "op" => op);
        Self {
            l1_hits: lookups("l1_hit"),
            l2_hits: lookups("l2_hit"),
            misses: lookups("miss"),
            fetches: Count::new(counter!("cache_fetches_total")),
            failed_fetches: Count::new(counter!("cache_fetches_failed_total")),
            collapsed: Count::new(counter!("cache_collapsed_total")),
            fenced: Count::new(counter!("cache_fenced_total")),
            l2_errors: remote("error"),
            l2_timeouts: remote("timeout"),
            l2_skipped: remote("skipped"),
            l2_writes: Count::new(counter!("cache_remote_writes_total")),
            l2_failed_writes: Count::new(counter!("cache_remote_writes_failed_total")),
            l2_removals: Count::new(counter!("cache_remote_removals_total")),
            l2_undecodable: Count::new(counter!("cache_remote_undecodable_total")),
            l2_get: seconds("get"),
            l2_put: seconds("put"),
            l2_remove: seconds("remove"),
            entries: gauge!("cache_entries"),
            weight: gauge!("cache_weight_bytes"),
            bus_messages: counter!("cache_bus_messages_total"),
            bus_gaps: counter!("cache_bus_gaps_total"),
            bus_failures: counter!("cache_bus_failures_total"),
            evicted: evictions("capacity"),
            expired: evictions("expired"),
            too_heavy: evictions("too_heavy"),
        }
    }

    pub(crate) fn time(&self, op: Op, took: Duration) {
        let histogram = match op {
            Op::Get => &self.l2_get,
            Op::Put => &self.l2_put,
            Op::Remove => &self.l2_remove,
        };
        histogram.record(took);
    }

    /// Rare, and not there at all without a remote tier, so the handle is not kept.
    pub(crate) fn set_remote_up(up: bool) {
        gauge!("cache_remote_up").set(if up { 1.0 } else { 0.0 });
    }

    /// Hands the memory tier's own numbers to the facade.
    #[allow(clippy::cast_precision_loss, reason = "gauges are floats")]
    pub(crate) fn report_local(&self, local: &LocalStats) {
        self.entries.set(local.entries as f64);
        self.weight.set(local.weight as f64);
        self.evicted.absolute(local.evictions.capacity);
        self.expired.absolute(local.evictions.expired);
        self.too_heavy.absolute(local.evictions.too_heavy);
    }

    pub(crate) fn snapshot(&self, local: LocalStats) -> CacheStats {
        let mut stats = CacheStats::default();
        stats.l1_hits = self.l1_hits.get();
        stats.l2_hits = self.l2_hits.get();
        stats.misses = self.misses.get();
        stats.fetches = self.fetches.get();
        stats.failed_fetches = self.failed_fetches.get();
        stats.collapsed = self.collapsed.get();
        stats.fenced = self.fenced.get();
        stats.l1 = local;
        stats.l2.errors = self.l2_errors.get();
        stats.l2.timeouts = self.l2_timeouts.get();
        stats.l2.skipped = self.l2_skipped.get();
        stats.l2.writes = self.l2_writes.get();
        stats.l2.failed_writes = self.l2_failed_writes.get();
        stats.l2.removals = self.l2_removals.get();
        stats.l2.undecodable = self.l2_undecodable.get();
        stats
    }
}

/// Threads beyond this many share stripes.
const STRIPES: usize = 16;

/// A counter whose threads do not meet on one cache line.
#[derive(Debug, Default)]
struct Striped([Line; STRIPES]);

/// Two lines of 64 bytes: adjacent-line prefetch pulls them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Line(AtomicU64);

impl Striped {
    fn add_one(&self) {
        thread_local! {
            static MINE: Cell<usize> = {
                static NEXT: AtomicUsize = AtomicUsize::new(0);
                Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES)
            };
        }
        self.0[MINE.get()].0.fetch_add(1, Ordering::Relaxed);
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|line| line.0.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A77: concurrent increments are all counted.
    #[test]
    fn no_increment_is_lost() {
        let counter = Striped::default();
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| (0..25).for_each(|_| counter.add_one()));
            }
        });
        assert_eq!(counter.sum(), 1000);
    }
}
