//! [`Locked`]: a shard of the map and its line under one lock, changed together.

use atomic_refcell::AtomicRefMut;
use dashmap::{RwLockWriteGuard, SharedValue};
use triomphe::Arc;

use super::known::Known;
use super::taken::Taken;
use super::write::New;
use super::{Shard, Store, Stored, Table, in_table};
use crate::events::{Cause, Event, Events};
use crate::line::{Entries, Line};
use crate::policy::Age;
use crate::record::{Handle, Record};
use crate::times::{Moment, NEVER, Times};

/// A shard that nobody else sees while this lives.
pub(super) struct Locked<'a, K, V> {
    // Given back in this order.
    pub(super) line: AtomicRefMut<'a, Line>,
    pub(super) table: RwLockWriteGuard<'a, Table<K, V>>,
    age: &'a Age,
    times: &'a Times,
    events: Option<&'a Events<K, V>>,
}

/// The table as the line sees it.
struct Seen<'a, K, V> {
    table: &'a Table<K, V>,
    times: &'a Times,
}

impl<K, V> Seen<'_, K, V> {
    fn find(&self, hash: u32, place: u32) -> Option<&Record<K, V>> {
        let found = self.table.get(in_table(hash), |(stored, _)| stored.0.place() == place);
        found.map(|(stored, _)| &*stored.0)
    }
}

impl<K, V> Entries for Seen<'_, K, V> {
    fn marks(&self, hash: u32, place: u32) -> u32 {
        self.find(hash, place).map_or(0, Record::marks)
    }

    fn take_marks(&self, hash: u32, place: u32) -> u32 {
        self.find(hash, place).map_or(0, Record::take_marks)
    }

    fn has_idle(&self) -> bool {
        self.times.has_idle()
    }

    fn deadline(&self, hash: u32, place: u32) -> Moment {
        self.find(hash, place)
            .map_or(0, |record| self.times.deadline(record.expires_at, record.last_use()))
    }
}

impl<'a, K, V> Locked<'a, K, V> {
    #[allow(
        clippy::inline_always,
        reason = "a guard that every write makes: no reason to build it in memory"
    )]
    #[inline(always)]
    pub(super) fn new<S>(store: &'a Store<K, V, S>, shard: usize) -> Self {
        let Shard { age, line } = &store.shards[shard];
        let table = store.map.shards()[shard].write();
        let events = store.events.as_ref();
        Self { line: line.borrow_mut(), table, age, times: &store.times, events }
    }

    /// All records of this hash that are not known; `None` if there are none.
    #[inline]
    pub(super) fn strangers(&self, hash: u32, known: &Known<K, V>) -> Option<Vec<Handle<K, V>>> {
        let any = known.any_stranger(&self.table, hash);
        any.then(|| known.strangers(&self.table, hash))
    }

    /// Whether this very record is in the map.
    pub(super) fn holds(&self, record: &Handle<K, V>) -> bool {
        let is_it = |(stored, _): &(Stored<K, V>, _)| Arc::ptr_eq(&stored.0, &record.0);
        self.table.get(in_table(record.0.hash), is_it).is_some()
    }

    /// Puts a record in that replaces none. `now` matters only where entries expire.
    #[inline]
    pub(super) fn add(&mut self, new: &mut New<K, V>, now: Moment, taken: &mut Taken<'_, K, V>) {
        let weight = new.weight;
        taken.hold.spend(1, weight);
        let record = new.record.allocate(taken);
        let first = self.times.first_use(0, now);
        let deadline = self.times.deadline(record.expires_at, first.last());
        let seen = Seen { table: &self.table, times: self.times };
        if deadline < NEVER {
            self.times.expect_ends();
        }
        let (place, marks) = self.line.enter(record.hash, weight, deadline, &seen, self.age);
        record.begin(place, self.times.first_use(marks, now));
        self.line.counts.writes += 1;
        self.tell(|| Event::Stored(Handle(Arc::clone(&record))));
        let rehash = |(stored, _): &(Stored<K, V>, _)| in_table(stored.0.hash);
        let hash = in_table(record.hash);
        self.table.insert(hash, (Stored(record), SharedValue::new(())), rehash);
    }

    /// Puts a record in the place of another of the same key, which must be in the map.
    pub(super) fn replace(
        &mut self,
        old: &Handle<K, V>,
        new: &mut New<K, V>,
        now: Moment,
        taken: &mut Taken<'_, K, V>,
    ) {
        let weight = new.weight;
        let record = new.record.allocate(taken);
        let place = old.0.place();
        let expired = !self.times.is_live(&old.0, now);
        let marks = (!expired).then(|| old.0.marks());
        let last = self.times.first_use(0, now).last();
        let deadline = self.times.deadline(record.expires_at, last);
        taken.hold.gain(0, self.line.weight(place));
        taken.hold.spend(0, weight);
        let seen = Seen { table: &self.table, times: self.times };
        if deadline < NEVER {
            self.times.expect_ends();
        }
        let marks = self.line.replace(place, weight, deadline, marks, &seen, self.age);
        record.begin(place, self.times.first_use(marks, now));
        self.line.counts.writes += 1;
        self.line.counts.expired += u64::from(expired);
        let cause = if expired { Cause::Expired } else { Cause::Replaced };
        self.tell(|| Event::Left(old.clone(), cause));
        self.tell(|| Event::Stored(Handle(Arc::clone(&record))));
        let is_old = |(stored, _): &(Stored<K, V>, _)| Arc::ptr_eq(&stored.0, &old.0);
        if let Some((stored, _)) = self.table.get_mut(in_table(old.0.hash), is_old) {
            taken.push(std::mem::replace(&mut stored.0, record));
        }
    }

    /// Takes out this record, which must be in the map.
    pub(super) fn remove(
        &mut self,
        record: &Record<K, V>,
        cause: Cause,
        taken: &mut Taken<'_, K, V>,
    ) {
        self.take(record.place(), false, cause, taken);
    }

    /// Takes what room an entry of this weight needs, in the place of an `old` one if there is one that
    /// stays as long, evicting what it must. False if there is nobody left here to evict.
    #[inline]
    pub(super) fn make_room(
        &mut self,
        old: &mut Option<&Handle<K, V>>,
        weight: u64,
        now: Moment,
        taken: &mut Taken<'_, K, V>,
    ) -> bool {
        loop {
            // An overwrite needs room for the difference only, so it evicts nothing.
            let (entries, weight) = match old {
                Some(old) => (0, weight.saturating_sub(self.line.weight(old.0.place()))),
                None => (1, weight),
            };
            if taken.hold.cover(entries, weight) {
                return true;
            }
            // Not the entry that is to be replaced: if the condition declines, it stays.
            let spared = old.map(|old| old.0.place());
            if !self.evict(now, spared, taken) {
                return false;
            }
            *old = old.filter(|old| self.holds(old));
        }
    }

    /// Evicts one entry: one whose time is up, else the policy's choice. Whether there was one.
    /// An entry that is `spared` stays.
    #[inline]
    pub(super) fn evict(
        &mut self,
        now: Moment,
        spared: Option<u32>,
        taken: &mut Taken<'_, K, V>,
    ) -> bool {
        if self.reclaim(1, now, taken) > 0 {
            return true;
        }
        let seen = Seen { table: &self.table, times: self.times };
        let Some(place) = self.line.victim(spared, &seen, self.age) else {
            return false;
        };
        self.take(place, true, Cause::Evicted, taken);
        true
    }

    /// Takes out up to `most` entries whose time is up; how many.
    #[inline]
    pub(super) fn reclaim(
        &mut self,
        most: usize,
        now: Moment,
        taken: &mut Taken<'_, K, V>,
    ) -> usize {
        if self.line.may_have_expired(now) { self.reclaim_now(most, now, taken) } else { 0 }
    }

    fn reclaim_now(&mut self, most: usize, now: Moment, taken: &mut Taken<'_, K, V>) -> usize {
        for reclaimed in 0..most {
            let seen = Seen { table: &self.table, times: self.times };
            let Some(place) = self.line.expired(now, &seen) else {
                return reclaimed;
            };
            self.take(place, false, Cause::Expired, taken);
        }
        most
    }

    /// Takes out everything.
    pub(super) fn clear(&mut self, taken: &mut Taken<'_, K, V>) {
        for (Stored(record), _) in std::mem::take(&mut *self.table) {
            taken.hold.gain(1, self.line.weight(record.place()));
            self.tell(|| Event::Left(Handle(Arc::clone(&record)), Cause::Removed));
            self.line.counts.removals += 1;
            taken.push(record);
        }
        self.line.reset();
    }

    /// Takes out the entry in a place, which may be `out_of_order` already.
    #[inline]
    fn take(&mut self, place: u32, out_of_order: bool, cause: Cause, taken: &mut Taken<'_, K, V>) {
        let hash = in_table(self.line.hash(place));
        let is_it = |(stored, _): &(Stored<K, V>, _)| stored.0.place() == place;
        let Some((Stored(record), _)) = self.table.remove_entry(hash, is_it) else {
            return; // cannot be: line and table change together
        };
        let weight = if out_of_order { self.line.vacate(place) } else { self.line.leave(place) };
        taken.hold.gain(1, weight);
        let counts = &mut self.line.counts;
        match cause {
            Cause::Expired => counts.expired += 1,
            Cause::Evicted => counts.evicted += 1,
            Cause::Removed => counts.removals += 1,
            Cause::Replaced => {}
        }
        self.tell(|| Event::Left(Handle(Arc::clone(&record)), cause));
        taken.push(record);
    }

    /// Lines an event up, in the order in which things happen to this shard.
    fn tell(&self, event: impl FnOnce() -> Event<K, V>) {
        if let Some(events) = self.events {
            events.push(event());
        }
    }
}
