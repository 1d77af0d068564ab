//! The cache as a whole: many entries at a time, other bounds at run time, what it counts.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_core::ManualClock;
use cache_memory::{BuildError, Inserted, Janitor, MemoryCache, Policy};

mod common;
use common::POLICIES;

fn cache(max_entries: u64) -> MemoryCache<u64, u64> {
    MemoryCache::builder().max_entries(max_entries).build().expect("good options")
}

/// A30: batches, in order.
#[test]
fn batches_keep_their_order() {
    let cache = cache(100);
    assert_eq!(cache.insert_many((0..5).map(|key| (key, key * 10))), [Inserted::Stored; 5]);
    let found: Vec<_> =
        cache.get_many(&[4, 9, 0]).iter().map(|found| found.as_deref().copied()).collect();
    assert_eq!(found, [Some(40), None, Some(0)]);
    assert_eq!(cache.remove_many(&[4, 9, 0]), 2);
    assert_eq!(cache.len(), 3);
}

/// Everything live is seen once, nothing expired is; the cache may change meanwhile.
#[test]
fn iteration_sees_what_is_live() {
    let clock = Arc::new(ManualClock::default());
    let cache: MemoryCache<u64, u64> =
        MemoryCache::builder().max_entries(5_000).clock(clock.clone()).build().expect("good");
    for key in 0..4_000 {
        let _ = cache.insert_with(key, key, Duration::from_millis(key % 2 + 1));
    }
    clock.advance(Duration::from_millis(1));
    let keys: Vec<u64> = cache.iter().map(|entry| *entry.key()).collect();
    assert_eq!(keys.len(), 2_000);
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), 2_000);
    assert!(keys.iter().all(|key| key % 2 == 1));
    for entry in cache.iter() {
        let _ = cache.insert(*entry.key() + 10_000, 0);
        drop(cache.remove(entry.key()));
        let value = if *entry.key() < 10_000 { *entry.key() } else { 0 };
        assert_eq!(*entry, value, "what was handed out stays valid");
    }
}

/// A35: retain removes what it saw, and nothing that took its place.
#[test]
fn retain_removes_what_it_saw() {
    let cache = cache(100);
    for key in 0..50 {
        let _ = cache.insert(key, key);
    }
    let removed = cache.retain(|key, value| {
        if *key == 10 && *value == 10 {
            let _ = cache.insert(10, 1_000); // the predicate itself is the concurrent writer
        }
        *value % 2 == 1
    });
    assert_eq!(removed, 24);
    assert_eq!(cache.peek(&10).as_deref().copied(), Some(1_000), "it was not seen");
    assert_eq!(cache.len(), 26);
    assert!(cache.iter().all(|entry| *entry % 2 == 1 || *entry == 1_000));
}

/// The bounds can be changed at run time, and hold when the call returns.
#[test]
fn bounds_can_be_changed() {
    for policy in POLICIES {
        let cache: MemoryCache<u64, u64> = MemoryCache::builder()
            .max_entries(2_000)
            .max_weight(100_000)
            .weigher(|_, _| 10)
            .policy(policy)
            .build()
            .expect("good options");
        for key in 0..2_000 {
            let _ = cache.insert(key, key);
        }
        cache.set_max_entries(500).expect("not zero");
        assert_eq!((cache.len(), cache.weight(), cache.max_entries()), (500, 5_000, 500));
        cache.set_max_weight(1_000).expect("not zero");
        assert_eq!((cache.len(), cache.weight(), cache.max_weight()), (100, 1_000, 1_000));
        assert_eq!(cache.stats().evictions.capacity, 1_900, "{policy:?}");
        cache.set_max_entries(1_000).expect("not zero");
        cache.set_max_weight(u64::MAX).expect("not zero");
        for key in 0..3_000 {
            let _ = cache.insert(key, key);
        }
        assert_eq!(cache.len(), 1_000, "{policy:?}");
        assert_eq!(cache.set_max_entries(0), Err(BuildError::ZeroEntries));
        assert_eq!(cache.set_max_weight(0), Err(BuildError::ZeroWeight));
    }
}

/// Bounds that shrink and grow under four writers are kept in the end.
#[test]
fn bounds_can_be_changed_under_fire() {
    let cache = cache(1_000);
    std::thread::scope(|threads| {
        for thread in 0..4_u64 {
            let cache = &cache;
            threads.spawn(move || {
                for step in 0..20_000 {
                    let _ = cache.insert(step * 4 + thread, step);
                }
            });
        }
        for round in 0..200 {
            cache.set_max_entries(1 + round * 37 % 700).expect("not zero");
        }
        cache.set_max_entries(300).expect("not zero");
    });
    let _ = cache.insert(0, 0);
    cache.set_max_entries(300).expect("not zero");
    assert_eq!(cache.len(), cache.iter().count());
    assert!(cache.len() <= 300, "{}", cache.len());
}

/// A73, A74: lookups are counted if asked for, each once; looking does not count.
#[test]
fn lookups_are_counted_on_demand() {
    let counting: MemoryCache<u64, u64> =
        MemoryCache::builder().max_entries(10).count_lookups(true).build().expect("good options");
    for cache in [&counting, &cache(10)] {
        let _ = cache.insert(1, 1);
        for key in [1, 1, 2] {
            drop(cache.get(&key));
            drop(cache.peek(&key));
            let _ = cache.contains(&key);
        }
        cache.get_or_insert_with(1, || 1);
        cache.get_or_insert_with(3, || 3);
    }
    assert_eq!((counting.stats().hits, counting.stats().misses), (3, 2));
    let silent = cache(10);
    drop(silent.get(&1));
    assert_eq!((silent.stats().hits, silent.stats().misses), (0, 0));
}

/// A70: a janitor reclaims while nobody writes, keeps no cache alive, and stops.
#[test]
fn a_janitor_reclaims_and_stops() {
    let cache: MemoryCache<u64, Arc<u64>> = MemoryCache::builder()
        .max_entries(100)
        .default_ttl(Duration::from_millis(5))
        .build()
        .expect("good options");
    let janitor = Janitor::start(&cache, Duration::from_millis(2)).expect("a thread");
    let value = Arc::new(1);
    for key in 0..50 {
        let _ = cache.insert(key, Arc::clone(&value));
    }
    let start = Instant::now();
    while !cache.is_empty() {
        assert!(start.elapsed() < Duration::from_secs(20), "nothing was reclaimed");
        std::thread::yield_now();
    }
    assert_eq!(Arc::strong_count(&value), 1);
    assert!(janitor.is_running());
    drop(cache);
    while janitor.is_running() {
        assert!(start.elapsed() < Duration::from_secs(20), "it outlives its cache");
        std::thread::yield_now();
    }
}

/// A hit allocates nothing, whatever is switched on.
#[test]
fn hits_allocate_nothing() {
    for policy in POLICIES {
        let cache: MemoryCache<u64, Arc<str>> = MemoryCache::builder()
            .max_entries(10_000)
            .policy(policy)
            .default_ttl(Duration::from_secs(60))
            .time_to_idle(Duration::from_secs(30))
            .count_lookups(true)
            .build()
            .expect("good options");
        for key in 0..1_000 {
            let _ = cache.insert(key, "answer".into());
        }
        let hits = || (0..1_000).filter(|key| cache.get(key).is_some()).count();
        assert_eq!(hits(), 1_000); // the thread's counters are made
        let mut found = 0;
        let allocated = allocation_counter::measure(|| found = hits());
        assert_eq!((found, allocated.count_total), (1_000, 0), "{policy:?}");
    }
}

/// An insertion into a full cache takes the allocation of the entry that leaves for it, unless somebody
/// has a handle on that one.
#[test]
fn evicting_insertions_allocate_nothing() {
    for policy in [Policy::Fifo, Policy::TinyLfu] {
        let cache: MemoryCache<u64, u64> =
            MemoryCache::builder().max_entries(100).policy(policy).build().expect("good options");
        let fill = |keys: std::ops::Range<u64>| {
            for key in keys {
                assert_eq!(cache.insert(key, !key), Inserted::Stored);
            }
        };
        fill(0..2_000); // what stands beside the map has grown
        let allocated = allocation_counter::measure(|| fill(2_000..2_100));
        assert_eq!(allocated.count_total, 0, "{policy:?}");

        let handles: Vec<_> = cache.iter().collect();
        let allocated = allocation_counter::measure(|| fill(2_100..2_200));
        assert!(allocated.count_total > 0, "{policy:?}");
        for handle in handles {
            assert_eq!(*handle, !*handle.key(), "{policy:?}: it is not written over");
        }
    }
}

/// Two setters at once do not undo each other.
#[test]
fn bounds_are_set_one_by_one() {
    let cache = cache(1_000);
    for round in 1..2_000 {
        std::thread::scope(|threads| {
            threads.spawn(|| cache.set_max_entries(round).expect("not zero"));
            threads.spawn(|| cache.set_max_weight(round * 1_000).expect("not zero"));
        });
        assert_eq!((cache.max_entries(), cache.max_weight()), (round, round * 1_000));
    }
}

/// A drop that panics while a bound is lowered leaves the cache over it only until the next insert.
#[test]
fn a_lowered_bound_is_reached_in_the_end() {
    struct Bomb(bool);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(!self.0 || std::thread::panicking(), "a drop that panics");
        }
    }
    let cache: MemoryCache<u64, Bomb> =
        MemoryCache::builder().max_entries(20).policy(Policy::Fifo).build().expect("good options");
    for key in 0..20 {
        let _ = cache.insert(key, Bomb(key == 0));
    }
    let lowered = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        cache.set_max_entries(5).expect("not zero");
    }));
    assert!(lowered.is_err());
    let _ = cache.insert(100, Bomb(false));
    assert!(cache.len() <= 5, "{} of 5", cache.len());
}

/// One heavy entry takes the room of as many light ones as it weighs, and gives it back.
#[test]
fn a_heavy_entry_takes_its_room_and_gives_it_back() {
    let cache: MemoryCache<u64, u64> = MemoryCache::builder()
        .max_entries(8_000)
        .max_weight(8_000)
        .weigher(|_, &weight| weight)
        .build()
        .expect("good options");
    for key in 0..8_000 {
        let _ = cache.insert(key, 1);
    }
    let _ = cache.insert(9_000, 4_000);
    assert_eq!((cache.len(), cache.weight()), (4_001, 8_000));
    drop(cache.remove(&9_000));
    for key in 10_000..20_000 {
        let _ = cache.insert(key, 1);
    }
    assert_eq!(cache.len(), 8_000);
}
