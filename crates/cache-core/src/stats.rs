//! Counters as read at one moment.

use std::iter::Sum;
use std::ops::AddAssign;

/// What a cache has counted since it was made, read at one moment.
///
/// Each lookup counts exactly once: as an L1 hit, an L2 hit or a miss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Lookups answered from memory.
    pub l1_hits: u64,
    /// Lookups answered by the remote tier.
    pub l2_hits: u64,
    /// Lookups that no tier could answer.
    pub misses: u64,
    /// Origin calls begun.
    pub fetches: u64,
    /// Origin calls that failed, panicked or were dropped on the way.
    pub failed_fetches: u64,
    /// Misses that were answered by another caller's origin call or L2 read.
    pub collapsed: u64,
    /// Values that were not stored because their key was invalidated or rewritten meanwhile.
    pub fenced: u64,
    /// Lookups answered with a value past its fresh time.
    pub stale: u64,
    /// Fetches begun behind a hit, to replace a value that is stale or soon will be.
    pub refreshes: u64,
    /// Lookups answered with an error that was kept.
    pub negative: u64,
    /// Callers or fetches whose hard timeout was up.
    pub timed_out: u64,
    /// Fetches not made because the remote tier was out and as many as allowed were under way.
    pub shed: u64,
    /// Fetches begun because the remote tier took its time, that answered first.
    pub hedged: u64,
    /// Times that a fetch waited for another process's.
    pub lease_waits: u64,
    /// Hits on values that nobody could confirm: the remote tier did not answer after a gap in the bus.
    pub doubtful: u64,
    /// Entries of the remote tier that were not used because a tag of theirs was invalidated.
    pub invalidated: u64,
    /// Tags and caches invalidated here.
    pub tag_changes: u64,
    /// Queued writes that there was no room for.
    pub queue_dropped: u64,
    /// Removals that the remote tier or the bus took at a later attempt.
    pub repaired: u64,
    /// The tier in memory.
    pub l1: LocalStats,
    /// The remote tier; all zero where there is none.
    pub l2: RemoteStats,
}

impl CacheStats {
    /// How many lookups there were.
    pub const fn lookups(&self) -> u64 {
        self.l1_hits + self.l2_hits + self.misses
    }

    /// Hits of both tiers by lookups; 0.0 before the first.
    #[allow(clippy::cast_precision_loss, reason = "a ratio to show, exact up to 2^52 lookups")]
    pub fn hit_rate(&self) -> f64 {
        match self.lookups() {
            0 => 0.0,
            lookups => (self.l1_hits + self.l2_hits) as f64 / lookups as f64,
        }
    }
}

/// What an in-process tier holds and has evicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalStats {
    /// Entries held now.
    pub entries: u64,
    /// Their summed weight in bytes.
    pub weight: u64,
    /// Lookups that found a value, where the tier itself counts them.
    pub hits: u64,
    /// Lookups that found none, where the tier itself counts them.
    pub misses: u64,
    /// Values stored.
    pub writes: u64,
    /// Values removed on demand.
    pub removals: u64,
    /// Entries that left by themselves.
    pub evictions: Evictions,
}

/// Why entries left an in-process tier by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evictions {
    /// Space was needed.
    pub capacity: u64,
    /// Their time was up.
    pub expired: u64,
    /// They were heavier than the whole tier may be.
    pub too_heavy: u64,
}

/// What a cache saw of its remote tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteStats {
    /// Calls that ended in an error other than a timeout.
    pub errors: u64,
    /// Calls that were not answered in time.
    pub timeouts: u64,
    /// Calls whose answer was used although it took so long that it counts as a failure.
    pub slow: u64,
    /// Calls that the open breaker spared.
    pub skipped: u64,
    /// Values written.
    pub writes: u64,
    /// Values that should have been written and were not.
    pub failed_writes: u64,
    /// Values removed on demand.
    pub removals: u64,
    /// Entries that were there and could not be decoded.
    pub undecodable: u64,
}

impl AddAssign for CacheStats {
    fn add_assign(&mut self, other: Self) {
        let Self {
            l1_hits,
            l2_hits,
            misses,
            fetches,
            failed_fetches,
            collapsed,
            fenced,
            stale,
            refreshes,
            negative,
            timed_out,
            shed,
            hedged,
            lease_waits,
            doubtful,
            invalidated,
            tag_changes,
            queue_dropped,
            repaired,
            l1,
            l2,
        } = other;
        self.l1_hits += l1_hits;
        self.l2_hits += l2_hits;
        self.misses += misses;
        self.fetches += fetches;
        self.failed_fetches += failed_fetches;
        self.collapsed += collapsed;
        self.fenced += fenced;
        self.stale += stale;
        self.refreshes += refreshes;
        self.negative += negative;
        self.timed_out += timed_out;
        self.shed += shed;
        self.hedged += hedged;
        self.lease_waits += lease_waits;
        self.doubtful += doubtful;
        self.invalidated += invalidated;
        self.tag_changes += tag_changes;
        self.queue_dropped += queue_dropped;
        self.repaired += repaired;
        self.l1 += l1;
        self.l2 += l2;
    }
}

impl AddAssign for LocalStats {
    fn add_assign(&mut self, other: Self) {
        let Self { entries, weight, hits, misses, writes, removals, evictions } = other;
        self.entries += entries;
        self.weight += weight;
        self.hits += hits;
        self.misses += misses;
        self.writes += writes;
        self.removals += removals;
        self.evictions += evictions;
    }
}

impl AddAssign for Evictions {
    fn add_assign(&mut self, other: Self) {
        let Self { capacity, expired, too_heavy } = other;
        self.capacity += capacity;
        self.expired += expired;
        self.too_heavy += too_heavy;
    }
}

impl AddAssign for RemoteStats {
    fn add_assign(&mut self, other: Self) {
        let Self { errors, timeouts, slow, skipped, writes, failed_writes, removals, undecodable } =
            other;
        self.errors += errors;
        self.timeouts += timeouts;
        self.slow += slow;
        self.skipped += skipped;
        self.writes += writes;
        self.failed_writes += failed_writes;
        self.removals += removals;
        self.undecodable += undecodable;
    }
}

/// What several caches have counted together, as of different kinds of requests.
impl Sum for CacheStats {
    fn sum<I: Iterator<Item = Self>>(stats: I) -> Self {
        stats.fold(Self::default(), |mut sum, stats| {
            sum += stats;
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A73: 6 + 2 of 10 is 0.8, and nothing of nothing is 0.0.
    #[test]
    fn hit_rate_counts_both_tiers_once() {
        assert!(CacheStats::default().hit_rate().abs() < f64::EPSILON);
        let stats = CacheStats { l1_hits: 6, l2_hits: 2, misses: 2, ..CacheStats::default() };
        assert!((stats.hit_rate() - 0.8).abs() < f64::EPSILON);
    }

    /// A76: several caches' numbers add up.
    #[test]
    fn kinds_are_summed() {
        let mut chat = CacheStats { l1_hits: 6, ..CacheStats::default() };
        chat.l2.errors = 1;
        chat.l1.evictions.expired = 4;
        let embeddings = CacheStats { l1_hits: 1, misses: 3, l2: chat.l2, ..chat };
        let all: CacheStats = [chat, embeddings].into_iter().sum();
        assert_eq!((all.l1_hits, all.misses, all.l2.errors), (7, 3, 2));
        assert_eq!(all.l1.evictions.expired, 8);
    }
}
