//! The most that any cache could hit: Belady's algorithm, which knows what comes.

use std::collections::BinaryHeap;

const NEVER: u32 = u32::MAX;

/// How many accesses a cache of each capacity hits that evicts what is used again last, and does
/// not even store what would leave first. (Blocks of equal size.)
pub(super) fn hits(accesses: &[u32], distinct: usize, capacities: &[usize]) -> Vec<usize> {
    let mut nearest = vec![NEVER; distinct];
    let mut again = vec![NEVER; accesses.len()];
    for (at, &block) in accesses.iter().enumerate().rev() {
        let at32 = u32::try_from(at).expect("fewer than 2^32 accesses");
        again[at] = std::mem::replace(&mut nearest[block as usize], at32);
    }
    capacities.iter().map(|&capacity| hits_at(accesses, &again, distinct, capacity)).collect()
}

fn hits_at(accesses: &[u32], again: &[u32], distinct: usize, capacity: usize) -> usize {
    // When each stored block is used again; `None`: not stored.
    let mut stored: Vec<Option<u32>> = vec![None; distinct];
    // The same, the latest on top; what is not what `stored` says is out of date.
    let mut latest: BinaryHeap<(u32, u32)> = BinaryHeap::new();
    let (mut hits, mut entries) = (0, 0);
    for (&block, &next) in accesses.iter().zip(again) {
        let was_stored = stored[block as usize].take().is_some();
        if was_stored {
            hits += 1;
            entries -= 1;
        }
        if next == NEVER {
            continue;
        }
        if entries == capacity {
            while let Some(&(other, of)) = latest.peek()
                && stored[of as usize] != Some(other)
            {
                latest.pop();
            }
            match latest.peek() {
                Some(&(other, of)) if other > next => {
                    stored[of as usize] = None;
                    latest.pop();
                    entries -= 1;
                }
                _ => continue,
            }
        }
        stored[block as usize] = Some(next);
        latest.push((next, block));
        entries += 1;
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every choice of what to keep, tried.
    fn best(accesses: &[u32], held: &[u32], capacity: usize) -> usize {
        let Some((&block, rest)) = accesses.split_first() else { return 0 };
        if held.contains(&block) {
            return 1 + best(rest, held, capacity);
        }
        let mut most = best(rest, held, capacity);
        let with = |kept: Vec<u32>| best(rest, &[kept, vec![block]].concat(), capacity);
        if held.len() < capacity {
            return most.max(with(held.to_vec()));
        }
        for leaves in held {
            most = most.max(with(held.iter().copied().filter(|other| other != leaves).collect()));
        }
        most
    }

    #[test]
    fn nothing_that_was_tried_hits_more_often() {
        let mut random = crate::random::Random::seeded(7);
        for _ in 0..200 {
            let accesses: Vec<u32> =
                (0..12).map(|_| u32::try_from(random.below(5)).expect("few")).collect();
            let expected = [1, 2, 3].map(|capacity| best(&accesses, &[], capacity));
            assert_eq!(hits(&accesses, 5, &[1, 2, 3]), expected, "{accesses:?}");
        }
    }
}
