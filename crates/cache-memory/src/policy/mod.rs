//! Eviction policies: who leaves when space is needed.
//!
//! A hit only notes something on the entry itself, its *marks*: it takes no lock and moves nothing.
//! What uses have earned an entry is settled when it comes up for eviction, the first moment at
//! which it matters.

mod fifo;
mod lfu;
mod lru;
mod tiny_lfu;
mod ttl;

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::line::{Choice, Entries};
pub(crate) use tiny_lfu::Tuner;

/// Who leaves when space is needed. An entry whose time is up always leaves first.
///
/// Policies choose within a shard. A cache of fewer than 512 entries has one; a larger one has at
/// most four for each processor, with 256 entries or more in each. An eviction gives 256 entries a
/// second chance at most: if all of them were used since they were last looked at, the next one leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// Whose key was seen least often among those that had their chance: W-TinyLFU, which shapes
    /// itself to the load. It watches how a handful of configurations, from pure frequency to pure
    /// recency, would do on a sample of the keys, and takes the best.
    ///
    /// New entries get a window to prove themselves in. Who has to leave that is let in for good only
    /// if its key, in or out of the cache, was seen more often than the one that would have to leave
    /// for it. Uses are counted to 15, and halved with age.
    #[default]
    TinyLfu,
    /// The least recently used entry; an overwrite is a use.
    ///
    /// Exact up to 256 entries a shard (and so for every cache of fewer than 256). In larger
    /// shards uses between two steps of a clock that moves 64 times a turnover count as equally
    /// recent, and of those the one that was stored or last moved first leaves first.
    Lru,
    /// The least frequently used entry; an overwrite is a use.
    ///
    /// Counts up to 255, and halves with age so that yesterday's favourites leave: whenever four
    /// times as many entries as are held (at least 64) were inserted. Of equally cold entries any
    /// may leave.
    Lfu,
    /// The entry that was inserted first. Neither hits nor overwrites change its place.
    Fifo,
    /// The entry that expires first, to the millisecond; those that never expire last, in the
    /// order in which they were inserted. Hits change nothing, except that they move the end of
    /// idle entries.
    Ttl,
}

/// All there are.
#[cfg(test)]
pub(crate) const POLICIES: [Policy; 5] =
    [Policy::TinyLfu, Policy::Lru, Policy::Lfu, Policy::Fifo, Policy::Ttl];

impl Policy {
    /// What adapts this policy, if anything does, for a cache expected to hold so many entries.
    pub(crate) fn tuner(self, entries: usize) -> Option<Arc<Tuner>> {
        (self == Self::TinyLfu).then(|| Arc::new(Tuner::new(entries)))
    }

    /// The order of each of `shards` shards under this policy.
    pub(crate) fn order(self, entries: usize, shards: usize, tuner: Option<&Arc<Tuner>>) -> Order {
        match self {
            Self::TinyLfu => {
                let tuner = tuner.map_or_else(|| Arc::new(Tuner::new(entries)), Arc::clone);
                let order = tiny_lfu::TinyLfu::new(tuner, entries.div_ceil(shards), shards);
                Order::TinyLfu(order)
            }
            Self::Lru => Order::Lru(lru::Lru::default()),
            Self::Lfu => Order::Lfu(lfu::Lfu::default()),
            Self::Fifo => Order::Fifo(fifo::Fifo::default()),
            Self::Ttl => Order::Ttl(ttl::Ttl::default()),
        }
    }

    /// The marks of an entry after a use. Runs in many threads at once.
    #[inline]
    pub(crate) fn used(self, marks: u32, age: &Age) -> u32 {
        match self {
            Self::TinyLfu => tiny_lfu::used(marks),
            Self::Lru => lru::used(marks, age),
            Self::Lfu => lfu::used(marks, age),
            Self::Fifo | Self::Ttl => marks,
        }
    }
}

/// What makes a policy: in which order the entries of a shard leave.
///
/// Entries are known by their places. All methods run under the lock of the shard.
pub(crate) trait Eviction: Debug {
    /// Puts a new entry in order, for which there is room; the marks that it starts with.
    fn insert<E: Entries>(&mut self, place: u32, choice: &Choice<'_, E>, age: &Age) -> u32;

    /// The entry in `place` is overwritten by another of the same key. `marks` are those that the
    /// old one had; the marks that the new one starts with.
    fn overwrite(&mut self, place: u32, marks: u32, age: &Age) -> u32;

    /// Takes an entry out of order, whatever the reason.
    fn remove(&mut self, place: u32);

    /// Takes the entry out of order that is to leave next, so that another may enter. `None` only
    /// if there is nobody.
    fn victim<E: Entries>(&mut self, choice: &mut Choice<'_, E>, age: &Age) -> Option<u32>;

    /// An order of the same kind with nobody in it.
    fn renewed(&self) -> Self;

    /// How many entries are in order.
    #[cfg(test)]
    fn len(&self) -> usize;
}

/// The order of a shard under any policy: known by name, so that calls are direct.
#[derive(Debug)]
pub(crate) enum Order {
    TinyLfu(tiny_lfu::TinyLfu),
    Lru(lru::Lru),
    Lfu(lfu::Lfu),
    Fifo(fifo::Fifo),
    Ttl(ttl::Ttl),
}

/// The same expression of whichever order it is.
macro_rules! each {
    ($order:expr, $it:ident => $call:expr) => {
        match $order {
            Order::TinyLfu($it) => $call,
            Order::Lru($it) => $call,
            Order::Lfu($it) => $call,
            Order::Fifo($it) => $call,
            Order::Ttl($it) => $call,
        }
    };
}

impl Eviction for Order {
    #[inline]
    fn insert<E: Entries>(&mut self, place: u32, choice: &Choice<'_, E>, age: &Age) -> u32 {
        each!(self, it => it.insert(place, choice, age))
    }

    fn overwrite(&mut self, place: u32, marks: u32, age: &Age) -> u32 {
        each!(self, it => it.overwrite(place, marks, age))
    }

    fn remove(&mut self, place: u32) {
        each!(self, it => it.remove(place));
    }

    #[inline]
    fn victim<E: Entries>(&mut self, choice: &mut Choice<'_, E>, age: &Age) -> Option<u32> {
        each!(self, it => it.victim(choice, age))
    }

    fn renewed(&self) -> Self {
        match self {
            Self::TinyLfu(it) => Self::TinyLfu(it.renewed()),
            Self::Lru(it) => Self::Lru(it.renewed()),
            Self::Lfu(it) => Self::Lfu(it.renewed()),
            Self::Fifo(it) => Self::Fifo(it.renewed()),
            Self::Ttl(it) => Self::Ttl(it.renewed()),
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        each!(self, it => it.len())
    }
}

/// Entries that an eviction moves to the place that hits have earned them, at most, before it
/// takes the next one whatever its hits. A shard whose LRU order is exact has no more entries.
const SECOND_CHANCES: usize = 256;

/// What a policy counts time by, for one shard: read by hits, written mostly by insertions.
#[derive(Debug, Default)]
#[repr(align(64))] // off the cache lines that writers touch
pub(crate) struct Age {
    now: AtomicU64,
    fine: AtomicBool,
}

// Relaxed throughout: ages order uses for the policy and publish nothing.
impl Age {
    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// The next moment, shared by nobody.
    fn next(&self) -> u64 {
        self.now.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether hits too move the age on.
    fn is_fine(&self) -> bool {
        self.fine.load(Ordering::Relaxed)
    }

    fn set_fine(&self, fine: bool) {
        if self.is_fine() != fine {
            self.fine.store(fine, Ordering::Relaxed);
        }
    }
}
