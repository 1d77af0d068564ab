//! [`Epochs`]: how a hit knows with one load that nothing was invalidated since its entry was checked.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// The epoch that entries of nobody's checking belong to: before every other.
pub(crate) const UNCHECKED: u64 = 0;

/// A count of whatever makes entries in memory untrue without naming their keys.
///
/// An entry carries the epoch that it was last found to hold in. While that is the current one,
/// there is nothing to check.
#[derive(Debug)]
pub(crate) struct Epochs {
    now: Line,
    /// What was checked in no later epoch than before this one is gone.
    cleared: AtomicU64,
    /// What was checked before this one may be untrue: the remote tier has to be asked.
    suspected: AtomicU64,
    /// Those who raise take turns, so that `now` never shows an epoch whose marks are not set.
    raising: Mutex<()>,
}

/// Two cache lines, since neighbours are fetched in pairs: every hit reads it.
#[derive(Debug)]
#[repr(align(128))]
struct Line(AtomicU64);

/// What an entry's epoch says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It holds.
    Current,
    /// Some tag has changed since; whether it is one of the entry's has to be looked up here.
    Unchecked,
    /// Something may have been missed since.
    Suspect,
    /// It is gone.
    Cleared,
}

impl Epochs {
    pub(crate) fn new() -> Self {
        Self {
            now: Line(AtomicU64::new(UNCHECKED + 1)),
            cleared: AtomicU64::new(UNCHECKED),
            suspected: AtomicU64::new(UNCHECKED + 1),
            raising: Mutex::new(()),
        }
    }

    /// To be read before whatever a check reads.
    pub(crate) fn now(&self) -> u64 {
        self.now.0.load(Ordering::Acquire)
    }

    /// Some tag changes. To be called before and after: what was read in between is of neither epoch.
    pub(crate) fn raise(&self) {
        let _turn = self.raising.lock();
        self.now.0.fetch_add(1, Ordering::Release);
    }

    /// Everything goes.
    pub(crate) fn clear(&self) {
        self.mark(&self.cleared);
    }

    /// Something may have been missed.
    pub(crate) fn suspect(&self) {
        self.mark(&self.suspected);
    }

    /// Whether something may have been missed since `epoch`.
    pub(crate) fn is_suspect(&self, epoch: u64) -> bool {
        epoch < self.suspected.load(Ordering::Acquire)
    }

    fn mark(&self, mark: &AtomicU64) {
        let _turn = self.raising.lock();
        let next = self.now.0.load(Ordering::Relaxed) + 1;
        mark.store(next, Ordering::Relaxed);
        // Who sees the new epoch sees the mark.
        self.now.0.store(next, Ordering::Release);
    }

    /// What has become, by the epoch `now`, of what was checked in epoch `checked`.
    #[inline]
    pub(crate) fn standing(&self, checked: u64, now: u64) -> Standing {
        if checked == now {
            Standing::Current
        } else if checked < self.cleared.load(Ordering::Relaxed) {
            Standing::Cleared
        } else if checked < self.suspected.load(Ordering::Relaxed) {
            Standing::Suspect
        } else {
            Standing::Unchecked
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_checked_before_a_mark_stands_under_it() {
        let epochs = Epochs::new();
        let first = epochs.now();
        assert_eq!(epochs.standing(first, epochs.now()), Standing::Current);
        assert_eq!(epochs.standing(UNCHECKED, epochs.now()), Standing::Suspect, "imported entries");
        epochs.raise();
        assert_eq!(epochs.standing(first, epochs.now()), Standing::Unchecked);
        let second = epochs.now();
        epochs.suspect();
        assert_eq!(epochs.standing(second, epochs.now()), Standing::Suspect);
        let third = epochs.now();
        epochs.clear();
        assert_eq!(epochs.standing(third, epochs.now()), Standing::Cleared);
        epochs.suspect();
        assert_eq!(
            epochs.standing(third, epochs.now()),
            Standing::Cleared,
            "cleared stays cleared"
        );
    }
}
