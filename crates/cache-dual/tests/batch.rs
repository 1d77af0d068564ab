//! A30: many keys at once, in order, with one call to each tier.
#![allow(clippy::unwrap_used, reason = "what a test's helper unwraps is what it expects")]

mod common;

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use cache_dual::{CacheKey, DualCache, FetchError, InsertOptions, Source};
use common::{Refused, World, bytes, key};
use tokio::sync::Notify;

const PLAIN: InsertOptions = InsertOptions::new();
const REFUSED: Refused = Refused { status: 500, retry_after: 0 };

type Values = Result<HashMap<CacheKey, Bytes>, Refused>;

#[allow(clippy::unnecessary_wraps, reason = "what a fetch returns")]
fn all(keys: Vec<CacheKey>, value: &str) -> Values {
    Ok(keys.into_iter().map(|key| (key, bytes(value))).collect())
}

async fn has(cache: &DualCache<Bytes>, name: &str) -> bool {
    cache.get(&key(name)).await.is_some()
}

/// A30, A73: one answer a key, in order, duplicates included, for one call to the remote tier.
#[tokio::test]
async fn get_many_is_one_round_trip() {
    let world = World::new();
    for name in ["a", "b"] {
        let _ = world.process().cache.insert(key(name), bytes(name), PLAIN).await;
    }
    let process = world.process();
    let keys = ["b", "none", "a", "b", "none"].map(key);
    let found = process.cache.get_many(&keys).await;
    let values: Vec<_> = found.iter().map(|f| f.as_ref().map(|f| f.value.clone())).collect();
    assert_eq!(values, [Some(bytes("b")), None, Some(bytes("a")), Some(bytes("b")), None]);
    assert_eq!(process.faults.calls(), 1, "duplicates of what is missing too");
    let stats = process.cache.stats();
    assert_eq!(stats.l1_hits + stats.l2_hits, 3);
    assert_eq!(stats.misses, 2);
    assert!(process.cache.get_many(&[]).await.is_empty());
}

/// One call of the origin for all that is missing, each of them once; what it has no value for is
/// `None`.
#[tokio::test]
async fn what_is_missing_is_fetched_in_one_call() {
    let world = World::new();
    let process = world.process();
    let _ = process.cache.insert(key("a"), bytes("a"), PLAIN).await;
    let before = process.faults.calls();
    let keys = ["x", "a", "y", "x", "void"].map(key);
    let mut asked = Vec::new();
    let fetched = process
        .cache
        .get_or_fetch_many(&keys, |mut missing| {
            asked.push(missing.clone());
            missing.retain(|k| *k != key("void"));
            missing.push(key("not asked for"));
            async { all(missing, "new") }
        })
        .await
        .unwrap();
    assert_eq!(asked, [["x", "y", "void"].map(key)]);
    let values: Vec<_> = fetched.iter().map(|f| f.as_ref().map(|f| f.value.clone())).collect();
    let new = Some(bytes("new"));
    assert_eq!(values, [new.clone(), Some(bytes("a")), new.clone(), new, None]);
    assert_eq!(process.faults.calls() - before, 3, "one read, two writes");
    assert!(!has(&process.cache, "not asked for").await && !has(&process.cache, "void").await);
    let other = world.process().cache;
    assert!(has(&other, "x").await && has(&other, "y").await);
    assert_eq!(process.cache.in_flight(), 0);
}

/// A43: two calls that lead each other's keys wait for each other, and neither for ever.
#[tokio::test]
async fn batches_share_their_fetches() {
    let cache = World::new().process().cache;
    let (ab, bc) = (["a", "b", "c"].map(key), ["c", "b", "d"].map(key));
    let calls = std::sync::Mutex::new(Vec::new());
    let fetch = |missing: Vec<CacheKey>| {
        calls.lock().unwrap().extend(missing.clone());
        async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            all(missing, "v")
        }
    };
    let both = async {
        tokio::join!(cache.get_or_fetch_many(&ab, fetch), cache.get_or_fetch_many(&bc, fetch))
    };
    let (one, two) = tokio::time::timeout(Duration::from_secs(5), both).await.expect("no deadlock");
    assert!(one.unwrap().iter().all(Option::is_some) && two.unwrap().iter().all(Option::is_some));
    let mut calls = calls.into_inner().unwrap();
    calls.sort_unstable();
    let mut each_key = ["a", "b", "c", "d"].map(key);
    each_key.sort_unstable();
    assert_eq!(calls, each_key);
    assert_eq!(cache.in_flight(), 0);
}

/// A45: the leader of some of the keys goes away; the call fetches those itself.
#[tokio::test]
async fn a_leader_that_goes_away_hands_over() {
    let cache = World::new().process().cache;
    let b = key("b");
    let mut leading =
        Box::pin(cache.get_or_fetch(&b, std::future::pending::<Result<Bytes, Refused>>));
    assert!(tokio::time::timeout(Duration::from_millis(1), &mut leading).await.is_err());
    let keys = ["a", "b"].map(key);
    let mut asked = Vec::new();
    let batch = cache.get_or_fetch_many(&keys, |missing| {
        asked.push(missing.clone());
        async { all(missing, "v") }
    });
    let going = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        drop(leading);
    };
    let (fetched, ()) = tokio::join!(batch, going);
    assert!(fetched.unwrap().iter().all(Option::is_some));
    assert_eq!(asked, [vec![key("a")], vec![key("b")]]);
    assert_eq!(cache.in_flight(), 0);
}

/// A44: an error reaches all who wait for any of the keys, and is not kept.
#[tokio::test]
async fn an_error_reaches_all() {
    let cache = World::new().process().cache;
    let (keys, a, gate) = (["a", "b"].map(key), key("a"), Notify::new());
    let failing = cache.get_or_fetch_many(&keys, |_| async {
        gate.notified().await;
        Values::Err(REFUSED)
    });
    let following = cache.get_or_fetch(&a, || async { Ok::<_, Refused>(bytes("not called")) });
    let opening = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        gate.notify_one();
    };
    let (failed, followed, ()) = tokio::join!(failing, following, opening);
    for error in [failed.unwrap_err(), followed.unwrap_err()] {
        assert!(matches!(error, FetchError::Origin(error) if *error == REFUSED));
    }
    assert_eq!(cache.in_flight(), 0);
    assert!(!has(&cache, "a").await);
    assert_eq!(cache.stats().failed_fetches, 1);
}

/// Stale values stand in for those that could not be fetched, if there is one for each.
#[tokio::test]
async fn stale_values_stand_in() {
    let world = World::new();
    let cache = world.process_with(None, |o| o.grace = Duration::from_secs(600)).cache;
    let keys = ["a", "b"].map(key);
    for k in keys {
        let _ = cache.insert(k, bytes("old"), PLAIN).await;
    }
    world.clock.advance(common::TTL);
    let fail = |_| async { Values::Err(REFUSED) };
    let stale = cache.get_or_fetch_many(&keys, fail).await.unwrap();
    assert!(stale.iter().flatten().all(|stale| stale.is_stale() && stale.value == "old"));
    assert_eq!(cache.stats().stale, 2);
    let more = ["a", "c"].map(key);
    assert!(cache.get_or_fetch_many(&more, fail).await.is_err());
}

/// A34: what was being fetched when its key was removed is handed out, and not stored.
#[tokio::test]
async fn a_batch_does_not_outlive_a_removal() {
    let world = World::new();
    let cache = world.process().cache;
    for clears in [false, true] {
        let keys = ["a", "b"].map(key);
        let fetched = cache.get_or_fetch_many(&keys, |missing| async {
            if clears {
                cache.clear().await.unwrap();
            } else {
                cache.remove_many(&keys).await.unwrap();
            }
            all(missing, "old")
        });
        assert!(fetched.await.unwrap().iter().flatten().all(|f| f.source == Source::Origin));
        for cache in [&cache, &world.process().cache] {
            assert!(!has(cache, "a").await && !has(cache, "b").await);
        }
    }
}

/// F16: any number of keys can be removed at once, and only they go.
#[tokio::test]
async fn removing_many_takes_no_neighbour() {
    let world = World::new();
    let process = world.process();
    let cache = &process.cache;
    let keys: Vec<CacheKey> = (0..12_000).map(|n| key(&n.to_string())).collect();
    let _ = cache.insert(keys[0], bytes("v"), PLAIN).await;
    let _ = cache.insert(keys[11_999], bytes("v"), PLAIN).await;
    let _ = cache.insert(key("neighbour"), bytes("v"), PLAIN).await;
    assert_eq!(cache.remove_many(&keys).await.unwrap(), 2);
    assert_eq!(cache.health().await.owed, 0);
    assert_eq!(cache.get(&key("neighbour")).await.unwrap().source, Source::L1);
    assert!(has(&world.process().cache, "neighbour").await);
    assert!(!has(cache, "0").await && !has(&world.process().cache, "11999").await);
}

/// A61: without the remote tier a batch is one call of the origin, and one deadline.
#[tokio::test(start_paused = true)]
async fn a_batch_works_without_the_remote_tier() {
    let process = World::new().process();
    process.faults.hang(true);
    let started = tokio::time::Instant::now();
    let keys: Vec<CacheKey> = (0..100).map(|n| key(&n.to_string())).collect();
    let fetch = |missing| async { all(missing, "v") };
    let fetched = process.cache.get_or_fetch_many(&keys, fetch).await.unwrap();
    assert!(fetched.iter().all(Option::is_some));
    assert!(started.elapsed() <= Duration::from_millis(100), "{:?}", started.elapsed());
}
