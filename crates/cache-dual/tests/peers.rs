//! A34, A36, A39: instances that share a remote tier hear of each other's removals.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use cache_conformance::LocalBus;
use cache_core::{Error, Invalidation, InvalidationBus, InvalidationStream, Result};
use cache_dual::codec::Raw;
use cache_dual::{DualCache, InsertOptions, LocalCache, Lookup, Source};
use common::{Refused, TTL, World, bytes, key};
use tokio::sync::Notify;

/// An instance on a bus, with its own memory.
fn instance(world: &World, bus: impl InvalidationBus) -> DualCache<Bytes> {
    let memory: LocalCache<Bytes> =
        LocalCache::local().max_entries(1_000).clock(world.clock.clone()).build().expect("valid");
    DualCache::builder()
        .memory(memory)
        .remote(world.remote.clone(), Raw)
        .bus(Arc::new(bus))
        .clock(world.clock.clone())
        .tune(|options| options.ttl = TTL)
        .build()
        .expect("valid options")
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(5), "{what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Two instances that both listen, and both hold the same value in memory.
async fn two(world: &World, bus: &LocalBus) -> (DualCache<Bytes>, DualCache<Bytes>) {
    let (here, there) = (instance(world, bus.clone()), instance(world, bus.peer()));
    assert!(here.get(&key("k")).await.is_none() && there.get(&key("k")).await.is_none());
    // Each forgets all it has when it begins to listen, so wait for that.
    for cache in [&here, &there] {
        let mut heard = false;
        while !heard {
            let _ = cache.insert(key("probe"), bytes("p"), InsertOptions::new()).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
            heard = cache.peek(&key("probe")).is_some();
        }
    }
    let _ = here.insert(key("k"), bytes("old"), InsertOptions::new()).await;
    until("the insert is heard of", || there.peek(&key("k")).is_none()).await;
    assert_eq!(there.get(&key("k")).await.expect("it is stored").source, Source::L2);
    assert_eq!(there.get(&key("k")).await.expect("it is stored").source, Source::L1);
    (here, there)
}

#[tokio::test]
async fn a_removal_reaches_the_memory_of_others() {
    let (world, bus) = (World::new(), LocalBus::new());
    let (here, there) = two(&world, &bus).await;
    assert!(here.remove(&key("k")).await.unwrap());
    until("the removal is heard of", || there.peek(&key("k")).is_none()).await;
    assert!(there.get(&key("k")).await.is_none());
}

#[tokio::test]
async fn another_value_reaches_them_too() {
    let (world, bus) = (World::new(), LocalBus::new());
    let (here, there) = two(&world, &bus).await;
    let _ = here.insert(key("k"), bytes("new"), InsertOptions::new()).await;
    until("the insert is heard of", || there.peek(&key("k")).is_none()).await;
    assert_eq!(there.get(&key("k")).await.unwrap().value, bytes("new"));

    // By a ticket that is to replace what is there.
    let ticket = there.ticket(&key("k")).await;
    let _ = there.fulfil(ticket, bytes("newer"), InsertOptions::new()).await;
    until("it is heard of", || here.peek(&key("k")).is_none_or(|o| o.value == "newer")).await;
    assert_eq!(here.get(&key("k")).await.unwrap().value, bytes("newer"));
}

/// A34: a fetch that began before another instance's removal does not bring the old value back.
#[tokio::test]
async fn what_was_fetched_before_a_removal_elsewhere_is_not_kept() {
    let (world, bus) = (World::new(), LocalBus::new());
    let (here, there) = two(&world, &bus).await;
    here.remove(&key("k")).await.unwrap();
    until("the removal is heard of", || there.peek(&key("k")).is_none()).await;
    let k = key("k");
    let old = there.get_or_fetch(&k, || async {
        here.remove(&key("k")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await; // until it is heard of
        Ok::<_, Refused>(bytes("old"))
    });
    assert_eq!(old.await.unwrap().value, bytes("old"), "who asked before gets what there was");
    assert!(there.peek(&key("k")).is_none());
    assert!(matches!(there.lookup(&key("k")).await, Lookup::Miss(_)));
}

/// A34: the fence alone keeps it out, where there is no remote tier to refuse it.
#[tokio::test]
async fn what_is_heard_voids_fetches_under_way() {
    let bus = LocalBus::new();
    let cache: DualCache<Bytes> =
        DualCache::builder().bus(Arc::new(bus.peer())).build().expect("valid options");
    let (k, probe) = (key("k"), key("probe"));
    let _ = cache.insert(probe, bytes("p"), InsertOptions::new()).await;
    until("it listens", || cache.peek(&probe).is_none()).await;
    for message in [Invalidation::Key(k), Invalidation::Gap] {
        let _ = cache.insert(probe, bytes("p"), InsertOptions::new()).await;
        let fetched = cache.get_or_fetch(&k, || async {
            bus.publish(message).await.unwrap();
            bus.publish(Invalidation::Key(probe)).await.unwrap();
            until("both are heard of", || cache.peek(&probe).is_none()).await;
            Ok::<_, Refused>(bytes("old"))
        });
        assert_eq!(fetched.await.unwrap().value, bytes("old"));
        tokio::task::yield_now().await;
        assert!(cache.peek(&k).is_none(), "{message:?}");
    }
}

/// Whoever may have missed a message forgets what it holds, and finds it in the remote tier again.
#[tokio::test]
async fn a_gap_empties_memory() {
    let world = World::new();
    let bus = LocalBus::with_capacity(2);
    let (here, there) = two(&world, &bus).await;
    let stranger = bus.peer();
    // More than the bus holds, before the listening task gets to run.
    for number in 0..64 {
        stranger.publish(Invalidation::Key(key(&format!("other {number}")))).await.unwrap();
    }
    until("the gap is heard of", || there.peek(&key("k")).is_none()).await;
    assert_eq!(there.get(&key("k")).await.unwrap().source, Source::L2);
    drop(here);
}

/// A bus that cannot be listened to until it is opened.
#[derive(Debug)]
struct Late(LocalBus, Arc<Notify>);

#[async_trait]
impl InvalidationBus for Late {
    async fn publish(&self, message: Invalidation) -> Result<()> {
        self.0.publish(message).await
    }

    async fn subscribe(&self) -> Result<Box<dyn InvalidationStream>> {
        self.1.notified().await;
        self.0.subscribe().await
    }
}

/// What came into memory while nobody listened may be out of date: it is forgotten when listening begins.
#[tokio::test]
async fn what_came_before_listening_is_forgotten() {
    let (world, opened) = (World::new(), Arc::new(Notify::new()));
    let cache = instance(&world, Late(LocalBus::new(), Arc::clone(&opened)));
    let _ = cache.insert(key("k"), bytes("v"), InsertOptions::new()).await;
    assert!(cache.peek(&key("k")).is_some());
    opened.notify_one();
    until("it listens", || cache.peek(&key("k")).is_none()).await;
    assert_eq!(cache.get(&key("k")).await.unwrap().source, Source::L2);
}

/// Everything of an instance ends with it, the task that listens, too.
#[tokio::test]
async fn the_task_ends_with_the_cache() {
    let (world, bus) = (World::new(), LocalBus::new());
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let (here, there) = two(&world, &bus).await;
    assert_eq!(tasks(), before + 2);
    drop((here, there));
    until("tasks end", || tasks() == before).await;
}

/// A bus that takes nothing.
#[derive(Debug)]
struct Deaf;

#[async_trait]
impl InvalidationBus for Deaf {
    async fn publish(&self, _: Invalidation) -> Result<()> {
        Err(Error::Unavailable { tier: "bus", source: "deaf".into() })
    }

    async fn subscribe(&self) -> Result<Box<dyn InvalidationStream>> {
        Err(Error::Unavailable { tier: "bus", source: "deaf".into() })
    }
}

/// A bus that is down costs no answer. A removal that others could not be told of says so.
#[tokio::test]
async fn a_bus_that_is_down_is_no_outage() {
    let world = World::new();
    let cache = instance(&world, Deaf);
    let _ = cache.insert(key("k"), bytes("v"), InsertOptions::new()).await;
    assert_eq!(cache.get(&key("k")).await.unwrap().source, Source::L1);
    assert!(cache.remove(&key("k")).await.unwrap_err().is_transient());
    assert!(cache.get(&key("k")).await.is_none(), "gone all the same");
}
