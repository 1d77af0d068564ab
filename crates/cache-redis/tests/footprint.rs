//! F58, in a process of its own: memory is measured.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cache_core::RemoteTier as _;
use cache_redis::RedisTier;
use testbed::redis::{Fault, FaultProxy, server_or_skip};

use common::{entry, key};

/// F58: a server that hangs for long, and thousands of calls meanwhile: nothing piles up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_with_calls_that_fail() {
    let Some(server) = server_or_skip("cache-redis/fault-memory") else { return };
    let proxy = FaultProxy::start(server.address()).expect("a free port");
    let tier = RedisTier::builder(&proxy.url()).unwrap().build().unwrap();
    common::until_it_answers(&tier).await;
    proxy.set(Fault::hold());
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..64)
        .map(|number| tokio::spawn(keep_storing(tier.clone(), number, Arc::clone(&stop))))
        .collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let early = resident_bytes();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let late = resident_bytes();
    stop.store(true, Ordering::Relaxed);
    let mut calls = 0;
    for caller in callers {
        calls += caller.await.expect("no panic");
    }
    assert!(calls > 1_000, "only {calls} calls");
    let grown = late.saturating_sub(early);
    assert!(grown < 32 << 20, "{grown} bytes more after {calls} calls of 64 KiB");
    proxy.pass();
    common::until_it_answers(&tier).await;
}

/// Stores large values until told to stop; how often.
async fn keep_storing(tier: RedisTier, number: usize, stop: Arc<AtomicBool>) -> u64 {
    let mut calls = 0;
    let key = key(&format!("large {number}"));
    // What does not get shorter by compression.
    let large: bytes::Bytes =
        (0..65_536_usize).map(|i| (i * i + number).wrapping_mul(40_503).to_le_bytes()[2]).collect();
    while !stop.load(Ordering::Relaxed) {
        let _ = tier.put(&key, &entry(large.clone())).await;
        calls += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    calls
}

/// How much memory this process has, by the kernel.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("pages");
    pages * 4_096
}
