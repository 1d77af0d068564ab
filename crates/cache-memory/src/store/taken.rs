//! [`Taken`]: what a write took out of the map, kept until nothing is locked.

use triomphe::Arc;

use crate::budget::{Budget, Hold};
use crate::events::{Delivery, Events};
use crate::record::Record;

/// Room and records that left the map or are on the way into it.
///
/// Dropped when nothing is locked, field by field: first the room goes back, for `Drop`s and
/// listeners that insert must find some; then records are dropped; then listeners hear of it all.
pub(crate) struct Taken<'a, K, V> {
    pub(super) hold: Hold<'a>,
    left: Left<K, V>,
    _told_last: Option<Delivery<'a, K, V>>,
}

/// The first, mostly the only one, costs no allocation.
struct Left<K, V> {
    first: Option<Arc<Record<K, V>>>,
    rest: Vec<Arc<Record<K, V>>>,
}

impl<'a, K, V> Taken<'a, K, V> {
    pub(super) fn nothing(budget: &'a Budget, events: Option<&'a Events<K, V>>) -> Self {
        Self {
            hold: budget.hold(),
            left: Left { first: None, rest: Vec::new() },
            _told_last: events.map(Delivery),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, record: Arc<Record<K, V>>) {
        match self.left.first {
            None => self.left.first = Some(record),
            Some(_) => self.left.rest.push(record),
        }
    }

    /// Exchanges a record for one that left and that nobody has a handle on: it gets that one's
    /// allocation, and its key and value are where those were. `None` if there is none.
    #[inline]
    pub(super) fn exchange(&mut self, record: &mut Record<K, V>) -> Option<Arc<Record<K, V>>> {
        // Who has no handle cannot get one: this one is no longer in the map.
        let left = Arc::get_mut(self.left.first.as_mut()?)?;
        left.exchange(record);
        self.left.first.take()
    }
}
