//! What callers see while Redis is down, hung, late or unwilling, and that it heals by itself.

mod common;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use cache_core::{Error, RemoteTier as _};
use cache_redis::RedisTier;
use common::relay::Relay;
use common::{builder, entry, key, outside, tier, until_it_answers};
use testbed::redis::{RedisServer, RedisServerOptions, server_or_skip, server_with_or_skip};

const LIMIT: Duration = Duration::from_millis(100);
/// What a busy machine may add to a time limit.
const LATE: Duration = Duration::from_millis(400);

fn impatient(url: &str) -> RedisTier {
    RedisTier::builder(url).expect("a valid URL").build().expect("valid options")
}

/// A64: the limits that hold when nothing else is said.
#[test]
fn the_default_limit_of_a_call_is_100_ms() {
    let tier = impatient("redis://127.0.0.1:1/");
    assert_eq!(tier.capabilities().deadline, LIMIT);
    assert_eq!(tier.capabilities().fence_memory, Duration::from_secs(600));
}

/// A61, A65: killed, every call ends at once in an error that passes; restarted, it is joined.
#[tokio::test]
async fn a_killed_server_is_joined_again() {
    let Some(mut server) = server_or_skip("a_killed_server_is_joined_again") else { return };
    let tier = tier(&server);
    for round in 0..3 {
        tier.put(&key("k"), &entry("v")).await.unwrap();
        server.kill();
        for call in 0..20 {
            let start = Instant::now();
            let error = tier.get(&key("k")).await.unwrap_err();
            assert!(matches!(error, Error::Unavailable { .. }), "{error}");
            assert!(start.elapsed() < LATE, "round {round}, call {call}: {:?}", start.elapsed());
        }
        server.restart().unwrap();
        until_it_answers(&tier).await;
        assert_eq!(tier.get(&key("k")).await.unwrap().entry, None, "it restarted empty");
    }
}

/// A61, A64: a server that hangs from the very first call on costs each call its limit at most,
/// soon nothing at all, and is joined when it runs again.
#[tokio::test]
async fn a_server_hung_from_the_start_is_joined_when_it_runs() {
    let Some(server) = server_or_skip("a_server_hung_from_the_start_is_joined_when_it_runs") else {
        return;
    };
    server.pause().unwrap();
    let tier = impatient(&server.url());
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(1_500) {
        let start = Instant::now();
        let error = tier.get(&key("k")).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert!(start.elapsed() < LIMIT + LATE, "{:?}", start.elapsed());
    }
    // The first attempt to connect has failed by now: callers no longer wait for it.
    let start = Instant::now();
    for _ in 0..100 {
        let error = tier.put(&key("k"), &entry("v")).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    }
    assert!(start.elapsed() < LATE, "100 calls took {:?}", start.elapsed());
    server.resume().unwrap();
    until_it_answers(&tier).await;
}

/// A64: a server that hangs later on times calls out, batches and scripts too, and the connection
/// is given up, so that callers soon fail at once.
#[tokio::test]
async fn a_server_hung_later_times_calls_out() {
    let Some(server) = server_or_skip("a_server_hung_later_times_calls_out") else { return };
    let tier = impatient(&server.url());
    until_it_answers(&tier).await;
    server.pause().unwrap();
    let k = key("k");
    for call in 0..4 {
        let start = Instant::now();
        let error = match call {
            0 => tier.get(&k).await.unwrap_err(),
            1 => tier.get_many(&[k, k]).await.unwrap_err(),
            2 => tier.put(&k, &entry("v")).await.unwrap_err(),
            _ => tier.remove(&k).await.unwrap_err(),
        };
        let took = start.elapsed();
        assert!(matches!(error, Error::TimedOut { limit: LIMIT, .. }), "{error}");
        assert!(took + Duration::from_millis(5) >= LIMIT && took < LIMIT + LATE, "{took:?}");
    }
    let since = Instant::now();
    while !matches!(tier.ping().await.unwrap_err(), Error::Unavailable { .. }) {
        assert!(since.elapsed() < Duration::from_secs(10), "it was never given up");
    }
    server.resume().unwrap();
    until_it_answers(&tier).await;
}

/// A64: connecting has a limit of its own. A listener that never answers is not waited for longer,
/// and says so in the source of the error.
#[tokio::test]
async fn connecting_has_a_limit_of_its_own() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap(); // the kernel accepts, nobody answers
    let url = format!("redis://{}/", silent.local_addr().unwrap());
    let tier = RedisTier::builder(&url)
        .unwrap()
        .connect_timeout(Duration::from_millis(300))
        .command_timeout(Duration::from_millis(40))
        .build()
        .unwrap();
    let start = Instant::now();
    let error = tier.ping().await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_millis(250), "{:?}", start.elapsed());
    let source = loop {
        if let Error::Unavailable { source, .. } = tier.ping().await.unwrap_err() {
            break source.to_string();
        }
        assert!(start.elapsed() < Duration::from_secs(5), "the attempt never ended");
    };
    assert!(start.elapsed() >= Duration::from_millis(295), "{:?}", start.elapsed());
    assert!(source.contains("no connection within 300ms"), "{source}");
}

/// A65: while a connection is being made nothing is locked: many calls wait side by side.
#[tokio::test]
async fn callers_wait_for_a_connection_side_by_side() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let tier = impatient(&format!("redis://{}/", silent.local_addr().unwrap()));
    let start = Instant::now();
    let calls = (0..100).map(|_| {
        let tier = tier.clone();
        tokio::spawn(async move { tier.ping().await.unwrap_err() })
    });
    for call in calls.collect::<Vec<_>>() {
        assert!(call.await.unwrap().is_transient());
    }
    assert!(start.elapsed() < LIMIT + LATE, "{:?}", start.elapsed());
}

/// A65: all calls share the configured connections, and lost ones are replaced without an error.
#[tokio::test]
async fn connections_are_shared_and_replaced() {
    let Some(server) = server_or_skip("connections_are_shared_and_replaced") else { return };
    let tier = builder(&server).connections(3).build().unwrap();
    assert_eq!(tier.open_connections(), 0);
    let mut outside = outside(&server).await;
    let mut own = redis::cmd("CLIENT");
    own.arg("ID");
    let own: i64 = own.query_async(&mut outside).await.unwrap();
    for _ in 0..5 {
        let calls = (0..200).map(|n| {
            let tier = tier.clone();
            tokio::spawn(async move { tier.get(&key(&n.to_string())).await })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap().unwrap();
        }
        while tier.open_connections() < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut list = redis::cmd("CLIENT");
        list.arg("LIST");
        let clients: String = list.query_async(&mut outside).await.unwrap();
        assert_eq!(clients.lines().count(), 3 + 1, "{clients}");

        // As a proxy or an idle limit would: everyone else is cut off. No read notices.
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes");
        let killed: u64 = kill.query_async(&mut outside).await.unwrap();
        assert_eq!(killed, 3);
    }
    assert!(own > 0);
}

/// A66: the server is down at the start; the tier builds, and joins it when it appears.
#[tokio::test]
async fn a_server_that_starts_later_is_joined() {
    let Some(mut server) = server_or_skip("a_server_that_starts_later_is_joined") else { return };
    server.kill();
    let tier = tier(&server);
    assert!(tier.ping().await.unwrap_err().is_transient());
    assert_eq!(tier.open_connections(), 0);
    server.restart().unwrap();
    until_it_answers(&tier).await;
    tier.put(&key("k"), &entry("v")).await.unwrap();
    assert!(tier.get(&key("k")).await.unwrap().entry.is_some());
}

/// A70: with the tier go its connections and its tasks, whether the server is there or not.
#[tokio::test]
async fn dropping_the_tier_ends_everything() {
    let Some(mut server) = server_or_skip("dropping_the_tier_ends_everything") else { return };
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for is_up in [true, false] {
        if !is_up {
            server.kill();
        }
        let tier = tier(&server);
        assert_eq!(tier.ping().await.is_ok(), is_up);
        assert!(tasks() > before);
        let clone = tier.clone();
        drop(tier);
        assert_eq!(clone.ping().await.is_ok(), is_up, "a clone is the same tier");
        drop(clone);
        let since = Instant::now();
        while tasks() > before {
            assert!(since.elapsed() < Duration::from_secs(5), "tasks outlive their tier");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// A tier outlives the runtime that it was first used on.
#[test]
fn a_second_runtime_gets_its_own_connections() {
    let Some(server) = server_or_skip("a_second_runtime_gets_its_own_connections") else { return };
    let tier = tier(&server); // no runtime yet
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tier.put(&key("k"), &entry("v")).await.unwrap();
            assert!(tier.get(&key("k")).await.unwrap().entry.is_some());
        });
    }
}

/// Dropped calls leave the connections sound: nobody gets the answer to another's question.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_calls_mix_up_no_replies() {
    let Some(server) = server_or_skip("dropped_calls_mix_up_no_replies") else { return };
    let tier = builder(&server).connections(1).build().unwrap();
    let keys: Vec<_> = (0..50).map(|n| key(&n.to_string())).collect();
    for (n, key) in keys.iter().enumerate() {
        tier.put(key, &entry(n.to_string())).await.unwrap();
    }
    for round in 0..200 {
        for key in &keys[..10] {
            let soon = Duration::from_micros(round % 50);
            let _ = tokio::time::timeout(soon, tier.get_many(&[*key, keys[11]])).await;
        }
        let n = usize::try_from(round).unwrap() % keys.len();
        let found = tier.get(&keys[n]).await.unwrap().entry.unwrap();
        assert_eq!(found.value.bytes, n.to_string());
    }
}

/// A29: a connection that brings replies to earlier questions gives no wrong answer, and is replaced
/// at the first of them.
#[tokio::test]
async fn repeated_replies_are_no_answers() {
    let Some(server) = server_or_skip("repeated_replies_are_no_answers") else { return };
    let relay = Relay::start(server.port()).await;
    let tier = RedisTier::builder(&format!("redis://127.0.0.1:{}/", relay.port)).unwrap();
    let tier = tier.connections(1).command_timeout(common::SLACK).build().unwrap();
    let (a, b) = (key("a"), key("b"));
    let values = [(a, entry("of a")), (b, entry("of b"))];
    tier.put_many(&values).await.unwrap();

    tier.get(&a).await.unwrap();
    relay.repeat(0);
    assert_eq!(tier.get(&b).await.unwrap().entry, None);
    assert_eq!(tier.undecodable(), 1, "the reply to the question before was taken for the answer");
    assert_eq!(tier.get(&b).await.unwrap().entry.unwrap().value.bytes, "of b", "not replaced");

    tier.get_many(&[a, b]).await.unwrap();
    relay.repeat(1);
    let shifted = tier.get_many(&[b, a]).await.unwrap();
    assert!(shifted.iter().all(|found| found.entry.is_none()), "{shifted:?}");
    assert_eq!(tier.undecodable(), 3);
    let found = tier.get_many(&[b, a]).await.unwrap();
    assert_eq!(found[0].entry.as_ref().unwrap().value.bytes, "of b");
    assert_eq!(found[1].entry.as_ref().unwrap().value.bytes, "of a");
}

/// F59: the password opens the door and is in no message, right or wrong.
#[tokio::test]
async fn the_password_is_never_told() {
    let options = RedisServerOptions::default().password("hunter2");
    let Some(server) = server_with_or_skip("the_password_is_never_told", &options) else { return };
    let right = tier(&server);
    right.ping().await.unwrap();

    let wrong_url = format!("redis://:swordfish@127.0.0.1:{}/", server.port());
    for (url, password) in [(server.url(), "hunter2"), (wrong_url, "swordfish")] {
        let builder = RedisTier::builder(&url).unwrap().command_timeout(common::SLACK);
        let mut told = vec![format!("{builder:?}")];
        let tier = builder.build().unwrap();
        let outcome = tier.ping().await;
        told.push(format!("{tier:?} {outcome:?}"));
        if let Err(error) = outcome {
            assert_eq!(password, "swordfish");
            assert!(matches!(error, Error::Refused { .. }), "{error}");
            let source = std::error::Error::source(&error).unwrap();
            told.push(format!("{error} {source} {source:?}"));
        }
        assert!(!told.concat().contains(password), "{told:?}");
    }
    let nobody = impatient(&format!("redis://127.0.0.1:{}/", server.port()));
    let error = nobody.put(&key("k"), &entry("v")).await.unwrap_err();
    assert!(!error.is_transient(), "asking again without a password does not help: {error}");
}

/// A user with the rights that the README names, and no other, can do everything.
#[tokio::test]
async fn few_rights_suffice() {
    let Some(server) = server_or_skip("few_rights_suffice") else { return };
    let rights = "GET SET GETRANGE EXISTS EVAL EVALSHA SCAN UNLINK PING TIME CLIENT SELECT";
    let readme = include_str!("../README.md");
    assert!(readme.contains(&format!("`{rights}`")), "the README names other rights");
    let rights = rights.split(' ').map(|right| format!("+{}", right.to_lowercase()));
    let rights = rights.collect::<Vec<_>>().join(" ");
    let user = format!("ACL SETUSER clerk on >pen ~llmcache:* {rights}");
    assert!(server.command(&user).unwrap().starts_with("+OK"));

    let url = format!("redis://clerk:pen@127.0.0.1:{}/1", server.port());
    let builder = RedisTier::builder(&url).unwrap().command_timeout(common::SLACK);
    let tier = builder.clone().build().unwrap();
    let k = key("k");
    tier.put(&k, &entry("v")).await.unwrap();
    let found = tier.get(&k).await.unwrap();
    assert!(tier.ttl(&k).await.unwrap().is_some());
    assert!(tier.remove_if_equals(&k, found.fence).await.unwrap());
    assert_eq!(tier.remove_many(&[k]).await.unwrap(), 0);
    assert_eq!(tier.purge().await.unwrap(), 1);
    let elsewhere = builder.prefix("elsewhere").build().unwrap();
    let error = elsewhere.put(&k, &entry("v")).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
}

/// A server that is full, or a replica, refuses to write and still serves reads.
#[tokio::test]
async fn refusals_are_told_from_outages() {
    let options = RedisServerOptions::default().directive("replica-serve-stale-data", "yes");
    let Some(server) = server_with_or_skip("refusals_are_told_from_outages", &options) else {
        return;
    };
    let tier = tier(&server);
    tier.put(&key("k"), &entry("v")).await.unwrap();
    for (cause, undo) in [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    ] {
        assert!(server.command(cause).unwrap().starts_with("+OK"), "{cause}");
        let error = tier.put(&key("k"), &entry("w")).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{cause}: {error}");
        let error = tier.remove(&key("k")).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{cause}: {error}");
        let error = tier.put_many(&[(key("k"), entry("w"))]).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{cause}: {error}");
        assert!(tier.get(&key("k")).await.unwrap().entry.is_some(), "{cause}");
        assert!(server.command(undo).unwrap().starts_with("+OK"), "{undo}");
    }
    assert!(server.command("CONFIG SET replica-serve-stale-data no").unwrap().starts_with("+OK"));
    assert!(server.command("REPLICAOF 127.0.0.1 1").unwrap().starts_with("+OK"));
    let error = tier.get(&key("k")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "MASTERDOWN passes: {error}");
}

/// A34: a write that timed out on a stalled connection is not overtaken by a later removal of its
/// key over another one, and so does not undo it.
#[tokio::test]
async fn a_late_write_does_not_undo_a_removal() {
    let Some(server) = server_or_skip("a_late_write_does_not_undo_a_removal") else { return };
    let relay = Relay::start(server.port()).await;
    let late = RedisTier::builder(&format!("redis://127.0.0.1:{}/", relay.port)).unwrap();
    let late = late.connections(2).command_timeout(LIMIT).build().unwrap();
    until_it_answers(&late).await;
    while late.open_connections() < 2 {
        tokio::task::yield_now().await;
    }
    let observer = tier(&server);
    let mut put_late = 0;
    for round in 0..8 {
        let key = key(&format!("{round}"));
        relay.hold(round % 2);
        put_late += u32::from(late.put(&key, &entry("old")).await.is_err());
        let removed = late.remove(&key).await;
        relay.hold(None);
        if removed.is_err() {
            late.remove(&key).await.unwrap(); // as a caller does who was told that it failed
        }
        late.ping().await.unwrap();
        late.ping().await.unwrap(); // whatever was held back has arrived on both connections
        assert_eq!(observer.get(&key).await.unwrap().entry, None, "round {round}");
    }
    assert!(put_late > 0, "no write was late, so nothing was shown");
}

/// A34: a write that timed out and reaches the server long after its connection was replaced undoes
/// nothing that was confirmed since, neither a removal nor a later write.
#[tokio::test]
async fn a_very_late_write_undoes_nothing() {
    let Some(server) = server_or_skip("a_very_late_write_undoes_nothing") else { return };
    let relay = Relay::start(server.port()).await;
    let late = RedisTier::builder(&format!("redis://127.0.0.1:{}/", relay.port)).unwrap();
    let late = late.connections(1).command_timeout(LIMIT).connect_timeout(2 * LIMIT);
    let late = late.build().unwrap();
    let observer = tier(&server);
    observer.put(&key("any"), &entry("the script is known")).await.unwrap();
    until_it_answers(&late).await;
    for (connection, in_batch, later) in
        [(0, false, None), (1, false, Some("new")), (2, true, None), (3, true, Some("new"))]
    {
        let key = key(&connection.to_string());
        relay.hold(connection);
        let put = if in_batch {
            late.put_many(&[(key, entry("old"))]).await
        } else {
            late.put(&key, &entry("old")).await
        };
        assert!(matches!(put, Err(Error::TimedOut { .. })), "{put:?}");
        until_it_answers(&late).await; // over the next connection
        match later {
            Some(value) => late.put(&key, &entry(value)).await.unwrap(),
            None => drop(late.remove(&key).await.unwrap()),
        }
        let runs = script_runs(&server);
        relay.hold(None);
        let since = Instant::now();
        while script_runs(&server) == runs {
            assert!(since.elapsed() < common::SLACK, "the late write never came");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let found = observer.get(&key).await.unwrap().entry;
        assert_eq!(found.map(|found| found.value.bytes), later.map(Into::into), "{connection}");
    }
}

/// How many scripts `server` has run.
fn script_runs(server: &RedisServer) -> u64 {
    let stats = server.command("INFO commandstats").expect("it runs");
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}
