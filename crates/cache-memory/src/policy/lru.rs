//! Least recently used.

use super::{Age, Eviction, SECOND_CHANCES};
use crate::line::{Choice, Entries, Ranks};

/// Shards up to this size order every single use.
const EXACT_UP_TO: usize = 256;
/// How often larger shards' clocks step while as many entries come as are held.
const STEPS: u64 = 64;
/// Marks are an age cut to so many bits.
const BITS: u32 = 24;

/// Entries stand at the age at their last use, as far as it is known here; their marks say better.
///
/// In a large shard the age moves with insertions only. A hit then writes at most once a step and
/// entry, and a load of nothing but hits soon writes nothing at all, as in `CacheLib`, which
/// promotes an item at most once a minute. In a small shard each use moves it, which orders uses
/// exactly and costs a shared counter, but only when another entry was used since.
#[derive(Debug, Default)]
pub(crate) struct Lru {
    by_use: Ranks,
    held: usize,
    insertions: u64,
}

/// Notes the present age.
pub(super) fn used(marks: u32, age: &Age) -> u32 {
    let now = cut(age.now());
    if marks == now || !age.is_fine() { now } else { cut(age.next()) }
}

#[allow(clippy::cast_possible_truncation, reason = "cut to the bits that marks have")]
fn cut(age: u64) -> u32 {
    (age % (1 << BITS)) as u32
}

/// The latest age that was cut to `marks`.
fn whole(marks: u32, now: u64) -> u64 {
    let ago = now.wrapping_sub(u64::from(marks)) % (1 << BITS);
    now.saturating_sub(ago)
}

impl Lru {
    fn stand(&mut self, place: u32, age: &Age) -> u32 {
        let now = if age.is_fine() { age.next() } else { age.now() };
        self.by_use.insert(place, now);
        cut(now)
    }
}

impl Eviction for Lru {
    fn insert<E: Entries>(&mut self, place: u32, _choice: &Choice<'_, E>, age: &Age) -> u32 {
        self.held += 1;
        self.insertions += 1;
        age.set_fine(self.held <= EXACT_UP_TO);
        if !age.is_fine() && self.insertions >= self.held as u64 / STEPS {
            self.insertions = 0;
            age.next();
        }
        self.stand(place, age)
    }

    fn overwrite(&mut self, place: u32, _marks: u32, age: &Age) -> u32 {
        self.by_use.remove(place);
        self.stand(place, age)
    }

    fn remove(&mut self, place: u32) {
        self.by_use.remove(place);
        self.held -= 1;
    }

    fn victim<E: Entries>(&mut self, choice: &mut Choice<'_, E>, age: &Age) -> Option<u32> {
        for _ in 0..SECOND_CHANCES {
            let (place, stands_at) = self.by_use.pop()?;
            let marks = choice.marks(place);
            if marks == cut(stands_at) {
                self.held -= 1;
                return Some(place);
            }
            self.by_use.insert(place, whole(marks, age.now()).max(stands_at));
        }
        let (place, _) = self.by_use.pop()?;
        self.held -= 1;
        Some(place)
    }

    fn renewed(&self) -> Self {
        Self::default()
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.by_use.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_for_the_latest_age_that_fits() {
        for now in [0, 5, (1 << 24) - 1, 1 << 24, (3 << 24) + 7] {
            for ago in [0, 1, 5, 1 << 20] {
                let age = u64::saturating_sub(now, ago);
                assert_eq!(whole(cut(age), now), age, "{ago} before {now}");
            }
        }
    }
}
