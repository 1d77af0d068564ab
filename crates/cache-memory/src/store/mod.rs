//! The map and its policy state, kept in step: every change of the cache happens here.

mod counters;
mod evict;
mod slot;
#[cfg(test)]
mod tests;

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};

use cache_core::{Clock, Inserted, LocalStats, Timestamp};
use dashmap::{DashMap, SharedValue};

use self::counters::{Counters, count};
use self::slot::Leaving;
pub(crate) use self::slot::Slot;
use crate::budget::{Budget, Hold};
use crate::line::{Shard, Ticket};
use crate::policy::Ranking;

/// Expired entries that one write reclaims at most: more than it adds, so a backlog shrinks.
const RECLAIM: usize = 8;

/// An entry to be stored, weighed and with its end known.
pub(crate) struct New<K, V> {
    pub(crate) key: K,
    pub(crate) value: V,
    pub(crate) weight: u64,
    pub(crate) expires_at: Timestamp,
}

/// How a read counts for the policy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    Use,
    Look,
}

/// The map is the truth; [`Shard`]s hold the orders in which its entries leave.
///
/// The shards of the map are used directly (`DashMap`'s `raw-api`): each call hashes its key once,
/// and queues find an entry by hash and ticket, so they hold no copies of keys.
pub(crate) struct Store<K, V, S> {
    map: DashMap<K, Slot<V>, S>,
    shards: Box<[Shard]>,
    /// From the index of a map shard to that of the shard that serves it.
    shift: u32,
    ranking: &'static dyn Ranking,
    /// Whether any entry ever had an end; until then reads need no clock.
    timed: AtomicBool,
    budget: Budget,
    counters: Counters,
}

impl<K: Eq + Hash, V, S: BuildHasher + Clone> Store<K, V, S> {
    /// A store with about `shards` shards of policy state.
    pub(crate) fn new(
        hasher: S,
        ranking: &'static dyn Ranking,
        budget: Budget,
        shards: usize,
    ) -> Self {
        let map = DashMap::with_hasher(hasher);
        let of_map = map.shards().len(); // a power of two
        let shards = 1 << shards.clamp(1, of_map).ilog2();
        Self {
            map,
            shards: (0..shards).map(|_| Shard::default()).collect(),
            shift: (of_map / shards).ilog2(),
            ranking,
            timed: AtomicBool::new(false),
            budget,
            counters: Counters::default(),
        }
    }

    /// Reads the live entry of `key`. `read` runs under a read lock.
    pub(crate) fn read<Q, T>(
        &self,
        key: &Q,
        clock: &dyn Clock,
        how: Read,
        read: impl FnOnce(&Slot<V>) -> T,
    ) -> Option<T>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        // An entry that gets an end after this check did not expire before the check.
        let now =
            if self.timed.load(Ordering::Acquire) { clock.now() } else { Timestamp::default() };
        let hash = self.hash(key);
        let index = self.place(hash);
        let table = self.map.shards()[index].read();
        let (_, slot) = table.get(hash, |(k, _)| k.borrow() == key)?;
        let slot = slot.get();
        if slot.is_expired(now) {
            return None;
        }
        if how == Read::Use {
            self.ranking.hit(&slot.marks, &self.shards[index >> self.shift].age);
        }
        Some(read(slot))
    }

    /// Stores `new` if `condition`, asked under the lock of its place, holds.
    pub(crate) fn insert(
        &self,
        new: New<K, V>,
        now: Timestamp,
        condition: impl FnOnce() -> bool,
    ) -> Inserted {
        let mut leaving = Leaving::new(); // declared before, so dropped after the hold
        let mut hold = self.budget.hold();
        let hash = self.hash(&new.key);
        self.reclaim(self.home(hash), now, RECLAIM, &mut hold, &mut leaving);

        if new.weight > self.budget.max_weight() {
            return self.refuse(
                Inserted::TooHeavy,
                hash,
                &new.key,
                condition,
                &mut hold,
                &mut leaving,
            );
        }
        if new.expires_at <= now {
            return self.refuse(
                Inserted::Expired,
                hash,
                &new.key,
                condition,
                &mut hold,
                &mut leaving,
            );
        }
        if new.expires_at < Timestamp::MAX && !self.timed.load(Ordering::Relaxed) {
            self.timed.store(true, Ordering::Release);
        }
        let shard = self.shard(hash);
        loop {
            let mut table = self.map.shards()[self.place(hash)].write();
            let old = table.get_mut(hash, |(key, _)| *key == new.key);
            // An overwrite needs room for the difference only, so it evicts nothing (A20).
            let (entries, weight) = match &old {
                Some((_, old)) => (0, new.weight.saturating_sub(old.get().weight)),
                None => (1, new.weight),
            };
            if !hold.cover(entries, weight) {
                drop(table);
                self.make_room(hash, now, (entries, weight), &mut hold, &mut leaving);
                continue;
            }
            if !condition() {
                return Inserted::Declined;
            }
            if let Some((_, old)) = old {
                let old = old.get_mut();
                let expired = old.is_expired(now);
                let marks = (!expired).then(|| *old.marks.get_mut());
                let ends = (old.expires_at, new.expires_at);
                let (ticket, marks) = shard.relink(self.ranking, old.ticket, marks, ends);
                let slot = Slot::new(new.value, (new.weight, new.expires_at), (ticket, marks));
                let old = mem::replace(old, slot);
                hold.gain(0, old.weight);
                hold.spend(0, new.weight);
                drop(table);
                count(&self.counters.expired, u64::from(expired));
                leaving.push((new.key, old.value));
            } else {
                let (ticket, marks) = shard.link(self.ranking, hash, new.expires_at);
                let slot = Slot::new(new.value, (new.weight, new.expires_at), (ticket, marks));
                table.insert(hash, (new.key, SharedValue::new(slot)), |(key, _)| self.hash(key));
                hold.spend(1, new.weight);
                drop(table);
            }
            count(&self.counters.writes, 1);
            return Inserted::Stored;
        }
    }

    /// Removes the entry of `key` if `matches`, asked under the lock of its place, holds; its value
    /// if it was live.
    pub(crate) fn remove<Q>(
        &self,
        key: &Q,
        now: Timestamp,
        matches: impl FnOnce(Ticket) -> bool,
    ) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut leaving = Leaving::new();
        let mut hold = self.budget.hold();
        let hash = self.hash(key);
        let removed =
            self.take(hash, |k| k.borrow() == key, |slot| matches(slot.ticket), &mut hold);
        self.reclaim(self.home(hash), now, RECLAIM, &mut hold, &mut leaving);
        hold.release();
        let (_key, slot) = removed?;
        if slot.is_expired(now) {
            count(&self.counters.expired, 1);
            return None;
        }
        count(&self.counters.removals, 1);
        Some(slot.value)
    }

    /// Reads the live value of `key` with the ticket that names this very value.
    pub(crate) fn read_with_ticket<Q>(&self, key: &Q, clock: &dyn Clock) -> Option<(V, Ticket)>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        self.read(key, clock, Read::Look, |slot| (slot.value.clone(), slot.ticket))
    }

    /// Removes everything, a shard of the map at a time.
    pub(crate) fn clear(&self) {
        for (index, shard) in self.map.shards().iter().enumerate() {
            let mut hold = self.budget.hold();
            let table = mem::take(&mut *shard.write());
            let left: Vec<_> = table
                .into_iter()
                .map(|(key, slot)| {
                    let slot = slot.into_inner();
                    self.shards[index >> self.shift].unlink(self.ranking, slot.ticket);
                    hold.gain(1, slot.weight);
                    (key, slot.value)
                })
                .collect();
            count(&self.counters.removals, left.len() as u64);
            drop(hold);
            drop(left); // now that their room is free: a `Drop` that inserts must find some
        }
    }

    /// Reclaims all entries whose time is up; how many.
    pub(crate) fn remove_expired(&self, now: Timestamp) -> u64 {
        let mut removed = 0;
        for shard in 0..self.shards.len() {
            loop {
                let mut leaving = Leaving::new();
                let mut hold = self.budget.hold();
                match self.reclaim(shard, now, RECLAIM, &mut hold, &mut leaving) {
                    0 => break,
                    some => removed += some,
                }
            }
        }
        removed
    }

    pub(crate) fn entries(&self) -> u64 {
        self.budget.entries()
    }

    pub(crate) fn weight(&self) -> u64 {
        self.budget.weight()
    }

    pub(crate) fn stats(&self) -> LocalStats {
        self.counters.read(self.entries(), self.weight())
    }

    fn take(
        &self,
        hash: u64,
        is_key: impl Fn(&K) -> bool,
        matches: impl FnOnce(&Slot<V>) -> bool,
        hold: &mut Hold<'_>,
    ) -> Option<(K, Slot<V>)> {
        let mut table = self.map.shards()[self.place(hash)].write();
        let (_, slot) = table.get(hash, |(key, _)| is_key(key))?;
        if !matches(slot.get()) {
            return None;
        }
        let (key, slot) = table.remove_entry(hash, |(key, _)| is_key(key))?;
        let slot = slot.into_inner();
        self.shard(hash).unlink(self.ranking, slot.ticket);
        hold.gain(1, slot.weight);
        Some((key, slot))
    }

    fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.map.hasher().hash_one(key)
    }

    /// Which shard of the map a hash belongs to.
    #[allow(clippy::cast_possible_truncation, reason = "as DashMap itself does on 32-bit targets")]
    fn place(&self, hash: u64) -> usize {
        self.map.determine_shard(hash as usize)
    }

    fn home(&self, hash: u64) -> usize {
        self.place(hash) >> self.shift
    }

    fn shard(&self, hash: u64) -> &Shard {
        &self.shards[self.home(hash)]
    }
}
