//! Time to idle, presets, and what of them can be told from outside (A22).

use std::sync::Arc;
use std::time::Duration;

use cache_core::ManualClock;
use cache_memory::{BuildError, InsertOptions, MemoryCache, Preset};

mod common;
use common::POLICIES;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn idle(idle: Duration) -> (MemoryCache<u32, u32>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let cache = MemoryCache::builder().max_entries(100).time_to_idle(idle).clock(clock.clone());
    (cache.build().expect("good options"), clock)
}

/// A22: whoever is used lives on, whoever is not ends, to the millisecond.
#[test]
fn use_keeps_alive() {
    let (cache, clock) = idle(ms(100));
    let _ = cache.insert(1, 1);
    let _ = cache.insert(2, 2);
    for _ in 0..5 {
        clock.advance(ms(99));
        assert!(cache.get(&1).is_some());
    }
    assert!(cache.get(&2).is_none(), "nobody used it");
    assert_eq!(cache.ttl(&1), Some(ms(100)));
    clock.advance(ms(99));
    assert!(cache.peek(&1).is_some() && cache.contains(&1), "to look is no use");
    clock.advance(ms(1));
    assert!(cache.get(&1).is_none() && cache.peek(&1).is_none() && !cache.contains(&1));
    assert_eq!((cache.ttl(&1), cache.iter().count()), (None, 0));
}

/// A22: of both times the earlier counts, and use never extends a time to live.
#[test]
fn use_does_not_extend_a_time_to_live() {
    let (cache, clock) = idle(ms(100));
    let _ = cache.insert_with(1, 1, ms(250));
    for _ in 0..4 {
        clock.advance(ms(60));
        assert!(cache.get(&1).is_some());
    }
    assert_eq!(cache.ttl(&1), Some(ms(10)));
    clock.advance(ms(10));
    assert!(cache.get(&1).is_none());
    assert_eq!(cache.remove_expired(), 1);
}

/// A21, A22: idle entries are reclaimed by writes, those in use are not, under every policy; and what
/// counts as expired was not evicted.
#[test]
fn writes_reclaim_the_idle_only() {
    for policy in POLICIES {
        let clock = Arc::new(ManualClock::default());
        let cache: MemoryCache<u32, u32> = MemoryCache::builder()
            .max_entries(1_000)
            .policy(policy)
            .time_to_idle(ms(50))
            .clock(clock.clone())
            .build()
            .expect("good options");
        for key in 0..200 {
            let _ = cache.insert(key, key);
        }
        for _ in 0..4 {
            clock.advance(ms(40));
            assert!((0..100).all(|key| cache.get(&key).is_some()), "{policy:?}");
        }
        for key in 1_000..1_200 {
            let _ = cache.insert(key, key);
        }
        assert_eq!(cache.len(), 300, "{policy:?}");
        assert_eq!(cache.stats().evictions.expired, 100, "{policy:?}");
        assert_eq!(cache.stats().evictions.capacity, 0, "{policy:?}");
        assert!((0..100).all(|key| cache.contains(&key)), "{policy:?}");
    }
}

/// An overwrite begins a new life, idle or not.
#[test]
fn an_overwrite_begins_anew() {
    let (cache, clock) = idle(ms(100));
    let _ = cache.insert(1, 1);
    clock.advance(ms(99));
    let _ = cache.insert(1, 2);
    clock.advance(ms(99));
    assert_eq!(cache.get(&1).as_deref().copied(), Some(2));
}

/// A22: presets are starting points: what is set afterwards counts.
#[test]
fn presets_can_be_changed() {
    for preset in [Preset::Default, Preset::Aggressive, Preset::Conservative] {
        let clock = Arc::new(ManualClock::default());
        let cache: MemoryCache<u32, u32> = MemoryCache::builder()
            .preset(preset)
            .max_entries(7)
            .clock(clock.clone())
            .build()
            .expect("good options");
        let _ = cache.insert(1, 1);
        assert_eq!(cache.max_entries(), 7);
        let weight = match preset {
            Preset::Default => 64 << 20,
            Preset::Aggressive => 1 << 30,
            Preset::Conservative => 16 << 20,
        };
        assert_eq!(cache.max_weight(), weight);
        let lives = match preset {
            Preset::Default => 15 * 60,
            Preset::Aggressive => 24 * 60 * 60,
            Preset::Conservative => 60,
        };
        assert_eq!(cache.ttl(&1), Some(Duration::from_secs(lives)), "{preset:?}");
        clock.advance(Duration::from_secs(lives));
        assert!(cache.get(&1).is_none());
    }
    let zero = MemoryCache::<u8, u8>::builder().max_entries(1).time_to_idle(Duration::ZERO).build();
    assert_eq!(zero.err(), Some(BuildError::ZeroIdle));
}

/// With the system's own clock, which hits read as little of as they can.
#[test]
fn the_system_clock_will_do() {
    let cache: MemoryCache<u32, u32> = MemoryCache::builder()
        .max_entries(10)
        .default_ttl(Duration::from_secs(60))
        .time_to_idle(ms(60))
        .build()
        .expect("good options");
    let _ = cache.insert(1, 1);
    let _ = cache.insert_with(2, 2, InsertOptions::new().ttl(ms(30)));
    let start = std::time::Instant::now();
    while cache.contains(&2) {
        drop(cache.get(&1));
        assert!(start.elapsed() < Duration::from_secs(20), "it never expires");
    }
    assert!(start.elapsed() >= ms(29), "it expired early");
    assert!(start.elapsed() > ms(300) || cache.get(&1).is_some(), "it was in use");
    while cache.contains(&1) {
        assert!(start.elapsed() < Duration::from_secs(20), "it never goes idle");
    }
    assert!(start.elapsed() >= ms(60));
}

/// However many entries use has kept alive, all that went idle are found.
#[test]
fn all_idle_entries_are_reclaimed_at_once() {
    let clock = Arc::new(ManualClock::default());
    let cache: MemoryCache<u32, u32> = MemoryCache::builder()
        .max_entries(200)
        .time_to_idle(ms(50))
        .clock(clock.clone())
        .build()
        .expect("good options");
    for key in 0..200 {
        let _ = cache.insert(key, key);
    }
    clock.advance(ms(40));
    assert!((0..100).all(|key| cache.get(&key).is_some()));
    clock.advance(ms(10));
    assert_eq!(cache.remove_expired(), 100);
    assert_eq!(cache.len(), 100);
}
