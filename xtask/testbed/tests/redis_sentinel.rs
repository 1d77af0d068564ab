//! Real sentinels: what the tests of their clients rely on.

use std::time::Instant;

use testbed::redis::{
    RedisSentinelOptions, RedisServerOptions, sentinel_or_skip, sentinel_with_or_skip,
};

#[test]
fn a_replica_takes_over_when_the_master_dies() {
    let start = Instant::now();
    let Some(mut sentinel) = sentinel_or_skip("a_replica_takes_over_when_the_master_dies") else {
        return;
    };
    println!("the sentinels were there after {:?}", start.elapsed());
    assert_eq!((sentinel.sentinel_urls().len(), sentinel.nodes().len()), (3, 2));
    assert_eq!(sentinel.master().unwrap(), 0);
    assert_eq!(sentinel.node(0).command("SET k v").unwrap(), "+OK\r\n");
    sentinel.wait_until_replicated().unwrap();

    let start = Instant::now();
    assert_eq!(sentinel.kill_master().unwrap(), 0);
    assert_eq!(sentinel.wait_for_other_master_than(0).unwrap(), 1);
    println!("the replica took over after {:?}", start.elapsed());
    assert_eq!(sentinel.node(1).command("GET k").unwrap(), "$1\r\nv\r\n");
    assert_eq!(sentinel.node(1).command("SET k w").unwrap(), "+OK\r\n");

    let start = Instant::now();
    sentinel.restart(0).unwrap();
    sentinel.wait_until_ok().unwrap();
    println!("the old master followed after {:?}", start.elapsed());
    sentinel.wait_until_replicated().unwrap();
    assert_eq!(sentinel.node(0).command("GET k").unwrap(), "$1\r\nw\r\n");
}

#[test]
fn a_failover_changes_the_roles_and_a_paused_master_loses_its_own() {
    let options = RedisSentinelOptions::default()
        .service_name("cache")
        .sentinel_password("watch me")
        .node(RedisServerOptions::default().password("data"));
    let name = "a_failover_changes_the_roles_and_a_paused_master_loses_its_own";
    let Some(sentinel) = sentinel_with_or_skip(name, &options) else { return };
    assert_eq!(sentinel.service_name(), "cache");
    assert!(sentinel.sentinel_urls()[0].starts_with("redis://:watch%20me@"));
    assert!(sentinel.node(0).url().starts_with("redis://:data@"));

    let start = Instant::now();
    assert_eq!(sentinel.failover().unwrap(), 1);
    println!("the failover took {:?}", start.elapsed());
    sentinel.wait_until_ok().unwrap();
    println!("and all followed after {:?}", start.elapsed());

    let start = Instant::now();
    assert_eq!(sentinel.pause_master().unwrap(), 1);
    assert_eq!(sentinel.wait_for_other_master_than(1).unwrap(), 0);
    println!("the paused master was replaced after {:?}", start.elapsed());
    sentinel.resume(1).unwrap();
    sentinel.wait_until_ok().unwrap();
    println!("and followed after {:?}", start.elapsed());
    assert_eq!(sentinel.master().unwrap(), 0);
}
