//! Least recently used.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Age, Ranking};

/// Shards up to this size order every single use.
const EXACT_UP_TO: u64 = 256;
/// How often larger shards' clocks step while as many entries come as are held.
const STEPS: u64 = 64;

/// The marks are the age at the last use, and so is the rank.
///
/// In a large shard the age moves with insertions only. A hit then writes at most once a step and
/// entry, and a load of nothing but hits soon writes nothing at all, as in `CacheLib`, which
/// promotes an item at most once a minute. In a small shard each use moves it, which orders uses
/// exactly and costs a shared counter, but only when another entry was used since.
#[derive(Debug)]
pub(super) struct Lru;

impl Ranking for Lru {
    fn stored(&self, _replaced: Option<u64>, age: &Age) -> u64 {
        if age.is_fine() { age.next() } else { age.now() }
    }

    fn hit(&self, marks: &AtomicU64, age: &Age) {
        let now = age.now();
        if marks.load(Ordering::Relaxed) != now {
            let now = if age.is_fine() { age.next() } else { now };
            marks.store(now, Ordering::Relaxed);
        }
    }

    fn rank(&self, marks: u64) -> u64 {
        marks
    }

    fn period(&self, live: u64) -> Option<u64> {
        (live > EXACT_UP_TO).then_some(live / STEPS)
    }

    fn is_fine(&self, live: u64) -> bool {
        live <= EXACT_UP_TO
    }
}
