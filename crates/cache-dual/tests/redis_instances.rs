//! A39: three instances, one Redis, and a bus that is cut and healed. What they promise each other is
//! in the crate's documentation under "Consistency", and is what is checked here.

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cache_dual::codec::Raw;
use cache_dual::{CacheKey, DualCache, Tag};
use cache_redis::RedisTier;
use common::key;
use testbed::redis::{Fault, FaultProxy, server_or_skip};

const KEYS: usize = 20;
/// What an invalidation may take to be heard of by an instance that is not cut off, on a busy machine.
const HEARD: Duration = Duration::from_millis(1_500);
/// The heartbeat of the bus, which bounds how long a cut goes unnoticed.
const BEAT: Duration = Duration::from_millis(200);
/// How long an instance may serve what was invalidated while it was cut off, once it no longer is:
/// until it has noticed (three beats), has connected again, and the breaker has probed.
const HEALED: Duration = Duration::from_secs(4);

/// What the origin has, and when it last changed: versions of each key, with the time at which the
/// invalidation of the one before had returned.
struct Origin(Vec<(AtomicU64, parking_lot::Mutex<Vec<Instant>>)>);

impl Origin {
    fn new() -> Self {
        Self((0..KEYS).map(|_| (AtomicU64::new(0), parking_lot::Mutex::default())).collect())
    }

    fn version(&self, number: usize) -> u64 {
        self.0[number].0.load(Ordering::SeqCst)
    }

    /// For how long, at `at`, `version` had been invalidated.
    fn invalidated_for(&self, number: usize, version: u64, at: Instant) -> Duration {
        let ends = self.0[number].1.lock();
        let end = usize::try_from(version).ok().and_then(|version| ends.get(version));
        end.map_or(Duration::ZERO, |end| at.saturating_duration_since(*end))
    }
}

fn instance(url: &str) -> DualCache<Bytes> {
    let tier = RedisTier::builder(url).expect("a valid URL").bus_heartbeat(BEAT);
    let tier = tier.build().expect("valid options");
    let bus = Arc::new(tier.bus());
    let cache = DualCache::builder().remote(Arc::new(tier), Raw).bus(bus);
    cache.tune(|options| options.recheck = Duration::from_millis(500)).build().expect("valid")
}

fn name(number: usize) -> CacheKey {
    key(&format!("instance key {number}"))
}

/// Keys of even numbers have a tag of their own.
fn tag(number: usize) -> Tag {
    Tag::named(&format!("tag {number}"))
}

/// Invalidates keys one after the other, in turns with the other instances.
async fn write(cache: DualCache<Bytes>, origin: Arc<Origin>, first: usize, stop: Arc<AtomicBool>) {
    let mut number = first;
    while !stop.load(Ordering::SeqCst) {
        number = (number + 3) % KEYS;
        // One writer a key, so that versions follow each other.
        if number % 3 == first {
            origin.0[number].0.fetch_add(1, Ordering::SeqCst);
            loop {
                let told = if number.is_multiple_of(2) {
                    cache.remove_tag(&tag(number)).await
                } else {
                    cache.remove(&name(number)).await.map(drop)
                };
                if told.is_ok() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            origin.0[number].1.lock().push(Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

/// Reads, and judges what it reads: how many reads there were.
async fn read(
    cache: DualCache<Bytes>,
    origin: Arc<Origin>,
    allowed: Arc<parking_lot::Mutex<Duration>>,
    stop: Arc<AtomicBool>,
) -> u64 {
    let mut reads = 0;
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        number = (number + 7) % KEYS;
        let tags = [tag(number)];
        let tags = if number.is_multiple_of(2) { &tags[..] } else { &[] };
        let fetch = || async {
            let version = origin.version(number);
            tokio::time::sleep(Duration::from_millis(2)).await;
            Ok::<_, Infallible>(Bytes::copy_from_slice(&version.to_le_bytes()))
        };
        let allowed_before = *allowed.lock();
        let asked = Instant::now();
        let answer = cache.query(&name(number)).tags(tags).get_or_fetch(fetch).await;
        let value = answer.expect("the origin answers").value;
        let version = u64::from_le_bytes(value.as_ref().try_into().expect("eight bytes"));
        let stale_for = origin.invalidated_for(number, version, asked);
        let allowed = allowed_before.max(*allowed.lock());
        assert!(stale_for <= allowed, "{stale_for:?} stale, {allowed:?} allowed");
        reads += 1;
        if u64::is_multiple_of(reads, 16) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    reads
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_serves_what_was_invalidated_longer_than_promised() {
    let Some(server) = server_or_skip("cache-dual/redis_instances") else { return };
    let proxies: Vec<_> =
        (0..3).map(|_| FaultProxy::start(server.address()).expect("a free port")).collect();
    let caches: Vec<_> = proxies.iter().map(|proxy| instance(&proxy.url())).collect();
    let (origin, stop) = (Arc::new(Origin::new()), Arc::new(AtomicBool::new(false)));
    let allowed: Vec<_> = (0..3).map(|_| Arc::new(parking_lot::Mutex::new(HEARD))).collect();
    let mut writers = Vec::new();
    let mut readers = Vec::new();
    for (number, cache) in caches.iter().enumerate() {
        let (origin, stop) = (Arc::clone(&origin), Arc::clone(&stop));
        writers.push(tokio::spawn(write(cache.clone(), origin.clone(), number, stop.clone())));
        let allowed = Arc::clone(&allowed[number]);
        readers.push(tokio::spawn(read(cache.clone(), origin, allowed, stop)));
    }
    let minute = Duration::from_secs(60);
    for cut in [Fault::hold(), Fault::refuse()] {
        tokio::time::sleep(Duration::from_secs(1)).await;
        // The third is cut off: it serves what it has. The others do not notice.
        *allowed[2].lock() = minute;
        proxies[2].set(cut);
        proxies[2].reset_connections();
        tokio::time::sleep(Duration::from_secs(2)).await;
        proxies[2].pass();
        tokio::time::sleep(HEALED).await;
        *allowed[2].lock() = HEARD;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.expect("it is done");
    }
    let mut reads = 0;
    for reader in readers {
        reads += reader.await.expect("nothing older than promised");
    }
    assert!(reads > 1_000, "{reads}");
    let hits: u64 = caches.iter().map(|cache| cache.stats().l1_hits).sum();
    assert!(hits > reads / 10, "{hits} of {reads}: memory was in use");
}
