//! [`Line`]: what stands beside a shard of the map, in which order entries leave and when they expire.

mod grow;
mod lists;
mod ranks;
mod weights;

use std::fmt::Debug;

use cache_core::Evictions;

pub(crate) use grow::reach;
pub(crate) use lists::{Links, List};
pub(crate) use ranks::Ranks;
use weights::Weights;

use crate::policy::{Age, Eviction, Order};
use crate::times::{Moment, NEVER};

/// Deadlines that turn out to have moved on (idle entries that were used) before the search for an
/// expired one is given up until the next write.
const MOVED_ON: usize = 32;

/// The policy state of one shard of the map.
///
/// Every entry of the shard has a *place*, a small number that it keeps until it leaves. Line and
/// map shard are changed together, under the write lock of the map shard, so they always agree.
#[derive(Debug)]
pub(crate) struct Line {
    /// The hash of the entry in each place, which finds it in the map; 0 in free places.
    hashes: Vec<u32>,
    free: Vec<u32>,
    weights: Weights,
    order: Order,
    /// Places by the moment at which they expire, those that do.
    deadlines: Ranks,
    /// Nobody expires before this: a lower bound, so that most writes need not look further.
    soonest: Moment,
    pub(crate) counts: Counts,
}

/// What the line has to know of the entries in the map.
pub(crate) trait Entries {
    /// The marks that hits have made on the entry in a place.
    fn marks(&self, hash: u32, place: u32) -> u32;
    /// The same, and wipes them off.
    fn take_marks(&self, hash: u32, place: u32) -> u32;
    /// Whether uses move deadlines.
    fn has_idle(&self) -> bool;
    /// When it expires, by its last use if need be.
    fn deadline(&self, hash: u32, place: u32) -> Moment;
}

/// What happened in a shard. Counted under its lock, so counting costs next to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) writes: u64,
    pub(crate) removals: u64,
    pub(crate) evicted: u64,
    pub(crate) expired: u64,
    pub(crate) too_heavy: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.writes += other.writes;
        self.removals += other.removals;
        self.evicted += other.evicted;
        self.expired += other.expired;
        self.too_heavy += other.too_heavy;
    }

    pub(crate) fn evictions(&self) -> Evictions {
        let mut evictions = Evictions::default(); // non-exhaustive: no literals outside its crate
        evictions.capacity = self.evicted;
        evictions.expired = self.expired;
        evictions.too_heavy = self.too_heavy;
        evictions
    }
}

impl Line {
    pub(crate) fn new(order: Order) -> Self {
        Self {
            hashes: Vec::new(),
            free: Vec::new(),
            weights: Weights::default(),
            order,
            deadlines: Ranks::default(),
            soonest: NEVER,
            counts: Counts::default(),
        }
    }

    /// Gives a new entry a place; the place and the marks that it starts with.
    #[inline]
    pub(crate) fn enter(
        &mut self,
        hash: u32,
        weight: u64,
        deadline: Moment,
        entries: &impl Entries,
        age: &Age,
    ) -> (u32, u32) {
        let place = self.free.pop().unwrap_or_else(|| {
            let place = u32::try_from(self.hashes.len()).ok().filter(|&place| place < u32::MAX - 1);
            let place = place.expect("four thousand million entries of a shard fit no memory");
            grow::reach(&mut self.hashes, place, 0);
            place
        });
        self.hashes[place as usize] = hash;
        self.weights.set(place, weight, self.hashes.len());
        self.set_deadline(place, deadline);
        let Self { hashes, deadlines, order, .. } = self;
        (place, order.insert(place, &Choice { hashes, deadlines, entries }, age))
    }

    /// The entry in `place` is replaced by another of the same key; the marks that it starts with.
    /// `marks` are those of the old one, `None` if that had expired and is nothing to build on.
    pub(crate) fn replace(
        &mut self,
        place: u32,
        weight: u64,
        deadline: Moment,
        marks: Option<u32>,
        entries: &impl Entries,
        age: &Age,
    ) -> u32 {
        self.weights.set(place, weight, self.hashes.len());
        // At the same deadline it stays where it is among those who share it.
        if self.deadlines.rank(place) != Some(deadline) {
            self.deadlines.remove(place);
            self.set_deadline(place, deadline);
        }
        if let Some(marks) = marks {
            return self.order.overwrite(place, marks, age);
        }
        let Self { hashes, deadlines, order, .. } = self;
        order.remove(place);
        order.insert(place, &Choice { hashes, deadlines, entries }, age)
    }

    /// Takes the entry in `place` out of line; its weight.
    pub(crate) fn leave(&mut self, place: u32) -> u64 {
        self.order.remove(place);
        self.vacate(place)
    }

    /// The same for one that [`victim`](Self::victim) has taken out of order.
    #[inline]
    pub(crate) fn vacate(&mut self, place: u32) -> u64 {
        self.deadlines.remove(place);
        self.hashes[place as usize] = 0;
        grow::push(&mut self.free, place);
        self.weights.get(place)
    }

    /// Forgets all entries, and gives their memory back.
    pub(crate) fn reset(&mut self) {
        let counts = self.counts;
        *self = Self { counts, ..Self::new(self.order.renewed()) };
    }

    /// The places in use, each with the hash that finds its entry in the map.
    pub(crate) fn occupied(&self) -> impl Iterator<Item = (u32, u32)> {
        (0..).zip(self.hashes.iter().copied()) // a free place finds nothing
    }

    pub(crate) fn hash(&self, place: u32) -> u32 {
        self.hashes[place as usize]
    }

    pub(crate) fn weight(&self, place: u32) -> u64 {
        self.weights.get(place)
    }

    /// Whether any entry may expire at all: if not, nobody need ask what time it is.
    pub(crate) fn has_deadlines(&self) -> bool {
        self.soonest < NEVER
    }

    /// The place of an entry whose time is up.
    pub(crate) fn expired(&mut self, now: Moment, entries: &impl Entries) -> Option<u32> {
        let Self { hashes, deadlines, .. } = self;
        let first = Choice { hashes, deadlines, entries }.soonest(now);
        self.soonest = first.map_or(NEVER, |first| first.stands_at);
        first.filter(|first| first.deadline <= now).map(|first| first.place)
    }

    fn set_deadline(&mut self, place: u32, deadline: Moment) {
        if deadline < NEVER {
            self.deadlines.insert(place, deadline);
            self.soonest = self.soonest.min(deadline);
        }
    }

    /// Whether there may be entries whose time is up: false for most writes.
    #[inline]
    pub(crate) fn may_have_expired(&self, now: Moment) -> bool {
        self.soonest <= now
    }

    /// Takes the entry out of order that should leave next, other than `spared`; its place, which it
    /// keeps until it is [vacated](Self::vacate).
    #[inline]
    pub(crate) fn victim(
        &mut self,
        spared: Option<u32>,
        entries: &impl Entries,
        age: &Age,
    ) -> Option<u32> {
        let Self { hashes, deadlines, order, .. } = self;
        let victim = order.victim(&mut Choice { hashes, deadlines, entries }, age)?;
        if spared != Some(victim) {
            return Some(victim);
        }
        self.victim_but(victim, entries, age)
    }

    /// The next one after `victim`, which goes back in order.
    #[cold]
    fn victim_but(&mut self, victim: u32, entries: &impl Entries, age: &Age) -> Option<u32> {
        let Self { hashes, deadlines, order, .. } = self;
        // Out of both orders for a moment, so that the policy chooses somebody else.
        let deadline = entries.deadline(hashes[victim as usize], victim);
        deadlines.remove(victim);
        let other = order.victim(&mut Choice { hashes, deadlines, entries }, age);
        order.insert(victim, &Choice { hashes, deadlines, entries }, age);
        if deadline < NEVER {
            deadlines.insert(victim, deadline);
        }
        other
    }

    /// Places in use, each with its weight: for tests of the invariant.
    #[cfg(test)]
    pub(crate) fn audit(&self) -> (std::collections::HashMap<u32, u64>, usize, usize) {
        let places = 0..u32::try_from(self.hashes.len()).expect("few");
        let used = places.filter(|place| !self.free.contains(place));
        let used: std::collections::HashMap<_, _> =
            used.map(|place| (place, self.weights.get(place))).collect();
        (used, self.order.len(), self.deadlines.count())
    }

    /// How many places there are, free ones included: what the line's memory grows with.
    #[cfg(test)]
    pub(crate) fn places(&self) -> usize {
        self.hashes.len()
    }
}

/// What a policy sees when it is asked who leaves.
pub(crate) struct Choice<'a, E> {
    hashes: &'a [u32],
    deadlines: &'a mut Ranks,
    entries: &'a E,
}

impl<E: Entries> Choice<'_, E> {
    pub(crate) fn hash(&self, place: u32) -> u32 {
        self.hashes[place as usize]
    }

    /// The marks that hits have made on an entry, and wipes them off.
    pub(crate) fn take_marks(&self, place: u32) -> u32 {
        self.entries.take_marks(self.hashes[place as usize], place)
    }

    /// The marks that hits have made on an entry.
    pub(crate) fn marks(&self, place: u32) -> u32 {
        self.entries.marks(self.hashes[place as usize], place)
    }

    /// The entry that stands first.
    ///
    /// Entries stand at the deadline that they had when last looked at, and use may have moved it
    /// on. Those that stand at `until` or before are looked at again, so many at a time.
    pub(crate) fn soonest(&mut self, until: Moment) -> Option<Soonest> {
        let mut moved_on = 0;
        loop {
            let (place, stands_at) = self.deadlines.first()?;
            if until < stands_at || !self.entries.has_idle() {
                return Some(Soonest { place, stands_at, deadline: stands_at });
            }
            let deadline = self.entries.deadline(self.hashes[place as usize], place);
            if deadline <= stands_at || moved_on == MOVED_ON {
                return Some(Soonest { place, stands_at, deadline });
            }
            self.deadlines.remove(place);
            self.deadlines.insert(place, deadline);
            moved_on += 1;
        }
    }
}

/// Who expires first, as far as anybody looked.
#[derive(Clone, Copy)]
pub(crate) struct Soonest {
    pub(crate) place: u32,
    stands_at: Moment,
    deadline: Moment,
}
