//! A master that sentinels know: found, lost, found again.

mod common;

use std::time::{Duration, Instant};

use cache_core::RemoteTier as _;
use cache_redis::RedisTier;
use testbed::redis::{
    RedisSentinel, RedisSentinelOptions, RedisServerOptions, sentinel_with_or_skip,
};

use common::{entry, key};

/// Long enough for a failover on a busy machine.
const HEALED: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_millis(250);

fn options() -> RedisSentinelOptions {
    RedisSentinelOptions::default().node(RedisServerOptions::default().password("secret"))
}

fn tier(sentinel: &RedisSentinel) -> RedisTier {
    let builder =
        RedisTier::sentinel(sentinel.sentinel_urls(), sentinel.service_name()).expect("URLs");
    builder.password("secret").command_timeout(LIMIT).build().expect("valid options")
}

/// Writes until it works; every call ends in time.
async fn until_it_stores(tier: &RedisTier) -> Duration {
    let start = Instant::now();
    loop {
        let asked = Instant::now();
        let outcome = tier.put(&key("k"), &entry("v")).await;
        assert!(asked.elapsed() < 2 * LIMIT + Duration::from_millis(100), "{:?}", asked.elapsed());
        match outcome {
            Ok(()) => return start.elapsed(),
            Err(error) => assert!(start.elapsed() < HEALED, "not healed: {error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_master_is_found_wherever_it_goes() {
    let Some(mut sentinel) = sentinel_with_or_skip("cache-redis/sentinel", &options()) else {
        return;
    };
    let tier = tier(&sentinel);
    until_it_stores(&tier).await;
    assert!(tier.get(&key("k")).await.unwrap().entry.is_some());

    // Killed, as by a crash.
    let lost = sentinel.kill_master().unwrap();
    println!("killed: healed after {:?}", until_it_stores(&tier).await);
    assert_ne!(sentinel.master().unwrap(), lost);
    sentinel.restart(lost).unwrap();
    sentinel.wait_until_ok().unwrap();

    // On demand: the old master lives on as a replica, which refuses writes.
    sentinel.failover().unwrap();
    println!("demoted: healed after {:?}", until_it_stores(&tier).await);

    // Stopped, without a sign: connections stay open, nothing answers.
    sentinel.wait_until_ok().unwrap();
    let lost = sentinel.pause_master().unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    println!("stopped: healed after {:?}", until_it_stores(&tier).await);
    assert_ne!(sentinel.master().unwrap(), lost);
    sentinel.resume(lost).unwrap();
}

/// One sentinel that does not answer is not in the way.
#[tokio::test]
async fn lost_sentinels_do_not_matter() {
    let Some(mut sentinel) = sentinel_with_or_skip("cache-redis/sentinels", &options()) else {
        return;
    };
    sentinel.kill_sentinel(0);
    let tier = tier(&sentinel);
    until_it_stores(&tier).await;
}
