//! Eviction policies: who leaves when space is needed.
//!
//! To a policy an entry is a rank, a number, and the entry with the lowest rank leaves first. A
//! hit only notes something on the entry itself (its *marks*); the entry is moved to the rank that
//! its marks have earned when it comes up for eviction, which is the first moment it matters.

mod fifo;
mod lfu;
mod lru;
mod ttl;

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::line::Line;

/// Who leaves when space is needed. An entry whose time is up always leaves first.
///
/// Policies choose within a shard. A cache of fewer than 256 entries has one; a larger one has at
/// most four for each processor, with 128 entries or more in each. An eviction looks at 256 entries
/// at most: if all of them were used since they were last looked at, the next one leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// The least recently used entry; an overwrite is a use.
    ///
    /// Exact up to 256 entries a shard (and so for every cache of fewer than 256). In larger
    /// shards uses between two steps of a clock that moves 64 times a turnover count as equally
    /// recent, and of those the one that was stored or last moved first leaves first.
    #[default]
    Lru,
    /// The least frequently used entry; an overwrite is a use.
    ///
    /// Counts up to 255, and halves with age so that yesterday's favourites leave: whenever four
    /// times as many entries as are held (at least 64) were inserted. Of equally cold entries any
    /// may leave.
    Lfu,
    /// The entry that was inserted first. Neither hits nor overwrites change its place.
    Fifo,
    /// The entry that expires first, to the millisecond; those that never expire last, in the
    /// order in which they were inserted. Hits change nothing.
    Ttl,
}

impl Policy {
    pub(crate) fn ranking(self) -> &'static dyn Ranking {
        match self {
            Self::Lru => &lru::Lru,
            Self::Lfu => &lfu::Lfu,
            Self::Fifo => &fifo::Fifo,
            Self::Ttl => &ttl::Ttl,
        }
    }
}

/// What makes a policy: how uses become marks and marks become ranks.
pub(crate) trait Ranking: Debug + Send + Sync {
    /// The marks of an entry stored now, with the marks of the live entry that it replaces.
    fn stored(&self, replaced: Option<u64>, age: &Age) -> u64;

    /// Notes a use on the entry's marks. Runs under a read lock in many threads at once: it writes
    /// nothing that the marks say already, and losing one of two simultaneous uses is fine.
    fn hit(&self, marks: &AtomicU64, age: &Age);

    /// The rank that marks have earned. A hit never lowers it.
    fn rank(&self, marks: u64) -> u64;

    /// Who leaves next with its rank.
    fn victim(&self, line: &mut Line) -> Option<(u32, u64)> {
        line.order.first()
    }

    /// After how many insertions, with so many entries in line, the age moves on.
    fn period(&self, _live: u64) -> Option<u64> {
        None
    }

    /// Whether, with so many entries in line, hits too should move the age on.
    fn is_fine(&self, _live: u64) -> bool {
        false
    }
}

/// What a policy counts time by, for one shard: read by hits, written mostly by insertions.
#[derive(Debug, Default)]
#[repr(align(128))] // off the cache lines that writers touch
pub(crate) struct Age {
    now: AtomicU64,
    fine: AtomicBool,
}

// Relaxed throughout: ages order uses for the policy and publish nothing.
impl Age {
    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// The next moment, shared by nobody.
    fn next(&self) -> u64 {
        self.now.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn is_fine(&self) -> bool {
        self.fine.load(Ordering::Relaxed)
    }

    pub(crate) fn advance(&self) {
        self.next();
    }

    pub(crate) fn set_fine(&self, fine: bool) {
        if self.is_fine() != fine {
            self.fine.store(fine, Ordering::Relaxed);
        }
    }
}
