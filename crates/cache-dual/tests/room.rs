//! While the remote tier is out, no more fetches at once than the origin is to bear.
#![allow(clippy::unwrap_used, reason = "what a test's helper unwraps is what it expects")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cache_dual::{FetchError, InsertOptions};
use common::{Process, Refused, TTL, World, bytes, key};
use futures_util::future::join_all;

async fn out(grace: Duration) -> (World, Process) {
    let world = World::new();
    let process = world.process_with(None, |options| {
        options.fetches_while_down = Some(3);
        options.grace = grace;
    });
    for n in 0..20 {
        let _ = process.cache.insert(key(&n.to_string()), bytes("old"), InsertOptions::new()).await;
    }
    process.faults.fail(true);
    for _ in 0..3 {
        assert!(process.cache.get(&key("x")).await.is_none());
    }
    (world, process)
}

/// The others are turned away at once, and none of it is kept.
#[tokio::test(start_paused = true)]
async fn the_herd_is_shed() {
    let (world, process) = out(Duration::ZERO).await;
    let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let fetch = || async {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(10)).await;
        now.fetch_sub(1, Ordering::SeqCst);
        Ok::<_, Refused>(bytes("new"))
    };
    let keys: Vec<_> = (0..20).map(|n| key(&format!("herd {n}"))).collect();
    let asked = join_all(keys.iter().map(|k| process.cache.get_or_fetch(k, fetch))).await;
    assert_eq!(asked.iter().filter(|asked| matches!(asked, Err(FetchError::Shed))).count(), 17);
    assert_eq!((most.load(Ordering::SeqCst), process.cache.stats().shed), (3, 17));
    assert_eq!(process.cache.in_flight(), 0);
    // Places become free again; and once the tier is back there is no limit.
    assert!(process.cache.get_or_fetch(&keys[19], fetch).await.is_ok());
    process.faults.fail(false);
    world.clock.advance(Duration::from_secs(1));
    assert!(process.cache.get(&key("x")).await.is_none(), "the probe");
    let keys: Vec<_> = (0..20).map(|n| key(&format!("back {n}"))).collect();
    let asked = join_all(keys.iter().map(|k| process.cache.get_or_fetch(k, fetch))).await;
    assert!(asked.iter().all(Result::is_ok));
}

/// A place is given back by a caller who goes away.
#[tokio::test(start_paused = true)]
async fn places_are_given_back() {
    let (_world, process) = out(Duration::ZERO).await;
    for n in 0..10 {
        let k = key(&format!("gone {n}"));
        let asking = process.cache.get_or_fetch(&k, std::future::pending::<Result<Bytes, Refused>>);
        assert!(tokio::time::timeout(Duration::from_millis(1), asking).await.is_err(), "{n}");
    }
}

/// A stale value takes the place of an error.
#[tokio::test(start_paused = true)]
async fn stale_values_serve_those_that_are_shed() {
    let (world, process) = out(Duration::from_secs(600)).await;
    world.clock.advance(TTL);
    for _ in 0..3 {
        assert!(process.cache.get(&key("x")).await.is_none()); // the breaker's probe fails
    }
    let fetch = || async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok::<_, Refused>(bytes("new"))
    };
    let keys: Vec<_> = (0..20).map(|n| key(&n.to_string())).collect();
    let asked = join_all(keys.iter().map(|k| process.cache.get_or_fetch(k, fetch))).await;
    assert_eq!(asked.iter().flatten().filter(|asked| asked.is_stale()).count(), 17);
    assert!(asked.iter().all(Result::is_ok));
}
