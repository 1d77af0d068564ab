//! What the cache may hold, counted so that it is never passed, not even for a moment.

use crate::sync::{AtomicU64, Ordering};

/// The bounds and what of them is taken.
///
/// An entry's share is taken *before* the entry becomes visible and given back *after* it is gone,
/// so what is visible is at every instant at most what is counted, which is at most the bound.
/// One budget for all shards: a shard with a share of its own would refuse large entries.
#[repr(align(128))] // written by many writes: kept off the cache lines that hits read
pub(crate) struct Budget {
    max_entries: AtomicU64,
    max_weight: AtomicU64,
    entries: AtomicU64,
    weight: AtomicU64,
}

impl Budget {
    pub(crate) fn new(max_entries: u64, max_weight: u64) -> Self {
        Self {
            max_entries: AtomicU64::new(max_entries),
            max_weight: AtomicU64::new(max_weight),
            entries: AtomicU64::new(0),
            weight: AtomicU64::new(0),
        }
    }

    pub(crate) fn max_entries(&self) -> u64 {
        self.max_entries.load(Ordering::Relaxed)
    }

    pub(crate) fn max_weight(&self) -> u64 {
        self.max_weight.load(Ordering::Relaxed)
    }

    pub(crate) fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    pub(crate) fn weight(&self) -> u64 {
        self.weight.load(Ordering::Relaxed)
    }

    /// Sets another bound. What is over it has to be evicted by the caller.
    pub(crate) fn set_max_entries(&self, max_entries: u64) {
        self.max_entries.store(max_entries, Ordering::Relaxed);
    }

    /// Sets another bound. What is over it has to be evicted by the caller.
    pub(crate) fn set_max_weight(&self, max_weight: u64) {
        self.max_weight.store(max_weight, Ordering::Relaxed);
    }

    /// Whether more is taken than the bounds allow, as after one was lowered.
    pub(crate) fn is_over(&self) -> bool {
        self.entries() > self.max_entries() || self.weight() > self.max_weight()
    }

    /// An empty hold on this budget.
    pub(crate) fn hold(&self) -> Hold<'_> {
        Hold { budget: self, entries: 0, weight: 0 }
    }
}

/// A share of the budget that is taken and belongs to no entry: it came from the budget or from
/// entries that just left, and goes to an entry about to appear or, when dropped, back.
///
/// What an eviction frees goes to the evicting writer's hold and not to the budget, so no other
/// writer can snatch it and make this one evict again. An insertion that evicts one entry of its
/// own weight touches no shared counter.
pub(crate) struct Hold<'a> {
    budget: &'a Budget,
    entries: u64,
    weight: u64,
}

impl Hold<'_> {
    /// Takes what is missing to hold `entries` and `weight`; whether all of it is held now.
    pub(crate) fn cover(&mut self, entries: u64, weight: u64) -> bool {
        let budget = self.budget;
        raise(&mut self.entries, entries, &budget.entries, &budget.max_entries)
            && raise(&mut self.weight, weight, &budget.weight, &budget.max_weight)
    }

    /// Takes over the share of an entry that left.
    pub(crate) fn gain(&mut self, entries: u64, weight: u64) {
        self.entries += entries;
        self.weight += weight;
    }

    /// Hands a share to an entry that appears. It must be held.
    pub(crate) fn spend(&mut self, entries: u64, weight: u64) {
        debug_assert!(self.entries >= entries && self.weight >= weight, "spent without cover");
        self.entries -= entries;
        self.weight -= weight;
    }

    /// Gives everything back.
    pub(crate) fn release(&mut self) {
        // Relaxed is enough: the counters order nothing but themselves. Whoever needs the freed
        // place in the map takes the lock of a shard, which orders the rest.
        give_back(&mut self.entries, &self.budget.entries);
        give_back(&mut self.weight, &self.budget.weight);
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

fn give_back(held: &mut u64, taken: &AtomicU64) {
    if *held > 0 {
        taken.fetch_sub(std::mem::take(held), Ordering::Relaxed);
    }
}

/// Raises `held` to `wanted` if `taken` has room for the difference.
fn raise(held: &mut u64, wanted: u64, taken: &AtomicU64, max: &AtomicU64) -> bool {
    let missing = wanted.saturating_sub(*held);
    if missing == 0 {
        return true;
    }
    let max = max.load(Ordering::Relaxed);
    let fits = |taken: u64| taken.checked_add(missing).filter(|&sum| sum <= max);
    let fitted = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
    if fitted.is_ok() {
        *held = wanted;
    }
    fitted.is_ok()
}

#[cfg(all(test, loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::sync::model;

    /// Three writers and room for two, one of whom evicts for its own sake: what is visible never
    /// passes the bound, and in the end exactly what is held is counted.
    #[test]
    fn the_bound_is_never_passed() {
        model(2, || {
            let budget = Arc::new(Budget::new(2, 20));
            let visible = Arc::new(AtomicU64::new(0));
            let writer = |budget: Arc<Budget>, visible: Arc<AtomicU64>| {
                let mut hold = budget.hold();
                let fits = hold.cover(1, 10);
                if fits {
                    hold.spend(1, 10);
                    assert!(visible.fetch_add(1, Ordering::Relaxed) < 2);
                }
                fits
            };
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let (budget, visible) = (Arc::clone(&budget), Arc::clone(&visible));
                    thread::spawn(move || u64::from(writer(budget, visible)))
                })
                .collect();
            let mut stored = u64::from(writer(Arc::clone(&budget), Arc::clone(&visible)));
            if stored == 1 {
                // It leaves before its room is given to the next one.
                visible.fetch_sub(1, Ordering::Relaxed);
                let mut hold = budget.hold();
                hold.gain(1, 10);
                stored = 0;
            }
            stored += others.into_iter().map(|other| other.join().unwrap()).sum::<u64>();
            assert_eq!((budget.entries(), budget.weight()), (stored, 10 * stored));
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_hold_takes_only_what_is_missing_and_gives_back_what_is_left() {
        let budget = Budget::new(3, 10);
        let mut hold = budget.hold();
        assert!(hold.cover(1, 6) && hold.cover(1, 6));
        assert_eq!((budget.entries(), budget.weight()), (1, 6));

        let mut other = budget.hold();
        assert!(!other.cover(1, 5), "11 of 10");
        assert_eq!(budget.weight(), 6, "a refused share is not taken");
        other.gain(0, 0);
        drop(other);
        assert_eq!(budget.entries(), 1, "the part that was taken went back");

        hold.spend(1, 6);
        drop(hold);
        assert_eq!((budget.entries(), budget.weight()), (1, 6), "the entry keeps its share");
    }

    #[test]
    fn sums_do_not_wrap() {
        let budget = Budget::new(u64::MAX, u64::MAX);
        let (mut a, mut b) = (budget.hold(), budget.hold());
        assert!(a.cover(1, u64::MAX));
        assert!(!b.cover(1, 1));
    }

    #[test]
    fn a_smaller_bound_refuses_until_enough_is_given_back() {
        let budget = Budget::new(10, 100);
        let (mut a, mut b) = (budget.hold(), budget.hold());
        assert!(a.cover(4, 40));
        budget.set_max_entries(4);
        budget.set_max_weight(40);
        assert!(!budget.is_over() && !b.cover(1, 1));
        budget.set_max_entries(3);
        assert!(budget.is_over());
        drop(a);
        assert!(!budget.is_over() && b.cover(1, 1));
    }
}
