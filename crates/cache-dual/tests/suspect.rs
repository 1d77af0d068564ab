//! What is in memory when messages may have been missed: each entry is confirmed as it is asked for.
#![allow(clippy::unwrap_used, reason = "what a test's helper unwraps is what it expects")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use cache_conformance::LocalBus;
use cache_core::{Invalidation, InvalidationBus, RemoteTier};
use cache_dual::{InsertOptions, Source, Tag};
use common::{Process, TTL, World, bytes, key, until};

const PLAIN: InsertOptions = InsertOptions::new();

/// A process that listens, and what it is told by.
async fn listening(world: &World) -> (Process, LocalBus) {
    let bus = LocalBus::new();
    let process = world.process_with(Some(Arc::new(bus.peer())), |o| o.grace = TTL);
    let _ = process.cache.insert(key("probe"), bytes("v"), PLAIN).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    (process, bus)
}

async fn gap(process: &Process, bus: &LocalBus) {
    let _ = process.cache.insert(key("probe"), bytes("v"), PLAIN).await;
    bus.publish(Invalidation::Gap).await.unwrap();
    until("the gap", || process.cache.peek(&key("probe")).is_none()).await;
}

/// A39: what another instance removed meanwhile is gone, and what it did not costs one look each.
#[tokio::test]
async fn entries_are_confirmed_one_by_one() {
    let world = World::new();
    let (process, bus) = listening(&world).await;
    let tags = [Tag::named("t")];
    for n in 0..50 {
        let _ = process.cache.insert(key(&n.to_string()), bytes("v"), PLAIN).await;
    }
    let _ = process.cache.query(&key("tagged")).tags(&tags).insert(bytes("v"), PLAIN).await;
    let other = world.process().cache;
    other.remove(&key("7")).await.unwrap();
    other.remove_tag(&tags[0]).await.unwrap();
    gap(&process, &bus).await;
    let before = process.faults.calls();
    assert!(process.cache.get(&key("7")).await.is_none());
    assert!(process.cache.get(&key("tagged")).await.is_none());
    for _ in 0..3 {
        for n in (0..50).filter(|n| *n != 7) {
            assert_eq!(process.cache.get(&key(&n.to_string())).await.unwrap().value, "v");
        }
    }
    let calls = process.faults.calls() - before;
    assert!(calls <= 54, "each is looked at once: {calls}");
}

/// A61: while the remote tier is out, what cannot be confirmed is served, and counted; but not what was
/// invalidated here.
#[tokio::test]
async fn what_nobody_can_confirm_is_served() {
    let world = World::new();
    let (process, bus) = listening(&world).await;
    for name in ["a", "b"] {
        let _ = process.cache.insert(key(name), bytes("v"), PLAIN).await;
    }
    gap(&process, &bus).await;
    process.faults.fail(true);
    for _ in 0..2 {
        let hit = process.cache.get(&key("a")).await.unwrap();
        assert_eq!((hit.value, hit.source), (bytes("v"), Source::L1));
    }
    assert_eq!(process.cache.stats().doubtful, 2);
    assert!(process.cache.remove(&key("b")).await.is_err());
    assert!(process.cache.get(&key("b")).await.is_none());
    assert!(process.cache.clear().await.is_err());
    assert!(process.cache.get(&key("a")).await.is_none());
}

/// A remote tier that lost everything, as a Redis that restarted empty: nothing is confirmed.
#[tokio::test]
async fn what_the_remote_tier_lost_is_dropped() {
    let world = World::new();
    let (process, bus) = listening(&world).await;
    let _ = process.cache.insert(key("a"), bytes("v"), PLAIN).await;
    world.remote.purge().await.unwrap();
    gap(&process, &bus).await;
    assert!(process.cache.get(&key("a")).await.is_none());
    let _ = process.cache.insert(key("a"), bytes("new"), PLAIN).await;
    assert_eq!(process.cache.get(&key("a")).await.unwrap().value, "new");
}
