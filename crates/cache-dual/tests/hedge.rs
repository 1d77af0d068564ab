//! A fetch that is begun when the remote tier takes its time; the first value is taken.
#![allow(clippy::unwrap_used, reason = "what a test's helper unwraps is what it expects")]

mod common;

use std::time::Duration;

use bytes::Bytes;
use cache_dual::{FetchError, InsertOptions, Source};
use common::{Process, Refused, World, bytes, key};

const REFUSED: Refused = Refused { status: 500, retry_after: 0 };
const MS: Duration = Duration::from_millis(1);

async fn hedging(delay: Duration) -> (World, Process) {
    let world = World::new();
    let _ = world.process().cache.insert(key("there"), bytes("l2"), InsertOptions::new()).await;
    let process = world.process_with(None, |options| options.hedge_after = Some(10 * MS));
    process.faults.delay(delay);
    (world, process)
}

/// A fast remote tier: the origin is not asked.
#[tokio::test(start_paused = true)]
async fn a_fast_remote_tier_spares_the_origin() {
    let (_world, process) = hedging(5 * MS).await;
    let k = key("there");
    let found = process.cache.get_or_fetch(&k, || async { Err::<Bytes, _>(REFUSED) }).await;
    assert_eq!(found.unwrap().source, Source::L2);
    assert_eq!((process.cache.stats().fetches, process.cache.stats().hedged), (0, 0));
}

/// The origin is first: its caller has the value at once, and the remote tier gets it later.
#[tokio::test(start_paused = true)]
async fn the_origin_may_be_first() {
    let (world, process) = hedging(80 * MS).await;
    let _ = process.cache.get(&key("none")).await; // the root's stamp is known from here on
    let started = tokio::time::Instant::now();
    let k = key("k");
    let fetched = process.cache.get_or_fetch(&k, || async {
        tokio::time::sleep(5 * MS).await;
        Ok::<_, Refused>(bytes("v"))
    });
    assert_eq!(fetched.await.unwrap().source, Source::Origin);
    assert!(started.elapsed() < 20 * MS, "{:?}", started.elapsed());
    let stats = process.cache.stats();
    assert_eq!((stats.hedged, stats.misses, stats.fetches, stats.failed_fetches), (1, 2, 1, 0));
    tokio::time::sleep(500 * MS).await;
    assert_eq!(world.process().cache.get(&k).await.unwrap().value, "v");
    assert_eq!(process.cache.in_flight(), 0);
}

/// The remote tier is first after all: its value is taken, and the fetch is given up.
#[tokio::test(start_paused = true)]
async fn the_remote_tier_may_be_first() {
    let (_world, process) = hedging(50 * MS).await;
    let k = key("there");
    let found = process.cache.get_or_fetch(&k, || async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok::<_, Refused>(bytes("v"))
    });
    assert_eq!(found.await.unwrap().value, "l2");
    let stats = process.cache.stats();
    assert_eq!((stats.l2_hits, stats.misses, stats.failed_fetches), (1, 0, 1));
}

/// The origin fails first: the remote tier's value is waited for; without one the error is told, once.
#[tokio::test(start_paused = true)]
async fn an_origin_that_fails_first_is_covered_up_for() {
    let (_world, process) = hedging(50 * MS).await;
    let fail = || async { Err::<Bytes, _>(REFUSED) };
    assert_eq!(process.cache.get_or_fetch(&key("there"), fail).await.unwrap().value, "l2");
    let failed = process.cache.get_or_fetch(&key("none"), fail).await;
    assert!(matches!(failed, Err(FetchError::Origin(error)) if *error == REFUSED));
    assert_eq!(process.cache.stats().fetches, 2);
    assert_eq!(process.cache.in_flight(), 0);
}

/// A34: what a hedge fetched does not outlive a removal, however late the remote tier answers.
#[tokio::test(start_paused = true)]
async fn a_hedge_does_not_outlive_a_removal() {
    let (world, process) = hedging(60 * MS).await;
    let k = key("k");
    let fetched = process.cache.get_or_fetch(&k, || async { Ok::<_, Refused>(bytes("old")) });
    assert_eq!(fetched.await.unwrap().value, "old");
    world.process().cache.remove(&k).await.unwrap();
    process.cache.remove(&k).await.unwrap();
    tokio::time::sleep(500 * MS).await;
    assert!(process.cache.get(&k).await.is_none());
    assert!(world.process().cache.get(&k).await.is_none());
}

/// The caller goes away while both are under way: nothing is left behind.
#[tokio::test(start_paused = true)]
async fn a_dropped_hedge_leaves_nothing() {
    let (_world, process) = hedging(60 * MS).await;
    let k = key("k");
    let fetching = process.cache.get_or_fetch(&k, std::future::pending::<Result<Bytes, Refused>>);
    assert!(tokio::time::timeout(30 * MS, fetching).await.is_err());
    assert_eq!(process.cache.in_flight(), 0);
    let again = process.cache.get_or_fetch(&k, || async { Ok::<_, Refused>(bytes("v")) });
    assert_eq!(again.await.unwrap().value, "v");
}
