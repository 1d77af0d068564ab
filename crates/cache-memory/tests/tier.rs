//! `MemoryCache` as a `LocalTier`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cache_core::{
    BuildKeyHasher, CacheKey, Clock, Entry, Inserted, Lifetime, LocalTier, ManualClock,
};
use cache_memory::{ENTRY_OVERHEAD, LocalCache, MemoryCache};

fn key(number: u64) -> CacheKey {
    CacheKey::from_text(&number.to_string())
}

fn tier(max_weight: u64) -> (LocalCache<u64>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let tier = LocalCache::local()
        .max_weight(max_weight)
        .clock(clock.clone())
        .build()
        .expect("good options");
    (tier, clock)
}

/// Through the trait alone, as `DualCache` does.
fn put(tier: &impl LocalTier<u64>, key: CacheKey, entry: Entry<u64>) -> Inserted {
    tier.insert(key, entry)
}

/// A23, F13, F14: an entry ends when it says, whoever stores it and whatever the default is.
#[test]
fn entries_bring_their_own_end() {
    let clock = Arc::new(ManualClock::default());
    let presets = LocalCache::local().clock(clock.clone()).default_ttl(Duration::from_secs(9));
    let plain = MemoryCache::builder().clock(clock.clone()).default_ttl(Duration::from_millis(2));
    let presets = presets.max_entries(10).build().expect("good options");
    let plain = plain.hasher(BuildKeyHasher).max_entries(10).build().expect("good options");
    let lifetime = Lifetime::new(Duration::from_millis(5)).with_grace(Duration::from_millis(5));
    let entry = Entry::new(7, clock.now(), lifetime);

    clock.advance(Duration::from_millis(4)); // a fill: what is left goes in, not what was set
    assert_eq!(put(&presets, key(1), entry.clone()), Inserted::Stored);
    assert_eq!(presets.insert(key(2), entry.clone()), Inserted::Stored); // not the trait's
    assert_eq!(put(&plain, key(1), entry.clone()), Inserted::Stored);
    for (tier, number) in [(&presets, 1), (&presets, 2), (&plain, 1)] {
        assert_eq!(tier.ttl(&key(number)), Some(Duration::from_millis(6)));
        assert_eq!(LocalTier::get(tier, &key(number)), Some(entry.clone()));
    }
    clock.advance(Duration::from_millis(6));
    for (tier, number) in [(&presets, 1), (&presets, 2), (&plain, 1)] {
        assert_eq!(LocalTier::get(tier, &key(number)), None);
    }
    assert_eq!(put(&presets, key(1), entry), Inserted::Expired);
}

/// An entry weighs what it says and the overhead.
#[test]
fn entries_bring_their_own_weight() {
    let (tier, clock) = tier(1_000 + 2 * ENTRY_OVERHEAD);
    let entry = |weight| {
        Entry::new(7, clock.now(), Lifetime::new(Duration::from_secs(5))).with_weight(weight)
    };
    assert_eq!(put(&tier, key(1), entry(400)), Inserted::Stored);
    assert_eq!(put(&tier, key(2), entry(600)), Inserted::Stored);
    assert_eq!(LocalTier::weight(&tier), 1_000 + 2 * ENTRY_OVERHEAD);
    assert_eq!(put(&tier, key(2), entry(601)), Inserted::Stored);
    assert_eq!(LocalTier::len(&tier), 1);
    assert_eq!(put(&tier, key(2), entry(u64::MAX)), Inserted::TooHeavy);
    assert!(LocalTier::is_empty(&tier));
    let stats = LocalTier::stats(&tier);
    assert_eq!((stats.writes, stats.evictions.capacity, stats.evictions.too_heavy), (3, 1, 1));
}

/// A declined entry leaves what is there, also when it could not have been stored.
#[test]
fn declined_changes_nothing() {
    let (tier, clock) = tier(1_000);
    let entry = Entry::new(7, clock.now(), Lifetime::new(Duration::from_millis(5)));
    assert_eq!(put(&tier, key(1), entry.clone()), Inserted::Stored);
    let heavy = entry.clone().with_weight(5_000);
    let mut expired = entry.clone();
    expired.expires_at = clock.now();
    for refused in [entry.clone(), heavy.clone(), expired.clone()] {
        assert_eq!(tier.insert_if(key(1), refused.clone(), || false), Inserted::Declined);
        assert_eq!(tier.insert_if(key(2), refused, || false), Inserted::Declined);
        assert_eq!((tier.get(&key(1)).as_deref().cloned(), tier.len()), (Some(entry.clone()), 1));
    }
    assert_eq!(tier.insert_if(key(1), expired, || true), Inserted::Expired);
    assert!(!LocalTier::remove(&tier, &key(1)));
    assert_eq!(tier.weight(), 0);
}

/// A34 (the part of this tier): a writer that asked its fence before a removal began cannot leave
/// its value behind, neither against `remove` nor against `clear`.
#[test]
fn insert_if_is_atomic_with_remove_and_clear() {
    for clear in [false, true] {
        let (tier, clock) = tier(1 << 20);
        let fence = AtomicU64::new(0);
        let lifetime = Lifetime::new(Duration::from_secs(60));
        let rounds = 20_000;
        let removals_over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                loop {
                    // Asked first: what is written after the last removal stays, and what is
                    // written beside it may well be removed.
                    let is_last = removals_over.load(Ordering::SeqCst);
                    let seen = fence.load(Ordering::SeqCst);
                    let entry = Entry::new(seen, clock.now(), lifetime);
                    let _ = tier.insert_if(key(1), entry, || fence.load(Ordering::SeqCst) == seen);
                    if is_last {
                        break;
                    }
                }
            });
            let stale = (1..=rounds).find(|&round| {
                fence.store(round, Ordering::SeqCst);
                if clear {
                    LocalTier::<u64>::clear(&tier);
                } else {
                    LocalTier::<u64>::remove(&tier, &key(1));
                }
                // Whatever is there now was fetched after the invalidation.
                LocalTier::get(&tier, &key(1)).is_some_and(|entry| entry.value != round)
            });
            removals_over.store(true, Ordering::SeqCst);
            assert_eq!(stale, None, "the round whose removal left an older value");
        });
        assert_eq!(LocalTier::get(&tier, &key(1)).map(|entry| entry.value), Some(rounds));
    }
}
