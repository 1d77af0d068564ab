//! Invalidations that the remote tier or the bus did not take, until they do (F61).
#![allow(clippy::unwrap_used, reason = "what a test's helper unwraps is what it expects")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cache_conformance::LocalBus;
use cache_core::{Error, Invalidation, InvalidationBus, InvalidationStream, RemoteTier, Result};
use cache_dual::{InsertOptions, Tag};
use common::{World, bytes, key, settled, until};

const PLAIN: InsertOptions = InsertOptions::new();

/// A bus that takes nothing for a while.
#[derive(Debug)]
struct Mute(LocalBus, Arc<AtomicBool>);

#[async_trait]
impl InvalidationBus for Mute {
    async fn publish(&self, message: Invalidation) -> Result<()> {
        if self.1.load(Ordering::SeqCst) {
            return Err(Error::Unavailable { tier: "bus", source: "mute".into() });
        }
        self.0.publish(message).await
    }

    async fn subscribe(&self) -> Result<Box<dyn InvalidationStream>> {
        self.0.subscribe().await
    }
}

/// What the bus did not take it is told again, of keys, values and tags.
#[tokio::test]
async fn the_bus_is_told_again() {
    for way in ["remove", "insert", "remove_tag", "clear"] {
        let (world, bus, mute) = (World::new(), LocalBus::new(), Arc::new(AtomicBool::new(false)));
        let here = Mute(bus.peer(), Arc::clone(&mute));
        let here = world.process_with(Some(Arc::new(here)), |_| ()).cache;
        let there = world.process_with(Some(Arc::new(bus)), |_| ()).cache;
        let (k, tag) = (key("k"), Tag::named("t"));
        for cache in [&here, &there] {
            let _ = cache.insert(key("x"), bytes("v"), PLAIN).await; // starts to listen
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let _ = there.query(&k).tags(&[tag]).insert(bytes("old"), PLAIN).await;
        assert!(there.peek(&k).is_some());
        mute.store(true, Ordering::SeqCst);
        match way {
            "remove" => assert!(here.remove(&k).await.is_err()),
            "insert" => drop(here.insert(k, bytes("new"), PLAIN).await),
            "remove_tag" => assert!(here.remove_tag(&tag).await.is_err()),
            _ => assert!(here.clear().await.is_err()),
        }
        assert!(here.peek(&k).is_none_or(|hit| hit.value == "new"));
        assert_eq!(here.health().await.owed, 1, "{way}");
        mute.store(false, Ordering::SeqCst);
        until(way, || there.peek(&k).is_none()).await;
        settled(&world, &here).await;
        assert!(there.get(&k).await.is_none_or(|hit| hit.value == "new"), "{way}");
    }
}

/// A bus that is out for long holds up nothing that the remote tier has to learn.
#[tokio::test]
async fn a_mute_bus_holds_up_no_repair_of_the_remote_tier() {
    let (world, mute) = (World::new(), Arc::new(AtomicBool::new(true)));
    let bus = Mute(LocalBus::new(), mute);
    let process = world.process_with(Some(Arc::new(bus)), |_| ());
    let keys: Vec<_> = (0..20).map(|n| key(&n.to_string())).collect();
    for k in &keys {
        let _ = world.process().cache.insert(*k, bytes("old"), PLAIN).await;
    }
    process.faults.fail(true);
    assert!(process.cache.remove_tag(&Tag::named("t")).await.is_err());
    assert!(process.cache.remove_many(&keys).await.is_err());
    process.faults.fail(false);
    let start = std::time::Instant::now();
    for k in &keys {
        while world.remote.get(k).await.unwrap().entry.is_some() {
            assert!(start.elapsed() < Duration::from_secs(10), "the remote tier never learns");
            world.clock.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert_eq!(process.cache.health().await.owed, 21, "the bus has yet to learn");
}

/// More than can be remembered one by one: everything is invalidated, here at once, and elsewhere later.
#[tokio::test]
async fn too_many_become_one() {
    let world = World::new();
    let process = world.process();
    let _ = process.cache.insert(key("kept"), bytes("v"), PLAIN).await;
    let _ = world.process().cache.insert(key("3"), bytes("old"), PLAIN).await;
    process.faults.fail(true);
    let keys: Vec<_> = (0..10_001).map(|n| key(&n.to_string())).collect();
    assert!(process.cache.remove_many(&keys).await.is_err());
    assert!(process.cache.health().await.owed < 10_000);
    assert!(process.cache.peek(&key("kept")).is_none());
    process.faults.fail(false);
    assert!(process.cache.get(&key("3")).await.is_none());
    settled(&world, &process.cache).await;
    for name in ["3", "kept"] {
        assert!(world.process().cache.get(&key(name)).await.is_none(), "{name}");
    }
    let _ = process.cache.insert(key("3"), bytes("new"), PLAIN).await;
    assert_eq!(world.process().cache.get(&key("3")).await.unwrap().value, "new");
}

/// Writes during an outage do not use up the room that removals need: they clear nothing.
#[tokio::test]
async fn writes_of_an_outage_clear_nothing() {
    let process = World::new().process();
    process.faults.fail(true);
    for n in 0..11_000 {
        let _ = process.cache.insert(key(&n.to_string()), bytes("v"), PLAIN).await;
    }
    assert!(process.cache.remove(&key("x")).await.is_err());
    assert!(process.cache.peek(&key("10999")).is_some());
}

/// A value that is stored after the failed removal of its key stays.
#[tokio::test]
async fn a_later_value_stays() {
    for fetched in [false, true] {
        let world = World::new();
        let process = world.process();
        let k = key("k");
        let _ = process.cache.insert(k, bytes("old"), PLAIN).await;
        process.faults.fail(true);
        assert!(process.cache.remove(&k).await.is_err());
        process.faults.fail(false);
        if fetched {
            let fetch = || async { Ok::<_, common::Refused>(bytes("new")) };
            assert_eq!(process.cache.get_or_fetch(&k, fetch).await.unwrap().value, "new");
        } else {
            let _ = process.cache.insert(k, bytes("new"), PLAIN).await;
            assert_eq!(process.cache.health().await.owed, 0, "the value is the later word");
        }
        settled(&world, &process.cache).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(process.cache.get(&k).await.unwrap().value, "new");
        let other = world.process().cache.get(&k).await;
        assert!(other.is_none_or(|hit| hit.value == "new"), "fetched: {fetched}");
    }
}

/// Another instance invalidates a tag while ours is still owed: what was fetched in between is void,
/// and stays so when ours is paid.
#[tokio::test]
async fn a_tag_that_two_invalidate_is_invalidated_twice() {
    let (world, bus) = (World::new(), LocalBus::new());
    let here = world.process_with(Some(Arc::new(bus.peer())), |_| ());
    let there = world.process_with(Some(Arc::new(bus)), |_| ()).cache;
    let (k, tags, probe) = (key("k"), [Tag::named("t")], key("probe"));
    for cache in [&here.cache, &there] {
        let _ = cache.insert(probe, bytes("v"), PLAIN).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    here.faults.fail(true);
    assert!(here.cache.remove_tag(&tags[0]).await.is_err());
    let fetch = || async { Ok::<_, common::Refused>(bytes("old")) };
    here.cache.query(&k).tags(&tags).get_or_fetch(fetch).await.unwrap();
    assert!(here.cache.peek(&k).is_some());
    there.remove_tag(&tags[0]).await.unwrap();
    until("the other is heard", || here.cache.peek(&k).is_none()).await;
    here.faults.fail(false);
    settled(&world, &here.cache).await;
    for cache in [&here.cache, &there] {
        assert!(cache.get(&k).await.is_none());
    }
}

/// Of two invalidations of a tag at once, one whose write fails does not undo the other.
#[tokio::test]
async fn concurrent_invalidations_of_a_tag_have_one_order() {
    for fail_first in [false, true] {
        let world = World::new();
        let process = world.process();
        let (cache, k, tags) = (&process.cache, key("k"), [Tag::named("t")]);
        let _ = cache.query(&k).tags(&tags).insert(bytes("older"), PLAIN).await;
        process.faults.hang(true);
        let mut first = Box::pin(cache.remove_tag(&tags[0]));
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut first).await.is_err());
        process.faults.hang(false);
        // Fetched under the first one's stamp.
        let memory = PLAIN.tiers(cache_dual::Tiers::Memory);
        let _ = cache.query(&k).tags(&tags).insert(bytes("old"), memory).await;
        assert_eq!(cache.peek(&k).unwrap().value, "old");
        process.faults.fail(fail_first);
        let second = cache.remove_tag(&tags[0]);
        let (first, second) = tokio::join!(second, first);
        assert_eq!(first.is_err() && second.is_err(), fail_first);
        process.faults.fail(false);
        assert!(cache.get(&k).await.is_none());
        settled(&world, cache).await;
        for _ in 0..3 {
            world.clock.advance(Duration::from_secs(2));
            assert!(cache.get(&k).await.is_none(), "failing: {fail_first}");
        }
    }
}

/// Others who were told before the remote tier knew have read the old value there since: they are told
/// again.
#[tokio::test]
async fn others_are_told_again_once_the_remote_tier_knows() {
    for insert in [false, true] {
        let (world, bus) = (World::new(), LocalBus::new());
        let here = world.process_with(Some(Arc::new(bus.peer())), |_| ());
        let there = world.process_with(Some(Arc::new(bus)), |_| ()).cache;
        let k = key("k");
        for cache in [&here.cache, &there] {
            let _ = cache.insert(key("x"), bytes("v"), PLAIN).await; // starts to listen
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let _ = there.insert(k, bytes("old"), PLAIN).await;
        here.faults.fail(true);
        if insert {
            let _ = here.cache.insert(k, bytes("new"), PLAIN).await;
        } else {
            assert!(here.cache.remove(&k).await.is_err());
        }
        until("it is heard", || there.peek(&k).is_none()).await;
        assert_eq!(there.get(&k).await.unwrap().value, "old", "nobody else knows");
        here.faults.fail(false);
        settled(&world, &here.cache).await;
        until("it is heard again", || there.peek(&k).is_none()).await;
        assert!(there.get(&k).await.is_none());
    }
}
