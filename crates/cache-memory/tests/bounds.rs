//! The bounds, in entries and in weight, alone and under fire.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cache_memory::{BuildError, Inserted, MemoryCache, Policy};

mod common;
use common::POLICIES;

/// Numbers that are the same on every run (xorshift: Marsaglia, 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn weighed(max_entries: u64, max_weight: u64, policy: Policy) -> MemoryCache<u64, u64> {
    MemoryCache::builder()
        .max_entries(max_entries)
        .max_weight(max_weight)
        .weigher(|_, &weight| weight)
        .policy(policy)
        .build()
        .expect("good options")
}

/// A18, F37: four threads write, overwrite and remove what they can; no sample is over a bound,
/// and in the end the sums are those of what is there.
#[test]
fn bounds_hold_at_all_times() {
    for policy in POLICIES {
        for (max_entries, max_weight) in [(1, 50), (40, 700), (2_000, 20_000)] {
            let cache = weighed(max_entries, max_weight, policy);
            let done = AtomicBool::new(false);
            std::thread::scope(|threads| {
                let writers: Vec<_> = (1..=4)
                    .map(|seed| {
                        let cache = &cache;
                        threads.spawn(move || {
                            let mut random = Random(seed);
                            for _ in 0..4_000 {
                                let key = random.below(3 * max_entries);
                                match random.below(8) {
                                    0 => drop(cache.remove(&key)),
                                    1 => drop(cache.get(&key)),
                                    _ => drop(cache.insert(key, random.below(50) + 1)),
                                }
                            }
                        })
                    })
                    .collect();
                let sampler = threads.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        assert!(cache.len() as u64 <= max_entries);
                        assert!(cache.weight() <= max_weight);
                    }
                });
                let written = writers.into_iter().all(|writer| writer.join().is_ok());
                done.store(true, Ordering::Relaxed);
                sampler.join().expect("no sample is over a bound");
                assert!(written, "a writer panicked");
            });
            let held: Vec<u64> = (0..3 * max_entries)
                .filter_map(|key| cache.peek(&key).as_deref().copied())
                .collect();
            assert_eq!(cache.len(), held.len(), "{policy:?}");
            assert_eq!(cache.weight(), held.iter().sum::<u64>(), "{policy:?}");
        }
    }
}

/// A20, F37: overwriting in a full cache evicts nothing, with less or as much weight.
#[test]
fn overwriting_evicts_nothing() {
    for policy in POLICIES {
        let cache = weighed(10, 100, policy);
        for key in 0..10 {
            assert_eq!(cache.insert(key, 10), Inserted::Stored);
        }
        for round in 0..100 {
            assert_eq!(cache.insert(round % 10, 10 - round / 20), Inserted::Stored);
        }
        assert!((0..10).all(|key| cache.contains(&key)), "{policy:?}");
        assert_eq!(cache.stats().evictions.capacity, 0);
        assert_eq!((cache.len(), cache.weight()), (10, 60));
    }
}

/// A18: a heavier value under an old key takes room for the difference only.
#[test]
fn growing_takes_the_difference() {
    let cache = weighed(10, 100, Policy::Fifo);
    for key in 0..10 {
        let _ = cache.insert(key, 10);
    }
    assert_eq!(cache.insert(9, 25), Inserted::Stored); // 15 more: two entries leave
    assert_eq!((cache.len(), cache.weight()), (8, 95));
    assert!(!cache.contains(&0) && !cache.contains(&1) && cache.contains(&2));
}

/// A18: an entry that needs everything gets everything, however many shards there are.
#[test]
fn one_entry_may_fill_the_cache() {
    let cache = weighed(100_000, 1 << 20, Policy::Lru);
    for key in 0..4_096 {
        let _ = cache.insert(key, 256);
    }
    assert_eq!(cache.insert(9_999, 1 << 20), Inserted::Stored);
    assert_eq!((cache.len(), cache.weight()), (1, 1 << 20));
    assert_eq!(cache.stats().evictions.capacity, 4_096);
}

/// An entry heavier than the cache is refused and counted, and the old value is gone.
#[test]
fn too_heavy_is_refused_and_the_old_value_gone() {
    let cache = weighed(10, 100, Policy::Lru);
    let _ = cache.insert(1, 10);
    assert_eq!(cache.insert(1, 101), Inserted::TooHeavy);
    assert_eq!((cache.get(&1).as_deref().copied(), cache.len(), cache.weight()), (None, 0, 0));
    assert_eq!(cache.stats().evictions.too_heavy, 1);
}

/// A weigher that says 0 does not make the cache unbounded.
#[test]
fn nothing_weighs_nothing() {
    let cache: MemoryCache<u64, ()> =
        MemoryCache::builder().max_weight(10).weigher(|_, ()| 0).build().expect("good options");
    for key in 0..100 {
        let _ = cache.insert(key, ());
    }
    assert_eq!(cache.len(), 10);
}

/// A weigher that changes its mind cannot unbalance the sums.
#[test]
fn an_entry_is_weighed_once() {
    let next = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let cache: MemoryCache<u64, ()> = MemoryCache::builder()
        .max_weight(1_000)
        .weigher(move |_, ()| next.fetch_add(7, Ordering::Relaxed) % 50)
        .build()
        .expect("good options");
    for key in 0..500 {
        let _ = cache.insert(key % 90, ());
    }
    for key in 0..90 {
        cache.remove(&key);
    }
    assert_eq!((cache.len(), cache.weight()), (0, 0));
}

/// F36: without a weigher an entry still weighs something.
#[test]
fn unweighed_entries_weigh_their_size() {
    let cache: MemoryCache<u64, u64> =
        MemoryCache::builder().max_weight(10_000).build().expect("good options");
    for key in 0..1_000 {
        let _ = cache.insert(key, key);
    }
    assert!((10..100).contains(&cache.len()), "{}", cache.len());
}

#[test]
fn options_are_checked() {
    let build = |options: cache_memory::MemoryBuilder<u8, u8>| options.build().map(|_| ());
    let options = MemoryCache::builder;
    assert_eq!(build(options()), Err(BuildError::Unbounded));
    assert_eq!(build(options().max_entries(0)), Err(BuildError::ZeroEntries));
    assert_eq!(build(options().max_entries(1).max_weight(0)), Err(BuildError::ZeroWeight));
    let zero = std::time::Duration::ZERO;
    assert_eq!(build(options().max_entries(1).default_ttl(zero)), Err(BuildError::ZeroTtl));
}

/// A declined insert takes nothing from what was there, even where it would have needed room.
#[test]
fn a_declined_insert_leaves_the_old_value() {
    for policy in POLICIES {
        let cache = weighed(100, 100, policy);
        let _ = cache.insert(1, 10);
        let _ = cache.insert(2, 85);
        assert_eq!(cache.insert_if(1, 50, || false), Inserted::Declined);
        assert_eq!(cache.peek(&1).as_deref().copied(), Some(10), "{policy:?}");
    }
}

/// An overwrite that needs room takes it from others, so that what it builds on is there.
#[test]
fn an_overwrite_does_not_evict_what_it_replaces() {
    for policy in POLICIES {
        let cache: MemoryCache<u64, Vec<u64>> = MemoryCache::builder()
            .max_weight(10)
            .policy(policy)
            .weigher(|_, value: &Vec<u64>| value.len() as u64)
            .build()
            .expect("good options");
        let _ = cache.insert(1, vec![1, 2, 3]);
        let _ = cache.insert(2, vec![0; 7]);
        cache.compute(&1, |value| {
            let mut value = value.cloned().unwrap_or_default();
            value.push(9);
            cache_memory::Compute::Put(value)
        });
        assert_eq!(cache.peek(&1).as_deref(), Some(&vec![1, 2, 3, 9]), "{policy:?}");
    }
}
