//! How entries leave: refused, reclaimed or evicted.

use std::hash::{BuildHasher, Hash};
use std::sync::atomic::Ordering;

use cache_core::{Inserted, Timestamp};
use dashmap::SharedValue;

use super::Store;
use super::counters::count;
use super::slot::{Leaving, Slot};
use crate::budget::Hold;
use crate::line::{Candidate, Shard};

/// Entries that an eviction moves to the place that hits have earned them, at most, before it
/// takes the next one whatever its hits. A shard whose LRU order is exact has no more entries.
const SECOND_CHANCES: usize = 256;

pub(super) enum Outcome<K, V> {
    /// It left the cache.
    Left((K, V)),
    /// It was used since: it stands at a higher rank now.
    Spared,
    /// It had left already.
    Gone,
}

impl<K: Eq + Hash, V, S: BuildHasher + Clone> Store<K, V, S> {
    /// An entry that cannot be stored: what it was to replace goes, unless the condition declines.
    pub(super) fn refuse(
        &self,
        why: Inserted,
        hash: u64,
        key: &K,
        condition: impl FnOnce() -> bool,
        hold: &mut Hold<'_>,
        leaving: &mut Leaving<K, V>,
    ) -> Inserted {
        let mut table = self.map.shards()[self.place(hash)].write();
        if !condition() {
            return Inserted::Declined;
        }
        if let Some((key, slot)) = table.remove_entry(hash, |(k, _)| k == key) {
            let slot = slot.into_inner();
            self.shard(hash).unlink(self.ranking, slot.ticket);
            hold.gain(1, slot.weight);
            leaving.push((key, slot.value));
        }
        drop(table);
        if why == Inserted::TooHeavy {
            count(&self.counters.too_heavy, 1);
        }
        why
    }

    /// Evicts until `entries` and `weight` are held or there is nothing to evict.
    pub(super) fn make_room(
        &self,
        hash: u64,
        now: Timestamp,
        (entries, weight): (u64, u64),
        hold: &mut Hold<'_>,
        leaving: &mut Leaving<K, V>,
    ) {
        while !hold.cover(entries, weight) {
            if let Some(left) = self.evict(self.home(hash), now, hold) {
                leaving.push(left);
            } else {
                // All room is held by writers on the way, each perhaps waiting for another's: give
                // way. Whoever asks next gets all of it at once.
                hold.release();
                std::thread::yield_now();
                return;
            }
        }
    }

    /// Evicts one entry, from the shard `home` if it has any; `hold` takes over its share.
    pub(super) fn evict(&self, home: usize, now: Timestamp, hold: &mut Hold<'_>) -> Option<(K, V)> {
        (0..self.shards.len()).find_map(|step| {
            let shard = &self.shards[(home + step) % self.shards.len()];
            let mut chances = SECOND_CHANCES;
            while let Some(candidate) = shard.victim(self.ranking, now) {
                let spare = !candidate.expired && chances > 0;
                match self.take_candidate(shard, candidate, spare, hold) {
                    Outcome::Left(left) => {
                        let cause = if candidate.expired {
                            &self.counters.expired
                        } else {
                            &self.counters.capacity
                        };
                        count(cause, 1);
                        return Some(left);
                    }
                    Outcome::Spared => chances -= 1,
                    Outcome::Gone => {}
                }
            }
            None
        })
    }

    /// Reclaims up to `limit` entries of a shard whose time is up; how many.
    pub(super) fn reclaim(
        &self,
        shard: usize,
        now: Timestamp,
        limit: usize,
        hold: &mut Hold<'_>,
        leaving: &mut Leaving<K, V>,
    ) -> u64 {
        let shard = &self.shards[shard];
        let mut reclaimed = 0;
        for _ in 0..limit {
            let Some(candidate) = shard.expired(now) else {
                break;
            };
            if let Outcome::Left(left) = self.take_candidate(shard, candidate, false, hold) {
                leaving.push(left);
                reclaimed += 1;
            }
        }
        count(&self.counters.expired, reclaimed);
        reclaimed
    }

    /// Takes a candidate out, if it is still there and, where `spare`, was not used since.
    pub(super) fn take_candidate(
        &self,
        shard: &Shard,
        candidate: Candidate,
        spare: bool,
        hold: &mut Hold<'_>,
    ) -> Outcome<K, V> {
        let Candidate { hash, ticket, .. } = candidate;
        let is_it = |(_, slot): &(K, SharedValue<Slot<V>>)| slot.get().ticket == ticket;
        let mut table = self.map.shards()[self.place(hash)].write();
        let Some((_, slot)) = table.get(hash, is_it) else {
            drop(table);
            // Somebody else took it, or `clear` is about to take its ticket back.
            shard.unlink(self.ranking, ticket);
            return Outcome::Gone;
        };
        let rank = self.ranking.rank(slot.get().marks.load(Ordering::Relaxed));
        if spare && rank > candidate.rank {
            shard.rerank(ticket, rank);
            return Outcome::Spared;
        }
        let Some((key, slot)) = table.remove_entry(hash, is_it) else {
            return Outcome::Gone; // cannot be: the table is locked since the lookup
        };
        shard.unlink(self.ranking, ticket);
        drop(table);
        let slot = slot.into_inner();
        hold.gain(1, slot.weight);
        Outcome::Left((key, slot.value))
    }
}
