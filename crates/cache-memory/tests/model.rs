//! Random operations and clock steps, each policy against a model that is too simple to be wrong.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cache_core::{Clock, Inserted, ManualClock};
use cache_memory::{MemoryCache, Policy};
use proptest::prelude::*;

const KEYS: u8 = 20;
const MAX_ENTRIES: u64 = 8;
const MAX_WEIGHT: u64 = 24;

#[derive(Clone, Debug)]
enum Op {
    Insert { key: u8, weight: u64, ttl: Option<u64> },
    Get(u8),
    Peek(u8),
    Remove(u8),
    RemoveIf(u8, u64),
    Advance(u64),
    RemoveExpired,
    Clear,
}

fn op(weights: std::ops::Range<u64>) -> impl Strategy<Value = Op> {
    let key = || 0..KEYS;
    let ttl = prop::option::weighted(0.7, 0..60_u64);
    prop_oneof![
        40 => (key(), weights, ttl).prop_map(|(key, weight, ttl)| Op::Insert { key, weight, ttl }),
        30 => key().prop_map(Op::Get),
        5 => key().prop_map(Op::Peek),
        6 => key().prop_map(Op::Remove),
        4 => (key(), 0..8_u64).prop_map(|(key, weight)| Op::RemoveIf(key, weight)),
        12 => (1..25_u64).prop_map(Op::Advance),
        1 => Just(Op::RemoveExpired),
        1 => Just(Op::Clear),
    ]
}

#[derive(Clone, Copy, Debug)]
struct Held {
    key: u8,
    weight: u64,
    end: u64,
    /// When it was inserted, when it was given its end, when it was used last: counts of operations.
    inserted: usize,
    timed: usize,
    used: usize,
}

/// All entries in a list; the victim is the least by the policy's name.
struct Model {
    policy: Policy,
    held: Vec<Held>,
    now: u64,
    step: usize,
}

impl Model {
    fn live(&mut self) -> &mut Vec<Held> {
        let now = self.now;
        self.held.retain(|entry| entry.end > now);
        &mut self.held
    }

    fn find(&mut self, key: u8) -> Option<&mut Held> {
        self.live().iter_mut().find(|entry| entry.key == key)
    }

    fn remove(&mut self, key: u8) -> Option<u64> {
        let found = self.find(key).map(|entry| entry.weight);
        self.held.retain(|entry| entry.key != key);
        found
    }

    fn evict(&mut self) {
        let policy = self.policy;
        let victim = self.held.iter().min_by_key(|entry| match policy {
            Policy::Lru => (0, entry.used),
            Policy::Fifo => (0, entry.inserted),
            Policy::Ttl if entry.end < u64::MAX => (entry.end, entry.timed),
            Policy::Ttl => (u64::MAX, entry.inserted),
            other => unreachable!("{other:?} has a test of its own"),
        });
        let victim = victim.expect("there is something to evict").key;
        self.held.retain(|entry| entry.key != victim);
    }

    fn insert(&mut self, key: u8, weight: u64, ttl: Option<u64>) -> Inserted {
        let end = ttl.map_or(u64::MAX, |ttl| self.now + ttl);
        if weight > MAX_WEIGHT || end <= self.now {
            self.remove(key);
            return if weight > MAX_WEIGHT { Inserted::TooHeavy } else { Inserted::Expired };
        }
        loop {
            let others = |entry: &&Held| entry.key != key;
            let entries = self.live().iter().filter(others).count() as u64;
            let sum: u64 = self.held.iter().filter(others).map(|entry| entry.weight).sum();
            let old = self.find(key).map_or(0, |old| old.weight);
            if entries < MAX_ENTRIES && sum + weight.max(old) <= MAX_WEIGHT {
                break;
            }
            self.evict();
        }
        let step = self.step;
        if let Some(old) = self.find(key) {
            let timed = if old.end == end { old.timed } else { step };
            *old = Held { weight, end, timed, used: step, ..*old };
        } else {
            self.held.push(Held { key, weight, end, inserted: step, timed: step, used: step });
        }
        Inserted::Stored
    }
}

fn cache(policy: Policy, clock: &Arc<ManualClock>) -> MemoryCache<u8, u64> {
    MemoryCache::builder()
        .max_entries(MAX_ENTRIES)
        .max_weight(MAX_WEIGHT)
        .weigher(|_, &weight| weight)
        .policy(policy)
        .clock(clock.clone())
        .build()
        .expect("good options")
}

fn insert(cache: &MemoryCache<u8, u64>, key: u8, weight: u64, ttl: Option<u64>) -> Inserted {
    match ttl {
        None => cache.insert(key, weight),
        Some(ttl) => cache.insert_with(key, weight, Duration::from_millis(ttl)),
    }
}

fn agrees(policy: Policy, ops: Vec<Op>) {
    let clock = Arc::new(ManualClock::default());
    let cache = cache(policy, &clock);
    let now = clock.now().as_unix_millis();
    let mut model = Model { policy, held: Vec::new(), now, step: 0 };
    for op in ops {
        model.step += 1;
        let step = model.step;
        match op {
            Op::Insert { key, weight, ttl } => {
                assert_eq!(
                    insert(&cache, key, weight, ttl),
                    model.insert(key, weight, ttl),
                    "{op:?}"
                );
            }
            Op::Get(key) => {
                let expected = model.find(key).map(|entry| {
                    entry.used = step;
                    entry.weight
                });
                assert_eq!(cache.get(&key).as_deref().copied(), expected, "{op:?}");
            }
            Op::Peek(key) => {
                let expected = model.find(key).copied();
                assert_eq!(
                    cache.peek(&key).as_deref().copied(),
                    expected.map(|entry| entry.weight),
                    "{op:?}"
                );
                let left = expected.map(|entry| match entry.end {
                    u64::MAX => Duration::MAX,
                    end => Duration::from_millis(end - model.now),
                });
                assert_eq!(cache.ttl(&key), left, "{op:?}");
            }
            Op::Remove(key) => {
                assert_eq!(cache.remove(&key).as_deref().copied(), model.remove(key), "{op:?}");
            }
            Op::RemoveIf(key, least) => {
                let expected = model.find(key).is_some_and(|entry| entry.weight >= least);
                let expected = expected.then(|| model.remove(key)).flatten();
                assert_eq!(
                    cache.remove_if(&key, |&weight| weight >= least).as_deref().copied(),
                    expected,
                    "{op:?}"
                );
            }
            Op::Advance(millis) => {
                clock.advance(Duration::from_millis(millis));
                model.now += millis;
            }
            Op::RemoveExpired => {
                cache.remove_expired();
                assert_eq!(cache.len(), model.live().len());
                assert_eq!(
                    cache.weight(),
                    model.held.iter().map(|entry| entry.weight).sum::<u64>()
                );
            }
            Op::Clear => {
                cache.clear();
                model.held.clear();
                assert_eq!((cache.len(), cache.weight()), (0, 0));
            }
        }
        for key in 0..KEYS {
            let expected = model.find(key).map(|entry| entry.weight);
            assert_eq!(cache.peek(&key).as_deref().copied(), expected, "key {key} after {op:?}");
        }
        assert!(cache.len() as u64 <= MAX_ENTRIES && cache.weight() <= MAX_WEIGHT);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A19, A20, A21, A25, A27: uses in their exact order.
    #[test]
    fn lru(ops in prop::collection::vec(op(1..27), 0..200)) {
        agrees(Policy::Lru, ops);
    }

    /// A19, A20, A21, A25, A27: neither hits nor overwrites matter.
    #[test]
    fn fifo(ops in prop::collection::vec(op(1..27), 0..200)) {
        agrees(Policy::Fifo, ops);
    }

    /// A19, A20, A21, A25, A27: by the end of life.
    #[test]
    fn ttl(ops in prop::collection::vec(op(1..27), 0..200)) {
        agrees(Policy::Ttl, ops);
    }

    /// A19: whoever leaves is among the coldest, uses counted and halved as documented.
    #[test]
    fn lfu(ops in prop::collection::vec(op(1..2), 0..600)) {
        let clock = Arc::new(ManualClock::default());
        let cache = cache(Policy::Lfu, &clock);
        // Uses and the age they are valid for: together worth `uses * 2^age`.
        let mut held: HashMap<u8, (u128, u32)> = HashMap::new();
        let (mut age, mut insertions) = (0_u32, 0);
        let worth = |&(uses, age): &(u128, u32)| uses << age;
        for op in ops {
            let used = |(uses, then): (u128, u32), now: u32| (((uses >> (now - then)) + 1).min(255), now);
            match op {
                Op::Insert { key, .. } => {
                    prop_assert_eq!(cache.insert(key, 1), Inserted::Stored);
                    if let Some(entry) = held.get_mut(&key) {
                        *entry = used(*entry, age);
                        prop_assert!(held.keys().all(|key| cache.contains(key)), "A20");
                    } else {
                        let (stay, left): (HashMap<_, _>, HashMap<_, _>) =
                            held.into_iter().partition(|(key, _)| cache.contains(key));
                        prop_assert!(left.len() <= 1);
                        prop_assert!(left.is_empty() || stay.len() as u64 == MAX_ENTRIES - 1);
                        let warmest = left.values().map(worth).max().unwrap_or(0);
                        prop_assert!(stay.values().all(|entry| worth(entry) >= warmest));
                        held = stay;
                        held.insert(key, (1, age));
                        insertions += 1;
                        if insertions == 64 {
                            (insertions, age) = (0, age + 1);
                        }
                    }
                }
                Op::Get(key) => {
                    let entry = held.get_mut(&key).map(|entry| *entry = used(*entry, age));
                    prop_assert_eq!(cache.get(&key).is_some(), entry.is_some());
                }
                Op::Remove(key) => {
                    prop_assert_eq!(cache.remove(&key).is_some(), held.remove(&key).is_some());
                }
                _ => {}
            }
        }
    }
}
