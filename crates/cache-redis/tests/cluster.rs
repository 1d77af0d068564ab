//! A30, A68: a Cluster of real servers, whose slots move and whose masters go away.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cache_core::{
    CacheKey, Invalidation, InvalidationBus as _, PutFenced, RemoteTier as _, StoredEntry,
};
use cache_redis::{RedisBuilder, RedisTier};
use testbed::redis::{RedisCluster, cluster_or_skip, slot_of};

use common::{entry, key, name};

/// Long enough for a failover on a busy machine.
const HEALED: Duration = Duration::from_secs(30);

fn builder(cluster: &RedisCluster) -> RedisBuilder {
    RedisTier::cluster(cluster.urls()).expect("valid URLs").command_timeout(common::SLACK)
}

fn many() -> Vec<(CacheKey, StoredEntry)> {
    (0..300).map(|i| (key(&format!("key {i}")), entry(format!("value {i}")))).collect()
}

/// All keys of a batch, in order, whatever their slots; no command with keys of two slots, so no error.
#[tokio::test]
async fn batches_reach_every_master() {
    let Some(cluster) = cluster_or_skip("cache-redis/cluster-batches") else { return };
    let tier = builder(&cluster).build().unwrap();
    let entries = many();
    let keys: Vec<CacheKey> = entries.iter().map(|(key, _)| *key).collect();
    tier.put_many(&entries).await.unwrap();
    for master in 0..3 {
        let held = cluster.command(master, "DBSIZE").unwrap();
        assert_ne!(held.trim(), ":0", "every master holds some");
    }
    let found = tier.get_many(&keys).await.unwrap();
    assert!(
        found.iter().zip(&entries).all(|(found, (_, entry))| found.entry.as_ref() == Some(entry))
    );
    assert_eq!(tier.remove_many(&keys[..100]).await.unwrap(), 100);
    let found = tier.get_many(&keys).await.unwrap();
    assert!(found.iter().enumerate().all(|(i, found)| found.entry.is_some() == (i >= 100)));
    // Entries and tombstones, on every master.
    assert_eq!(tier.purge().await.unwrap(), 300);
    for master in 0..3 {
        assert_eq!(cluster.command(master, "DBSIZE").unwrap().trim(), ":0");
    }
}

/// A68: a prefix may hold any characters, also those that tell slots and patterns.
#[tokio::test]
async fn prefixes_may_hold_anything() {
    let Some(cluster) = cluster_or_skip("cache-redis/cluster-prefixes") else { return };
    let tiers: Vec<RedisTier> =
        ["{", "{}", "}{", "a{b}c", "{{x}}", "a b\r\nc", "*", "\0", r"[a-z]\"]
            .into_iter()
            .map(|prefix| builder(&cluster).prefix(prefix).build().unwrap())
            .collect();
    let entries = &many()[..20];
    for tier in &tiers {
        tier.put_many(entries).await.unwrap();
    }
    for tier in &tiers {
        assert_eq!(tier.get(&entries[7].0).await.unwrap().entry.as_ref(), Some(&entries[7].1));
        assert_eq!(tier.purge().await.unwrap(), 20, "its own and no other: {tier:?}");
        let bus = tier.bus();
        let mut heard = bus.subscribe().await.unwrap();
        tier.bus().publish(Invalidation::All).await.unwrap();
        let heard = tokio::time::timeout(common::SLACK, heard.next()).await;
        assert_eq!(heard.expect("nothing came"), Some(Invalidation::All), "{tier:?}");
    }
}

/// A29: the node that a copied record came from is asked whether its replies are in step, and no other.
#[tokio::test]
async fn a_copied_record_is_in_nobody_s_way() {
    let Some(cluster) = cluster_or_skip("cache-redis/cluster-copy") else { return };
    let tier = builder(&cluster).prefix("{one slot}").build().unwrap();
    let (a, b) = (key("a"), key("b"));
    tier.put(&a, &entry("of a")).await.unwrap();
    let [of_a, under_b] = [a, b].map(|key| name("{one slot}", &key));
    let master = cluster.master_of_key(of_a.as_bytes()).unwrap();
    let copy = format!("COPY \"{of_a}\" \"{under_b}\"");
    assert_eq!(cluster.command(master, &copy).unwrap().trim(), ":1");
    let connections = || cluster.command(master, "INFO stats").unwrap();
    let received = |stats: String| {
        let line = stats.lines().find(|line| line.starts_with("total_connections_received"));
        line.expect("it is told").trim().to_owned()
    };
    assert!(tier.get(&b).await.unwrap().entry.is_none());
    let before = received(connections());
    for _ in 0..200 {
        assert!(tier.get(&b).await.unwrap().entry.is_none());
    }
    // The questions of this test come over connections of their own, one each.
    let count = |line: &str| line.rsplit(':').next().unwrap().parse::<u64>().unwrap();
    let more = count(&received(connections())) - count(&before);
    assert!(more <= 2, "{more} connections for 200 reads");
}

/// `MOVED` and `ASK` are followed; nothing is lost or doubled while slots are on their way.
#[tokio::test]
async fn slots_that_move_are_followed() {
    let Some(cluster) = cluster_or_skip("cache-redis/cluster-slots") else { return };
    let tier = builder(&cluster).build().unwrap();
    let entries = many();
    tier.put_many(&entries).await.unwrap();
    for (key, expected) in entries.iter().take(12) {
        let name = name("llmcache", key);
        let slot = slot_of(name.as_bytes());
        let from = cluster.master_of_slot(slot).unwrap();
        let to = (from + 1) % 3;

        cluster.begin_slot_migration(slot, to).unwrap();
        assert_eq!(tier.get(key).await.unwrap().entry.as_ref(), Some(expected), "still there");
        cluster.move_keys(slot, to).unwrap();
        let asked = tier.get(key).await.unwrap();
        assert_eq!(asked.entry.as_ref(), Some(expected), "asked of the new master");
        let stored = tier.put_fenced(key, expected, asked.fence).await.unwrap();
        assert_eq!(stored, PutFenced::Stored);
        cluster.finish_slot_migration(slot, to).unwrap();
        assert_eq!(tier.get(key).await.unwrap().entry.as_ref(), Some(expected), "moved");
        assert!(tier.remove(key).await.unwrap());
    }
}

/// Reads and writes until told to stop; asserts that nothing takes longer than its limit.
async fn keep_asking(
    tier: RedisTier,
    limit: Duration,
    stop: Arc<AtomicBool>,
) -> (u64, u64, Duration) {
    let (mut answers, mut errors, mut worst) = (0, 0, Duration::ZERO);
    let entries = many();
    for (key, expected) in entries.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let start = Instant::now();
        let outcome = tier.get(key).await;
        worst = worst.max(start.elapsed());
        match outcome {
            Ok(found) => {
                answers += 1;
                assert!(
                    found.entry.is_none_or(|entry| entry.value == expected.value),
                    "a wrong answer"
                );
            }
            Err(_) => errors += 1,
        }
        let start = Instant::now();
        let _ = tier.put(key, expected).await;
        worst = worst.max(start.elapsed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Twice: what the machine takes to wake a task.
    assert!(worst < 2 * limit + Duration::from_millis(100), "{worst:?} of {limit:?}");
    (answers, errors, worst)
}

async fn answers_everywhere(tier: &RedisTier) -> bool {
    for (key, entry) in many().iter().take(60) {
        if tier.put(key, entry).await.is_err() || tier.get(key).await.is_err() {
            return false;
        }
    }
    true
}

/// A master is killed, another one stopped without a sign: each call ends in time, and the replicas'
/// slots are found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_masters_are_replaced() {
    let Some(mut cluster) = cluster_or_skip("cache-redis/cluster-failover") else { return };
    let limit = Duration::from_millis(250);
    let tier = builder(&cluster).command_timeout(limit).build().unwrap();
    common::until_it_answers(&tier).await;
    for killed in [true, false] {
        let stop = Arc::new(AtomicBool::new(false));
        let asking = tokio::spawn(keep_asking(tier.clone(), limit, Arc::clone(&stop)));
        let lost = cluster.master_of_slot(if killed { 0 } else { 16_383 }).unwrap();
        if killed {
            cluster.kill(lost);
        } else {
            cluster.pause(lost).unwrap();
        }
        let start = Instant::now();
        tokio::time::sleep(Duration::from_millis(500)).await;
        while !answers_everywhere(&tier).await {
            assert!(start.elapsed() < HEALED, "not healed");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        println!("killed: {killed}, healed after {:?}", start.elapsed());
        stop.store(true, Ordering::Relaxed);
        let (answers, errors, worst) = asking.await.unwrap();
        println!("{answers} answers, {errors} errors, worst {worst:?}");
        assert!(answers > 0);
    }
}

/// No node is up at first: built all the same, errors in time, joined when the nodes come.
#[tokio::test]
async fn a_cluster_that_starts_later_is_joined() {
    let Some(cluster) = cluster_or_skip("cache-redis/cluster-late") else { return };
    let tier = builder(&cluster).command_timeout(Duration::from_millis(200)).build().unwrap();
    for node in 0..cluster.nodes().len() {
        cluster.pause(node).unwrap();
    }
    let start = Instant::now();
    tier.ping().await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    for node in 0..cluster.nodes().len() {
        cluster.resume(node).unwrap();
    }
    cluster.wait_until_ok().unwrap();
    let start = Instant::now();
    while !answers_everywhere(&tier).await {
        assert!(start.elapsed() < HEALED, "not joined");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The bus goes through the node that carries its channel, and finds the next one when that is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bus_follows_its_channel() {
    let Some(mut cluster) = cluster_or_skip("cache-redis/cluster-bus") else { return };
    let tier = builder(&cluster).bus_heartbeat(Duration::from_millis(200)).build().unwrap();
    let (here, there) = (tier.bus(), tier.bus());
    let mut heard = there.subscribe().await.unwrap();
    here.publish(Invalidation::Key(key("k"))).await.unwrap();
    assert_eq!(heard.next().await, Some(Invalidation::Key(key("k"))));

    let carrier = cluster.master_of_key(b"llmcache:bus1").unwrap();
    cluster.kill(carrier);
    assert_eq!(heard.next().await, Some(Invalidation::Gap), "told of the loss");
    let start = Instant::now();
    while here.publish(Invalidation::All).await.is_err() {
        assert!(start.elapsed() < HEALED, "not healed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Either the message, or a gap in its place; then messages come again.
    loop {
        here.publish(Invalidation::Key(key("later"))).await.unwrap();
        let next = tokio::time::timeout(Duration::from_millis(200), heard.next()).await;
        if let Ok(Some(Invalidation::Key(later))) = next {
            assert_eq!(later, key("later"));
            break;
        }
        assert!(start.elapsed() < HEALED, "nothing is heard");
    }
    println!("the bus is heard again after {:?}", start.elapsed());
}
