//! A61, A62, A64, A66, F35: whatever Redis does, callers of a `DualCache` get answers, in time.
//!
//! Every fault is done to a real server, or by a proxy in front of one, while tasks ask for values that
//! are in memory, in Redis, or nowhere. With `FAULT_TABLE=FILE` the figures are written there:
//!
//! ```sh
//! FAULT_TABLE=docs/benchmarks/dual-faults.md cargo test -p cache-dual --test redis_faults
//! ```

mod common;

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cache_dual::codec::Raw;
use cache_dual::{CacheKey, DualCache, InsertOptions, LocalCache, WriteMode};
use cache_redis::RedisTier;
use common::{bytes, key};
use testbed::redis::{
    Fault, FaultProxy, RedisServerOptions, cluster_or_skip, sentinel_or_skip, server_or_skip,
    server_with_or_skip,
};

/// What each call to the remote tier may take.
const BUDGET: Duration = Duration::from_millis(100);
/// A busy machine wakes tasks late, ours among them.
const LATE: Duration = Duration::from_millis(400);
const LASTS: Duration = Duration::from_secs(1);
const CALLERS: usize = 8;
const KEYS: usize = 64;

/// A cache whose memory is too small for what is asked of it, over a tier of that URL.
fn cache(tier: RedisTier) -> DualCache<Bytes> {
    let memory = LocalCache::local().max_entries(KEYS as u64 / 4).build().expect("valid options");
    DualCache::builder()
        .memory(memory)
        .remote(Arc::new(tier), Raw)
        .tune(|options| {
            options.remote_deadline = BUDGET;
            options.writes = WriteMode::Queued { capacity: 10_000 };
        })
        .build()
        .expect("valid options")
}

fn tier(url: &str) -> RedisTier {
    let builder = RedisTier::builder(url).expect("a valid URL");
    let builder = builder.connect_timeout(Duration::from_millis(500)).command_timeout(BUDGET);
    builder.build().expect("valid options")
}

fn name(number: usize) -> CacheKey {
    key(&format!("fault {number}"))
}

fn value(number: usize) -> Bytes {
    bytes(&format!("the value of {number}").repeat(20))
}

/// Callers at work while something goes wrong.
struct Trial {
    cache: DualCache<Bytes>,
    stop: Arc<AtomicBool>,
    fetches: Arc<AtomicU64>,
    callers: Vec<tokio::task::JoinHandle<Vec<Duration>>>,
}

impl Trial {
    async fn begin(cache: &DualCache<Bytes>) -> Self {
        for number in 0..KEYS {
            let _ = cache.insert(name(number), value(number), InsertOptions::new()).await;
        }
        Self::begin_unwell(cache)
    }

    fn begin_unwell(cache: &DualCache<Bytes>) -> Self {
        let (stop, fetches) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let caller = |caller: usize| {
            let (cache, stop, fetches) = (cache.clone(), Arc::clone(&stop), Arc::clone(&fetches));
            tokio::spawn(async move {
                let (mut took, mut number) = (Vec::new(), caller);
                while !stop.load(Ordering::Relaxed) {
                    number = (number * 5 + 3 + caller) % KEYS;
                    let start = Instant::now();
                    let fetch = || async {
                        fetches.fetch_add(1, Ordering::Relaxed);
                        Ok::<_, Infallible>(value(number))
                    };
                    let answer = cache.get_or_fetch(&name(number), fetch).await;
                    took.push(start.elapsed());
                    assert_eq!(answer.expect("never an error").value, value(number));
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                took
            })
        };
        let callers = (0..CALLERS).map(caller).collect();
        Self { cache: cache.clone(), stop, fetches, callers }
    }

    /// The fault is over. Adds a row, once the remote tier is in use again.
    async fn end(self, fault: &str, table: &mut String) {
        let start = Instant::now();
        while !self.cache.health().await.is_healthy() {
            assert!(start.elapsed() < Duration::from_secs(30), "{fault}: not healed");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let healed = start.elapsed();
        self.stop.store(true, Ordering::Relaxed);
        let mut took = Vec::new();
        for caller in self.callers {
            took.extend(caller.await.expect("no error and no wrong value"));
        }
        took.sort_unstable();
        let (p99, worst) = (took[took.len() * 99 / 100], took[took.len() - 1]);
        let row = format!(
            "| {fault} | {} | {} | 0 | {:.1} | {:.1} | {:.0} |\n",
            took.len(),
            self.fetches.load(Ordering::Relaxed),
            p99.as_secs_f64() * 1e3,
            worst.as_secs_f64() * 1e3,
            healed.as_secs_f64() * 1e3,
        );
        print!("{row}");
        // A look into the remote tier and nothing else is waited for.
        assert!(p99 < BUDGET + LATE && worst < 2 * BUDGET + LATE, "late: {row}");
        table.push_str(&row);
    }
}

async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

async fn by_proxy(table: &mut String) {
    let Some(server) = server_or_skip("cache-dual/redis_faults") else { return };
    let proxy = FaultProxy::start(server.address()).expect("a free port");
    let cache = cache(tier(&proxy.url()));
    let said = |text: &str| Fault::answer(format!("-{text}\r\n"));
    let faults = [
        ("each reply late, within the limit", Fault::delay(BUDGET / 4)),
        ("each reply late, beyond the limit", Fault::delay(2 * BUDGET)),
        ("connections reset in the middle of a reply", Fault::reset_after(20)),
        ("half a reply, then silence", Fault::stall_after(20)),
        ("requests taken, no replies (black hole)", Fault::hold()),
        ("`LOADING`", said("LOADING Redis is loading the dataset in memory")),
        ("`READONLY` to writes", said("READONLY You can't write").on("EVALSHA")),
        ("`MOVED` from a single server", said("MOVED 1 127.0.0.1:1")),
        ("replies that are no RESP", Fault::answer("HTTP/1.1 200 OK\r\n\r\n")),
        ("one value for every key", Fault::answer("$5\r\nhello\r\n").on("GET")),
    ];
    for (fault, does) in faults {
        let trial = Trial::begin(&cache).await;
        proxy.set(does);
        pause(LASTS).await;
        proxy.pass();
        trial.end(fault, table).await;
    }
    let trial = Trial::begin(&cache).await;
    proxy.set(Fault::refuse());
    proxy.reset_connections();
    pause(LASTS).await;
    proxy.pass();
    trial.end("host gone: connections reset, new ones refused", table).await;
}

async fn to_the_server(table: &mut String) {
    let Some(mut server) = server_or_skip("cache-dual/redis_faults") else { return };
    let healthy = cache(tier(&server.url()));
    let trial = Trial::begin(&healthy).await;
    server.kill();
    pause(LASTS).await;
    server.restart().expect("it starts again");
    trial.end("killed, restarted empty", table).await;

    let trial = Trial::begin(&healthy).await;
    server.pause().expect("it runs");
    pause(LASTS).await;
    server.resume().expect("it is there");
    trial.end("stopped (SIGSTOP)", table).await;

    server.pause().expect("it runs");
    let trial = Trial::begin_unwell(&cache(tier(&server.url())));
    pause(LASTS).await;
    server.resume().expect("it is there");
    trial.end("stopped from the first request on", table).await;

    let say = |line: &str| drop(server.command(line).expect("it answers"));
    let trial = Trial::begin(&healthy).await;
    say("CONFIG SET maxmemory 1");
    pause(LASTS).await;
    say("CONFIG SET maxmemory 0");
    trial.end("out of memory: writes are refused", table).await;

    let trial = Trial::begin(&healthy).await;
    for _ in 0..50 {
        say("SCRIPT FLUSH");
        pause(LASTS / 50).await;
    }
    trial.end("the script flushed, 50 times a second", table).await;

    let options = RedisServerOptions::default().user("cache", "first");
    let server = server_with_or_skip("cache-dual/redis_faults", &options);
    let Some(server) = server else { return };
    let cache = cache(tier(&server.url()));
    let say = |line: &str| drop(server.command(line).expect("it answers"));
    let trial = Trial::begin(&cache).await;
    say("ACL SETUSER cache resetpass >second");
    say("CLIENT KILL USER cache");
    pause(LASTS).await;
    say("ACL SETUSER cache resetpass >first");
    trial.end("another password, connections killed (`WRONGPASS`)", table).await;
}

async fn to_several_servers(table: &mut String) {
    if let Some(mut cluster) = cluster_or_skip("cache-dual/redis_faults") {
        let builder = RedisTier::cluster(cluster.urls()).expect("valid URLs");
        let cache = cache(builder.command_timeout(BUDGET).build().expect("valid options"));
        let trial = Trial::begin(&cache).await;
        cluster.kill(cluster.master_of_slot(0).expect("somebody's"));
        cluster.wait_until_ok().expect("a replica takes over");
        trial.end("Cluster: a master killed, until its replica has taken over", table).await;
    }
    if let Some(mut sentinel) = sentinel_or_skip("cache-dual/redis_faults") {
        let builder = RedisTier::sentinel(sentinel.sentinel_urls(), sentinel.service_name());
        let builder = builder.expect("valid URLs").command_timeout(BUDGET);
        let cache = cache(builder.build().expect("valid options"));
        let trial = Trial::begin(&cache).await;
        let lost = sentinel.kill_master().expect("it runs");
        sentinel.wait_for_other_master_than(lost).expect("a replica takes over");
        trial.end("Sentinel: the master killed, until there is another", table).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_get_answers_whatever_redis_does() {
    let mut table = String::new();
    by_proxy(&mut table).await;
    to_the_server(&mut table).await;
    to_several_servers(&mut table).await;
    let Some(file) = std::env::var_os("FAULT_TABLE") else { return };
    let mut page = String::from("# What callers of `cache-dual` see while Redis misbehaves\n\n");
    let _ = write!(
        page,
        "Written by `FAULT_TABLE=docs/benchmarks/dual-faults.md cargo test -p cache-dual --test \
         redis_faults`; do not edit. Eight callers ask for {KEYS} keys without rest (a millisecond between \
         rounds), of which a quarter fits into memory; the remote tier may take {} ms, and writes to it are \
         queued. Every value was compared. \"Healed\" is from the end of the fault to the breaker's being \
         closed and a ping answered.\n\n| fault | answers | of these from the origin | errors | p99 (ms) | worst (ms) | \
         healed after (ms) |\n|---|---:|---:|---:|---:|---:|---:|\n{table}",
        BUDGET.as_millis()
    );
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    std::fs::write(file, page).expect("the table can be written");
}
