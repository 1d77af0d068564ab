//! A remote tier that fails, hangs or is not there makes lookups misses, and nothing worse.

mod common;

use std::convert::Infallible;
use std::sync::LazyLock;
use std::time::Duration;

use cache_dual::{BreakerState, CacheKey, DualCache, InsertOptions, Source};
use common::{Process, World, bytes, key};

static K: LazyLock<CacheKey> = LazyLock::new(|| key("k"));

const DEADLINE: Duration = Duration::from_millis(100);
const PROBE: Duration = Duration::from_secs(1);

async fn misses(process: &Process, count: u32) {
    for _ in 0..count {
        assert!(process.cache.get(&key("absent")).await.is_none());
    }
}

/// A61, A62: three failures, and the tier is no longer called; one probe an interval; a success
/// brings it back.
#[tokio::test]
async fn a_failing_tier_is_left_alone_and_comes_back() {
    let world = World::new();
    let process = world.process();
    process.faults.fail(true);
    misses(&process, 10).await;
    assert_eq!(process.faults.calls(), 3);
    let stats = process.cache.stats();
    assert_eq!((stats.misses, stats.l2.errors, stats.l2.skipped), (10, 3, 7));

    world.clock.advance(PROBE);
    misses(&process, 5).await;
    assert_eq!(process.faults.calls(), 4, "one probe");

    process.faults.fail(false);
    let _ = world.process().cache.insert(*K, bytes("v"), InsertOptions::new()).await;
    world.clock.advance(PROBE);
    assert_eq!(process.cache.get(&K).await.unwrap().source, Source::L2);
    assert!(process.cache.health().await.is_healthy());
}

/// A61, F26: a tier that hangs costs its deadline, three times, and then nothing.
#[tokio::test(start_paused = true)]
async fn a_hanging_tier_costs_its_deadline_and_then_nothing() {
    let process = World::new().process();
    process.faults.hang(true);
    let started = tokio::time::Instant::now();
    misses(&process, 100).await;
    assert_eq!(started.elapsed(), DEADLINE * 3);
    assert_eq!(process.cache.stats().l2.timeouts, 3);
}

/// A61: writes are dropped and counted, and the caller sees none of it.
#[tokio::test]
async fn writes_to_a_failing_tier_are_counted() {
    let process = World::new().process();
    process.faults.fail(true);
    let fetched = process
        .cache
        .get_or_fetch(&key("a"), || async { Ok::<_, Infallible>(bytes("v")) })
        .await
        .unwrap();
    assert_eq!(fetched.value, "v");
    let _ = process.cache.insert(key("b"), bytes("v"), InsertOptions::new()).await;
    let stats = process.cache.stats();
    assert_eq!((stats.l2.writes, stats.l2.failed_writes), (0, 2));
    for name in ["a", "b"] {
        assert_eq!(process.cache.get(&key(name)).await.unwrap().source, Source::L1);
    }
}

/// A47: memory answers whatever the remote tier does.
#[tokio::test(start_paused = true)]
async fn memory_answers_through_an_outage() {
    let process = World::new().process();
    let _ = process.cache.insert(*K, bytes("v"), InsertOptions::new()).await;
    process.faults.hang(true);
    let started = tokio::time::Instant::now();
    assert_eq!(process.cache.get(&K).await.unwrap().source, Source::L1);
    assert_eq!(started.elapsed(), Duration::ZERO);
}

/// A67: health is green only if every configured tier is.
#[tokio::test(start_paused = true)]
async fn health_tells_the_remote_tier_s_state() {
    let local: DualCache<u8> = DualCache::builder().build().unwrap();
    assert!(local.health().await.is_healthy());

    let process = World::new().process();
    assert!(process.cache.health().await.is_healthy());
    process.faults.hang(true);
    assert!(!process.cache.health().await.is_healthy());
    misses(&process, 3).await;
    let (state, ping) = process.cache.health().await.remote.unwrap();
    assert_eq!(state, BreakerState::Open);
    assert!(ping.unwrap_err().is_transient());
}

/// A probe whose caller goes away does not keep the tier from being probed again.
#[tokio::test(start_paused = true)]
async fn an_abandoned_probe_is_not_the_last() {
    let world = World::new();
    let process = world.process();
    process.faults.hang(true);
    misses(&process, 3).await;
    world.clock.advance(PROBE);
    let probe = process.cache.get(&K);
    assert!(tokio::time::timeout(DEADLINE / 2, probe).await.is_err());
    process.faults.hang(false);
    misses(&process, 1).await;
    assert_eq!(process.cache.health().await.remote.unwrap().0, BreakerState::Closed);
}
