//! A58, A116: which tiers are used, and all options, as configuration says it.
#![allow(clippy::unwrap_used, reason = "what a test's helper unwraps is what it expects")]
#![cfg(feature = "serde")]

mod common;

use std::time::Duration;

use bytes::Bytes;
use cache_dual::codec::Raw;
use cache_dual::{
    BuildError, DetachedOptions, DualCache, DualOptions, InsertOptions, Strategy, WriteMode,
};
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
            "hard_timeout": "250ms", "writes": {"queued": {"capacity": 7}},
            "lease": {"ttl": "10s", "wait": "1s"}, "breaker": {"failures": 5}}"#,
    );
    assert_eq!(
        (options.strategy, options.ttl),
        (Strategy::RedisOrMemory, Duration::from_secs(7_200))
    );
    assert_eq!(options.hard_timeout, Some(Duration::from_millis(250)));
    assert_eq!(options.writes, WriteMode::Queued { capacity: 7 });
    assert_eq!(read(&to_string(&options).unwrap()), options);
    assert_eq!(read("{}"), DualOptions::default());
}

/// A116: what is unknown or no value of its member is refused, and the text says which member, what it was
/// given, and what would be right.
#[test]
fn what_is_unknown_is_refused_by_name() {
    let unit = r#"a duration with its unit, such as "250ms", "30s" or "1h 30m""#;
    for (json, text) in [
        (
            r#"{"ttll": "1h"}"#,
            "unknown field `ttll`, expected one of `strategy`, `namespace`, `ttl`, ",
        ),
        (
            r#"{"strategy": "redys"}"#,
            "`strategy`: unknown variant `redys`, expected one of `memory`, `redis`, `redis-or-memory`, ",
        ),
        (r#"{"ttl": 3600}"#, &format!("`ttl`: invalid type: integer `3600`, expected {unit}")),
        (
            r#"{"ttl": "3600"}"#,
            &format!(r#"`ttl`: "3600" is not {unit}: time unit needed, for example 3600sec"#),
        ),
        (
            r#"{"memory_ttl": "5 parsecs"}"#,
            &format!(r#"`memory_ttl`: "5 parsecs" is not {unit}: unknown time unit "parsecs", "#),
        ),
        (r#"{"grace": "-1s"}"#, &format!(r#"`grace`: "-1s" is not {unit}: expected number at 0"#)),
        (r#"{"ttl": null}"#, &format!("`ttl`: invalid type: null, expected {unit}")),
        (r#"{"max_entries": -1}"#, "`max_entries`: invalid value: integer `-1`, expected u64"),
        (
            r#"{"fetches_while_down": 1.5}"#,
            "`fetches_while_down`: invalid type: floating point `1.5`, expected usize",
        ),
        (r#"{"jitter": "much"}"#, "`jitter`: invalid type: string \"much\", expected f64"),
        (
            r#"{"breaker": {"failure": 3}}"#,
            "`breaker`: unknown field `failure`, expected one of `failures`, `probe_interval`, ",
        ),
        (
            r#"{"breaker": {"failures": 5000000000}}"#,
            "`breaker`: `failures`: invalid value: integer `5000000000`, expected u32",
        ),
        (
            r#"{"breaker": {"probe_interval": 1}}"#,
            &format!("`breaker`: `probe_interval`: invalid type: integer `1`, expected {unit}"),
        ),
        (r#"{"lease": {"ttl": "1s"}}"#, "`lease`: missing field `wait`"),
        (
            r#"{"lease": {"ttl": "1s", "wait": "1s", "x": 1}}"#,
            "`lease`: unknown field `x`, expected `ttl` or `wait`",
        ),
        (
            r#"{"writes": "sometimes"}"#,
            "`writes`: unknown variant `sometimes`, expected `through` or `queued`",
        ),
        (
            r#"{"writes": {"queued": {"capacity": 1, "x": 1}}}"#,
            "`writes`: unknown field `x`, expected `capacity`",
        ),
        (
            r#"{"writes": {"queued": {"capacity": -1}}}"#,
            "`writes`: `capacity`: invalid value: integer `-1`, expected usize",
        ),
        // Options of calls that cannot all honour them are none of the cache's.
        (r#"{"soft_timeout": "1s"}"#, "unknown field `soft_timeout`, expected one of "),
        (r#"{"eager_refresh": 0.8}"#, "unknown field `eager_refresh`, expected one of "),
    ] {
        let error = from_str::<DualOptions>(json).unwrap_err().to_string();
        assert!(error.starts_with(text), "{json}: {error}");
        assert_eq!(error.matches(" at line 1 column ").count(), 1, "{error}");
    }
}

/// What only detached fetches can do is read from configuration too, and checked there.
#[test]
fn detached_options_are_read_from_configuration() {
    let read = |json: &str| from_str::<DetachedOptions>(json).map_err(|error| error.to_string());
    let options = read(r#"{"soft_timeout": "250ms", "eager_refresh": 0.8}"#).unwrap();
    let expected = DetachedOptions::new().soft_timeout(Duration::from_millis(250));
    assert_eq!(options, expected.eager_refresh(0.8).unwrap());
    assert_eq!(read(&to_string(&options).unwrap()), Ok(options));
    assert_eq!(read("{}"), Ok(DetachedOptions::new()));
    assert_eq!(read(&to_string(&DetachedOptions::new()).unwrap()), Ok(DetachedOptions::new()));
    for (json, text) in [
        (r#"{"eager_refresh": 1.0}"#, "`eager_refresh` is 1; it has to be above 0 and below 1"),
        (
            r#"{"soft_timeout": 1}"#,
            "`soft_timeout`: invalid type: integer `1`, expected a duration",
        ),
        (r#"{"hard": 1}"#, "unknown field `hard`, expected `soft_timeout` or `eager_refresh`"),
    ] {
        let error = read(json).unwrap_err();
        assert!(error.starts_with(text), "{json}: {error}");
    }
}

/// What is refused when the cache is built says as much.
#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let world = World::new();
    for (json, remote, text) in [
        (r#"{"ttl": "0s"}"#, true, "`ttl` is 0; it has to be more"),
        (r#"{"breaker": {"failures": 0}}"#, true, "`breaker.failures` is 0; it has to be more"),
        (r#"{"jitter": 1.5}"#, true, "`jitter` is 1.5; it has to be at least 0 and below 1"),
        (
            r#"{"namespace": " "}"#,
            true,
            "`namespace` is blank; it has to be a name, such as `default`",
        ),
        (
            r#"{"strategy": "redis"}"#,
            false,
            "`strategy` is `redis`, and there is no remote tier; give the builder one, or set \
             `redis-or-memory` or `memory`",
        ),
        (
            r#"{"lease": {"ttl": "1s", "wait": "1s"}}"#,
            false,
            "`lease` is set, and does nothing without a remote tier; leave it out, or give the builder a \
             remote tier",
        ),
    ] {
        let error = build(json, remote.then_some(&world)).unwrap_err();
        assert_eq!(error.to_string(), text, "{json}");
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
    let not_a_share = |value| {
        let (option, bounds) = ("jitter", "at least 0 and below 1");
        BuildError::NotAShare { option, value, bounds }
    };
    let cases = [
        (r#"{"writes": {"queued": {"capacity": 0}}}"#, BuildError::Zero("writes.capacity")),
        (r#"{"lease": {"ttl": "0s", "wait": "1s"}}"#, BuildError::Zero("lease.ttl")),
        (r#"{"lease": {"ttl": "1s", "wait": "0s"}}"#, BuildError::Zero("lease.wait")),
        (r#"{"jitter": 1.0}"#, not_a_share(1.0)),
        (r#"{"jitter": -0.1}"#, not_a_share(-0.1)),
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
