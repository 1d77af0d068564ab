//! [`Repairs`]: invalidations that the remote tier or the bus did not take, until they do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::{CacheKey, Tag};
use parking_lot::Mutex;

use crate::stamps::Stamp;

/// How many are remembered one by one. Beyond, everything is invalidated, which is one.
const MOST: usize = 10_000;

/// What others have yet to learn. While they have not, this process believes none of what the remote
/// tier says about it.
#[derive(Debug, Default)]
pub(crate) struct Repairs {
    owed: Mutex<Owed>,
    /// How many there are, so that those who find none pay one load.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Owed {
    keys: HashMap<CacheKey, Debt>,
    tags: HashMap<Tag, (Stamp, Debt)>,
    /// Whether somebody is paying.
    is_paid: bool,
}

/// Who has yet to learn of an invalidation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Debt {
    pub(crate) to_remote: bool,
    pub(crate) to_bus: bool,
}

/// What became of a debt that was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owing {
    /// Somebody sees to it.
    Noted,
    /// The caller has to start the one who sees to it.
    First,
    /// There are too many: everything has to be invalidated. Nobody was asked to see to this one.
    TooMany,
}

impl Debt {
    pub(crate) fn is_none(self) -> bool {
        !self.to_remote && !self.to_bus
    }
}

impl Repairs {
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Whether the remote tier has yet to remove `key`.
    pub(crate) fn owes_key(&self, key: &CacheKey) -> bool {
        self.len() > 0 && self.owed.lock().keys.get(key).is_some_and(|debt| debt.to_remote)
    }

    /// The stamp that the remote tier has yet to give `tag`.
    pub(crate) fn owed_stamp(&self, tag: &Tag) -> Option<Stamp> {
        if self.len() == 0 {
            return None;
        }
        let owed = self.owed.lock();
        owed.tags.get(tag).filter(|(_, debt)| debt.to_remote).map(|(stamp, _)| *stamp)
    }

    /// What is owed about `key` now.
    pub(crate) fn settle_key(&self, key: &CacheKey, debt: Debt) -> Owing {
        self.change(|owed| {
            if debt.is_none() {
                owed.keys.remove(key);
            } else {
                owed.keys.insert(*key, debt);
            }
        })
    }

    /// From now on this is owed about `tag`, whatever was before.
    pub(crate) fn note_tag(&self, tag: Tag, stamp: Stamp, debt: Debt) -> Owing {
        self.change(|owed| {
            owed.tags.insert(tag, (stamp, debt));
        })
    }

    /// What is left of the debt about `tag`, unless it is about another stamp by now.
    pub(crate) fn settle_tag(&self, tag: Tag, stamp: Stamp, left: Debt) -> Owing {
        self.change(|owed| {
            if owed.tags.get(&tag).is_some_and(|(now, _)| *now == stamp) {
                if left.is_none() {
                    owed.tags.remove(&tag);
                } else {
                    owed.tags.insert(tag, (stamp, left));
                }
            }
        })
    }

    /// What is owed about `tag` now.
    pub(crate) fn tag_debt(&self, tag: &Tag) -> Option<(Stamp, Debt)> {
        self.owed.lock().tags.get(tag).copied()
    }

    /// What is owed about `key` now.
    pub(crate) fn key_debt(&self, key: &CacheKey) -> Option<Debt> {
        self.owed.lock().keys.get(key).copied()
    }

    fn change(&self, change: impl FnOnce(&mut Owed)) -> Owing {
        let mut owed = self.owed.lock();
        change(&mut owed);
        let count = owed.keys.len() + owed.tags.len();
        self.count.store(count, Ordering::Release);
        if count == 0 {
            return Owing::Noted;
        }
        if count > MOST {
            Owing::TooMany
        } else if std::mem::replace(&mut owed.is_paid, true) {
            Owing::Noted
        } else {
            Owing::First
        }
    }

    /// From now on this is owed about the root, which says all about keys and other tags.
    pub(crate) fn note_root(&self, root: Tag, stamp: Stamp, debt: Debt) -> Owing {
        self.change(|owed| {
            owed.keys.clear();
            owed.tags.clear();
            owed.tags.insert(root, (stamp, debt));
        })
    }

    /// Whether another can be noted one by one that need not be. The rest of the room is kept for
    /// those that must.
    pub(crate) fn has_room(&self) -> bool {
        self.len() < MOST / 2
    }

    /// Whose debts there are; `None`, and the payer may go, if there are none.
    pub(crate) fn bill(&self) -> Option<(Vec<CacheKey>, Vec<Tag>)> {
        let mut owed = self.owed.lock();
        if owed.keys.is_empty() && owed.tags.is_empty() {
            owed.is_paid = false;
            return None;
        }
        Some((owed.keys.keys().copied().collect(), owed.tags.keys().copied().collect()))
    }

    /// The payer has gone with its runtime; the next debt starts another.
    pub(crate) fn payer_left(&self) {
        self.owed.lock().is_paid = false;
    }
}
