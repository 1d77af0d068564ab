//! A19: each policy does what its name says, in the cases that a textbook would print.

use std::sync::Arc;
use std::time::Duration;

use cache_core::{Clock, Inserted, ManualClock};
use cache_memory::{MemoryCache, Policy};

fn cache(policy: Policy, max_entries: u64) -> (MemoryCache<u32, u32>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let cache = MemoryCache::builder()
        .max_entries(max_entries)
        .policy(policy)
        .clock(clock.clone())
        .build()
        .expect("good options");
    (cache, clock)
}

fn fill(cache: &MemoryCache<u32, u32>, keys: impl IntoIterator<Item = u32>) {
    for key in keys {
        assert_eq!(cache.insert(key, key), Inserted::Stored);
    }
}

fn held(cache: &MemoryCache<u32, u32>, keys: std::ops::Range<u32>) -> Vec<u32> {
    keys.filter(|key| cache.contains(key)).collect()
}

/// A19: uses count in their order, not in the order of insertion, and an overwrite is a use.
#[test]
fn lru_evicts_the_least_recently_used() {
    let (cache, _) = cache(Policy::Lru, 3);
    fill(&cache, [1, 2, 3]);
    cache.get(&2);
    cache.get(&1);
    fill(&cache, [4]); // evicts 3
    assert_eq!(held(&cache, 0..9), [1, 2, 4]);
    fill(&cache, [5]); // evicts 2, used before 1
    assert_eq!(held(&cache, 0..9), [1, 4, 5]);
    fill(&cache, [1, 6]); // 1 is overwritten, so 4 leaves
    assert_eq!(held(&cache, 0..9), [1, 5, 6]);
}

/// A19: looking without `get` is no use.
#[test]
fn peek_contains_and_ttl_are_no_uses() {
    for policy in [Policy::Lru, Policy::Lfu] {
        let (cache, _) = cache(policy, 2);
        fill(&cache, [1, 2]);
        cache.get(&2);
        for _ in 0..9 {
            assert!(cache.peek(&1).is_some() && cache.contains(&1) && cache.ttl(&1).is_some());
        }
        fill(&cache, [3]);
        assert_eq!(held(&cache, 0..9), [2, 3], "{policy:?}");
    }
}

/// A19: in a cache of many shards LRU still keeps what is used and lets go what is not.
#[test]
fn lru_keeps_the_used_ones_at_scale() {
    let (cache, _) = cache(Policy::Lru, 20_000);
    fill(&cache, 0..20_000);
    for hot in 0..2_000 {
        cache.get(&hot); // or they would be the oldest
    }
    for key in 20_000..60_000 {
        if key % 10 == 0 {
            for hot in 0..2_000 {
                if hot % 20 == key / 10 % 20 {
                    cache.get(&hot); // each of the 2,000 once in 200 insertions
                }
            }
        }
        fill(&cache, [key]);
    }
    let hot = held(&cache, 0..2_000).len();
    let cold = held(&cache, 2_000..20_000).len();
    // Not quite all of the hot: an eviction gives second chances to so many entries and no more.
    assert!(hot >= 1_980 && cold == 0, "{hot} hot, {cold} cold");
}

/// A19: the coldest leaves, however recent its use.
#[test]
fn lfu_evicts_the_coldest() {
    let (cache, _) = cache(Policy::Lfu, 4);
    fill(&cache, [1, 2, 3, 4]);
    for (key, uses) in [(1, 5), (2, 3), (4, 2), (3, 1)] {
        for _ in 0..uses {
            cache.get(&key);
        }
    }
    fill(&cache, [5]); // evicts 3, though it was used last
    assert_eq!(held(&cache, 0..9), [1, 2, 4, 5]);
    fill(&cache, [6]); // evicts 5
    assert_eq!(held(&cache, 0..9), [1, 2, 4, 6]);
    fill(&cache, [6, 6, 7]); // 6 is at 3 uses as 4 is: one of them leaves
    assert_eq!(held(&cache, 0..9).len(), 4);
    assert_eq!(held(&cache, 0..4), [1, 2]);
}

/// A19: a scan of keys used once leaves the favourites alone, and they leave when their time is
/// over.
#[test]
fn lfu_resists_scans_and_forgets_old_heroes() {
    let (cache, _) = cache(Policy::Lfu, 100);
    fill(&cache, 0..100);
    for hero in 0..10 {
        for _ in 0..1_000 {
            cache.get(&hero);
        }
    }
    fill(&cache, 100..1_100);
    assert_eq!(held(&cache, 0..100), (0..10).collect::<Vec<_>>());
    fill(&cache, 1_100..6_000);
    assert_eq!(held(&cache, 0..100), [0; 0], "heroes of old stay for ever");
}

/// A19: hits and overwrites do not change who came first.
#[test]
fn fifo_ignores_hits_and_overwrites() {
    let (cache, _) = cache(Policy::Fifo, 3);
    fill(&cache, [1, 2, 3]);
    cache.get(&1);
    fill(&cache, [1]);
    fill(&cache, [4]);
    assert_eq!(held(&cache, 0..9), [2, 3, 4]);
}

/// A19: who expires first leaves first, even if it came last; who never expires, last.
#[test]
fn ttl_evicts_the_earliest_expiry() {
    let (cache, _) = cache(Policy::Ttl, 4);
    fill(&cache, [0]);
    for (key, millis) in [(1, 3_000), (2, 1_000), (3, 999)] {
        let _ = cache.insert_with(key, key, Duration::from_millis(millis));
    }
    cache.get(&3);
    let mut survivors = Vec::new();
    for key in 4..7 {
        let _ = cache.insert_with(key, key, Duration::from_secs(60));
        survivors.push(held(&cache, 0..4));
    }
    assert_eq!(survivors, [vec![0, 1, 2], vec![0, 1], vec![0]]);
}

/// A19, A21: under every policy an expired entry leaves before a live one, and counts as expired.
#[test]
fn expired_leave_first() {
    for policy in [Policy::Lru, Policy::Lfu, Policy::Fifo, Policy::Ttl] {
        let (cache, clock) = cache(policy, 3);
        fill(&cache, [1, 2]);
        let _ = cache.insert_with(3, 3, Duration::from_millis(5));
        cache.get(&3);
        clock.advance(Duration::from_millis(5));
        fill(&cache, [4]);
        assert_eq!(held(&cache, 0..9), [1, 2, 4], "{policy:?}");
        let evictions = cache.stats().evictions;
        assert_eq!((evictions.expired, evictions.capacity), (1, 0), "{policy:?}");
    }
}

/// A19: an overwrite that ends when the old value did keeps its turn among those that end then.
#[test]
fn ttl_keeps_the_turn_of_an_overwrite_that_ends_the_same() {
    let (cache, clock) = cache(Policy::Ttl, 3);
    let end = clock.now().saturating_add(Duration::from_millis(13));
    let put = |key| assert_eq!(cache.insert_with(key, key, end), Inserted::Stored);
    put(1);
    put(2);
    clock.advance(Duration::from_millis(10));
    put(1);
    fill(&cache, [3, 4]); // evicts 1, which has stood there longest
    assert_eq!(held(&cache, 0..9), [2, 3, 4]);
}
