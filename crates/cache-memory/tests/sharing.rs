//! What values and handles are promised: shared, not copied; dropped once; free to call back.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cache_core::ManualClock;
use cache_memory::{Inserted, MemoryCache};

mod common;
use common::POLICIES;

/// A32: hits hand out the one allocation that was stored.
#[test]
fn hits_share_one_allocation() {
    let cache: MemoryCache<&str, Arc<str>> =
        MemoryCache::builder().max_entries(10).build().expect("good options");
    let answer: Arc<str> = "answer".into();
    let _ = cache.insert("question", answer.clone());
    for _ in 0..9 {
        assert!(Arc::ptr_eq(&cache.get("question").expect("a hit"), &answer));
    }
}

/// A71, F60: a clone is another handle on the same cache.
#[test]
fn clones_share_state() {
    let cache: MemoryCache<u8, u8> =
        MemoryCache::builder().max_entries(10).build().expect("good options");
    let other = cache.clone();
    let _ = cache.insert(1, 1);
    assert_eq!(other.remove(&1).as_deref().copied(), Some(1));
    assert!(cache.is_empty());
}

/// A35: only a value that matches goes, and none that came while the predicate was asked.
#[test]
fn remove_if_removes_what_it_saw() {
    let cache: MemoryCache<u8, u8> =
        MemoryCache::builder().max_entries(10).build().expect("good options");
    let _ = cache.insert(1, 1);
    assert_eq!(cache.remove_if(&1, |&value| value == 2).as_deref().copied(), None);
    assert_eq!(cache.remove_if(&2, |_| true).as_deref().copied(), None);

    // The predicate itself is the concurrent writer: it runs under no lock.
    let replaced = cache.remove_if(&1, |&value| {
        let _ = cache.insert_with(1, 7, Duration::from_secs(9));
        value == 1
    });
    assert!(replaced.is_none());
    assert_eq!(cache.get(&1).as_deref().copied(), Some(7), "the replacement survives");
    assert!(cache.ttl(&1).is_some_and(|left| left <= Duration::from_secs(9)), "with its end");
    assert_eq!(cache.remove_if(&1, |&value| value == 7).as_deref().copied(), Some(7));
    assert_eq!(cache.stats().removals, 1);
}

/// A value that writes to its cache when it is dropped, under a key of its own.
struct Echo {
    cache: Arc<OnceLock<MemoryCache<u64, Arc<Echo>>>>,
    key: u64,
    depth: u32,
}

impl Drop for Echo {
    fn drop(&mut self) {
        if let (Some(cache), Some(depth)) = (self.cache.get(), self.depth.checked_sub(1)) {
            let echo = Echo { cache: self.cache.clone(), key: self.key ^ 1, depth };
            let _ = cache.insert(self.key ^ 1, Arc::new(echo));
            cache.remove(&(self.key ^ 2));
            cache.get(&self.key);
        }
    }
}

/// No lock and no part of the budget is held while values are dropped, on any way out: a deadlock
/// here would be a test that never ends.
#[test]
fn dropping_values_may_call_the_cache() {
    for policy in POLICIES {
        for max_entries in [1, 2, 5] {
            let clock = Arc::new(ManualClock::default());
            let cell = Arc::new(OnceLock::new());
            let cache = MemoryCache::builder()
                .max_entries(max_entries)
                .policy(policy)
                .clock(clock.clone())
                .build()
                .expect("good options");
            assert!(cell.set(cache.clone()).is_ok());
            for key in 0..64 {
                let echo = Echo { cache: cell.clone(), key, depth: 3 };
                let _ = cache.insert_with(key % 9, Arc::new(echo), Duration::from_millis(5));
                let echo = Echo { cache: cell.clone(), key, depth: 3 };
                let _ = cache.insert_with(key % 9, Arc::new(echo), Duration::ZERO);
                clock.advance(Duration::from_millis(1));
                if key % 8 == 0 {
                    cache.clear();
                }
                cache.remove(&(key % 7));
                cache.remove_expired();
                assert!(cache.len() as u64 <= max_entries);
            }
            while !cache.is_empty() {
                cache.clear(); // values that hold their cache would leak
            }
        }
    }
}

/// A value that counts itself out.
#[derive(Clone)]
struct Counted(#[expect(dead_code, reason = "only its drop matters")] Arc<Dropped>);
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Every value is dropped exactly once: overwritten, evicted, removed, expired, refused, cleared or
/// left in the cache when it is dropped.
#[test]
fn every_value_is_dropped_once() {
    for policy in POLICIES {
        let dropped = Arc::new(AtomicUsize::new(0));
        let clock = Arc::new(ManualClock::default());
        let cache: MemoryCache<u32, Counted> = MemoryCache::builder()
            .max_entries(300)
            .max_weight(10_000)
            .weigher(|key, _| if key % 100 == 99 { 10_001 } else { 30 })
            .policy(policy)
            .clock(clock.clone())
            .build()
            .expect("good options");
        let made = AtomicUsize::new(0);
        std::thread::scope(|threads| {
            for thread in 0..4_u32 {
                let (cache, made, dropped, clock) = (&cache, &made, &dropped, &clock);
                threads.spawn(move || {
                    for step in 0..3_000_u32 {
                        let key = step.wrapping_mul(2_654_435_761).wrapping_add(thread) % 1_000;
                        let value = Counted(Arc::new(Dropped(dropped.clone())));
                        made.fetch_add(1, Ordering::Relaxed);
                        let ttl = Duration::from_millis(u64::from(step % 40));
                        match cache.insert_with(key, value, ttl) {
                            Inserted::TooHeavy => assert_eq!(key % 100, 99),
                            Inserted::Expired => assert_eq!(step % 40, 0),
                            Inserted::Stored | Inserted::Declined => {}
                        }
                        match step % 1_000 {
                            999 => cache.clear(),
                            even if even % 2 == 0 => clock.advance(Duration::from_millis(1)),
                            _ => drop(cache.remove(&(key / 2))),
                        }
                    }
                });
            }
        });
        let alive = made.load(Ordering::Relaxed) - dropped.load(Ordering::Relaxed);
        assert_eq!(alive, cache.len(), "{policy:?}: what is not held is dropped already");
        drop(cache);
        assert_eq!(dropped.load(Ordering::Relaxed), made.load(Ordering::Relaxed), "{policy:?}");
    }
}

/// A condition, weigher or clock that panics leaves a cache that works and owes nothing.
#[test]
fn panics_of_the_caller_leave_no_trace() {
    let cache: MemoryCache<u8, u8> = MemoryCache::builder()
        .max_entries(1)
        .weigher(|_, &value| u64::from(value).checked_sub(1).expect("a weigher that panics"))
        .build()
        .expect("good options");
    let _ = cache.insert(1, 5);
    for (key, value) in [(1, 5), (2, 5), (1, 0), (2, 0)] {
        let insert = || cache.insert_if(key, value, || panic!("a condition that panics"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(insert)).is_err());
    }
    assert_eq!(cache.insert(3, 9), Inserted::Stored);
    assert_eq!((cache.len(), cache.weight(), cache.get(&3).as_deref().copied()), (1, 8, Some(9)));
}
