//! Least frequently used, with ageing.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Age, Ranking};

/// Uses that are told apart; more count as this many.
const MOST: u64 = 255;
const COUNT_BITS: u32 = 8;
/// Counts are halved when so many times the entries held were inserted, but not before
/// `FEWEST` were.
const TURNOVERS: u64 = 4;
const FEWEST: u64 = 64;

/// The marks are a count of uses in the low bits and the age that it is valid for above them.
///
/// Halving all counts would mean to visit all entries. Instead a count of the next age weighs
/// twice as much: the order among the old is the same as if they had been halved, and the old
/// counts are halved one by one as their entries are used again. (Forward decay: Cormode,
/// Shkapenyuk, Srivastava and Xu, 2009.)
#[derive(Debug)]
pub(super) struct Lfu;

impl Ranking for Lfu {
    fn stored(&self, replaced: Option<u64>, age: &Age) -> u64 {
        replaced.map_or(pack(1, age.now()), |marks| used(marks, age.now()))
    }

    fn hit(&self, marks: &AtomicU64, age: &Age) {
        let before = marks.load(Ordering::Relaxed);
        let after = used(before, age.now());
        if after != before {
            marks.store(after, Ordering::Relaxed);
        }
    }

    /// `count * 2^age` as a floating point number would hold it: its logarithm, then the bits
    /// below the first. Exact, since a count has no more bits than that.
    fn rank(&self, marks: u64) -> u64 {
        let (count, age) = unpack(marks);
        let log = count.ilog2(); // a count is at least 1
        let below = (count << (COUNT_BITS - 1 - log)) & (MOST >> 1);
        ((age + u64::from(log)) << (COUNT_BITS - 1)) | below
    }

    fn period(&self, live: u64) -> Option<u64> {
        Some(live.saturating_mul(TURNOVERS).max(FEWEST))
    }
}

fn used(marks: u64, now: u64) -> u64 {
    let (count, age) = unpack(marks);
    let halvings = now.saturating_sub(age).min(u64::from(COUNT_BITS));
    // `max`: the age may have moved on between its read and this use in another thread.
    pack(((count >> halvings) + 1).min(MOST), now.max(age))
}

fn pack(count: u64, age: u64) -> u64 {
    age << COUNT_BITS | count
}

fn unpack(marks: u64) -> (u64, u64) {
    (marks & MOST, marks >> COUNT_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_order_as_count_times_two_to_the_age() {
        let weight = |count: u64, age: u64| count << age;
        for (a, b) in (1..=MOST).flat_map(|a| (1..=MOST).map(move |b| (a, b))) {
            for age in 0..10 {
                assert_eq!(
                    Lfu.rank(pack(a, age)).cmp(&Lfu.rank(pack(b, 3))),
                    weight(a, age).cmp(&weight(b, 3)),
                    "{a} uses of age {age} against {b} of age 3",
                );
            }
        }
    }

    #[test]
    fn a_use_never_lowers_the_rank() {
        for marks in (1..=MOST).map(|count| pack(count, 5)) {
            for now in 5..20 {
                assert!(Lfu.rank(used(marks, now)) >= Lfu.rank(marks), "{marks} at {now}");
            }
        }
    }

    /// Saturated counts are not written again: hits on hot entries share their cache line.
    #[test]
    fn hot_entries_stop_changing() {
        let marks = (0..1000).fold(pack(1, 0), |marks, _| used(marks, 0));
        assert_eq!(marks, pack(MOST, 0));
        assert_eq!(used(marks, 0), marks);
    }
}
