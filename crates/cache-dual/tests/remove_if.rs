//! A35: a conditional removal takes exactly the value that was asked about.

mod common;

use std::sync::Arc;

use cache_dual::InsertOptions;
use common::{TTL, World, bytes, key};

const PLAIN: InsertOptions = InsertOptions::new();

#[tokio::test]
async fn only_what_matches_goes() {
    let world = World::new();
    let process = world.process();
    let k = key("k");
    assert!(!process.cache.remove_if(&k, |_| true).await.unwrap());
    let _ = process.cache.insert(k, bytes("v"), PLAIN).await;
    assert!(!process.cache.remove_if(&k, |value| value == "other").await.unwrap());
    assert_eq!(process.cache.get(&k).await.unwrap().value, "v");
    assert!(process.cache.remove_if(&k, |value| value == "v").await.unwrap());
    assert!(process.cache.get(&k).await.is_none());
    assert!(world.process().cache.get(&k).await.is_none());
    assert!(!process.cache.remove_if(&k, |_| true).await.unwrap());
}

/// Each tier by its own value.
#[tokio::test]
async fn tiers_are_asked_apart() {
    let world = World::new();
    let (here, there) = (world.process().cache, world.process().cache);
    let k = key("k");
    let _ = here.insert(k, bytes("old"), PLAIN).await;
    let _ = there.insert(k, bytes("new"), PLAIN).await; // `here` is not told, without a bus
    assert!(here.remove_if(&k, |value| value == "old").await.unwrap());
    assert_eq!(here.get(&k).await.unwrap().value, "new");
    assert!(here.remove_if(&k, |value| value == "new").await.unwrap());
    assert!(here.get(&k).await.is_none());
}

/// F61: a remote tier that does not answer is an error.
#[tokio::test]
async fn an_outage_is_an_error() {
    let process = World::new().process();
    let _ = process.cache.insert(key("k"), bytes("v"), PLAIN).await;
    process.faults.fail(true);
    assert!(process.cache.remove_if(&key("k"), |_| true).await.is_err());
}

/// A replacement that comes at the same time survives, with its time to live; the value asked about
/// never does.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_replacement_survives() {
    let world = Arc::new(World::new());
    let cache = world.process().cache;
    for n in 0..500 {
        let k = key(&n.to_string());
        let _ = cache.insert(k, bytes("old"), PLAIN).await;
        let removing = tokio::spawn({
            let cache = cache.clone();
            async move { cache.remove_if(&k, |value| value == "old").await.unwrap() }
        });
        let replacing = tokio::spawn({
            let cache = cache.clone();
            async move { cache.insert(k, bytes("new"), PLAIN.ttl(TTL / 2)).await }
        });
        let _ = (removing.await.unwrap(), replacing.await.unwrap());
        for cache in [&cache, &world.process().cache] {
            let left = cache.get(&k).await.expect("the replacement");
            assert_eq!(
                (left.value, left.expires_at),
                (bytes("new"), cache.now().saturating_add(TTL / 2))
            );
        }
    }
}
