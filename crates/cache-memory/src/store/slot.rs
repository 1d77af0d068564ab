//! [`Slot`], what the map holds, and [`Leaving`], what it held.

use std::sync::atomic::AtomicU64;

use cache_core::Timestamp;

use crate::line::Ticket;

/// What the map holds.
pub(crate) struct Slot<V> {
    pub(super) value: V,
    /// Asked once, when the entry was stored: a weigher that changes its mind cannot unbalance the
    /// sums.
    pub(super) weight: u64,
    pub(super) expires_at: Timestamp,
    pub(super) ticket: Ticket,
    /// The policy's, written by hits.
    pub(super) marks: AtomicU64,
}

impl<V> Slot<V> {
    pub(super) fn new(
        value: V,
        (weight, expires_at): (u64, Timestamp),
        (ticket, marks): (Ticket, u64),
    ) -> Self {
        Self { value, weight, expires_at, ticket, marks: AtomicU64::new(marks) }
    }

    pub(crate) fn value(&self) -> &V {
        &self.value
    }

    pub(crate) fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }
}

/// Keys and values that left, to be dropped when nothing is locked and no budget is held: their
/// `Drop` may call the cache. The first, mostly the only one, costs no allocation.
pub(super) struct Leaving<K, V> {
    first: Option<(K, V)>,
    rest: Vec<(K, V)>,
}

impl<K, V> Leaving<K, V> {
    pub(super) const fn new() -> Self {
        Self { first: None, rest: Vec::new() }
    }

    pub(super) fn push(&mut self, left: (K, V)) {
        match self.first {
            None => self.first = Some(left),
            Some(_) => self.rest.push(left),
        }
    }
}
