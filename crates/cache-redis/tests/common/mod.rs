//! What the tests against a real server share.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod relay;

use std::time::{Duration, Instant};

use bytes::Bytes;
use cache_core::{
    CacheKey, Clock as _, CodecId, Entry, Lifetime, Payload, RemoteTier as _, StoredEntry,
    SystemClock,
};
use cache_redis::{RedisBuilder, RedisTier};
use testbed::redis::RedisServer;

/// Long enough for a busy machine: what is slower is not slow but hung.
pub(crate) const SLACK: Duration = Duration::from_secs(5);

pub(crate) fn builder(server: &RedisServer) -> RedisBuilder {
    // Tests run beside each other on few cores; the default limit has tests of its own.
    let builder = RedisTier::builder(&server.url()).expect("a valid URL");
    builder.command_timeout(SLACK)
}

pub(crate) fn tier(server: &RedisServer) -> RedisTier {
    builder(server).build().expect("valid options")
}

pub(crate) fn key(text: &str) -> CacheKey {
    CacheKey::from_text(text)
}

pub(crate) fn entry(value: impl Into<Bytes>) -> StoredEntry {
    let payload = Payload { codec: CodecId::RAW, bytes: value.into() };
    Entry::new(payload, SystemClock.now(), Lifetime::new(Duration::from_secs(3_600)))
}

/// The name of `key` in Redis, as `docs/entry-format.md` has it.
pub(crate) fn name(prefix: &str, key: &CacheKey) -> String {
    format!("{prefix}:e1:{key}")
}

/// A connection of our own, to look at the server from outside and to plant things in it.
pub(crate) async fn outside(server: &RedisServer) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(server.url()).expect("a valid URL");
    client.get_multiplexed_async_connection().await.expect("the server answers")
}

pub(crate) async fn plant(server: &RedisServer, name: &str, value: &[u8]) {
    let mut connection = outside(server).await;
    let mut set = redis::cmd("SET");
    set.arg(name).arg(value);
    let () = set.query_async(&mut connection).await.expect("SET");
}

/// Asks until `tier` answers again.
///
/// # Panics
///
/// If it does not within [`SLACK`] and some.
pub(crate) async fn until_it_answers(tier: &RedisTier) {
    let start = Instant::now();
    while let Err(error) = tier.ping().await {
        assert!(start.elapsed() < 2 * SLACK, "still not there: {error}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
