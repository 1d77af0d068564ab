//! Least frequently used, with ageing.

use super::{Age, Eviction, SECOND_CHANCES};
use crate::line::{Choice, Entries, Ranks};

/// Uses that are told apart; more count as this many.
const MOST: u32 = 255;
const COUNT_BITS: u32 = 8;
/// The bits that are left in the marks for the age.
const AGE_BITS: u32 = 16;
/// Counts are halved when so many times the entries held were inserted, but not before
/// `FEWEST` were.
const TURNOVERS: u64 = 4;
const FEWEST: u64 = 64;

/// Entries stand at the rank that their uses had earned them when they were last looked at. The
/// marks are a count of uses in the low bits and the age that it is valid for above them.
///
/// Halving all counts would mean to visit all entries. Instead a count of the next age weighs
/// twice as much: the order among the old is the same as if they had been halved, and the old
/// counts are halved one by one as their entries are used again. (Forward decay: Cormode,
/// Shkapenyuk, Srivastava and Xu, 2009.)
#[derive(Debug, Default)]
pub(crate) struct Lfu {
    by_rank: Ranks,
    held: u64,
    insertions: u64,
}

/// Notes a use: one more, of the present age.
pub(super) fn used(marks: u32, age: &Age) -> u32 {
    let now = age.now();
    let (count, then) = unpack(marks, now);
    let halvings = now.saturating_sub(then).min(u64::from(COUNT_BITS));
    // `max`: the age may have moved on between its read and this use in another thread.
    pack(((count >> halvings) + 1).min(MOST), now.max(then))
}

/// `count * 2^age` as a floating point number would hold it: its logarithm, then the bits below
/// the first. Exact, since a count has no more bits than that.
fn rank(marks: u32, now: u64) -> u64 {
    let (count, age) = unpack(marks, now);
    let log = count.max(1).ilog2();
    let below = (count << (COUNT_BITS - 1 - log)) & (MOST >> 1);
    (age + u64::from(log)) << (COUNT_BITS - 1) | u64::from(below)
}

#[allow(clippy::cast_possible_truncation, reason = "an age is cut to the bits there are")]
fn pack(count: u32, age: u64) -> u32 {
    ((age % (1 << AGE_BITS)) as u32) << COUNT_BITS | count
}

/// The count, and the latest age that fits. Whoever was not used for 65,536 ages looks younger than
/// it is; eight ages without a use are enough to be the first to leave.
fn unpack(marks: u32, now: u64) -> (u32, u64) {
    let ago = now.wrapping_sub(u64::from(marks >> COUNT_BITS)) % (1 << AGE_BITS);
    (marks & MOST, now.saturating_sub(ago))
}

impl Eviction for Lfu {
    fn insert<E: Entries>(&mut self, place: u32, _choice: &Choice<'_, E>, age: &Age) -> u32 {
        self.held += 1;
        self.insertions += 1;
        let marks = pack(1, age.now());
        self.by_rank.insert(place, rank(marks, age.now()));
        if self.insertions >= self.held.saturating_mul(TURNOVERS).max(FEWEST) {
            self.insertions = 0;
            age.next();
        }
        marks
    }

    fn overwrite(&mut self, place: u32, marks: u32, age: &Age) -> u32 {
        let marks = used(marks, age);
        self.by_rank.remove(place);
        self.by_rank.insert(place, rank(marks, age.now()));
        marks
    }

    fn remove(&mut self, place: u32) {
        self.by_rank.remove(place);
        self.held -= 1;
    }

    fn victim<E: Entries>(&mut self, choice: &mut Choice<'_, E>, age: &Age) -> Option<u32> {
        for _ in 0..SECOND_CHANCES {
            let (place, stands_at) = self.by_rank.pop()?;
            let earned = rank(choice.marks(place), age.now());
            if earned <= stands_at {
                self.held -= 1;
                return Some(place);
            }
            self.by_rank.insert(place, earned);
        }
        let (place, _) = self.by_rank.pop()?;
        self.held -= 1;
        Some(place)
    }

    fn renewed(&self) -> Self {
        Self::default()
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.by_rank.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(age: u64) -> Age {
        let at = Age::default();
        for _ in 0..age {
            at.next();
        }
        at
    }

    #[test]
    fn ranks_order_as_count_times_two_to_the_age() {
        let weight = |count: u32, age: u64| u64::from(count) << age;
        for (a, b) in (1..=MOST).flat_map(|a| (1..=MOST).map(move |b| (a, b))) {
            for age in 0..10 {
                assert_eq!(
                    rank(pack(a, age), 10).cmp(&rank(pack(b, 3), 10)),
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
                let after = used(marks, &at(now));
                assert!(rank(after, now) >= rank(marks, now), "{marks} at {now}");
            }
        }
    }

    /// Saturated counts are not written again: hits on hot entries share their cache line.
    #[test]
    fn hot_entries_stop_changing() {
        let age = at(0);
        let marks = (0..1000).fold(pack(1, 0), |marks, _| used(marks, &age));
        assert_eq!(marks, pack(MOST, 0));
        assert_eq!(used(marks, &age), marks);
    }

    /// Ages are cut to 16 bits in the marks; what is held is far younger than that.
    #[test]
    fn ages_survive_being_cut() {
        for now in [65_535, 65_536, 1_000_000] {
            let marks = used(pack(9, now - 3), &at(now));
            assert_eq!(unpack(marks, now), (2, now));
        }
    }
}
