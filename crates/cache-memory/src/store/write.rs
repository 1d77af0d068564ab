//! Writes: insert, remove, evict, reclaim.

use std::hash::BuildHasher;

use cache_core::Inserted;
use triomphe::Arc;

use super::known::Known;
use super::taken::Taken;
use super::{Spot, Store};
use crate::events::Cause;
use crate::record::{Handle, Record};
use crate::times::{Moment, NEVER};

/// Expired entries that a write reclaims on its way, so that they go faster than they come.
const RECLAIM: usize = 8;
/// The same for who has come to reclaim: shards are unlocked in between.
const RECLAIM_ALL: usize = 64;

/// What an insert brings.
pub(crate) struct New<K, V> {
    pub(crate) spot: Spot,
    pub(crate) record: Fresh<K, V>,
    pub(crate) weight: u64,
    /// The time, if the caller had to ask for it.
    pub(crate) now: Option<Moment>,
}

/// A record on its way into the map.
pub(crate) enum Fresh<K, V> {
    /// It gets an allocation when it gets in: that of a record that leaves for it, if possible.
    Plain(Record<K, V>),
    /// Somebody has a handle on it already.
    Shared(Arc<Record<K, V>>),
    /// It is in.
    Gone,
}

impl<K, V> Fresh<K, V> {
    /// Hands the record over. What comes in its place, if anything, has left the map.
    #[inline]
    pub(super) fn allocate(&mut self, taken: &mut Taken<'_, K, V>) -> Arc<Record<K, V>> {
        if let Self::Plain(record) = self
            && let Some(exchanged) = taken.exchange(record)
        {
            return exchanged;
        }
        self.share()
    }

    fn share(&mut self) -> Arc<Record<K, V>> {
        match std::mem::replace(self, Self::Gone) {
            Self::Plain(record) => Arc::new(record),
            Self::Shared(record) => record,
            Self::Gone => unreachable!("a record gets in once"),
        }
    }
}

impl<K, V> New<K, V> {
    /// A handle on the value, whatever becomes of the insert.
    pub(crate) fn handle(&mut self) -> Handle<K, V> {
        let record = self.record.share();
        self.record = Fresh::Shared(Arc::clone(&record));
        Handle(record)
    }

    /// What of it has to be known before it is in.
    fn record(&self) -> &Record<K, V> {
        match &self.record {
            Fresh::Plain(record) => record,
            Fresh::Shared(record) => record,
            Fresh::Gone => unreachable!("it is not in yet"),
        }
    }
}

impl<K: Eq, V, S: BuildHasher> Store<K, V, S> {
    /// Stores a record if `condition`, asked under the lock of its place about the one that it
    /// would replace, holds.
    #[inline]
    pub(crate) fn insert(
        &self,
        mut new: New<K, V>,
        condition: impl FnOnce(Option<&Handle<K, V>>) -> bool,
    ) -> Inserted {
        let mut taken = self.nothing_taken();
        let inserted = self.insert_taking(&mut new, condition, &mut taken);
        drop(new); // what is taken is dropped last: listeners hear of it then
        inserted
    }

    /// The same, for a caller who has something to do before anything is dropped.
    pub(crate) fn insert_taking(
        &self,
        new: &mut New<K, V>,
        condition: impl FnOnce(Option<&Handle<K, V>>) -> bool,
        taken: &mut Taken<'_, K, V>,
    ) -> Inserted {
        let Spot { shard, hash } = new.spot;
        let ends = self.times.moment(new.record().expires_at);
        let mut known = Known::nobody();
        let inserted = loop {
            let mut locked = self.lock(shard);
            if let Some(strangers) = locked.strangers(hash, &known) {
                drop(locked);
                taken.hold.release(); // user code must not find room that nobody uses
                known.meet_all(strangers, &new.record().key);
                continue;
            }
            let now = new.now.unwrap_or_else(|| {
                let timed = ends < NEVER || self.times.has_idle() || locked.line.has_deadlines();
                if timed { self.times.now() } else { 0 }
            });
            locked.reclaim(RECLAIM, now, taken);

            let refusal = if new.weight > self.budget.max_weight() {
                Some(Inserted::TooHeavy)
            } else {
                (ends <= now).then_some(Inserted::Expired)
            };
            let mut old = known.same().filter(|old| locked.holds(old));
            if refusal.is_none() && !locked.make_room(&mut old, new.weight, now, taken) {
                drop(locked);
                self.make_room_elsewhere(shard, taken);
                continue;
            }
            if !condition(old) {
                break Inserted::Declined;
            }
            if let Some(inserted) = refusal {
                if let Some(old) = old {
                    locked.remove(&old.0, Cause::Replaced, taken);
                }
                locked.line.counts.too_heavy += u64::from(inserted == Inserted::TooHeavy);
                break inserted;
            }
            match old {
                Some(old) => locked.replace(old, new, now, taken),
                None => locked.add(new, now, taken),
            }
            break Inserted::Stored;
        };
        // Before anything is dropped here: the user's `Drop` must find the room that nobody uses.
        taken.hold.release();
        if self.budget.is_over() {
            self.shrink(); // the bounds were lowered while room was taken under the old ones
        }
        inserted
    }

    /// Removes the entry of a key; what it was if it was live.
    pub(crate) fn remove(&self, spot: Spot, is_key: impl Fn(&K) -> bool) -> Option<Handle<K, V>> {
        loop {
            let found = self.find(spot, &is_key)?;
            if let Some(live) = self.remove_this(spot, &found) {
                return live.then_some(found);
            }
        }
    }

    /// Removes this very record. Whether it was live; `None` if it is no longer in the map.
    pub(crate) fn remove_this(&self, spot: Spot, record: &Handle<K, V>) -> Option<bool> {
        let mut taken = self.nothing_taken();
        let mut locked = self.lock(spot.shard);
        let timed = self.times.has_idle() || locked.line.has_deadlines();
        let now = if timed { self.times.now() } else { 0 };
        let held = locked.holds(record);
        let live = held && self.times.is_live(&record.0, now);
        if held {
            let cause = if live { Cause::Removed } else { Cause::Expired };
            locked.remove(&record.0, cause, &mut taken);
        }
        locked.reclaim(RECLAIM, now, &mut taken);
        drop(locked);
        held.then_some(live)
    }

    /// Removes everything, shard after shard.
    pub(crate) fn clear(&self) {
        for shard in 0..self.shards.len() {
            let mut taken = self.nothing_taken();
            self.lock(shard).clear(&mut taken);
        }
    }

    /// Reclaims all entries whose time is up; how many.
    pub(crate) fn remove_expired(&self) -> u64 {
        let now = self.times.now();
        let mut removed = 0;
        for shard in 0..self.shards.len() {
            loop {
                let mut taken = self.nothing_taken();
                let mut locked = self.lock(shard);
                removed += locked.reclaim(RECLAIM_ALL, now, &mut taken) as u64;
                // Of entries that use has moved on, so many at a time are moved.
                if !locked.line.may_have_expired(now) {
                    break;
                }
            }
        }
        removed
    }

    /// Evicts, from shard after shard in turn, until the bounds hold.
    pub(crate) fn shrink(&self) {
        let mut shards = (0..self.shards.len()).cycle();
        while self.budget.is_over() {
            let Some(shard) = shards.next() else { return };
            let mut taken = self.nothing_taken();
            let now = self.times.now();
            self.lock(shard).evict(now, None, &mut taken);
            if self.budget.entries() == 0 {
                return; // what is taken belongs to writers on the way
            }
        }
    }

    /// Evicts one entry of another shard.
    fn make_room_elsewhere(&self, home: usize, taken: &mut Taken<'_, K, V>) {
        let now = self.times.now();
        let others = (1..self.shards.len()).map(|step| (home + step) % self.shards.len());
        for shard in others {
            if self.lock(shard).evict(now, None, taken) {
                return;
            }
        }
        // All room is held by writers on the way, each perhaps waiting for another's: give way.
        // Whoever asks next gets all of it at once.
        taken.hold.release();
        std::thread::yield_now();
    }
}
