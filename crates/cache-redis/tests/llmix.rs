//! Sharing a Redis with llmix programs: what they leave is read, and what is left for them is as
//! they write it.
#![cfg(feature = "llmix")]

mod common;

use std::time::Duration;

use bytes::Bytes;
use cache_core::{
    Clock as _, CodecId, Entry, Error, Lifetime, Payload, RemoteTier as _, StoredEntry,
    SystemClock, Tag, TagStamp,
};
use cache_redis::RedisTier;
use common::{entry, key, outside, plant, tier};
use testbed::redis::{RedisServer, server_or_skip};

const KEY: &str = "llmix:resp:v2:0a2c8273415b22d0336da4413f872cfa3fb5d0e4b228b084eb0bf5cc5cd8f019";
const TTL: Duration = Duration::from_secs(3_600);

async fn set(server: &RedisServer, payload: &str, life: Duration) {
    let mut set = redis::cmd("SET");
    set.arg(KEY).arg(payload).arg("PX").arg(millis(life));
    let () = set.query_async(&mut outside(server).await).await.expect("SET");
}

fn count(tier: &RedisTier, reason: &str) -> u64 {
    let counted = tier.undecodable_by_reason().find(|(name, _)| *name == reason);
    counted.expect("a reason").1
}

fn ago(time: Duration) -> u64 {
    SystemClock.now().as_unix_millis() - millis(time)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("a short time")
}

fn left(entry: &StoredEntry) -> Duration {
    entry.remaining(SystemClock.now())
}

/// A28: in seconds and in milliseconds, under either name; the life is what Redis has left of it.
#[tokio::test]
async fn their_answers_are_read() {
    let Some(server) = server_or_skip("their_answers_are_read") else { return };
    let tier = tier(&server);
    let theirs = tier.llmix(TTL);
    assert_eq!(theirs.get(KEY).await.unwrap(), None);
    let minute = Duration::from_secs(60);
    let stored = ago(minute);
    for time in [
        format!(r#""cached_at":{}"#, stored / 1_000),
        format!(r#""cached_at":{}.{:03}"#, stored / 1_000, stored % 1_000),
        format!(r#""cached_at":{stored}"#),
        format!(r#""cachedAt":{stored}"#),
    ] {
        set(&server, &format!(r#"{{"data":"Grüße 👋",{time}}}"#), 10 * minute).await;
        let found = theirs.get(KEY).await.unwrap().expect(&time);
        assert_eq!(found.value, Payload { codec: CodecId::RAW, bytes: "Grüße 👋".into() });
        let age = found.age(SystemClock.now());
        assert!(age >= minute / 2 && age <= 2 * minute, "{time}: {age:?}");
        assert!(left(&found) <= 10 * minute && left(&found) > 9 * minute, "{time}: {found:?}");
        assert!(found.is_fresh(SystemClock.now()));
    }
    set(&server, r#"{"data":"x"}"#, minute).await;
    let found = theirs.get(KEY).await.unwrap().expect("one without a time");
    assert!(left(&found) <= minute);
    assert_eq!(tier.undecodable(), 0);
}

/// A26, A28: no time makes a life longer than Redis does, or the answer older than the others take.
#[tokio::test]
async fn no_time_lengthens_a_life() {
    let Some(server) = server_or_skip("no_time_lengthens_a_life") else { return };
    let tier = tier(&server);
    let (theirs, minute) = (tier.llmix(TTL), Duration::from_secs(60));
    let at = |millis: u64| format!(r#"{{"data":"x","cached_at":{millis}}}"#);

    set(&server, &at(ago(minute) + 7_200_000), minute).await;
    let found = theirs.get(KEY).await.unwrap().expect("a fast clock is no reason to miss");
    assert!(left(&found) <= minute && found.stored_at <= SystemClock.now());

    set(&server, &at(ago(59 * minute)), 10 * minute).await;
    assert!(left(&theirs.get(KEY).await.unwrap().unwrap()) <= minute);
    set(&server, &at(ago(TTL + minute)), 10 * minute).await;
    assert_eq!(theirs.get(KEY).await.unwrap(), None, "too old, whatever Redis has left");
    assert_eq!(tier.undecodable(), 0);

    plant(&server, KEY, at(ago(minute)).as_bytes()).await;
    let found = theirs.get(KEY).await.unwrap().expect("kept for ever, of a known age");
    assert!(left(&found) <= 59 * minute + Duration::from_secs(1));
    for endless in [at(ago(minute) + 7_200_000), r#"{"data":"x"}"#.to_owned()] {
        plant(&server, KEY, endless.as_bytes()).await;
        assert_eq!(theirs.get(KEY).await.unwrap(), None, "{endless}");
    }
    assert_eq!(count(&tier, "not_llmix"), 2);
}

/// A28, A29: what is no answer, or of no time that was meant, is a counted miss and stays there.
#[tokio::test]
async fn absurd_values_are_counted_misses() {
    let Some(server) = server_or_skip("absurd_values_are_counted_misses") else { return };
    let tier = tier(&server);
    let theirs = tier.llmix(TTL);
    let absurd = [
        "",
        "{}",
        "hello",
        r#"{"data":7,"cached_at":1767225600}"#,
        r#"{"data":"x","cached_at":0}"#,
        r#"{"data":"x","cached_at":1767225600000000}"#,
        r#"{"data":"x","cached_at":-1}"#,
    ];
    for (n, payload) in (1..).zip(absurd) {
        set(&server, payload, TTL).await;
        assert_eq!(theirs.get(KEY).await.unwrap(), None, "{payload}");
        assert_eq!(count(&tier, "not_llmix"), n);
        let mut get = redis::cmd("GET");
        let there: String = get.arg(KEY).query_async(&mut outside(&server).await).await.unwrap();
        assert_eq!(there, payload);
    }
    let mut outside = outside(&server).await;
    let () = redis::cmd("DEL").arg(KEY).query_async(&mut outside).await.unwrap();
    let () = redis::cmd("LPUSH").arg(KEY).arg("x").query_async(&mut outside).await.unwrap();
    assert_eq!(theirs.get(KEY).await.unwrap(), None);
    assert_eq!(count(&tier, "wrong_type"), 1);
}

/// What is written is what llmix-rs 2.1.0 writes: the two members, seconds with a fraction, a life.
#[tokio::test]
async fn answers_are_written_as_theirs_are() {
    let Some(server) = server_or_skip("answers_are_written_as_theirs_are") else { return };
    let tier = tier(&server);
    let theirs = tier.llmix(Duration::from_secs(600));
    let answer = entry("Grüße, \"Welt\"\n");
    assert!(theirs.put(KEY, &answer).await.unwrap());
    let mut outside = outside(&server).await;
    let raw: String = redis::cmd("GET").arg(KEY).query_async(&mut outside).await.unwrap();
    let stored = Duration::from_millis(answer.stored_at.as_unix_millis()).as_secs_f64();
    let start = r#"{"data":"Grüße, \"Welt\"\n","cached_at":"#;
    let seconds: f64 = raw.strip_prefix(start).unwrap().strip_suffix('}').unwrap().parse().unwrap();
    assert!((seconds - stored).abs() < 2.0, "{raw} {stored}");
    let life: u64 = redis::cmd("PTTL").arg(KEY).query_async(&mut outside).await.unwrap();
    assert!((590_000..=600_000).contains(&life), "{life}");

    let read = theirs.get(KEY).await.unwrap().unwrap();
    assert_eq!(read.value, answer.value);
    let keys: u64 = redis::cmd("DBSIZE").query_async(&mut outside).await.unwrap();
    assert_eq!(keys, 1, "under their key and no other");
    assert_eq!(tier.purge().await.unwrap(), 0, "theirs is not ours to purge");
    assert!(theirs.get(KEY).await.unwrap().is_some());
}

/// What this form cannot keep is refused, not silently left out.
#[tokio::test]
async fn what_would_lose_something_is_refused() {
    let Some(server) = server_or_skip("what_would_lose_something_is_refused") else { return };
    let tier = tier(&server);
    let theirs = tier.llmix(TTL);
    let tags = [TagStamp { tag: Tag::named("t"), stamp: [1; 16] }];
    let json = Payload { codec: CodecId::JSON, bytes: Bytes::from_static(b"{}") };
    for lossy in [
        entry("x").with_tags(tags.into_iter().collect()),
        entry("x").map(|_| json),
        entry(&b"\xFF\xFE"[..]),
    ] {
        let error = theirs.put(KEY, &lossy).await.unwrap_err();
        assert!(matches!(error, Error::Unencodable { .. }), "{error}");
    }
    // Stale is not fresh, and nobody who reads this form would know.
    let now = SystemClock.now();
    let lifetime = Lifetime::new(Duration::ZERO).with_grace(TTL);
    let stale = Entry::new(entry("x").value, now, lifetime);
    assert!(!theirs.put(KEY, &stale).await.unwrap());
    let graceful = Lifetime::new(Duration::from_secs(60)).with_grace(TTL);
    assert!(theirs.put(KEY, &Entry::new(entry("x").value, now, graceful)).await.unwrap());
    assert!(left(&theirs.get(KEY).await.unwrap().unwrap()) <= Duration::from_secs(60));
    assert_eq!(tier.get(&key(KEY)).await.unwrap().entry, None, "none of our own entries");
}

/// A tier that encrypts writes nothing in the clear here either, and trusts nothing plain.
#[cfg(feature = "encryption")]
#[tokio::test]
async fn encryption_is_not_gone_around() {
    use cache_redis::{KeyId, KeyRing};

    let Some(server) = server_or_skip("encryption_is_not_gone_around") else { return };
    let keys = KeyRing::new(KeyId(1), [1; 32]);
    let strict = common::builder(&server).encrypt(keys.clone()).build().unwrap();
    let error = strict.llmix(TTL).put(KEY, &entry("x")).await.unwrap_err();
    assert!(matches!(error, Error::Unencodable { .. }));
    set(&server, r#"{"data":"x","cached_at":1767225600}"#, TTL).await;
    assert_eq!(strict.llmix(TTL).get(KEY).await.unwrap(), None);
    assert_eq!(count(&strict, "plain"), 1);

    set(&server, &format!(r#"{{"data":"x","cached_at":{}}}"#, ago(TTL / 2)), TTL).await;
    let lenient = common::builder(&server).encrypt(keys.accept_plain(true)).build().unwrap();
    assert!(lenient.llmix(TTL).get(KEY).await.unwrap().is_some());
}
