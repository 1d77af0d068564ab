//! What the cache counts: for [`CacheStats`](cache_core::CacheStats) and for the `metrics` facade.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cache_core::{CacheStats, LocalStats};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// One number of [`CacheStats`] together with its counter in the facade.
#[derive(Debug)]
pub(crate) struct Count {
    value: Striped,
    /// What it was when the statistics were last reset.
    since: AtomicU64,
    metric: Counter,
}

impl Count {
    fn new(metric: Counter) -> Self {
        Self { value: Striped::default(), since: AtomicU64::new(0), metric }
    }

    #[inline]
    pub(crate) fn add_one(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, count: u64) {
        self.value.add(count);
        self.metric.increment(count);
    }

    fn get(&self) -> u64 {
        self.value.sum().saturating_sub(self.since.load(Ordering::Relaxed))
    }

    fn reset(&self) {
        self.since.store(self.value.sum(), Ordering::Relaxed);
    }
}

/// Every number that a [`DualCache`](crate::DualCache) keeps.
///
/// The facade's handles are taken once, when the cache is built, so counting costs no lookup of
/// names; a recorder has to be installed before that. Labels are fixed words and the cache's own
/// namespace.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) l1_hits: Count,
    pub(crate) l2_hits: Count,
    pub(crate) misses: Count,
    pub(crate) fetches: Count,
    pub(crate) failed_fetches: Count,
    pub(crate) collapsed: Count,
    pub(crate) fenced: Count,
    pub(crate) stale: Count,
    pub(crate) refreshes: Count,
    pub(crate) negative: Count,
    pub(crate) timed_out: Count,
    pub(crate) shed: Count,
    pub(crate) hedged: Count,
    pub(crate) lease_waits: Count,
    pub(crate) doubtful: Count,
    pub(crate) invalidated: Count,
    pub(crate) tag_changes: Count,
    pub(crate) queue_dropped: Count,
    pub(crate) repaired: Count,
    pub(crate) l2_writes: Count,
    pub(crate) l2_failed_writes: Count,
    pub(crate) l2_removals: Count,
    pub(crate) l2_undecodable: Count,
    pub(crate) l2_errors: Count,
    pub(crate) l2_timeouts: Count,
    pub(crate) l2_skipped: Count,
    pub(crate) l2_slow: Count,
    pub(crate) bus_messages: Counter,
    pub(crate) bus_gaps: Counter,
    pub(crate) bus_failures: Counter,
    pub(crate) repairs: Held,
    pub(crate) queued: Held,
    l1_get: Histogram,
    l2_get: Histogram,
    l2_put: Histogram,
    l2_remove: Histogram,
    fetch: Histogram,
    remote_up: Gauge,
    entries: Gauge,
    weight: Gauge,
    evicted: Counter,
    expired: Counter,
    too_heavy: Counter,
}

/// The operations that are timed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// In memory, one in [`SAMPLE`].
    Hit,
    Get,
    Put,
    Remove,
    Fetch,
}

/// Of how many hits in memory one is timed: to read the clock costs as much as the hit.
const SAMPLE: u32 = 64;

thread_local! {
    static UNTIL_NEXT: Cell<u32> = const { Cell::new(0) };
}

/// A number of things that wait.
#[derive(Debug)]
pub(crate) struct Held(Gauge);

impl Held {
    #[allow(clippy::cast_precision_loss, reason = "gauges are floats")]
    pub(crate) fn set(&self, count: usize) {
        self.0.set(count as f64);
    }
}

impl Counters {
    /// Metrics are told apart by the name of the cache.
    pub(crate) fn new(cache: &str) -> Self {
        let cache: Arc<str> = cache.into();
        let count = |name: &'static str| Count::new(counter!(name, "cache" => cache.clone()));
        let lookups = |outcome: &'static str| {
            Count::new(
                counter!("cache_lookups_total", "cache" => cache.clone(), "outcome" => outcome),
            )
        };
        let failed = |failure: &'static str| {
            Count::new(counter!(
                "cache_remote_calls_failed_total", "cache" => cache.clone(), "failure" => failure
            ))
        };
        let evictions = |cause: &'static str| counter!("cache_evictions_total", "cache" => cache.clone(), "cause" => cause);
        let seconds = |tier: &'static str, op: &'static str| {
            histogram!(
                "cache_operation_seconds", "cache" => cache.clone(), "tier" => tier, "op" => op
            )
        };
        let bus = |name: &'static str| counter!(name, "cache" => cache.clone());
        let level = |name: &'static str| gauge!(name, "cache" => cache.clone());
        Self {
            l1_hits: lookups("l1_hit"),
            l2_hits: lookups("l2_hit"),
            misses: lookups("miss"),
            fetches: count("cache_fetches_total"),
            failed_fetches: count("cache_fetches_failed_total"),
            collapsed: count("cache_collapsed_total"),
            fenced: count("cache_fenced_total"),
            stale: count("cache_stale_total"),
            refreshes: count("cache_refreshes_total"),
            negative: count("cache_negative_total"),
            timed_out: count("cache_fetch_timeouts_total"),
            shed: count("cache_shed_total"),
            hedged: count("cache_hedged_total"),
            lease_waits: count("cache_lease_waits_total"),
            doubtful: count("cache_doubtful_total"),
            invalidated: count("cache_invalidated_total"),
            tag_changes: count("cache_tag_changes_total"),
            queue_dropped: count("cache_queue_dropped_total"),
            repaired: count("cache_repaired_total"),
            l2_writes: count("cache_remote_writes_total"),
            l2_failed_writes: count("cache_remote_writes_failed_total"),
            l2_removals: count("cache_remote_removals_total"),
            l2_undecodable: count("cache_remote_undecodable_total"),
            l2_errors: failed("error"),
            l2_timeouts: failed("timeout"),
            l2_skipped: failed("skipped"),
            l2_slow: failed("slow"),
            bus_messages: bus("cache_bus_messages_total"),
            bus_gaps: bus("cache_bus_gaps_total"),
            bus_failures: bus("cache_bus_failures_total"),
            repairs: Held(level("cache_repairs")),
            queued: Held(level("cache_queued_writes")),
            l1_get: seconds("l1", "get"),
            l2_get: seconds("l2", "get"),
            l2_put: seconds("l2", "put"),
            l2_remove: seconds("l2", "remove"),
            fetch: seconds("origin", "fetch"),
            remote_up: level("cache_remote_up"),
            entries: level("cache_entries"),
            weight: level("cache_weight_bytes"),
            evicted: evictions("capacity"),
            expired: evictions("expired"),
            too_heavy: evictions("too_heavy"),
        }
    }

    pub(crate) fn time(&self, op: Op, took: Duration) {
        let histogram = match op {
            Op::Hit => &self.l1_get,
            Op::Get => &self.l2_get,
            Op::Put => &self.l2_put,
            Op::Remove => &self.l2_remove,
            Op::Fetch => &self.fetch,
        };
        histogram.record(took);
    }

    /// The time, if the next hit of this thread is one of those that are timed.
    #[inline]
    pub(crate) fn sampled() -> Option<Instant> {
        match UNTIL_NEXT.get() {
            0 => Some(Instant::now()),
            left => {
                UNTIL_NEXT.set(left - 1);
                None
            }
        }
    }

    /// Times a hit that began then.
    #[cold]
    pub(crate) fn time_hit(&self, started: Instant) {
        UNTIL_NEXT.set(SAMPLE - 1);
        self.time(Op::Hit, started.elapsed());
    }

    pub(crate) fn set_remote_up(&self, up: bool) {
        self.remote_up.set(if up { 1.0 } else { 0.0 });
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
        stats.stale = self.stale.get();
        stats.refreshes = self.refreshes.get();
        stats.negative = self.negative.get();
        stats.timed_out = self.timed_out.get();
        stats.shed = self.shed.get();
        stats.hedged = self.hedged.get();
        stats.lease_waits = self.lease_waits.get();
        stats.doubtful = self.doubtful.get();
        stats.invalidated = self.invalidated.get();
        stats.tag_changes = self.tag_changes.get();
        stats.queue_dropped = self.queue_dropped.get();
        stats.repaired = self.repaired.get();
        stats.l1 = local;
        stats.l2.errors = self.l2_errors.get();
        stats.l2.timeouts = self.l2_timeouts.get();
        stats.l2.skipped = self.l2_skipped.get();
        stats.l2.slow = self.l2_slow.get();
        stats.l2.writes = self.l2_writes.get();
        stats.l2.failed_writes = self.l2_failed_writes.get();
        stats.l2.removals = self.l2_removals.get();
        stats.l2.undecodable = self.l2_undecodable.get();
        stats
    }

    /// Begins to count anew. The facade's counters only ever rise.
    pub(crate) fn reset(&self) {
        let counts = [
            &self.l1_hits,
            &self.l2_hits,
            &self.misses,
            &self.fetches,
            &self.failed_fetches,
            &self.collapsed,
            &self.fenced,
            &self.stale,
            &self.refreshes,
            &self.negative,
            &self.timed_out,
            &self.shed,
            &self.hedged,
            &self.lease_waits,
            &self.doubtful,
            &self.invalidated,
            &self.tag_changes,
            &self.queue_dropped,
            &self.repaired,
            &self.l2_writes,
            &self.l2_failed_writes,
            &self.l2_removals,
            &self.l2_undecodable,
            &self.l2_errors,
            &self.l2_timeouts,
            &self.l2_skipped,
            &self.l2_slow,
        ];
        counts.into_iter().for_each(Count::reset);
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
    fn add(&self, count: u64) {
        thread_local! {
            static MINE: Cell<usize> = {
                static NEXT: AtomicUsize = AtomicUsize::new(0);
                Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES)
            };
        }
        self.0[MINE.get()].0.fetch_add(count, Ordering::Relaxed);
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
                scope.spawn(|| (0..25).for_each(|_| counter.add(1)));
            }
        });
        assert_eq!(counter.sum(), 1000);
    }
}
