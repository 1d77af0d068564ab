//! A58, A116: which tiers are used, and all options, as configuration says it.
#![allow(clippy::unwrap_used, reason = "what a test's helper unwraps is what it expects")]
#![cfg(feature = "serde")]

mod common;

use std::time::Duration;

use bytes::Bytes;
use cache_dual::codec::Raw;
use cache_dual::{BuildError, DualCache, DualOptions, InsertOptions, Strategy, WriteMode};
use common::{World, bytes, key};
use serde_json::{from_str, to_string};

fn read(json: &str) -> DualOptions {
    from_str(json).unwrap()
}

fn build(json: &str, world: Option<&World>) -> Result<DualCache<Bytes>, BuildError> {
    let builder = DualCache::builder().options(read(json));
    match world {
        Some(world) => builder.remote(world.remote.clone(), Raw).clock(world.clock.clone()).build(),
        None => builder.build(),
    }
}

#[test]
fn options_are_read_from_configuration() {
    let options = read(
        r#"{"strategy": "redis-or-memory", "namespace": "chat", "ttl": "2h", "grace": "5m",
            "soft_timeout": "250ms", "writes": {"queued": {"capacity": 7}},
            "lease": {"ttl": "10s", "wait": "1s"}, "breaker": {"failures": 5}}"#,
    );
    assert_eq!(
        (options.strategy, options.ttl),
        (Strategy::RedisOrMemory, Duration::from_secs(7_200))
    );
    assert_eq!(options.soft_timeout, Some(Duration::from_millis(250)));
    assert_eq!(options.writes, WriteMode::Queued { capacity: 7 });
    assert_eq!(read(&to_string(&options).unwrap()), options);
    assert_eq!(read("{}"), DualOptions::default());
}

#[test]
fn what_is_unknown_is_refused() {
    for json in [
        r#"{"strategy": "redys"}"#,
        r#"{"ttll": "1h"}"#,
        r#"{"ttl": 3600}"#,
        r#"{"ttl": "soon"}"#,
        r#"{"breaker": {"failure": 3}}"#,
        r#"{"lease": {"ttl": "1s"}}"#,
        r#"{"lease": {"ttl": "1s", "wait": "1s", "x": 1}}"#,
        r#"{"writes": {"queued": {"capacity": 1, "x": 1}}}"#,
        r#"{"writes": "sometimes"}"#,
    ] {
        assert!(from_str::<DualOptions>(json).is_err(), "{json}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let world = World::new();
    let zeros = [
        "ttl",
        "memory_ttl",
        "hard_timeout",
        "stale_retry",
        "negative_ttl",
        "remote_deadline",
        "recheck",
    ];
    for name in zeros {
        let error = build(&format!(r#"{{"{name}": "0s"}}"#), Some(&world)).unwrap_err();
        assert_eq!(error, BuildError::Zero(name));
    }
    for name in ["fetches_while_down", "known_tags", "max_entries"] {
        let error = build(&format!(r#"{{"{name}": 0}}"#), Some(&world)).unwrap_err();
        assert_eq!(error, BuildError::Zero(name));
    }
    let cases = [
        (r#"{"writes": {"queued": {"capacity": 0}}}"#, BuildError::Zero("writes.capacity")),
        (r#"{"lease": {"ttl": "0s", "wait": "1s"}}"#, BuildError::Zero("lease.ttl")),
        (r#"{"lease": {"ttl": "1s", "wait": "0s"}}"#, BuildError::Zero("lease.wait")),
        (r#"{"jitter": 1.0}"#, BuildError::NotAShare("jitter")),
        (r#"{"jitter": -0.1}"#, BuildError::NotAShare("jitter")),
        (r#"{"eager_refresh": 0.0}"#, BuildError::NotAShare("eager_refresh")),
        (r#"{"eager_refresh": 1.0}"#, BuildError::NotAShare("eager_refresh")),
        (r#"{"namespace": " "}"#, BuildError::BlankNamespace),
    ];
    for (json, error) in cases {
        assert_eq!(build(json, Some(&world)).unwrap_err(), error, "{json}");
    }
    assert_eq!(build(r#"{"strategy": "redis"}"#, None).unwrap_err(), BuildError::RemoteMissing);
    for (name, value) in [
        ("memory_ttl", r#""1s""#),
        ("hedge_after", r#""1ms""#),
        ("fetches_while_down", "3"),
        ("writes", r#"{"queued": {"capacity": 1}}"#),
        ("lease", r#"{"ttl": "1s", "wait": "1s"}"#),
    ] {
        let error = build(&format!(r#"{{"{name}": {value}}}"#), None).unwrap_err();
        assert_eq!(error, BuildError::NeedsRemote(name));
    }
    // A116: what is disabled is not checked.
    assert!(build(r#"{"strategy": "disabled", "ttl": "0s"}"#, None).is_ok());
}

/// A58: each strategy uses the tiers that it says.
#[tokio::test]
async fn strategies_use_their_tiers() {
    for (name, in_memory, remotely) in [
        ("memory", true, false),
        ("redis", true, true),
        ("redis-or-memory", true, true),
        ("auto", true, true),
        ("native", false, false),
        ("gateway", false, false),
        ("disabled", false, false),
    ] {
        let world = World::new();
        let cache = build(&format!(r#"{{"strategy": "{name}"}}"#), Some(&world)).unwrap();
        let _ = cache.insert(key("k"), bytes("v"), InsertOptions::new()).await;
        assert_eq!(cache.get(&key("k")).await.is_some(), in_memory, "{name}");
        assert_eq!(!world.remote.is_empty(), remotely, "{name}");
        assert_eq!(cache.stats().misses, u64::from(!in_memory), "A69, {name}");
        let fetch = || async { Ok::<_, common::Refused>(bytes("v")) };
        assert_eq!(cache.get_or_fetch(&key("k"), fetch).await.unwrap().source.is_hit(), in_memory);
        cache.remove_tag(&cache_dual::Tag::named("t")).await.unwrap();
        cache.clear().await.unwrap();
        cache.remove(&key("k")).await.unwrap();
    }
    let alone = build(r#"{"strategy": "redis-or-memory"}"#, None).unwrap();
    let _ = alone.insert(key("k"), bytes("v"), InsertOptions::new()).await;
    assert!(alone.get(&key("k")).await.is_some());
}
