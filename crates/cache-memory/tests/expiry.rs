//! Time to live, to the millisecond, on a clock that the tests set.

use std::sync::Arc;
use std::time::Duration;

use cache_core::{Clock, Inserted, ManualClock};
use cache_memory::{MemoryCache, Policy};

mod common;
use common::POLICIES;

fn cache(policy: Policy) -> (MemoryCache<u32, u32>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let cache = MemoryCache::builder()
        .max_entries(100_000)
        .weigher(|_, _| 10)
        .policy(policy)
        .clock(clock.clone())
        .build()
        .expect("good options");
    (cache, clock)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A21, A25: alive until the last millisecond, then absent for every method.
#[test]
fn expired_is_absent_to_the_millisecond() {
    for policy in POLICIES {
        let (cache, clock) = cache(policy);
        assert_eq!(cache.insert_with(1, 1, Duration::from_micros(1_500)), Inserted::Stored);
        clock.advance(ms(1)); // 1.5 ms count as 2
        assert_eq!(
            (
                cache.get(&1).as_deref().copied(),
                cache.peek(&1).as_deref().copied(),
                cache.contains(&1)
            ),
            (Some(1), Some(1), true)
        );
        clock.advance(ms(1));
        assert_eq!(
            (
                cache.get(&1).as_deref().copied(),
                cache.peek(&1).as_deref().copied(),
                cache.contains(&1)
            ),
            (None, None, false)
        );
        assert_eq!(
            (cache.ttl(&1), cache.remove_if(&1, |_| true).as_deref().copied()),
            (None, None)
        );
        assert_eq!(cache.remove(&1).as_deref().copied(), None);
        assert_eq!(cache.stats().removals, 0);
        assert_eq!((cache.len(), cache.weight()), (0, 0), "released by the removal");
    }
}

/// A27: at most what was set, less and less, `None` when absent.
#[test]
fn ttl_counts_down() {
    let (cache, clock) = cache(Policy::Lru);
    assert_eq!(cache.ttl(&1), None);
    let _ = cache.insert_with(1, 1, ms(300));
    assert_eq!(cache.ttl(&1), Some(ms(300)));
    clock.advance(ms(299));
    assert_eq!(cache.ttl(&1), Some(ms(1)));
    clock.advance(ms(1));
    assert_eq!(cache.ttl(&1), None);
    let _ = cache.insert(2, 2);
    assert_eq!(cache.ttl(&2), Some(Duration::MAX));
}

/// What ends: the earlier of what the call and the value say, else the default.
#[test]
fn the_earlier_end_wins() {
    let clock = Arc::new(ManualClock::default());
    let start = clock.now();
    let cache: MemoryCache<u32, u64> = MemoryCache::builder()
        .max_entries(10)
        .default_ttl(ms(50))
        .clock(clock.clone())
        .build()
        .expect("good options");
    let _ = cache.insert(1, 0);
    let _ = cache.insert_with(2, 0, start.saturating_add(ms(70)));
    assert_eq!((cache.ttl(&1), cache.ttl(&2)), (Some(ms(50)), Some(ms(70))));

    let cache: MemoryCache<u32, u64> = MemoryCache::builder()
        .max_entries(10)
        .default_ttl(ms(50))
        .expires_at(move |_, &millis| start.saturating_add(ms(millis)))
        .clock(clock)
        .build()
        .expect("good options");
    let _ = cache.insert(1, 90);
    let _ = cache.insert_with(2, 90, ms(60));
    let _ = cache.insert_with(3, 90, ms(600));
    let left = [1, 2, 3].map(|key| cache.ttl(&key));
    assert_eq!(left, [Some(ms(90)), Some(ms(60)), Some(ms(90))]);
}

/// A new value has a new end; an end in the past stores nothing and removes the old value.
#[test]
fn overwriting_renews_the_end() {
    for policy in POLICIES {
        let (cache, clock) = cache(policy);
        let _ = cache.insert_with(1, 1, ms(10));
        assert_eq!(cache.insert_with(1, 2, ms(100)), Inserted::Stored);
        clock.advance(ms(50));
        let _ = cache.insert(2, 2); // would reclaim by the old deadline
        assert_eq!(cache.get(&1).as_deref().copied(), Some(2), "{policy:?}");
        assert_eq!(cache.insert_with(1, 3, Duration::ZERO), Inserted::Expired);
        assert_eq!(cache.get(&1).as_deref().copied(), None, "{policy:?}");
        assert_eq!(cache.insert_with(2, 3, clock.now()), Inserted::Expired);
        assert_eq!((cache.len(), cache.weight()), (0, 0), "{policy:?}");
    }
}

/// A21: writes reclaim what expired, several for each that they add; nobody scans, nobody waits.
#[test]
fn writes_reclaim() {
    for policy in POLICIES {
        let (cache, clock) = cache(policy);
        for key in 0..20_000 {
            let _ = cache.insert_with(key, key, ms(u64::from(key) % 977 + 1));
        }
        clock.advance(ms(977));
        for key in 20_000..25_000 {
            let _ = cache.insert(key, key);
        }
        assert_eq!((cache.len(), cache.weight()), (5_000, 50_000), "{policy:?}");
        assert_eq!(cache.stats().evictions.expired, 20_000, "{policy:?}");
        assert_eq!(cache.stats().evictions.capacity, 0, "{policy:?}");
    }
}

/// A21: all at once, for caches that nobody writes to any more.
#[test]
fn remove_expired_reclaims_all_and_only_those() {
    for policy in POLICIES {
        let (cache, clock) = cache(policy);
        for key in 0..3_000 {
            let _ = cache.insert_with(key, key, ms(u64::from(key % 3) + 1));
        }
        clock.advance(ms(2));
        assert_eq!(cache.remove_expired(), 2_000, "{policy:?}");
        assert_eq!(cache.remove_expired(), 0, "{policy:?}");
        assert_eq!((cache.len(), cache.weight()), (1_000, 10_000), "{policy:?}");
    }
}
