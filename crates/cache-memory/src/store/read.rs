//! Reads: one read lock, held to find a record by its hash and count one more reference to it.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use triomphe::Arc;

use super::known::Known;
use super::{Spot, Store, Stored, in_table};
use crate::events::Event;
use crate::record::{Handle, Uses};
use crate::times::{Moment, NEVER};

/// How a read counts for the policy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    Use,
    Look,
}

impl<K, V, S: BuildHasher> Store<K, V, S> {
    /// The live record of `key`.
    #[inline]
    pub(crate) fn read<Q>(&self, key: &Q, how: Read) -> Option<Handle<K, V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let spot = self.spot(key);
        loop {
            let found = self.find_and(spot, |k| k.borrow() == key, || self.times.glance());
            let live = found
                .and_then(|(found, glance)| self.note(spot, &found, glance, how).then_some(found));
            if how == Read::Look {
                return live;
            }
            if self.told(spot, live.as_ref()) {
                if let Some(lookups) = &self.lookups {
                    lookups.count(live.is_some());
                }
                return live;
            }
        }
    }

    /// Whether a record is live; notes its use.
    #[inline]
    fn note(&self, spot: Spot, found: &Handle<K, V>, glance: Option<Moment>, how: Read) -> bool {
        let record = &found.0;
        let uses = record.uses();
        let Some(last) = self.times.seen(record.expires_at, uses, glance) else {
            return false;
        };
        if how == Read::Use {
            let marks = self.policy.used(uses.marks(), &self.shards[spot.shard].age);
            record.note(uses, Uses::new(marks, last));
            if let Some(tuner) = &self.tuner {
                tuner.hit(spot.hash, uses.marks());
            }
        }
        true
    }

    /// The record of a key, live or expired. Keys are compared while nothing is locked.
    #[inline]
    pub(super) fn find(&self, spot: Spot, is_key: impl Fn(&K) -> bool) -> Option<Handle<K, V>> {
        self.find_and(spot, is_key, || ()).map(|(found, ())| found)
    }

    /// The same, with what `meanwhile` gives: it runs, under the lock, while the processor waits for
    /// the record to come from memory.
    #[inline]
    fn find_and<T>(
        &self,
        spot: Spot,
        is_key: impl Fn(&K) -> bool,
        meanwhile: impl FnOnce() -> T,
    ) -> Option<(Handle<K, V>, T)> {
        let (found, given) = {
            let table = self.map.shards()[spot.shard].read();
            let is_hash = |(stored, _): &(Stored<K, V>, _)| stored.0.hash == spot.hash;
            let (stored, _) = table.get(in_table(spot.hash), is_hash)?;
            let given = meanwhile(); // before the count, which waits for what was begun
            (Handle(Arc::clone(&stored.0)), given)
        };
        let found =
            if is_key(found.key()) { Some(found) } else { self.find_among(spot, found, is_key) };
        Some((found?, given))
    }

    /// The same where another key of this hash was met first.
    #[cold]
    fn find_among(
        &self,
        spot: Spot,
        first: Handle<K, V>,
        is_key: impl Fn(&K) -> bool,
    ) -> Option<Handle<K, V>> {
        let mut known = Known::nobody();
        known.meet(first, |_| false);
        loop {
            let strangers = {
                let table = self.map.shards()[spot.shard].read();
                known.strangers(&table, spot.hash)
            };
            if strangers.is_empty() {
                return None;
            }
            for stranger in strangers {
                if is_key(stranger.key()) {
                    return Some(stranger);
                }
                known.meet(stranger, |_| false);
            }
        }
    }

    /// How long the live entry of a key has left if it is not used again.
    pub(crate) fn left<Q>(&self, key: &Q) -> Option<Duration>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let found = self.find(self.spot(key), |k| k.borrow() == key)?;
        let deadline = self.times.deadline(found.expires_at(), found.0.last_use());
        if deadline == NEVER {
            return Some(Duration::MAX);
        }
        // Asked after the entry was seen, so the answer is never more than it was given.
        let left = deadline.saturating_sub(self.times.now());
        (left > 0).then(|| Duration::from_millis(left))
    }

    /// Tells listeners of a lookup. False if what was found has left meanwhile: listeners hear of
    /// hits and departures in the order in which they happen, so the lookup has to be made again.
    #[inline]
    fn told(&self, spot: Spot, found: Option<&Handle<K, V>>) -> bool {
        match &self.events {
            Some(events) if events.hear_lookups() => self.tell(spot, found),
            _ => true,
        }
    }

    #[cold]
    fn tell(&self, spot: Spot, found: Option<&Handle<K, V>>) -> bool {
        let Some(events) = &self.events else { return true };
        {
            let table = self.map.shards()[spot.shard].read();
            if let Some(found) = found {
                let is_it = |(stored, _): &(Stored<K, V>, _)| Arc::ptr_eq(&stored.0, &found.0);
                if table.get(in_table(spot.hash), is_it).is_none() {
                    return false;
                }
                events.push(Event::Hit(found.clone()));
            } else {
                events.push(Event::Missed(spot.name()));
            }
        }
        events.deliver();
        true
    }
}
