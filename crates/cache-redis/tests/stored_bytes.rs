//! What is in Redis: names, records, and what others may have done to them.

mod common;

use std::sync::Arc;
use std::time::Duration;

use cache_core::{
    CacheKey, Clock as _, Entry, Fence, Lifetime, Lookup, ManualClock, PutFenced, RemoteTier as _,
    SystemClock,
};
use cache_redis::RedisTier;
use common::{builder, entry, key, name, outside, plant, tier};
use testbed::redis::{Fault, FaultProxy, server_or_skip};

async fn ask<T: redis::FromRedisValue>(
    connection: &mut redis::aio::MultiplexedConnection,
    command: &[&str],
) -> T {
    let mut ask = redis::cmd(command[0]);
    ask.arg(&command[1..]);
    ask.query_async(connection).await.expect("the server answers")
}

/// A29: a value of another Redis type is a counted miss, removed only by compare-and-delete.
#[tokio::test]
async fn wrong_types_are_counted_misses() {
    let Some(server) = server_or_skip("wrong_types_are_counted_misses") else { return };
    let (tier, mut outside) = (tier(&server), outside(&server).await);
    for (n, make) in [["LPUSH", "x"], ["SADD", "x"]].into_iter().enumerate() {
        let key = key(make[0]);
        let name = name("llmcache", &key);
        let _: i64 = ask(&mut outside, &[make[0], &name, make[1]]).await;
        let found = tier.get(&key).await.unwrap();
        assert_eq!(found.entry, None);
        assert_ne!(found.fence, Fence::ABSENT);
        assert_eq!(tier.get_many(&[key]).await.unwrap(), std::slice::from_ref(&found));
        assert_eq!(tier.undecodable(), 2 * (n as u64 + 1));
        assert_eq!(tier.ttl(&key).await.unwrap(), None);
        assert!(!tier.remove_if_equals(&key, Fence([1; 16])).await.unwrap());
        assert!(tier.remove_if_equals(&key, found.fence).await.unwrap());
        let kind: String = ask(&mut outside, &["TYPE", &name]).await;
        assert_eq!(kind, "string", "the memory of the removal");

        let _: i64 = ask(&mut outside, &["DEL", &name]).await;
        let _: i64 = ask(&mut outside, &[make[0], &name, make[1]]).await;
        let outcome = tier.put_fenced(&key, &entry("v"), found.fence).await.unwrap();
        assert_eq!(outcome, PutFenced::Stored);
        assert!(tier.get(&key).await.unwrap().entry.is_some());
    }
}

/// A29: damage anywhere in a record makes it a counted miss, and a put heals it.
#[tokio::test]
async fn damaged_records_are_counted_misses() {
    let Some(server) = server_or_skip("damaged_records_are_counted_misses") else { return };
    let (tier, mut outside) = (tier(&server), outside(&server).await);
    let key = key("k");
    let name = name("llmcache", &key);
    tier.put(&key, &entry("a value")).await.unwrap();
    let whole: Vec<u8> = redis::cmd("GET").arg(&name).query_async(&mut outside).await.unwrap();
    let mut misses = 0;
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        plant(&server, &name, &damaged).await;
        assert_eq!(tier.get(&key).await.unwrap().entry, None, "byte {at}");
        misses += 1;
    }
    plant(&server, &name, &whole[..whole.len() - 1]).await;
    assert_eq!(tier.get(&key).await.unwrap().entry, None);
    assert_eq!(tier.undecodable(), misses + 1);
    plant(&server, &name, &whole).await;
    assert!(tier.get(&key).await.unwrap().entry.is_some(), "undamaged, it is read again");
}

/// A29: a record belongs to its key. Under another one it is a counted miss to every reader, and a put
/// heals it.
#[tokio::test]
async fn a_record_under_another_key_is_a_miss() {
    let Some(server) = server_or_skip("a_record_under_another_key_is_a_miss") else { return };
    let (tier, mut outside) = (tier(&server), outside(&server).await);
    let (a, b) = (key("a"), key("b"));
    let (of_a, under_b) = (name("llmcache", &a), name("llmcache", &b));
    tier.put(&a, &entry("of a")).await.unwrap();
    let copied: u64 = ask(&mut outside, &["COPY", &of_a, &under_b]).await;
    assert_eq!(copied, 1);

    let found = tier.get(&b).await.unwrap();
    assert_eq!(found.entry, None);
    let both = tier.get_many(&[a, b]).await.unwrap();
    assert!(both[0].entry.is_some());
    assert_eq!(both[1], found);
    assert_eq!(tier.undecodable(), 2);
    assert_eq!(tier.ttl(&b).await.unwrap(), None);
    assert!(!tier.remove(&b).await.unwrap(), "it was no entry of this key");
    assert!(tier.get(&a).await.unwrap().entry.is_some());

    let _: u64 = ask(&mut outside, &["COPY", &of_a, &under_b, "REPLACE"]).await;
    let fence = tier.get(&b).await.unwrap().fence;
    let outcome = tier.put_fenced(&b, &entry("of b"), fence).await.unwrap();
    assert_eq!(outcome, PutFenced::Stored);
    assert_eq!(tier.get(&b).await.unwrap().entry.unwrap().value.bytes, "of b");
}

/// What a later release might be, as far as this one meets it: its own names, and records whose
/// version is 2. Who reads only its own version is the same program the other way round.
struct VersionTwo<'a>(&'a testbed::redis::RedisServer);

impl VersionTwo<'_> {
    fn name(key: &CacheKey) -> String {
        format!("llmcache:e2:{key}")
    }

    fn record(text: &str) -> Vec<u8> {
        let mut record = vec![0xCE, b'L', b'L', b'C', 2];
        record.extend_from_slice(&[7; 95]); // a header that this release knows nothing of
        record.extend_from_slice(text.as_bytes());
        record
    }

    async fn put(&self, key: &CacheKey, text: &str) {
        plant(self.0, &Self::name(key), &Self::record(text)).await;
    }

    /// Its own records under its own names, as any version does it.
    async fn get(&self, key: &CacheKey) -> Option<Vec<u8>> {
        let found = raw(self.0, &Self::name(key)).await?;
        (found.len() >= 100 && found[..5] == Self::record("")[..5]).then(|| found[100..].to_vec())
    }
}

async fn raw(server: &testbed::redis::RedisServer, name: &str) -> Option<Vec<u8>> {
    let mut outside = outside(server).await;
    redis::cmd("GET").arg(name).query_async(&mut outside).await.expect("GET")
}

/// A29: two programs of different format versions share one Redis: each reads its own entries, skips
/// the other's, and deletes neither, whatever it does.
#[tokio::test]
async fn two_format_versions_share_one_redis() {
    let Some(server) = server_or_skip("two_format_versions_share_one_redis") else { return };
    let (one, two) = (tier(&server), VersionTwo(&server));
    let (key, other) = (key("k"), key("only in version 2"));
    two.put(&key, "of two").await;
    two.put(&other, "of two").await;
    assert_eq!(one.get(&key).await.unwrap(), Lookup { entry: None, fence: Fence::ABSENT });
    assert_eq!(one.undecodable(), 0, "it is not even looked at");

    one.put(&key, &entry("of one")).await.unwrap();
    assert_eq!(one.get(&key).await.unwrap().entry.unwrap().value.bytes, "of one");
    assert_eq!(two.get(&key).await.as_deref(), Some(&b"of two"[..]));

    assert!(one.remove(&key).await.unwrap());
    assert!(!one.remove(&other).await.unwrap());
    one.put(&key, &entry("of one")).await.unwrap();
    assert!(one.purge().await.unwrap() > 0);
    assert_eq!(one.get(&key).await.unwrap().entry, None);
    for key in [key, other] {
        assert_eq!(two.get(&key).await.as_deref(), Some(&b"of two"[..]));
    }
}

/// A29: a record of another version under a name of ours (somebody moved it) is a counted miss. Nothing
/// but a write of ours to this key, or `remove_if_equals` with what was read, takes it away.
#[tokio::test]
async fn another_version_under_our_name_is_skipped() {
    let Some(server) = server_or_skip("another_version_under_our_name_is_skipped") else { return };
    let tier = tier(&server);
    let (key, absent) = (key("k"), key("absent"));
    let (name, record) = (name("llmcache", &key), VersionTwo::record("of two"));
    plant(&server, &name, &record).await;
    let found = tier.get(&key).await.unwrap();
    assert_eq!(found.entry, None);
    assert_ne!(found.fence, Fence::ABSENT);
    assert_eq!(tier.get_many(&[absent, key]).await.unwrap()[1], found);
    let unknown: Vec<_> = tier.undecodable_by_reason().filter(|(_, count)| *count > 0).collect();
    assert_eq!(unknown, [("unknown_version", 2)]);
    assert_eq!(tier.ttl(&key).await.unwrap(), None);
    assert!(!tier.remove_if_equals(&key, Fence([1; 16])).await.unwrap());
    let outcome = tier.put_fenced(&key, &entry("v"), Fence([1; 16])).await.unwrap();
    assert_eq!(outcome, PutFenced::Superseded);
    assert_eq!(raw(&server, &name).await, Some(record.clone()));

    assert!(tier.remove_if_equals(&key, found.fence).await.unwrap());
    plant(&server, &name, &record).await;
    let outcome = tier.put_fenced(&key, &entry("v"), found.fence).await.unwrap();
    assert_eq!(outcome, PutFenced::Stored);
    assert!(tier.get(&key).await.unwrap().entry.is_some());
}

/// A25: Redis itself is told the life in milliseconds, so that it reclaims what has ended.
#[tokio::test]
async fn redis_forgets_what_has_ended() {
    let Some(server) = server_or_skip("redis_forgets_what_has_ended") else { return };
    let (tier, mut outside) = (tier(&server), outside(&server).await);
    let (long, short) = (key("long"), key("short"));
    tier.put(&long, &entry("v")).await.unwrap();
    let left: u64 = ask(&mut outside, &["PTTL", &name("llmcache", &long)]).await;
    assert!((3_590_000..=3_600_000).contains(&left), "{left}");

    let mut brief = entry("v");
    brief.expires_at = brief.stored_at.saturating_add(Duration::from_millis(30));
    tier.put(&short, &brief).await.unwrap();
    tokio::time::sleep(Duration::from_millis(60)).await;
    let exists: u64 = ask(&mut outside, &["EXISTS", &name("llmcache", &short)]).await;
    assert_eq!(exists, 0);

    let mut eternal = entry("v");
    eternal.expires_at = cache_core::Timestamp::MAX;
    tier.put(&short, &eternal).await.unwrap();
    assert_eq!(tier.get(&short).await.unwrap().entry, Some(eternal));
    tier.remove(&short).await.unwrap();
    let tombstone = name("llmcache", &short);
    let left: u64 = ask(&mut outside, &["PTTL", &tombstone]).await;
    assert!((590_000..=600_000).contains(&left), "a removal is remembered for {left} ms");
    let bytes: u64 = ask(&mut outside, &["MEMORY", "USAGE", &tombstone]).await;
    assert!(bytes < 300, "a removal costs {bytes} bytes");
    println!("a removal costs {bytes} bytes");
}

/// A30: a batch of reads is one round trip: one read from the socket serves all its commands.
#[tokio::test]
async fn a_batch_is_one_round_trip() {
    let Some(server) = server_or_skip("a_batch_is_one_round_trip") else { return };
    let tier = builder(&server).connections(1).build().unwrap();
    let keys: Vec<_> = (0..100).map(|n| key(&n.to_string())).collect();
    let entries: Vec<_> = keys.iter().map(|key| (*key, entry("v"))).collect();
    tier.put_many(&entries).await.unwrap();
    assert!(tier.remove(&keys[99]).await.unwrap(), "the script is known from here on");

    let mut outside = outside(&server).await;
    let reads = async |outside: &mut redis::aio::MultiplexedConnection| -> (u64, u64) {
        let info: String = ask(outside, &["INFO", "all"]).await;
        let field = |name: &str| {
            let line = info.lines().find(|line| line.starts_with(name)).unwrap_or("x:0");
            let digits =
                line.split([':', '=']).find_map(|part| part.split(',').next()?.parse().ok());
            digits.unwrap_or(0)
        };
        (field("total_reads_processed"), field("total_commands_processed"))
    };
    for batch in ["get_many", "put_many", "remove_many"] {
        let before = reads(&mut outside).await;
        match batch {
            "get_many" => assert_eq!(tier.get_many(&keys).await.unwrap().len(), 100),
            "put_many" => tier.put_many(&entries).await.unwrap(),
            _ => assert_eq!(tier.remove_many(&keys).await.unwrap(), 100),
        }
        let after = reads(&mut outside).await;
        assert!(after.1 - before.1 >= 100, "{batch}: {before:?} {after:?}");
        // One for our own INFO, and a long request may come in pieces of 16 KiB.
        assert!(after.0 - before.0 <= 5, "{batch}: {before:?} {after:?}");
    }
}

/// A68: the prefix means itself, neighbours survive, and there is more than one page.
#[tokio::test]
async fn purge_spares_the_neighbours() {
    let Some(server) = server_or_skip("purge_spares_the_neighbours") else { return };
    let with_prefix = |prefix: &str| builder(&server).prefix(prefix).build().unwrap();
    let ours = with_prefix("a*[b-z]?");
    let neighbours = [with_prefix("a*[b-z]x"), with_prefix("a"), with_prefix("a*[b-z]?:e1")];
    let value = entry("v");
    for neighbour in &neighbours {
        neighbour.put(&key("k"), &value).await.unwrap();
    }
    plant(&server, "a*[b-z]?:e1:not-a-digest", b"a stranger's").await;
    let entries: Vec<_> = (0..2_500).map(|n| (key(&n.to_string()), value.clone())).collect();
    for batch in entries.chunks(500) {
        ours.put_many(batch).await.unwrap();
    }
    assert_eq!(ours.purge().await.unwrap(), 2_500);
    for neighbour in &neighbours {
        assert!(neighbour.get(&key("k")).await.unwrap().entry.is_some(), "{neighbour:?}");
    }
    let mut outside = outside(&server).await;
    let left: u64 = ask(&mut outside, &["DBSIZE"]).await;
    assert_eq!(left, 4);
    let stats: String = ask(&mut outside, &["INFO", "commandstats"]).await;
    assert!(stats.contains("cmdstat_scan") && stats.contains("cmdstat_unlink"));
    for command in ["keys", "flushdb", "flushall", "del"] {
        assert!(!stats.contains(&format!("cmdstat_{command}:")), "{command} was sent");
    }
}

/// Tiers with different prefixes do not see each other; with the same one they share.
#[tokio::test]
async fn prefixes_are_namespaces() {
    let Some(server) = server_or_skip("prefixes_are_namespaces") else { return };
    let with_prefix = |prefix: &str| builder(&server).prefix(prefix).build().unwrap();
    let (a, b, also_a) = (with_prefix("a"), with_prefix("b"), with_prefix("a"));
    a.put(&key("k"), &entry("v")).await.unwrap();
    assert!(b.get(&key("k")).await.unwrap().entry.is_none());
    assert!(!b.remove(&key("k")).await.unwrap());
    assert!(also_a.get(&key("k")).await.unwrap().entry.is_some());
}

/// A26: hosts whose clocks are hours apart agree on what an entry has left.
#[tokio::test]
async fn wrong_clocks_do_not_matter() {
    let Some(server) = server_or_skip("wrong_clocks_do_not_matter") else { return };
    let hours = Duration::from_secs(5 * 3_600);
    let ahead = Arc::new(ManualClock::at(SystemClock.now().saturating_add(hours)));
    let skewed = builder(&server).clock(ahead.clone()).build().unwrap();
    let right = tier(&server);
    let ttl = Duration::from_secs(600);

    let value = entry("v").value;
    let theirs = Entry::new(value.clone(), ahead.now(), Lifetime::new(ttl));
    skewed.put(&key("theirs"), &theirs).await.unwrap();
    let read = right.get(&key("theirs")).await.unwrap().entry.unwrap();
    let left = read.remaining(SystemClock.now());
    assert!(left <= ttl && left > ttl / 2, "{left:?}");

    let ours = Entry::new(value, SystemClock.now(), Lifetime::new(ttl));
    right.put(&key("ours"), &ours).await.unwrap();
    let read = skewed.get(&key("ours")).await.unwrap().entry.unwrap();
    let left = read.remaining(ahead.now());
    assert!(left <= ttl && left > ttl / 2, "{left:?}");
}

/// A26: what was stored before the server's clock was set back is a miss to everyone who comes new, not
/// an entry whose life begins again.
#[tokio::test]
async fn the_life_of_an_entry_from_the_future_is_not_begun_again() {
    let Some(server) = server_or_skip("the_life_of_an_entry_from_the_future_is_not_begun_again")
    else {
        return;
    };
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let writer = builder(&server).clock(clock.clone()).build().unwrap();
    writer.ping().await.unwrap(); // it has compared the clocks
    // Its own clock going forward is the same to it as the server's going back.
    clock.advance(Duration::from_secs(3_600));
    let ttl = Lifetime::new(Duration::from_secs(600));
    writer.put(&key("k"), &Entry::new(entry("v").value, clock.now(), ttl)).await.unwrap();

    let reader = tier(&server);
    let found = reader.get(&key("k")).await.unwrap();
    assert_eq!(found.entry, None);
    assert_eq!(reader.undecodable(), 0, "it is whole, and its time is up");
    assert_eq!(reader.ttl(&key("k")).await.unwrap(), None);
    let outcome = reader.put_fenced(&key("k"), &entry("w"), found.fence).await.unwrap();
    assert_eq!(outcome, PutFenced::Stored);
    assert!(reader.get(&key("k")).await.unwrap().entry.is_some());
}

/// A26: the first write of a host whose clock is wrong is as right as its later ones.
#[tokio::test]
async fn the_first_write_knows_the_server_s_clock() {
    let Some(server) = server_or_skip("the_first_write_knows_the_server_s_clock") else { return };
    let right = tier(&server);
    let (hours, ttl) = (Duration::from_secs(5 * 3_600), Duration::from_secs(600));
    let now = SystemClock.now();
    for (n, at) in [
        now.saturating_add(hours),
        cache_core::Timestamp::from_unix_millis(now.as_unix_millis() - 18_000_000),
    ]
    .into_iter()
    .enumerate()
    {
        let key = key(&n.to_string());
        let wrong = builder(&server).clock(Arc::new(ManualClock::at(at))).build().unwrap();
        let theirs = Entry::new(entry("v").value, at, Lifetime::new(ttl));
        match n {
            0 => wrong.put(&key, &theirs).await.unwrap(),
            _ => wrong.put_many(&[(key, theirs)]).await.unwrap(),
        }
        let left = right.get(&key).await.unwrap().entry.unwrap().remaining(SystemClock.now());
        assert!(left <= ttl + Duration::from_secs(1) && left > ttl / 2, "{left:?}");
    }
}

/// The script is sent again to a server that has forgotten it.
#[tokio::test]
async fn a_flushed_script_is_sent_again() {
    let Some(server) = server_or_skip("a_flushed_script_is_sent_again") else { return };
    let (tier, mut outside) = (tier(&server), outside(&server).await);
    for _ in 0..2 {
        let _: String = ask(&mut outside, &["SCRIPT", "FLUSH"]).await;
        tier.put(&key("k"), &entry("v")).await.unwrap();
        assert_eq!(tier.remove_many(&[key("k"), key("x"), key("k")]).await.unwrap(), 1);
    }
}

/// What cannot be stored is refused with a type of its own and leaves what was there.
#[tokio::test]
async fn a_value_that_is_too_long_is_refused() {
    let Some(server) = server_or_skip("a_value_that_is_too_long_is_refused") else { return };
    let tier = tier(&server);
    tier.put(&key("k"), &entry("v")).await.unwrap();
    let error = tier.put(&key("k"), &entry(vec![0; (64 << 20) + 1])).await.unwrap_err();
    assert!(matches!(error, cache_core::Error::Unencodable { .. }));
    assert!(tier.get(&key("k")).await.unwrap().entry.is_some());
}

/// A reply that is lost after the server has done what it was asked: the command is sent again, and the
/// second reply tells what the first one would have.
#[tokio::test]
async fn a_command_that_is_sent_twice_is_done_once() {
    let Some(server) = server_or_skip("a_command_that_is_sent_twice_is_done_once") else { return };
    let proxy = FaultProxy::start(server.address()).unwrap();
    let builder = RedisTier::builder(&proxy.url()).unwrap().command_timeout(common::SLACK);
    let tier = builder.build().unwrap();
    tier.put(&key("k"), &entry("first")).await.unwrap(); // so that the script is known
    let fence = tier.get(&key("k")).await.unwrap().fence;

    proxy.set(Fault::reset_after(0).on("EVALSHA").times(1));
    let stored = tier.put_fenced(&key("k"), &entry("second"), fence).await.unwrap();
    assert_eq!(stored, PutFenced::Stored);
    let found = tier.get(&key("k")).await.unwrap();
    assert_eq!(found.entry.unwrap().value.bytes, "second");
    let again = tier.put_fenced(&key("k"), &entry("third"), fence).await.unwrap();
    assert_eq!(again, PutFenced::Superseded);

    proxy.set(Fault::reset_after(0).on("EVALSHA").times(1));
    assert!(tier.remove_if_equals(&key("k"), found.fence).await.unwrap());
    assert!(tier.get(&key("k")).await.unwrap().entry.is_none());
    assert_eq!(proxy.counts().faults, 2);
}
