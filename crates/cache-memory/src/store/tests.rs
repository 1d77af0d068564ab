//! What only the inside can show: that map, orders and sums agree.

use std::collections::HashSet;
use std::hash::RandomState;
use std::time::Duration;

use cache_core::{ManualClock, Timestamp};

use super::*;
use crate::policy::Policy;

const POLICIES: [Policy; 4] = [Policy::Lru, Policy::Lfu, Policy::Fifo, Policy::Ttl];

type Numbers = Store<u64, u64, RandomState>;

fn store(policy: Policy, max_entries: u64, shards: usize) -> Numbers {
    let budget = Budget::new(max_entries, 10 * max_entries);
    Store::new(RandomState::new(), policy.ranking(), budget, shards)
}

fn put(store: &Numbers, key: u64, clock: &ManualClock, millis: u64) {
    let now = clock.now();
    let expires_at = match millis {
        0 => Timestamp::MAX,
        _ => now.saturating_add(Duration::from_millis(millis)),
    };
    let new = New { key, value: key, weight: key % 20 + 1, expires_at };
    assert_eq!(store.insert(new, now, || true), Inserted::Stored);
}

/// Map, tickets, both orders and both sums name the same entries.
fn audit(store: &Numbers) {
    let mut in_map = vec![HashSet::new(); store.shards.len()];
    let (mut weight, mut timed) = (0, vec![0; store.shards.len()]);
    for entry in &store.map {
        let home = store.home(store.hash(entry.key()));
        assert!(in_map[home].insert(entry.ticket), "a ticket twice");
        timed[home] += usize::from(entry.expires_at < Timestamp::MAX);
        weight += entry.weight;
    }
    for (home, shard) in store.shards.iter().enumerate() {
        let (tickets, in_order, with_deadline) = shard.audit();
        assert_eq!(in_order, tickets.len());
        assert_eq!(with_deadline, timed[home]);
        assert_eq!(tickets.into_iter().collect::<HashSet<_>>(), in_map[home]);
    }
    assert_eq!(store.entries(), in_map.iter().map(HashSet::len).sum::<usize>() as u64);
    assert_eq!(store.weight(), weight);
}

/// A41: after a thousand rounds of churn what stands beside the map is what is in it, and its
/// memory is that of the largest size, not of the number of operations; hits grow nothing.
#[test]
fn churn_leaves_nothing_behind() {
    for policy in POLICIES {
        let (store, clock) = (store(policy, 50, 1), ManualClock::default());
        for round in 0..1_000 {
            for key in 0..40 {
                put(&store, (round * 7 + key * 13) % 200, &clock, key % 9);
            }
            store.remove(&(round % 200), clock.now(), |_| true);
            clock.advance(Duration::from_millis(round % 5));
            if round % 100 == 99 {
                store.clear();
            }
            audit(&store);
            let (tickets, ..) = store.shards[0].audit();
            for _ in 0..2 {
                for key in 0..200 {
                    store.read(&key, &clock, Read::Use, |_| ());
                }
            }
            assert_eq!(store.shards[0].audit().0, tickets, "hits leave the line alone");
        }
        assert!(store.shards[0].places() <= 50, "stale places pile up");
    }
}

/// A41: eight threads of five hundred operations each, on one set of keys, in one shard and many.
#[test]
fn concurrent_churn_leaves_nothing_behind() {
    for policy in POLICIES {
        for shards in [1, 8] {
            let (store, clock) = (store(policy, 64, shards), ManualClock::default());
            for round in 0..20 {
                std::thread::scope(|threads| {
                    for thread in 0..8_u64 {
                        let (store, clock) = (&store, &clock);
                        threads.spawn(move || {
                            for step in 0..500_u64 {
                                let key = (step * (2 * thread + 1) + round) % 97;
                                match step % 7 {
                                    0 => drop(store.remove(&key, clock.now(), |_| true)),
                                    1 => drop(store.read(&key, clock, Read::Use, |_| ())),
                                    2 if step % 100 == 2 => store.clear(),
                                    3 => clock.advance(Duration::from_millis(1)),
                                    _ => put(store, key, clock, step % 11),
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

/// A42: a candidate chosen before its key was removed and inserted again, or overwritten, evicts
/// neither.
#[test]
fn a_stale_candidate_evicts_nothing() {
    for policy in POLICIES {
        let (store, clock) = (store(policy, 10, 1), ManualClock::default());
        let shard = &store.shards[0];
        let chosen = || shard.victim(store.ranking, clock.now()).expect("a victim");
        let evicts = |candidate| {
            let mut hold = store.budget.hold();
            let out = store.take_candidate(shard, candidate, false, &mut hold);
            matches!(out, evict::Outcome::Left(_))
        };

        put(&store, 1, &clock, 0);
        let before_overwrite = chosen();
        put(&store, 1, &clock, 0);
        let before_removal = chosen();
        store.remove(&1, clock.now(), |_| true);
        let mut gone = vec![before_overwrite, before_removal];
        put(&store, 1, &clock, 0); // on the place that the removal freed
        assert!(gone.iter().all(|&candidate| !evicts(candidate)), "{policy:?}");
        gone.push(chosen());
        store.clear();
        put(&store, 1, &clock, 0);
        assert!(gone.iter().all(|&candidate| !evicts(candidate)), "{policy:?}");
        audit(&store);

        assert!(evicts(chosen()));
        assert_eq!((store.entries(), store.weight()), (0, 0));
        audit(&store);
    }
}

/// A ticket whose entry `clear` has taken already is taken back by whoever meets it.
#[test]
fn an_orphaned_ticket_is_taken_back() {
    let (store, clock) = (store(Policy::Lru, 10, 1), ManualClock::default());
    put(&store, 1, &clock, 0);
    let emptied: Vec<_> = store.map.shards().iter().map(|s| mem::take(&mut *s.write())).collect();
    assert!(store.evict(0, clock.now(), &mut store.budget.hold()).is_none());
    assert_eq!(store.shards[0].audit(), (vec![], 0, 0));
    drop(emptied);
}

/// A19, F25: what an eviction examines is bounded, however many hits came before.
#[test]
fn an_eviction_does_bounded_work() {
    let (store, clock) = (store(Policy::Lfu, 10_000, 1), ManualClock::default());
    for key in 0..5_000 {
        put(&store, key * 20, &clock, 0);
    }
    for key in 0..5_000 {
        store.read(&(key * 20), &clock, Read::Use, |_| ());
    }
    // All were used since they were lined up: after so many second chances one leaves anyway.
    assert!(store.evict(0, clock.now(), &mut store.budget.hold()).is_some());
    let first = store.shards[0].victim(store.ranking, clock.now()).expect("a victim");
    let moved = store.map.iter().filter(|entry| {
        let marks = entry.marks.load(Ordering::Relaxed);
        entry.ticket == first.ticket && store.ranking.rank(marks) > first.rank
    });
    assert_eq!(moved.count(), 1, "the backlog was not worked off at once");
    audit(&store);
}

/// What `ENTRY_OVERHEAD` is computed from.
#[test]
fn slots_are_as_small_as_documented() {
    type Entry = cache_core::Entry<[u8; 16]>;
    let own = size_of::<cache_core::CacheKey>() + size_of::<Slot<Entry>>() - 16;
    assert_eq!(own, 112);
}
