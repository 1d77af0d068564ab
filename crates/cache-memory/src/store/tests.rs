//! What only the inside can show: that map, line and sums agree.

use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::Arc as StdArc;
use std::time::Duration;

use cache_core::{Inserted, ManualClock, Timestamp};

use super::*;
use crate::policy::POLICIES;

type Numbers = Store<u64, u64, RandomState>;

fn store(policy: Policy, max_entries: u64, expected: usize) -> (Numbers, StdArc<ManualClock>) {
    let clock = StdArc::new(ManualClock::default());
    let budget = Budget::new(max_entries, 10 * max_entries);
    let times = Times::new(Some(clock.clone()), None);
    (Store::new(RandomState::new(), policy, budget, times, expected, None, None), clock)
}

fn put(store: &Numbers, key: u64, millis: u64) {
    let now = store.times.now();
    let expires_at = match millis {
        0 => Timestamp::MAX,
        _ => store.times.timestamp().saturating_add(Duration::from_millis(millis)),
    };
    let spot = store.spot(&key);
    let record = Fresh::Plain(Record::new(key, key, spot.hash, expires_at));
    let new = New { spot, record, weight: key % 20 + 1, now: Some(now) };
    assert_eq!(store.insert(new, |_| true), Inserted::Stored);
}

fn remove(store: &Numbers, key: u64) {
    drop(store.remove(store.spot(&key), |k| *k == key));
}

/// Map, line, both orders and both sums name the same entries.
fn audit(store: &Numbers) {
    let (mut entries, mut weight) = (0, 0);
    for (index, shard) in store.shards.iter().enumerate() {
        let table = store.map.shards()[index].read();
        let (places, in_order, with_deadline) = shard.line.borrow().audit();
        assert_eq!(in_order, places.len());
        assert_eq!(table.len(), places.len());
        drop(table);
        let held = store.snapshot_all(index);
        let timed = held.iter().filter(|held| held.expires_at() < Timestamp::MAX).count();
        assert_eq!(with_deadline, timed);
        let found: HashMap<_, _> =
            held.iter().map(|held| (held.0.place(), held.key() % 20 + 1)).collect();
        assert_eq!(found, places);
        entries += found.len() as u64;
        weight += found.values().sum::<u64>();
    }
    assert_eq!((store.budget.entries(), store.budget.weight()), (entries, weight));
}

/// A41: after a thousand rounds of churn what stands beside the map is what is in it, and its
/// memory is that of the largest size, not of the number of operations; hits grow nothing.
#[test]
fn churn_leaves_nothing_behind() {
    for policy in POLICIES {
        let (store, clock) = store(policy, 50, 50);
        for round in 0..1_000 {
            for key in 0..40 {
                put(&store, (round * 7 + key * 13) % 200, key % 9);
            }
            remove(&store, round % 200);
            clock.advance(Duration::from_millis(round % 5));
            if round % 100 == 99 {
                store.clear();
            }
            audit(&store);
            for _ in 0..2 {
                for key in 0..200 {
                    store.read(&key, Read::Use);
                }
            }
            audit(&store);
        }
        assert!(store.shards[0].line.borrow().places() <= 50, "stale places pile up");
    }
}

/// A41: eight threads of five hundred operations each, on one set of keys, in one shard and many.
#[test]
fn concurrent_churn_leaves_nothing_behind() {
    for policy in POLICIES {
        for expected in [64, 1_024] {
            let (store, clock) = store(policy, 64, expected); // in one shard and in several
            for round in 0..20 {
                std::thread::scope(|threads| {
                    for thread in 0..8_u64 {
                        let (store, clock) = (&store, &clock);
                        threads.spawn(move || {
                            for step in 0..500_u64 {
                                let key = (step * (2 * thread + 1) + round) % 97;
                                match step % 7 {
                                    0 => remove(store, key),
                                    1 => drop(store.read(&key, Read::Use)),
                                    2 if step % 100 == 2 => store.clear(),
                                    3 => clock.advance(Duration::from_millis(1)),
                                    _ => put(store, key, step % 11),
                                }
                            }
                        });
                    }
                });
                audit(&store);
            }
        }
    }
}

/// A42: what is known of an entry that was overwritten, or removed and inserted again, removes
/// neither of those that came after it, whose place it was.
#[test]
fn a_stale_handle_removes_nothing() {
    for policy in POLICIES {
        let (store, _clock) = store(policy, 10, 10);
        let spot = store.spot(&1);
        let held = || store.read(&1, Read::Look).expect("it is there");

        put(&store, 1, 0);
        let before_overwrite = held();
        put(&store, 1, 0);
        let before_removal = held();
        remove(&store, 1);
        put(&store, 1, 0); // in the place that the removal freed
        let before_clear = held();
        assert_eq!(before_clear.0.place(), before_removal.0.place());
        store.clear();
        put(&store, 1, 0);
        for stale in [before_overwrite, before_removal, before_clear] {
            assert_eq!(store.remove_this(spot, &stale), None, "{policy:?}");
        }
        assert_eq!(store.remove_this(spot, &held()), Some(true));
        audit(&store);
    }
}

/// A19, F25: what an eviction examines is bounded, however many hits came before.
#[test]
fn an_eviction_does_bounded_work() {
    for policy in POLICIES {
        let (store, _clock) = store(policy, 10_000, 100);
        for key in 0..5_000 {
            put(&store, key * 20, 0);
        }
        for key in 0..5_000 {
            store.read(&(key * 20), Read::Use);
        }
        let asked = std::cell::Cell::new(0);
        let counting = Counting { store: &store, asked: &asked };
        let shard = &store.shards[0];
        assert!(shard.line.borrow_mut().victim(None, &counting, &shard.age).is_some());
        assert!(asked.get() <= 1_100, "{policy:?} looked at {} entries", asked.get());
    }
}

/// Entries that count how often they are looked at.
struct Counting<'a> {
    store: &'a Numbers,
    asked: &'a std::cell::Cell<usize>,
}

impl crate::line::Entries for Counting<'_> {
    fn marks(&self, hash: u32, place: u32) -> u32 {
        self.asked.set(self.asked.get() + 1);
        let table = self.store.map.shards()[0].read();
        let found = table.get(in_table(hash), |(stored, _)| stored.0.place() == place);
        found.map_or(0, |(stored, _)| stored.0.marks())
    }

    fn take_marks(&self, hash: u32, place: u32) -> u32 {
        self.asked.set(self.asked.get() + 1);
        let table = self.store.map.shards()[0].read();
        let found = table.get(in_table(hash), |(stored, _)| stored.0.place() == place);
        found.map_or(0, |(stored, _)| stored.0.take_marks())
    }

    fn has_idle(&self) -> bool {
        false
    }

    fn deadline(&self, _hash: u32, _place: u32) -> u64 {
        u64::MAX
    }
}
