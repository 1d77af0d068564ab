//! A70: closing is for good, for all clones, and may be done again or first of all.
#![allow(clippy::unwrap_used, reason = "what a test's helper unwraps is what it expects")]

mod common;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache_conformance::LocalBus;
use cache_core::LocalTier;
use cache_dual::{DetachedOptions, DualCache, InsertOptions, Inserted, Source, Tag, WriteMode};
use common::{World, bytes, key, until};
use tokio::sync::Notify;

const PLAIN: InsertOptions = InsertOptions::new();
const LIMIT: Duration = Duration::from_secs(1);

/// Lookups are misses, fetches go through, nothing is stored, in this process or the remote tier.
async fn is_closed(world: &World, cache: &DualCache<Bytes>) {
    let k = key("stored before");
    let fetch = || async { Ok::<_, Infallible>(bytes("new")) };
    assert!(cache.get(&k).await.is_none() && cache.peek(&k).is_none());
    assert!(!cache.contains(&k).await);
    assert!(cache.get_many(&[k]).await[0].is_none());
    assert_eq!(cache.get_or_fetch(&k, fetch).await.unwrap().source, Source::Origin);
    let fetch_many = |keys: Vec<_>| async move {
        Ok::<_, Infallible>(keys.into_iter().map(|k| (k, bytes("new"))).collect::<HashMap<_, _>>())
    };
    let fetched = cache.get_or_fetch_many(&[k], fetch_many).await.unwrap();
    assert_eq!(fetched[0].as_ref().unwrap().value, "new");
    let detached = || async { Ok::<_, Infallible>(bytes("new")) };
    assert_eq!(
        cache.get_or_fetch_detached(&k, DetachedOptions::new(), detached).await.unwrap().source,
        Source::Origin
    );
    assert_eq!(cache.insert(k, bytes("new"), PLAIN).await, Inserted::Declined);
    let _ = cache.fulfil(cache.ticket(&k).await, bytes("new"), PLAIN).await;
    assert_eq!(cache.warm_from_remote(&[k]).await.warm, 0);
    assert_eq!(cache.warm_with([(k, bytes("new"), PLAIN)]).await.warm, 0);
    assert!(!cache.health().await.is_open && cache.in_flight() == 0);
    assert_eq!(world.process().cache.get(&k).await.unwrap().value, "old");
}

#[tokio::test]
async fn closed_is_closed() {
    for first in [false, true] {
        let world = World::new();
        let _ = world.process().cache.insert(key("stored before"), bytes("old"), PLAIN).await;
        let process = world.process_with(Some(Arc::new(LocalBus::new())), |options| {
            options.writes = WriteMode::Queued { capacity: 10 };
        });
        if !first {
            assert!(process.cache.get(&key("stored before")).await.is_some());
        }
        assert_eq!(process.cache.clone().close(LIMIT).await, 0);
        assert_eq!(LocalTier::len(&process.memory), 0, "memory is given back");
        is_closed(&world, &process.cache).await;
        assert_eq!(process.cache.close(LIMIT).await, 0, "again");
        is_closed(&world, &process.cache.clone()).await;
    }
}

/// What is being fetched reaches its callers, and is not stored.
#[tokio::test]
async fn fetches_under_way_end() {
    let world = World::new();
    let process = world.process();
    let (k, gate) = (key("k"), Notify::new());
    let fetching = process.cache.get_or_fetch(&k, || async {
        gate.notified().await;
        Ok::<_, Infallible>(bytes("v"))
    });
    let following = process.cache.get_or_fetch(&k, || async { Ok::<_, Infallible>(bytes("")) });
    let closing = async {
        process.cache.close(LIMIT).await;
        gate.notify_one();
    };
    let (fetched, followed, ()) = tokio::join!(fetching, following, closing);
    assert_eq!((fetched.unwrap().value, followed.unwrap().value), (bytes("v"), bytes("v")));
    assert_eq!((LocalTier::len(&process.memory), process.cache.in_flight()), (0, 0));
    assert!(world.process().cache.get(&k).await.is_none());
}

/// No task outlives a cache that was closed or dropped, whatever it still had to do.
#[tokio::test]
async fn tasks_end_with_the_cache() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for closes in [false, true] {
        let world = World::new();
        let process = world.process_with(Some(Arc::new(LocalBus::new())), |options| {
            options.writes = WriteMode::Queued { capacity: 10 };
        });
        let _ = process.cache.insert(key("a"), bytes("v"), PLAIN).await;
        process.faults.fail(true);
        assert!(process.cache.remove(&key("b")).await.is_err());
        assert!(process.cache.remove_tag(&Tag::named("t")).await.is_err());
        assert!(tasks() > before);
        if closes {
            process.cache.close(Duration::from_millis(10)).await;
            until("tasks end", || tasks() == before).await;
        }
        drop(process);
        until("tasks end", || tasks() == before).await;
    }
}

/// Nor does a value.
#[tokio::test]
async fn values_are_freed() {
    let value: Arc<str> = "v".into();
    let cache: DualCache<Arc<str>> = DualCache::builder().build().unwrap();
    let _ = cache.insert(key("k"), value.clone(), PLAIN).await;
    cache.close(LIMIT).await;
    assert_eq!(Arc::strong_count(&value), 1, "while the cache still lives");
}
