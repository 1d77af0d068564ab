//! This crate alone is enough: nothing here names `cache_core`, whatever the signatures do.

use std::sync::Arc;
use std::time::Duration;

use cache_memory::{
    BuildKeyHasher, CacheKey, Clock, Entry, Evictions, Inserted, Lifetime, LocalCache, LocalStats,
    LocalTier, ManualClock, MemoryCache, SystemClock, Tag, TagStamp, Tags, Timestamp,
};

/// Uses whatever a tier can do, by the types that it says.
fn every_call(tier: &impl LocalTier<u8>, now: Timestamp) {
    let key = CacheKey::from_text("k");
    let tags: Tags = [TagStamp { tag: Tag::named("t"), stamp: [0; 16] }].into_iter().collect();
    let entry: Entry<u8> = Entry::new(7, now, Lifetime::new(Duration::from_secs(60)));
    assert_eq!(tier.insert(key, entry.with_tags(tags.clone())), Inserted::Stored);
    assert_eq!(tier.get(&key).map(|entry| entry.tags), Some(tags));
    let stats: LocalStats = tier.stats();
    let evictions: Evictions = stats.evictions;
    assert_eq!((stats.entries, evictions.capacity), (1, 0));
}

#[test]
fn this_crate_alone_is_enough() {
    let clock = Arc::new(ManualClock::default());
    let by_hand = LocalCache::local().max_entries(10).clock(clock.clone()).build();
    every_call(&by_hand.expect("good options"), clock.now());
    let plain: Result<MemoryCache<CacheKey, Entry<u8>, BuildKeyHasher>, _> =
        MemoryCache::builder().hasher(BuildKeyHasher).max_entries(10).build();
    every_call(&plain.expect("good options"), SystemClock.now());
}
