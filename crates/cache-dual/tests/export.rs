//! A31: memory to a file and back, and filled before anybody asks.
#![allow(clippy::unwrap_used, reason = "what a test's helper unwraps is what it expects")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache_core::{Clock as _, ManualClock, Timestamp};
use cache_dual::codec::{Bincode, Raw};
use cache_dual::{DualCache, ExportError, InsertOptions, Tag};
use common::{TTL, World, bytes, key};

const PLAIN: InsertOptions = InsertOptions::new();

fn alone(clock: &Arc<ManualClock>) -> DualCache<Bytes> {
    DualCache::builder().clock(clock.clone()).tune(|options| options.ttl = TTL).build().unwrap()
}

async fn file(clock: &Arc<ManualClock>) -> Vec<u8> {
    let cache = alone(clock);
    for name in ["a", "b", "c"] {
        let tags = [Tag::named(name)];
        let _ = cache.query(&key(name)).tags(&tags).insert(bytes(name), PLAIN).await;
    }
    let mut file = Vec::new();
    assert_eq!(cache.export(&Raw, &mut file).unwrap(), 3);
    file
}

/// What is brought back has what it had left to live; doing it again changes nothing.
#[tokio::test]
async fn what_was_exported_comes_back() {
    let clock = Arc::new(ManualClock::default());
    let file = file(&clock).await;
    clock.advance(TTL / 2);
    let cache = alone(&clock);
    let imported = cache.import(&Raw, &mut &file[..]).unwrap();
    assert_eq!((imported.entries, imported.skipped), (3, 0));
    let again = cache.import(&Raw, &mut &file[..]).unwrap();
    assert_eq!((again.entries, again.skipped), (0, 3));
    let hit = cache.get(&key("a")).await.unwrap();
    assert_eq!((hit.value, hit.expires_at.saturating_since(clock.now())), (bytes("a"), TTL / 2));
    cache.remove_tag(&Tag::named("a")).await.unwrap();
    assert!(cache.get(&key("a")).await.is_none() && cache.get(&key("b")).await.is_some());
    clock.advance(TTL / 2);
    assert!(cache.get(&key("b")).await.is_none());
    assert_eq!(alone(&clock).import(&Raw, &mut &file[..]).unwrap().entries, 0, "all over");
}

/// A26: a file from a clock that is ahead lengthens no life.
#[tokio::test]
async fn a_file_from_the_future_lengthens_no_life() {
    let ahead = Arc::new(ManualClock::default());
    ahead.advance(Duration::from_secs(3_600));
    let file = file(&ahead).await;
    let clock = Arc::new(ManualClock::default());
    let cache = alone(&clock);
    assert_eq!(cache.import(&Raw, &mut &file[..]).unwrap().entries, 3);
    assert!(cache.ttl(&key("a")).await.unwrap() <= TTL);
}

/// A37: what was cleared or invalidated here, or elsewhere meanwhile, does not come back.
#[tokio::test]
async fn what_was_invalidated_does_not_come_back() {
    let clock = Arc::new(ManualClock::default());
    let old = file(&clock).await;
    let cache = alone(&clock);
    cache.clear().await.unwrap();
    assert_eq!(cache.import(&Raw, &mut &old[..]).unwrap().entries, 0);

    let world = World::new();
    let (process, tag) = (world.process(), Tag::named("t"));
    for name in ["removed", "kept"] {
        let _ = process.cache.insert(key(name), bytes(name), PLAIN).await;
    }
    let _ = process.cache.query(&key("tagged")).tags(&[tag]).insert(bytes("v"), PLAIN).await;
    let mut file = Vec::new();
    process.cache.export(&Raw, &mut file).unwrap();
    process.cache.remove(&key("removed")).await.unwrap();
    process.cache.remove_tag(&tag).await.unwrap();
    let restarted = world.process().cache;
    assert_eq!(restarted.import(&Raw, &mut &file[..]).unwrap().entries, 3);
    assert!(restarted.get(&key("removed")).await.is_none());
    assert!(restarted.get(&key("tagged")).await.is_none());
    assert_eq!(restarted.get(&key("kept")).await.unwrap().value, "kept");
}

/// Hostile files are errors: cut short at any byte, a flipped bit anywhere, forged lengths.
#[tokio::test]
async fn damaged_files_are_errors() {
    let clock = Arc::new(ManualClock::default());
    let file = file(&clock).await;
    for end in 0..file.len() {
        let error = alone(&clock).import(&Raw, &mut &file[..end]).unwrap_err();
        assert!(matches!(error, ExportError::NotAnExport | ExportError::Damaged { .. }), "{end}");
    }
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 0x10;
        let cache = alone(&clock);
        assert!(cache.import(&Raw, &mut &damaged[..]).is_err(), "{at}");
        for name in ["a", "b", "c"] {
            assert!(cache.get(&key(name)).await.is_none_or(|hit| hit.value == name), "{at}");
        }
    }
    for length in [1_u32, 65, u32::MAX, 80 << 20, (80 << 20) + 1] {
        let mut forged = file[..49].to_vec();
        forged.extend(length.to_le_bytes());
        forged.extend([0; 100]);
        let error = alone(&clock).import(&Raw, &mut &forged[..]).unwrap_err();
        assert!(matches!(error, ExportError::Damaged { read: 0 }), "{length}");
    }
}

#[tokio::test]
async fn another_codec_is_refused() {
    let clock = Arc::new(ManualClock::default());
    let file = file(&clock).await;
    let cache: DualCache<String> = DualCache::builder().clock(clock).build().unwrap();
    let error = cache.import(&Bincode, &mut &file[..]).unwrap_err();
    assert!(matches!(error, ExportError::OtherCodec { found: 0 }));
}

/// A31: warming keeps what is left to live, skips what is not there, and may be repeated.
#[tokio::test]
async fn warming_is_idempotent() {
    let world = World::new();
    for name in ["a", "b"] {
        let _ = world.process().cache.insert(key(name), bytes(name), PLAIN).await;
    }
    world.clock.advance(TTL / 2);
    let process = world.process();
    let keys = ["a", "none", "b"].map(key);
    for _ in 0..2 {
        let warmed = process.cache.warm_from_remote(&keys).await;
        assert_eq!((warmed.warm, warmed.skipped), (2, 1));
    }
    let calls = process.faults.calls();
    let hit = process.cache.get(&key("a")).await.unwrap();
    assert!(hit.expires_at <= Timestamp::saturating_add(world.clock.now(), TTL / 2));
    assert_eq!((process.faults.calls(), process.cache.stats().misses), (calls, 0));
    let given = [(key("a"), bytes("older"), PLAIN), (key("c"), bytes("c"), PLAIN)];
    for _ in 0..2 {
        assert_eq!(process.cache.warm_with(given.clone()).await.warm, 2);
    }
    assert_eq!(process.cache.get(&key("a")).await.unwrap().value, "a", "what is there stays");
    assert_eq!(process.cache.get(&key("c")).await.unwrap().value, "c");
    assert!(world.process().cache.get(&key("c")).await.is_none());
}
