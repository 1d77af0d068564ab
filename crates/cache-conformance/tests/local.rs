//! The suite of `LocalTier` passes for a tier at its plainest, and can fail: each way to break the
//! contract is caught by the case that is about it.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cache_conformance::cases::local::{bounds, conditions, reads, removal, time};
use cache_conformance::{Bound, LocalHarness, local_tier_suite, local_weight_suite};
use cache_core::{
    CacheKey, Clock, Entry, Inserted, LocalStats, LocalTier, ManualClock, Tags, Timestamp,
};

const MOST: u64 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    AskedBeforeTheLock,
    DeclinedRemoves,
    ExpiredIsReturned,
    ExpiredIsRemoved,
    ExpiredInsertsAreIgnored,
    LivesBeginAnew,
    StaleIsDropped,
    TagsAreLost,
    TornInTwo,
    FirstInsertWins,
    RemovalAlwaysTrue,
    PredicateIgnored,
    EqualsAreTheSame,
    PredicateUnderLock,
    ClearForgetsWeight,
    Unbounded,
    TooHeavyEvictsAll,
    TooHeavyLeavesTheOld,
    StatisticsAreEmpty,
    LooksAtTheDead,
}

/// A map behind a lock, first in, first out; with one fault.
#[derive(Debug)]
struct Plain {
    fault: Fault,
    clock: Arc<ManualClock>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    entries: HashMap<CacheKey, (u64, Entry<Bytes>)>,
    order: BTreeMap<u64, CacheKey>,
    weight: u64,
    inserts: u64,
}

impl Held {
    fn take(&mut self, key: &CacheKey) -> Option<Entry<Bytes>> {
        let (place, entry) = self.entries.remove(key)?;
        self.order.remove(&place);
        self.weight -= entry.weight;
        Some(entry)
    }

    fn put(&mut self, key: CacheKey, entry: Entry<Bytes>) {
        self.inserts += 1;
        self.weight += entry.weight;
        self.order.insert(self.inserts, key);
        self.entries.insert(key, (self.inserts, entry));
    }
}

impl Plain {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self, key: &CacheKey) -> Option<(u64, Entry<Bytes>)> {
        let (place, entry) = self.lock().entries.get(key).cloned()?;
        let end =
            if self.has(Fault::StaleIsDropped) { entry.fresh_until } else { entry.expires_at };
        let is_live = self.has(Fault::ExpiredIsReturned) || self.clock.now() < end;
        is_live.then_some((place, entry))
    }
}

impl LocalTier<Bytes> for Plain {
    fn get(&self, key: &CacheKey) -> Option<Entry<Bytes>> {
        let (_, mut entry) = self.live(key)?;
        if self.has(Fault::TagsAreLost) {
            entry.tags = Tags::default();
        }
        if self.has(Fault::TornInTwo) {
            entry.value = self.live(key)?.1.value;
        }
        Some(entry)
    }

    fn get_with<R>(&self, key: &CacheKey, look: impl FnOnce(&Entry<Bytes>) -> R) -> Option<R> {
        if self.has(Fault::LooksAtTheDead) {
            return self.lock().entries.get(key).map(|(_, entry)| look(entry));
        }
        self.get(key).map(|entry| look(&entry))
    }

    fn insert_if(
        &self,
        key: CacheKey,
        mut entry: Entry<Bytes>,
        condition: impl FnOnce() -> bool,
    ) -> Inserted {
        let (mut held, holds) = if self.has(Fault::AskedBeforeTheLock) {
            let holds = condition();
            (self.lock(), holds)
        } else {
            let held = self.lock();
            (held, condition())
        };
        if !holds {
            if self.has(Fault::DeclinedRemoves) {
                held.take(&key);
            }
            return Inserted::Declined;
        }
        let now = self.clock.now();
        if self.has(Fault::LivesBeginAnew) {
            entry.expires_at =
                now.saturating_add(entry.expires_at.saturating_since(entry.stored_at));
        }
        if entry.is_expired(now) {
            if !self.has(Fault::ExpiredInsertsAreIgnored) {
                held.take(&key);
            }
            return Inserted::Expired;
        }
        if entry.weight > MOST {
            match self.fault {
                Fault::TooHeavyEvictsAll => *held = Held::default(),
                Fault::TooHeavyLeavesTheOld => {}
                _ => drop(held.take(&key)),
            }
            return Inserted::TooHeavy;
        }
        if self.has(Fault::FirstInsertWins) && held.entries.contains_key(&key) {
            return Inserted::Stored;
        }
        held.take(&key);
        while held.weight + entry.weight > MOST && !self.has(Fault::Unbounded) {
            let (_, oldest) = held.order.pop_first().expect("something weighs as much");
            held.take(&oldest);
        }
        held.put(key, entry);
        Inserted::Stored
    }

    fn remove(&self, key: &CacheKey) -> bool {
        let was_live = self.live(key).is_some();
        let was_there = self.lock().take(key).is_some();
        match self.fault {
            Fault::RemovalAlwaysTrue => true,
            Fault::ExpiredIsRemoved => was_there,
            _ => was_live,
        }
    }

    fn remove_if(&self, key: &CacheKey, matches: impl Fn(&Entry<Bytes>) -> bool) -> bool {
        if self.has(Fault::PredicateUnderLock) {
            let mut held = self.lock();
            let is_match = held.entries.get(key).is_some_and(|(_, entry)| matches(entry));
            return is_match && held.take(key).is_some();
        }
        while let Some((place, seen)) = self.live(key) {
            if !matches(&seen) && !self.has(Fault::PredicateIgnored) {
                return false;
            }
            let mut held = self.lock();
            let is_same = held.entries.get(key).is_some_and(|(now, entry)| {
                *now == place || (self.has(Fault::EqualsAreTheSame) && *entry == seen)
            });
            if is_same {
                return held.take(key).is_some();
            }
        }
        false
    }

    fn clear(&self) {
        let mut held = self.lock();
        let weight = held.weight;
        *held = Held::default();
        if self.has(Fault::ClearForgetsWeight) {
            held.weight = weight;
        }
    }

    fn len(&self) -> usize {
        self.lock().entries.len()
    }

    fn weight(&self) -> u64 {
        self.lock().weight
    }

    fn stats(&self) -> LocalStats {
        let mut stats = LocalStats::default();
        if !self.has(Fault::StatisticsAreEmpty) {
            (stats.entries, stats.weight) = (self.len() as u64, self.weight());
        }
        stats
    }
}

fn plain(fault: Fault) -> LocalHarness<Plain> {
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_millis(1_000_000)));
    let tier = Plain { fault, clock: clock.clone(), held: Mutex::default() };
    LocalHarness::with_clock(tier, Bound::Weight(MOST), clock)
}

local_tier_suite!(whole, plain(Fault::None));
local_weight_suite!(weighed, plain(Fault::None));

macro_rules! caught {
    ($($fault:ident in $test:ident by $module:ident::$case:ident),+ $(,)?) => {
        $(
            #[test]
            fn $test() {
                let harness = plain(Fault::$fault);
                let case = AssertUnwindSafe(|| $module::$case(&harness));
                assert!(catch_unwind(case).is_err(), "{:?} went through", Fault::$fault);
            }
        )+
    };
}

caught! {
    AskedBeforeTheLock in asked_before_the_lock by conditions::a_removal_waits_for_the_insert,
    AskedBeforeTheLock in asked_before_the_clear by conditions::a_clear_waits_for_the_insert,
    DeclinedRemoves in declined_removes by conditions::a_declined_insert_changes_nothing,
    ExpiredIsReturned in expired_is_returned by time::expired_is_absent,
    ExpiredIsRemoved in expired_is_removed by time::expired_is_absent,
    LooksAtTheDead in looks_at_the_dead by time::expired_is_absent,
    ExpiredInsertsAreIgnored in expired_inserts_are_ignored by time::inserting_the_expired_removes,
    LivesBeginAnew in lives_begin_anew by time::a_fill_keeps_what_is_left,
    StaleIsDropped in stale_is_dropped by time::stale_is_not_expired,
    TagsAreLost in tags_are_lost by reads::what_was_inserted_is_got,
    TornInTwo in torn_in_two by reads::entries_are_whole,
    FirstInsertWins in first_insert_wins by reads::the_last_insert_wins,
    RemovalAlwaysTrue in removal_always_true by removal::removing_says_what_was_there,
    PredicateIgnored in predicate_ignored by removal::removal_is_up_to_the_predicate,
    EqualsAreTheSame in equals_are_the_same by removal::a_replacement_is_spared,
    PredicateUnderLock in predicate_under_lock by removal::predicates_lock_nothing,
    ClearForgetsWeight in clear_forgets_weight by removal::clearing_leaves_nothing,
    Unbounded in unbounded by bounds::the_bound_holds,
    TooHeavyEvictsAll in too_heavy_evicts_all by bounds::the_too_heavy_is_refused,
    TooHeavyLeavesTheOld in too_heavy_leaves_the_old by bounds::the_too_heavy_is_refused,
    StatisticsAreEmpty in statistics_are_empty by bounds::statistics_tell_what_is_held,
}
