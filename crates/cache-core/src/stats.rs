//! Counters as read at one moment.

/// What a cache has counted since it was made, read at one moment.
///
/// Each lookup counts exactly once: as an L1 hit, an L2 hit or a miss (A73).
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
}
