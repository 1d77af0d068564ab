//! A real Cluster: what the tests of its clients rely on.

use std::time::Instant;

use testbed::redis::{
    Certificates, RedisClusterOptions, RedisServerOptions, cluster_or_skip, cluster_with_or_skip,
    slot_of,
};

#[test]
fn a_replica_takes_over_when_its_master_dies() {
    let start = Instant::now();
    let Some(mut cluster) = cluster_or_skip("a_replica_takes_over_when_its_master_dies") else {
        return;
    };
    println!("the Cluster was there after {:?}", start.elapsed());
    assert_eq!(cluster.urls().len(), 6);
    let master = cluster.master_of_key(b"k").unwrap();
    let replicas = cluster.replicas_of(master).unwrap();
    assert_eq!(replicas.len(), 1);
    assert_eq!(cluster.command(master, "SET k v").unwrap(), "+OK\r\n");
    cluster.wait_until_replicated(master).unwrap();

    let start = Instant::now();
    cluster.kill(master);
    cluster.wait_until_ok().unwrap();
    println!("the replica took over after {:?}", start.elapsed());
    assert_eq!(cluster.master_of_key(b"k").unwrap(), replicas[0]);
    assert_eq!(cluster.command(replicas[0], "GET k").unwrap(), "$1\r\nv\r\n");

    let start = Instant::now();
    cluster.restart(master).unwrap();
    cluster.wait_until_ok().unwrap();
    println!("the old master was back after {:?}", start.elapsed());
    assert_eq!(cluster.replicas_of(replicas[0]).unwrap(), [master]);
}

#[test]
fn a_paused_master_is_replaced_and_comes_back_as_a_replica() {
    let name = "a_paused_master_is_replaced_and_comes_back_as_a_replica";
    let Some(cluster) = cluster_or_skip(name) else { return };
    let master = cluster.master_of_slot(0).unwrap();
    cluster.pause(master).unwrap();
    cluster.wait_until_ok().unwrap();
    let successor = cluster.master_of_slot(0).unwrap();
    assert_ne!(successor, master);
    cluster.resume(master).unwrap();
    cluster.wait_until_ok().unwrap();
    assert_eq!(cluster.master_of_slot(0).unwrap(), successor);
    assert_eq!(cluster.replicas_of(successor).unwrap(), [master]);

    // And back, this time because somebody asked for it.
    cluster.failover(master).unwrap();
    assert_eq!(cluster.master_of_slot(0).unwrap(), master);
}

#[test]
fn a_slot_on_its_way_shows_ask_and_then_moved() {
    let options = RedisClusterOptions::default().replicas_per_master(0);
    let name = "a_slot_on_its_way_shows_ask_and_then_moved";
    let Some(cluster) = cluster_with_or_skip(name, &options) else { return };
    let slot = slot_of(b"{tag}");
    let from = cluster.master_of_slot(slot).unwrap();
    let to = (from + 1) % 3;
    let set = |key: &str| cluster.command(from, &format!("SET {key} v")).unwrap();
    assert_eq!(set("{tag}1"), "+OK\r\n");

    cluster.begin_slot_migration(slot, to).unwrap();
    assert_eq!(cluster.command(from, "GET {tag}1").unwrap(), "$1\r\nv\r\n");
    let port = cluster.node(to).port();
    assert_eq!(set("{tag}2"), format!("-ASK {slot} 127.0.0.1:{port}\r\n"));
    assert!(cluster.finish_slot_migration(slot, to).is_err(), "a key is still there");

    cluster.move_keys(slot, to).unwrap();
    assert!(cluster.command(from, "GET {tag}1").unwrap().starts_with("-ASK "));
    cluster.finish_slot_migration(slot, to).unwrap();
    assert_eq!(cluster.master_of_slot(slot).unwrap(), to);
    assert_eq!(cluster.command(to, "GET {tag}1").unwrap(), "$1\r\nv\r\n");
    assert_eq!(set("{tag}2"), format!("-MOVED {slot} 127.0.0.1:{port}\r\n"));
    cluster.wait_until_ok().unwrap();

    cluster.begin_slot_migration(slot, from).unwrap();
    cluster.cancel_slot_migration(slot, from).unwrap();
    assert_eq!(cluster.command(to, "GET {tag}2").unwrap(), "$-1\r\n");
}

#[test]
fn a_cluster_with_users_and_tls_replicates_and_moves_slots() {
    let certificates = Certificates::generate().unwrap();
    let node = RedisServerOptions::default()
        .user("ann", "secret")
        .without_default_user()
        .mutual_tls(&certificates);
    let name = "a_cluster_with_users_and_tls_replicates_and_moves_slots";
    let Some(cluster) = cluster_with_or_skip(name, &RedisClusterOptions::default().node(node))
    else {
        return;
    };
    assert!(cluster.urls()[0].starts_with("rediss://ann:secret@127.0.0.1:"));
    let slot = slot_of(b"k");
    let from = cluster.master_of_slot(slot).unwrap();
    let to = (from + 1) % 3;
    assert_eq!(cluster.command(from, "SET k v").unwrap(), "+OK\r\n");
    cluster.migrate_slot(slot, to).unwrap();
    assert_eq!(cluster.command(to, "GET k").unwrap(), "$1\r\nv\r\n");
}
