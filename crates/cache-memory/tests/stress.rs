//! A18, A20, A32, A35: everything at once, from many threads, and what holds at every instant and at the
//! end. Each policy gets a second; `STRESS_SECONDS` says how many instead.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cache_memory::{Compute, InsertOptions, MemoryCache, Policy};
use common::POLICIES;

const KEYS: u64 = 4_000;
const MAX_ENTRIES: u64 = 1_500;
const MAX_WEIGHT: u64 = 30_000;
const THREADS: u64 = 6;

/// Knows its key, and that it is dropped once.
struct Tracked {
    key: u64,
    weight: u64,
    alive: Arc<AtomicI64>,
}

impl Tracked {
    fn new(key: u64, weight: u64, alive: &Arc<AtomicI64>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self { key, weight, alive: Arc::clone(alive) }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        assert_ne!(self.key, u64::MAX, "dropped twice");
        self.key = u64::MAX;
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn step(cache: &MemoryCache<u64, Tracked>, random: &mut Random, alive: &Arc<AtomicI64>) {
    // Some keys are wanted more than others.
    let key = random.below(KEYS).min(random.below(KEYS));
    let value = |weight| Tracked::new(key, weight, alive);
    let weight = 1 + random.below(60);
    match random.below(40) {
        0..12 => {
            if let Some(found) = cache.get(&key) {
                assert_eq!(found.key, key, "another's value");
            }
        }
        12..20 => {
            let _ = cache.insert(key, value(weight));
        }
        20..24 => {
            let ttl = Duration::from_millis(random.below(20));
            let _ = cache.insert_with(key, value(weight), InsertOptions::new().ttl(ttl));
        }
        24..28 => assert_eq!(cache.get_or_insert_with(key, || value(weight)).key, key),
        28..31 => drop(cache.remove(&key)),
        31 => drop(cache.remove_if(&key, |value| value.weight % 2 == 0)),
        32 => {
            cache.compute(&key, |old| match old {
                Some(old) if old.weight % 3 == 0 => Compute::Remove,
                Some(_) => Compute::Keep,
                None => Compute::Put(value(weight)),
            });
        }
        33 => assert!(cache.get_many(&[key, key + 1]).len() == 2),
        34 => {
            let _ = cache.insert(key, value(MAX_WEIGHT + 1)); // too heavy
        }
        35 if random.below(50) == 0 => cache.clear(),
        36 if random.below(50) == 0 => drop(cache.retain(|_, value| value.weight % 5 != 0)),
        37 if random.below(20) == 0 => assert!(cache.iter().all(|found| found.key == *found.key())),
        38 => drop(cache.remove_expired()),
        _ => assert!(cache.ttl(&key).is_none_or(|left| left > Duration::ZERO)),
    }
}

fn stress(policy: Policy, lasts: Duration, seed: u64) {
    let alive = Arc::new(AtomicI64::new(0));
    let cache: MemoryCache<u64, Tracked> = MemoryCache::builder()
        .max_entries(MAX_ENTRIES)
        .max_weight(MAX_WEIGHT)
        .weigher(|_, value: &Tracked| value.weight)
        .time_to_idle(Duration::from_millis(200))
        .policy(policy)
        .listener(|event| drop(format!("{:?}", std::mem::discriminant(event))))
        .build()
        .expect("good options");
    let over = AtomicBool::new(false);
    thread::scope(|threads| {
        for number in 0..THREADS {
            let (cache, over, alive) = (&cache, &over, &alive);
            threads.spawn(move || {
                let mut random = Random(seed ^ (number << 40));
                while !over.load(Ordering::Relaxed) {
                    (0..64).for_each(|_| step(cache, &mut random, alive));
                }
            });
        }
        let start = Instant::now();
        while start.elapsed() < lasts {
            // At any instant.
            assert!(cache.len() as u64 <= MAX_ENTRIES, "{policy:?}: {} entries", cache.len());
            assert!(cache.weight() <= MAX_WEIGHT, "{policy:?}: weight {}", cache.weight());
            thread::yield_now();
        }
        over.store(true, Ordering::Relaxed);
    });
    // In the end: what is counted is what is there.
    cache.remove_expired();
    let held: Vec<_> = cache.iter().collect();
    let stale = cache.len() - held.len(); // expired between the two
    assert!(stale <= cache.len() / 2, "{policy:?}");
    let weight: u64 = held.iter().map(|found| found.weight).sum();
    assert!(weight <= cache.weight(), "{policy:?}");
    drop(held);
    cache.clear();
    assert_eq!((cache.len(), cache.weight()), (0, 0), "{policy:?}");
    assert_eq!(alive.load(Ordering::Relaxed), 0, "{policy:?}: every value is dropped once");
    assert_eq!(cache.listener_panics(), 0, "{policy:?}");
}

#[test]
fn everything_at_once() {
    let seconds = std::env::var("STRESS_SECONDS").ok().and_then(|text| text.parse().ok());
    let each = Duration::from_secs(seconds.unwrap_or(POLICIES.len() as u64)) / 5;
    for (policy, seed) in POLICIES.into_iter().zip(1..) {
        stress(policy, each, seed);
    }
}
