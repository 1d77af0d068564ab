//! A61, A64, A65, F58: what callers see while Redis misbehaves, and how soon it is well again.
//!
//! Every fault is done to real servers, or by a proxy in front of one, while tasks read and write. No call
//! may take longer than its limit, no value may be another's, and when the fault is over calls have to
//! succeed again. With `FAULT_TABLE=FILE` the figures are written there:
//!
//! ```sh
//! FAULT_TABLE=docs/benchmarks/redis-faults.md cargo test -p cache-redis --test faults
//! ```

#[path = "../common/mod.rs"]
mod common;
mod load;
mod table;

use std::time::Duration;

use cache_redis::RedisTier;
use testbed::redis::{
    Fault, FaultProxy, RedisServerOptions, cluster_or_skip, sentinel_or_skip, server_or_skip,
    server_with_or_skip, slot_of,
};

use load::{LIMIT, Trial};
use table::Table;

/// How long each fault lasts, if nothing else says when it is over.
const LASTS: Duration = Duration::from_millis(1_200);

fn tier(url: &str) -> RedisTier {
    let builder = RedisTier::builder(url).expect("a valid URL");
    let builder = builder.connect_timeout(Duration::from_millis(500)).command_timeout(LIMIT);
    builder.build().expect("valid options")
}

async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// What a proxy in front of a healthy server does to it.
async fn by_proxy(table: &mut Table) {
    let Some(server) = server_or_skip("cache-redis/faults") else { return };
    let proxy = FaultProxy::start(server.address()).expect("a free port");
    let tier = tier(&proxy.url());
    let said = |text: &str| Fault::answer(format!("-{text}\r\n"));
    let faults = [
        ("each reply late, within the limit", Fault::delay(LIMIT / 4), true),
        ("each reply late, beyond the limit", Fault::delay(2 * LIMIT), false),
        ("connections reset in the middle of a reply", Fault::reset_after(20), false),
        ("connections closed in the middle of a reply", Fault::close_after(20), false),
        ("half a reply, then silence", Fault::stall_after(20), false),
        ("requests taken, no replies (black hole)", Fault::hold(), false),
        ("`LOADING`", said("LOADING Redis is loading the dataset in memory"), false),
        (
            "`READONLY` to writes",
            said("READONLY You can't write against a replica").on("EVALSHA"),
            false,
        ),
        ("`BUSY`", said("BUSY Redis is busy running a script"), false),
        ("`MOVED` from a single server", said("MOVED 1 127.0.0.1:1"), false),
        ("replies that are no RESP", Fault::answer("HTTP/1.1 200 OK\r\n\r\n"), false),
        ("replies of another type", Fault::answer(":42\r\n"), false),
        ("one value for every key", Fault::answer("$5\r\nhello\r\n").on("GET"), true),
    ];
    for (name, fault, unnoticed) in faults {
        let trial = Trial::begin(&tier).await;
        proxy.set(fault);
        pause(LASTS).await;
        proxy.pass();
        table.add(name, unnoticed, &trial.end().await);
    }
    let trial = Trial::begin(&tier).await;
    proxy.set(Fault::refuse());
    proxy.reset_connections();
    pause(LASTS).await;
    proxy.pass();
    table.add("host gone: connections reset, new ones refused", false, &trial.end().await);
}

/// What happens to a server itself.
async fn to_the_server(table: &mut Table) {
    let Some(mut server) = server_or_skip("cache-redis/faults") else { return };
    let healthy = tier(&server.url());

    let trial = Trial::begin(&healthy).await;
    server.kill();
    pause(LASTS).await;
    server.restart().expect("it starts again");
    table.add("killed, restarted empty", false, &trial.end().await);

    let trial = Trial::begin(&healthy).await;
    server.pause().expect("it runs");
    pause(LASTS).await;
    server.resume().expect("it is there");
    table.add("stopped (SIGSTOP)", false, &trial.end().await);

    server.pause().expect("it runs");
    let from_the_first = tier(&server.url());
    let trial = Trial::begin_unwell(&from_the_first);
    pause(LASTS).await;
    server.resume().expect("it is there");
    table.add("stopped from the first request on", false, &trial.end().await);

    let say = |line: &str| {
        let reply = server.command(line).expect("it answers");
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    };
    let trial = Trial::begin(&healthy).await;
    say("CONFIG SET maxmemory 1");
    pause(LASTS).await;
    say("CONFIG SET maxmemory 0");
    table.add("out of memory: reads go on, writes are refused", false, &trial.end().await);

    let trial = Trial::begin(&healthy).await;
    for _ in 0..60 {
        say("SCRIPT FLUSH");
        pause(LASTS / 60).await;
    }
    table.add("the script flushed, 50 times a second", true, &trial.end().await);

    let trial = Trial::begin(&healthy).await;
    for key in load::keys().iter().cycle().take(300) {
        let name = common::name("llmcache", key);
        let plant = "redis.call('DEL', KEYS[1]) return redis.call('LPUSH', KEYS[1], 'x')";
        say(&format!("EVAL \"{plant}\" 1 {name}"));
        pause(LASTS / 300).await;
    }
    say("FLUSHALL");
    table.add("lists under our keys", true, &trial.end().await);
}

async fn to_our_password(table: &mut Table) {
    let options = RedisServerOptions::default().user("cache", "first");
    let Some(server) = server_with_or_skip("cache-redis/faults", &options) else { return };
    let say = |line: &str| server.command(line).expect("it answers");
    let tier = tier(&server.url());
    let trial = Trial::begin(&tier).await;
    say("ACL SETUSER cache resetpass >second");
    say("CLIENT KILL USER cache");
    pause(LASTS).await;
    say("ACL SETUSER cache >first");
    table.add("another password, connections killed (`WRONGPASS`)", false, &trial.end().await);
}

async fn to_tls(table: &mut Table) {
    let certificates = testbed::redis::Certificates::generate().expect("certificates can be made");
    let options = RedisServerOptions::default().tls(&certificates);
    let Some(mut server) = server_with_or_skip("cache-redis/faults", &options) else { return };
    let builder = RedisTier::builder(&server.url()).expect("a valid URL");
    let tls = cache_redis::Tls::new().roots(certificates.ca_pem());
    let tier = builder.tls(tls).command_timeout(LIMIT).build().expect("valid options");
    let trial = Trial::begin(&tier).await;
    server.kill();
    pause(LASTS).await;
    server.restart().expect("it starts again");
    table.add("over TLS: killed, restarted empty", false, &trial.end().await);
}

async fn to_a_cluster(table: &mut Table) {
    let Some(mut cluster) = cluster_or_skip("cache-redis/faults") else { return };
    let builder = RedisTier::cluster(cluster.urls()).expect("valid URLs");
    let tier = builder.command_timeout(LIMIT).build().expect("valid options");

    let trial = Trial::begin(&tier).await;
    for key in load::keys().iter().take(16) {
        let slot = slot_of(common::name("llmcache", key).as_bytes());
        let to = (cluster.master_of_slot(slot).expect("somebody's") + 1) % 3;
        cluster.begin_slot_migration(slot, to).expect("a slot moves");
        pause(LASTS / 32).await;
        cluster.move_keys(slot, to).expect("its keys, too");
        pause(LASTS / 32).await;
        cluster.finish_slot_migration(slot, to).expect("it has moved");
    }
    table.add("Cluster: 16 slots move (`ASK`, `MOVED`)", true, &trial.end().await);

    let trial = Trial::begin(&tier).await;
    cluster.kill(cluster.master_of_slot(0).expect("somebody's"));
    cluster.wait_until_ok().expect("a replica takes over");
    table.add(
        "Cluster: a master killed, until its replica has taken over",
        false,
        &trial.end().await,
    );

    let trial = Trial::begin(&tier).await;
    cluster.pause(cluster.master_of_slot(16_383).expect("somebody's")).expect("it runs");
    pause(Duration::from_secs(4)).await;
    table.add("Cluster: a master stopped, 4 s", false, &trial.end().await);
}

async fn to_a_master_with_sentinels(table: &mut Table) {
    let Some(mut sentinel) = sentinel_or_skip("cache-redis/faults") else { return };
    let builder = RedisTier::sentinel(sentinel.sentinel_urls(), sentinel.service_name());
    let builder = builder.expect("valid URLs").command_timeout(LIMIT);
    let tier = builder.build().expect("valid options");

    let trial = Trial::begin(&tier).await;
    let lost = sentinel.kill_master().expect("it runs");
    sentinel.wait_for_other_master_than(lost).expect("a replica takes over");
    table.add("Sentinel: the master killed, until there is another", false, &trial.end().await);

    sentinel.restart(lost).expect("it starts again");
    sentinel.wait_until_ok().expect("it follows the new master");
    let trial = Trial::begin(&tier).await;
    let lost = sentinel.pause_master().expect("it runs");
    sentinel.wait_for_other_master_than(lost).expect("a replica takes over");
    table.add("Sentinel: the master stopped, until there is another", false, &trial.end().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_hangs_and_everything_heals() {
    let mut table = Table::default();
    by_proxy(&mut table).await;
    to_the_server(&mut table).await;
    to_our_password(&mut table).await;
    to_tls(&mut table).await;
    to_a_cluster(&mut table).await;
    to_a_master_with_sentinels(&mut table).await;
    table.write();
}
