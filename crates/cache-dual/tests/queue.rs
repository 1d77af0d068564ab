//! Writes to the remote tier that no caller waits for.
#![allow(clippy::unwrap_used, reason = "what a test's helper unwraps is what it expects")]

mod common;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use cache_core::RemoteTier;
use cache_dual::{CacheKey, DualCache, InsertOptions, Lookup, Tiers, WriteMode};
use common::{Process, World, bytes, key, settled};

const PLAIN: InsertOptions = InsertOptions::new();

fn process(world: &World, capacity: usize) -> Process {
    world.process_with(None, |options| {
        options.writes = WriteMode::Queued { capacity };
        options.remote_deadline = Duration::from_secs(60);
    })
}

async fn drained(cache: &DualCache<Bytes>) {
    while cache.health().await.queued > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn remote(world: &World, key: &CacheKey) -> Option<Bytes> {
    world.remote.get(key).await.unwrap().entry.map(|entry| entry.value.bytes)
}

/// A40: callers do not wait, and writes of one key are made in their order.
#[tokio::test]
async fn writes_keep_their_order() {
    let world = World::new();
    let process = process(&world, 1_000);
    let _ = process.cache.get(&key("a")).await; // the root's stamp is known from here on
    process.faults.hang(true);
    for n in 0..20 {
        for name in ["a", "b", "c"] {
            let _ = process.cache.insert(key(name), bytes(&format!("{n}")), PLAIN).await;
        }
    }
    assert!(remote(&world, &key("a")).await.is_none());
    process.faults.hang(false);
    drained(&process.cache).await;
    for name in ["a", "b", "c"] {
        assert_eq!(process.cache.peek(&key(name)).unwrap().value, "19");
        assert_eq!(remote(&world, &key(name)).await.unwrap(), "19");
    }
}

/// A34, F15: a queued write does not outlive a removal, a tag or a clear.
#[tokio::test]
async fn a_queued_write_does_not_outlive_an_invalidation() {
    for way in ["remove", "remove_many", "remove_if", "clear"] {
        for fetched in [false, true] {
            let world = World::new();
            let process = process(&world, 10);
            let cache = &process.cache;
            let k = key("k");
            if fetched {
                let Lookup::Miss(ticket) = cache.lookup(&k).await else { panic!("a hit") };
                let _ = cache.fulfil(ticket, bytes("old"), PLAIN).await;
            } else {
                let _ = cache.insert(k, bytes("old"), PLAIN).await;
            }
            assert_eq!(cache.health().await.queued, 1);
            match way {
                "remove" => drop(cache.remove(&k).await.unwrap()),
                "remove_many" => drop(cache.remove_many(&[k]).await.unwrap()),
                "remove_if" => assert!(cache.remove_if(&k, |value| value == "old").await.unwrap()),
                _ => cache.clear().await.unwrap(),
            }
            drained(cache).await;
            settled(&world, cache).await;
            assert!(cache.get(&k).await.is_none(), "{way}, fetched: {fetched}");
            assert!(world.process().cache.get(&k).await.is_none(), "{way}, fetched: {fetched}");
        }
    }
}

/// Bounded: what finds no room is dropped and counted, and leaves nothing older behind.
#[tokio::test]
async fn what_finds_no_room_leaves_nothing_older() {
    let world = World::new();
    let process = process(&world, 1);
    let cache = &process.cache;
    let _ = world.process().cache.insert(key("b"), bytes("old"), PLAIN).await;
    let _ = process.cache.get(&key("a")).await;
    process.faults.hang(true);
    let _ = cache.insert(key("a"), bytes("new"), PLAIN).await;
    let _ = cache.insert(key("b"), bytes("new"), PLAIN).await;
    assert_eq!(cache.stats().queue_dropped, 1);
    process.faults.hang(false);
    drained(cache).await;
    settled(&world, cache).await;
    assert_eq!(cache.get(&key("b")).await.unwrap().value, "new");
    assert!(world.process().cache.get(&key("b")).await.is_none_or(|hit| hit.value != "old"));
}

/// F17: a write that another key's voids, since they share a fence, leaves nothing older behind.
#[tokio::test]
async fn keys_that_share_a_fence_leave_nothing_older() {
    let world = World::new();
    let process = process(&world, 10);
    let cache = &process.cache;
    let (a, b) = (CacheKey::from_digest([1; 32]), {
        let mut digest = [1; 32];
        digest[31] = 2; // the same first bytes
        CacheKey::from_digest(digest)
    });
    let _ = world.process().cache.insert(a, bytes("old"), PLAIN).await;
    let _ = cache.insert(a, bytes("new"), PLAIN).await;
    let _ = cache.insert(b, bytes("new"), PLAIN).await;
    drained(cache).await;
    settled(&world, cache).await;
    assert_eq!(world.process().cache.get(&b).await.unwrap().value, "new");
    for cache in [cache, &world.process().cache] {
        assert!(cache.get(&a).await.is_none_or(|hit| hit.value == "new"));
    }
}

/// A value for the remote tier only: what memory has of it is not older.
#[tokio::test]
async fn memory_has_nothing_older_than_what_was_queued() {
    let world = World::new();
    let process = process(&world, 10);
    let cache = &process.cache;
    let k = key("k");
    let _ = world.process().cache.insert(k, bytes("old"), PLAIN).await;
    let _ = cache.insert(k, bytes("new"), InsertOptions::new().tiers(Tiers::Remote)).await;
    let _ = cache.get(&k).await; // may find the old value, and copy it into memory
    drained(cache).await;
    assert_eq!(cache.get(&k).await.unwrap().value, "new");
}

/// A70: closing makes what is queued, within its limit, and says what it could not make.
#[tokio::test]
async fn closing_drains() {
    let world = World::new();
    let process = process(&world, 10);
    let k = key("fetched");
    for name in ["a", "b"] {
        let _ = process.cache.insert(key(name), bytes("v"), PLAIN).await;
    }
    process.cache.get_or_fetch(&k, || async { Ok::<_, Infallible>(bytes("v")) }).await.unwrap();
    assert_eq!(process.cache.close(Duration::from_secs(5)).await, 0);
    for k in [key("a"), key("b"), k] {
        assert_eq!(remote(&world, &k).await.unwrap(), "v");
    }
    assert!(process.cache.get(&key("a")).await.is_none(), "closed");
}

#[tokio::test]
async fn closing_says_what_was_not_written() {
    let world = World::new();
    let process = process(&world, 10);
    let _ = process.cache.get(&key("a")).await;
    process.faults.hang(true);
    for name in ["a", "b"] {
        let _ = process.cache.insert(key(name), bytes("v"), PLAIN).await;
    }
    assert_eq!(process.cache.close(Duration::from_millis(10)).await, 2);
}

/// The tasks that write go with their runtime. What they had not written is counted, and on another
/// runtime others take their place.
#[test]
fn another_runtime_takes_over() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = World::new();
    let process = process(&world, 10);
    let cache = &process.cache;
    runtime().block_on(async {
        let _ = world.process().cache.insert(key("a"), bytes("old"), PLAIN).await;
        let _ = cache.insert(key("a"), bytes("new"), PLAIN).await;
    });
    runtime().block_on(async {
        let _ = cache.insert(key("b"), bytes("v"), PLAIN).await;
        drained(cache).await;
        settled(&world, cache).await;
        assert_eq!(remote(&world, &key("b")).await.unwrap(), "v");
        assert_eq!(cache.stats().queue_dropped, 1);
        let other = world.process().cache;
        assert!(other.get(&key("a")).await.is_none_or(|hit| hit.value == "new"));
    });
}
