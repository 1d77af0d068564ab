//! Encryption against a real server: what Redis holds, and what becomes of what it should not hold.
#![cfg(feature = "encryption")]

mod common;

use cache_core::{CacheKey, Error, PutFenced, RemoteTier as _, Tag, TagStamp};
use cache_redis::{KeyId, KeyRing, RedisTier};
use common::{builder, entry, key, name, outside, plant, tier};
use testbed::redis::{RedisServer, server_or_skip};

const ACME: KeyId = KeyId(1);
const GLOBEX: KeyId = KeyId(2);
const TEXT: &str = "The answer to life, the universe and everything is forty-two. ";

fn acme() -> KeyRing {
    KeyRing::new(ACME, [1; 32])
}

fn globex() -> KeyRing {
    KeyRing::new(GLOBEX, [2; 32])
}

fn encrypted(server: &RedisServer, keys: KeyRing) -> RedisTier {
    builder(server).encrypt(keys).build().expect("valid options")
}

async fn stored(server: &RedisServer, key: &CacheKey) -> Vec<u8> {
    let mut get = redis::cmd("GET");
    get.arg(name("llmcache", key));
    get.query_async(&mut outside(server).await).await.expect("GET")
}

fn count(tier: &RedisTier, reason: &str) -> u64 {
    let counted = tier.undecodable_by_reason().find(|(name, _)| *name == reason);
    counted.expect("a reason").1
}

/// The tier works as ever, and no piece of an answer is in Redis.
#[tokio::test]
async fn redis_sees_no_answer() {
    let Some(server) = server_or_skip("redis_sees_no_answer") else { return };
    let tier = encrypted(&server, acme());
    let never_compressed = builder(&server).compress_above(None).encrypt(acme()).build().unwrap();
    for text in [TEXT.to_owned(), TEXT.repeat(50)] {
        let (key, value) = (key(&text), entry(text.clone()));
        tier.put(&key, &value).await.unwrap();
        let found = tier.get(&key).await.unwrap();
        assert_eq!(found.entry.as_ref(), Some(&value));
        assert_eq!(tier.get_many(&[key]).await.unwrap()[0], found);
        assert!(tier.ttl(&key).await.unwrap().is_some());
        let bytes = stored(&server, &key).await;
        for piece in TEXT.as_bytes().windows(8) {
            assert!(!bytes.windows(8).any(|place| place == piece));
        }
        assert_eq!(never_compressed.get(&key).await.unwrap(), found);
        let outcome = never_compressed.put_fenced(&key, &value, found.fence).await.unwrap();
        assert_eq!(outcome, PutFenced::Stored);
        assert_eq!(tier.get(&key).await.unwrap().entry, Some(value));
        assert!(tier.remove(&key).await.unwrap());
        assert_eq!(tier.get(&key).await.unwrap().entry, None);
    }
    assert_eq!(tier.undecodable(), 0);
}

/// Two tenants who both know a key: each other's entries are counted misses, which they replace.
#[tokio::test]
async fn tenants_do_not_read_each_other() {
    let Some(server) = server_or_skip("tenants_do_not_read_each_other") else { return };
    let (a, b) = (encrypted(&server, acme()), encrypted(&server, globex()));
    let key = key("both know it");
    a.put(&key, &entry("of acme")).await.unwrap();
    let found = b.get(&key).await.unwrap();
    assert_eq!(found.entry, None);
    assert_eq!((b.undecodable(), count(&b, "unknown_key")), (1, 1));
    assert_eq!(a.get(&key).await.unwrap().entry.unwrap().value.bytes, "of acme", "not deleted");

    let impostor = encrypted(&server, KeyRing::new(ACME, [3; 32]));
    assert_eq!(impostor.get(&key).await.unwrap().entry, None);
    assert_eq!(count(&impostor, "not_authentic"), 1);

    let outcome = b.put_fenced(&key, &entry("of globex"), found.fence).await.unwrap();
    assert_eq!(outcome, PutFenced::Stored);
    assert_eq!(b.get(&key).await.unwrap().entry.unwrap().value.bytes, "of globex");
    assert_eq!(a.get(&key).await.unwrap().entry, None);
}

/// The tenant is a tag: each entry is encrypted with its tenant's key, and without one not stored.
#[tokio::test]
async fn the_key_is_the_tenant_s() {
    let Some(server) = server_or_skip("the_key_is_the_tenant_s") else { return };
    let tenants = [(Tag::named("acme"), ACME), (Tag::named("globex"), GLOBEX)];
    let both = acme().with(GLOBEX, [2; 32]).choose(move |_, tags| {
        let of = |tag| tenants.iter().find(|(tenant, _)| *tenant == tag).map(|(_, id)| *id);
        tags.as_slice().iter().find_map(|stamped| of(stamped.tag))
    });
    let (gateway, only_acme) = (encrypted(&server, both), encrypted(&server, acme()));
    for (tag, id) in tenants {
        let key = key(&id.to_string());
        let tags = [TagStamp { tag, stamp: [9; 16] }].into_iter().collect();
        gateway.put(&key, &entry(TEXT).with_tags(tags)).await.unwrap();
        assert!(gateway.get(&key).await.unwrap().entry.is_some());
        assert_eq!(only_acme.get(&key).await.unwrap().entry.is_some(), id == ACME);
    }
    let error = gateway.put(&key("nobody's"), &entry(TEXT)).await.unwrap_err();
    assert!(matches!(error, Error::Unencodable { .. }) && !error.is_transient());
    assert_eq!(gateway.get(&key("nobody's")).await.unwrap().entry, None);
}

/// From plain entries to encrypted ones and on to the next key, without a cold cache.
#[tokio::test]
async fn keys_can_be_changed() {
    let Some(server) = server_or_skip("keys_can_be_changed") else { return };
    let before = tier(&server);
    before.put(&key("plain"), &entry("plain")).await.unwrap();
    let during = encrypted(&server, acme().accept_plain(true));
    assert!(during.get(&key("plain")).await.unwrap().entry.is_some());
    during.put(&key("old"), &entry("old")).await.unwrap();
    assert_eq!(before.get(&key("old")).await.unwrap().entry, None);
    assert_eq!(before.ttl(&key("old")).await.unwrap(), None);
    assert_eq!(count(&before, "encrypted"), 1);

    let next = encrypted(&server, globex().with(ACME, [1; 32]));
    assert!(next.get(&key("old")).await.unwrap().entry.is_some());
    next.put(&key("new"), &entry("new")).await.unwrap();
    let found = next.get(&key("plain")).await.unwrap();
    assert_eq!((found.entry, count(&next, "plain")), (None, 1));
    assert_eq!(next.ttl(&key("plain")).await.unwrap(), None);
    assert!(before.get(&key("plain")).await.unwrap().entry.is_some(), "not deleted for it");
    assert!(next.remove_if_equals(&key("plain"), found.fence).await.is_ok());
    assert!(before.get(&key("plain")).await.unwrap().entry.is_none(), "removed on demand");

    let last = encrypted(&server, globex());
    assert!(last.get(&key("new")).await.unwrap().entry.is_some());
    assert_eq!(last.get(&key("old")).await.unwrap().entry, None);
    assert_eq!(count(&last, "unknown_key"), 1);
}

/// A record that was moved to another key with all checksums made right is a miss.
#[tokio::test]
async fn answers_cannot_be_swapped() {
    let Some(server) = server_or_skip("answers_cannot_be_swapped") else { return };
    let tier = encrypted(&server, acme());
    let (from, to) = (key("from"), key("to"));
    tier.put(&from, &entry("yes")).await.unwrap();
    tier.put(&to, &entry("no!")).await.unwrap();
    let (mut moved, target) = (stored(&server, &from).await, stored(&server, &to).await);
    moved[24..40].copy_from_slice(&target[24..40]);
    let own = crc32fast::hash(&moved[..88]);
    moved[88..92].copy_from_slice(&own.to_le_bytes());
    plant(&server, &name("llmcache", &to), &moved).await;
    assert_eq!(tier.get(&to).await.unwrap().entry, None);
    assert_eq!((tier.undecodable(), count(&tier, "not_authentic")), (1, 1));
}

/// No secret is printed, and an id means one secret.
#[test]
fn secrets_are_neither_printed_nor_confused() {
    let builder = || RedisTier::builder("redis://127.0.0.1:1/").unwrap();
    let secret = *b"a secret of thirty-two bytes ok?";
    let builder = builder().encrypt(KeyRing::new(ACME, secret));
    let shown = format!("{builder:?} {:?}", builder.clone().build().unwrap());
    assert!(!shown.contains("secret of") && !shown.contains("97, 32, 115"), "{shown}");
    let error = builder.encrypt(acme().with(ACME, [2; 32])).build().unwrap_err();
    assert!(matches!(error, cache_redis::ConfigError::KeyGivenTwice(ACME)), "{error}");
}
