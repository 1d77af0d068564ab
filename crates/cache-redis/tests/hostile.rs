//! What somebody else does to the server under our feet, and to us: nothing of it makes the tier slow,
//! silent or wrong.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cache_core::{Invalidation, InvalidationBus as _, RemoteTier as _};
use cache_redis::RedisTier;
use common::relay::Relay;
use common::{SLACK, builder, entry, key, name, outside, tier};
use testbed::redis::{RedisServer, server_or_skip};

/// How many commands of this kind the server has run.
fn runs(server: &RedisServer, command: &str) -> u64 {
    let statistics = server.command("INFO commandstats").expect("it answers");
    let line = format!("cmdstat_{command}:calls=");
    let rest = statistics.lines().find_map(|found| found.strip_prefix(line.as_str()));
    rest.map_or(0, |rest| rest.split(',').next().expect("a number").parse().expect("a number"))
}

/// F19: no limit is too long for the clocks that it is reckoned with.
#[tokio::test]
async fn endless_limits_are_limits() {
    let Some(server) = server_or_skip("endless_limits_are_limits") else { return };
    let endless = RedisTier::builder(&server.url())
        .unwrap()
        .command_timeout(Duration::MAX)
        .connect_timeout(Duration::MAX)
        .fence_memory(Duration::MAX)
        .bus_heartbeat(Duration::MAX)
        .build()
        .unwrap();
    let (k, value) = (key("k"), entry("v"));
    endless.put(&k, &value).await.unwrap();
    endless.put_many(&vec![(k, value.clone()); 300]).await.unwrap();
    assert_eq!(endless.get_many(&[k; 300]).await.unwrap()[299].entry, Some(value));
    assert!(endless.remove(&k).await.unwrap());
    assert_eq!(endless.purge().await.unwrap(), 1);
    let bus = endless.bus();
    let _stream = bus.subscribe().await.unwrap();
    bus.publish(Invalidation::All).await.unwrap();
}

/// A29: a record that somebody copied under another key is a miss, however often it is read, and
/// costs nobody a connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_record_is_in_nobody_s_way() {
    let Some(server) = server_or_skip("a_copied_record_is_in_nobody_s_way") else { return };
    let (tier, mut outside) = (tier(&server), outside(&server).await);
    let (good, copied) = (key("good"), key("copied"));
    tier.put(&good, &entry("v")).await.unwrap();
    let mut copy = redis::cmd("COPY");
    copy.arg(name("llmcache", &good)).arg(name("llmcache", &copied));
    let () = copy.query_async(&mut outside).await.unwrap();

    tier.get_many(&[good, copied]).await.unwrap();
    let before = runs(&server, "client|setname");
    let stop = Arc::new(AtomicBool::new(false));
    let readers = (0..4).map(|_| {
        let (tier, stop) = (tier.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(tier.get(&copied).await.unwrap().entry, None);
                assert_eq!(tier.get_many(&[copied]).await.unwrap()[0].entry, None);
                assert_eq!(tier.ttl(&copied).await.unwrap(), None);
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    let end = Instant::now() + Duration::from_millis(500);
    while Instant::now() < end {
        assert!(tier.get(&good).await.unwrap().entry.is_some());
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    assert!(tier.undecodable() > 100, "they hardly read: {}", tier.undecodable());
    assert!(!tier.remove(&copied).await.unwrap(), "it was no entry of this key");
    assert_eq!(runs(&server, "client|setname"), before, "connections were made anew");
}

/// A64: a connection that went dead is replaced soon also when its callers have less patience than
/// the tier, and drop every call before its limit.
#[tokio::test]
async fn impatient_callers_find_dead_connections() {
    let Some(server) = server_or_skip("impatient_callers_find_dead_connections") else { return };
    let relay = Relay::start(server.port()).await;
    let tier = RedisTier::builder(&format!("redis://127.0.0.1:{}/", relay.port)).unwrap();
    let tier = tier.connections(1).command_timeout(SLACK).connect_timeout(SLACK / 20);
    let tier = tier.build().unwrap();
    tier.put(&key("k"), &entry("v")).await.unwrap();

    relay.swallow(0);
    let start = Instant::now();
    let patience = Duration::from_millis(50);
    while !matches!(tokio::time::timeout(patience, tier.get(&key("k"))).await, Ok(Ok(_))) {
        // Unasked, it would be looked at after ten seconds.
        assert!(start.elapsed() < Duration::from_secs(5), "it is kept");
    }
}

/// Calls that are given up again and again do not keep the connections busy with being looked after.
#[tokio::test]
async fn impatient_callers_cause_no_storm() {
    let Some(server) = server_or_skip("impatient_callers_cause_no_storm") else { return };
    let tier = builder(&server).connections(1).build().unwrap();
    tier.ping().await.unwrap();
    let (before, start) = (runs(&server, "time"), Instant::now());
    let mut calls = 0_u32;
    while start.elapsed() < Duration::from_secs(1) {
        let _ = tokio::time::timeout(Duration::ZERO, tier.get(&key("k"))).await;
        tokio::task::yield_now().await;
        calls += 1;
    }
    let asked = u128::from(runs(&server, "time") - before);
    let at_most = start.elapsed().as_millis() / 50 + 2;
    assert!(calls > 200 && asked <= at_most, "{asked} of {calls}, more than {at_most}");
    assert!(asked > 0, "nobody looked");
}

/// Of two puts of one key in a batch only the later is sent: the earlier cannot overtake it when it
/// has to be sent again, because its script was not known while that of the later was.
#[tokio::test]
async fn the_earlier_of_two_puts_is_not_sent() {
    let Some(server) = server_or_skip("the_earlier_of_two_puts_is_not_sent") else { return };
    let tier = tier(&server);
    let (k, other) = (key("k"), key("other"));
    tier.put(&k, &entry("known script")).await.unwrap();
    let before = runs(&server, "evalsha");
    let batch = [(k, entry("1")), (other, entry("2")), (k, entry("3")), (k, entry("4"))];
    tier.put_many(&batch).await.unwrap();
    assert_eq!(runs(&server, "evalsha") - before, 2);
    for (lookup, expected) in tier.get_many(&[k, other]).await.unwrap().iter().zip(["4", "2"]) {
        assert_eq!(lookup.entry.as_ref().unwrap().value.bytes, expected);
    }
}

/// F61: a purge that is continued on another server begins anew there: that one has its keys in an
/// order of its own.
#[tokio::test]
async fn a_purge_that_changes_servers_leaves_nothing() {
    const KEYS: usize = 30_000;
    let Some(mut first) = server_or_skip("a_purge_that_changes_servers_leaves_nothing") else {
        return;
    };
    let Some(second) = server_or_skip("a_purge_that_changes_servers_leaves_nothing") else {
        return;
    };
    for server in [&first, &second] {
        let mut outside = outside(server).await;
        for chunk in (0..KEYS).collect::<Vec<_>>().chunks(5_000) {
            let mut sets = redis::pipe();
            for n in chunk {
                sets.cmd("SET").arg(name("llmcache", &key(&n.to_string()))).arg("v").ignore();
            }
            let () = sets.query_async(&mut outside).await.unwrap();
        }
    }
    let relay = Relay::start(first.port()).await;
    let url = format!("redis://127.0.0.1:{}/", relay.port);
    let tier = RedisTier::builder(&url).unwrap().command_timeout(SLACK).build().unwrap();
    tier.ping().await.unwrap();
    let purge = tokio::spawn(async move { tier.purge().await });
    while runs(&first, "scan") < 5 {
        tokio::task::yield_now().await;
        assert!(!purge.is_finished(), "it was too quick");
    }
    relay.retarget(second.port());
    first.kill();
    let removed = purge.await.unwrap().unwrap();
    let left = second.command("DBSIZE").unwrap();
    assert_eq!(left.trim(), ":0", "after {removed} were removed");
    assert!(removed > KEYS as u64, "{removed}: the first one was not gone through");
}
