//! One fetch a key among all processes that share a remote tier.
#![allow(clippy::unwrap_used, reason = "what a test's helper unwraps is what it expects")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cache_dual::{
    DetachedOptions, DualOptions, FetchError, InsertOptions, LeaseOptions, Source, WriteMode,
};
use common::{Process, Refused, World, bytes, key};

const REFUSED: Refused = Refused { status: 500, retry_after: 0 };

fn leased(options: &mut DualOptions) {
    options.lease =
        Some(LeaseOptions { ttl: Duration::from_secs(10), wait: Duration::from_secs(5) });
    options.grace = Duration::from_secs(600);
}

fn process(world: &World) -> Process {
    world.process_with(None, leased)
}

/// A43 across processes: many processes ask at once, and one of them fetches.
#[tokio::test(start_paused = true)]
async fn processes_share_a_fetch() {
    for queued in [false, true] {
        let world = World::new();
        let calls = AtomicU64::new(0);
        let processes: Vec<Process> = (0..5)
            .map(|_| {
                world.process_with(None, |options| {
                    leased(options);
                    if queued {
                        options.writes = WriteMode::Queued { capacity: 10 };
                    }
                })
            })
            .collect();
        let k = key("k");
        let asking = processes.iter().map(|process| {
            process.cache.get_or_fetch(&k, || async {
                calls.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(500)).await;
                Ok::<_, Refused>(bytes("v"))
            })
        });
        let answers = futures_util::future::join_all(asking).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap().value == "v"));
        assert_eq!(calls.load(Ordering::SeqCst), 1, "queued: {queued}");
        assert_eq!(processes.iter().map(|p| p.cache.stats().l2_hits).sum::<u64>(), 4);
    }
}

/// A holder that fails gives its lease back at once.
#[tokio::test(start_paused = true)]
async fn a_failing_holder_gives_way() {
    let world = World::new();
    let (a, b) = (process(&world), process(&world));
    let k = key("k");
    let failing = a.cache.get_or_fetch(&k, || async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Err::<Bytes, _>(REFUSED)
    });
    let asking = b.cache.get_or_fetch(&k, || async { Ok::<_, Refused>(bytes("b")) });
    let started = tokio::time::Instant::now();
    let (failed, asked) = tokio::join!(failing, asking);
    assert!(failed.is_err());
    assert_eq!(asked.unwrap().value, "b");
    assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
}

/// A45: a holder that dies is waited for no longer than its lease, nor than others want to wait.
#[tokio::test(start_paused = true)]
async fn a_dead_holder_is_survived() {
    for lease_ends in [false, true] {
        let world = World::new();
        let (a, b) = (process(&world), process(&world));
        let k = key("k");
        let dying = tokio::time::timeout(
            Duration::from_millis(50),
            a.cache.get_or_fetch(&k, std::future::pending::<Result<Bytes, Refused>>),
        );
        let _ = dying.await;
        // Dropped, it would give its lease back; a process that dies does not.
        a.faults.hang(true);
        tokio::task::yield_now().await;
        if lease_ends {
            world.clock.advance(Duration::from_secs(10));
        }
        let started = tokio::time::Instant::now();
        let asked = b.cache.get_or_fetch(&k, || async { Ok::<_, Refused>(bytes("b")) });
        assert_eq!(asked.await.unwrap().source, Source::Origin);
        assert!(started.elapsed() <= Duration::from_secs(6), "{:?}", started.elapsed());
    }
}

/// A holder that was taken for dead comes back with its value: it is refused, and forgotten.
#[tokio::test(start_paused = true)]
async fn a_late_value_is_refused() {
    let world = World::new();
    let (a, b) = (process(&world), process(&world));
    let k = key("k");
    let late = a.cache.get_or_fetch(&k, || async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        Ok::<_, Refused>(bytes("late"))
    });
    let taking_over = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.clock.advance(Duration::from_secs(11));
        b.cache.get_or_fetch(&k, || async { Ok::<_, Refused>(bytes("b")) }).await
    };
    let (late, taken) = tokio::join!(late, taking_over);
    assert_eq!((late.unwrap().value, taken.unwrap().value), (bytes("late"), bytes("b")));
    for cache in [&a.cache, &b.cache, &process(&world).cache] {
        assert_eq!(cache.get(&k).await.unwrap().value, "b");
    }
}

/// While another process fetches, a stale value is served at once.
#[tokio::test(start_paused = true)]
async fn stale_values_are_served_meanwhile() {
    let world = World::new();
    let (a, b) = (process(&world), process(&world));
    let k = key("k");
    let _ = a.cache.insert(k, bytes("old"), InsertOptions::new()).await;
    world.clock.advance(common::TTL);
    let fetching = a.cache.get_or_fetch(&k, || async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok::<_, Refused>(bytes("new"))
    });
    let asking = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let started = tokio::time::Instant::now();
        let asked = b.cache.get_or_fetch(&k, || async { Err::<Bytes, _>(REFUSED) }).await.unwrap();
        assert!(asked.is_stale() && asked.value == "old");
        assert!(started.elapsed() < Duration::from_millis(5));
    };
    let (fetched, ()) = tokio::join!(fetching, asking);
    assert_eq!(fetched.unwrap().value, "new");
}

/// A stale value that only memory has is there for its holder too, should the origin fail.
#[tokio::test]
async fn a_holder_keeps_its_stale_value() {
    let world = World::new();
    let process = process(&world);
    let k = key("k");
    let _ = process.cache.insert(k, bytes("old"), InsertOptions::new()).await;
    world.clock.advance(common::TTL);
    cache_core::RemoteTier::purge(&*world.remote).await.unwrap();
    let asked =
        process.cache.get_or_fetch(&k, || async { Err::<Bytes, _>(REFUSED) }).await.unwrap();
    assert!(asked.is_stale() && asked.value == "old");
}

/// A value is fetched anew before it ends, with leases as without.
#[tokio::test]
async fn eager_refreshes_are_made() {
    let world = World::new();
    let process = world.process_with(None, leased);
    let half = DetachedOptions::new().eager_refresh(0.5).unwrap();
    let k = key("k");
    let _ = process.cache.insert(k, bytes("old"), InsertOptions::new()).await;
    world.clock.advance(common::TTL.mul_f64(0.6));
    let fetch = || async { Ok::<_, Refused>(bytes("new")) };
    assert_eq!(process.cache.get_or_fetch_detached(&k, half, fetch).await.unwrap().value, "old");
    while process.cache.in_flight() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(process.cache.get(&k).await.unwrap().value, "new");
}

/// A hard timeout is one for who waits for another process, too.
#[tokio::test(start_paused = true)]
async fn waiting_for_a_lease_is_bounded_by_the_hard_timeout() {
    let world = World::new();
    let (a, b) = (process(&world), process(&world));
    let k = key("k");
    let _holding = tokio::spawn({
        let cache = a.cache.clone();
        async move { cache.get_or_fetch(&k, std::future::pending::<Result<Bytes, Refused>>).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let started = tokio::time::Instant::now();
    let query = b.cache.query(&k).hard_timeout(Duration::from_millis(300));
    let asked = query.get_or_fetch(std::future::pending::<Result<Bytes, Refused>>).await;
    assert!(matches!(asked, Err(FetchError::TimedOut { .. })), "{asked:?}");
    assert!(started.elapsed() <= Duration::from_millis(310), "{:?}", started.elapsed());
}

/// A hedge is for a remote tier that takes its time, not for another process that fetches.
#[tokio::test(start_paused = true)]
async fn a_hedge_does_not_break_a_lease() {
    let world = World::new();
    let hedged = |options: &mut DualOptions| {
        leased(options);
        options.hedge_after = Some(Duration::from_millis(20));
    };
    let (a, b) = (world.process_with(None, hedged), world.process_with(None, hedged));
    let (k, calls) = (key("k"), Arc::new(AtomicU64::new(0)));
    let fetch = || async {
        calls.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok::<_, Refused>(bytes("v"))
    };
    let (one, two) = tokio::join!(a.cache.get_or_fetch(&k, fetch), b.cache.get_or_fetch(&k, fetch));
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}
