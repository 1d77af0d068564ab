//! The consistency promise over a random history: three processes, one remote tier, a bus that is cut and
//! healed, a remote tier that some of them cannot reach.
//!
//! * Whoever invalidates reads nothing older from then on, whatever is cut.
//! * Another process reads nothing older once it has heard: at once while the bus is whole, and else when
//!   the bus is healed and the invalidation made up for. If it cannot reach the remote tier then, it
//!   goes on serving what it holds until it can.
//!
//! `CACHE_DUAL_HISTORY_OPS` sets the length of each history; the seeds are fixed, so a failure repeats.
#![allow(clippy::unwrap_used, reason = "what a test's helper unwraps is what it expects")]

mod common;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cache_conformance::LocalBus;
use cache_core::{Error, Invalidation, InvalidationBus, InvalidationStream, Result};
use cache_dual::{CacheKey, InsertOptions, Lookup, Tag, WriteMode};
use common::{Process, World, bytes, key};
use tokio::sync::watch;

const KEYS: usize = 8;
const TAGS: usize = 2;
const PROCESSES: usize = 3;

/// How long it takes at most, on the paused clock, until all who can hear have heard.
const HEARD: Duration = Duration::from_millis(50);

/// A connection to the bus that can be cut: what others publish meanwhile is lost, and a gap is told of.
#[derive(Debug)]
struct Cut(LocalBus, watch::Sender<bool>);

#[async_trait]
impl InvalidationBus for Cut {
    async fn publish(&self, message: Invalidation) -> Result<()> {
        if *self.1.borrow() {
            return Err(Error::Unavailable { tier: "bus", source: "cut".into() });
        }
        self.0.publish(message).await
    }

    async fn subscribe(&self) -> Result<Box<dyn InvalidationStream>> {
        let stream = self.0.subscribe().await?;
        Ok(Box::new(CutStream { stream, cut: self.1.subscribe(), lost: false }))
    }
}

#[derive(Debug)]
struct CutStream {
    stream: Box<dyn InvalidationStream>,
    cut: watch::Receiver<bool>,
    lost: bool,
}

#[async_trait]
impl InvalidationStream for CutStream {
    async fn next(&mut self) -> Option<Invalidation> {
        loop {
            let is_cut = *self.cut.borrow_and_update();
            if !is_cut && std::mem::take(&mut self.lost) {
                return Some(Invalidation::Gap);
            }
            self.lost |= is_cut;
            tokio::select! {
                message = self.stream.next() => if !is_cut { return message },
                _ = self.cut.changed() => {}
            }
        }
    }
}

struct History {
    world: World,
    processes: Vec<Process>,
    cuts: Vec<watch::Sender<bool>>,
    /// The version that the origin has of each key.
    source: Vec<AtomicU64>,
    /// The oldest version that each process may read of each key.
    floors: Vec<Vec<AtomicU64>>,
    /// The same where it can ask the remote tier: after a gap it has to, and what nobody can confirm is
    /// served.
    confirmed: Vec<Vec<AtomicU64>>,
    /// Who cannot reach the remote tier.
    failing: Vec<AtomicBool>,
    /// What others have not heard of, since something was cut: by whom, of which key, which version.
    unheard: Mutex<Vec<(usize, usize, u64)>>,
    /// An insert says what a value is; it is not made while somebody says that there is a later one.
    writing: tokio::sync::RwLock<()>,
    reads: AtomicU64,
}

fn name(n: usize) -> CacheKey {
    key(&n.to_string())
}

/// Every key has one tag.
fn tag(n: usize) -> Tag {
    Tag::named(&(n % TAGS).to_string())
}

fn version(value: &Bytes) -> u64 {
    std::str::from_utf8(value).unwrap().parse().unwrap()
}

impl History {
    fn new(writes: WriteMode) -> Self {
        let (world, bus) = (World::new(), LocalBus::new());
        let mut cuts = Vec::new();
        let processes = (0..PROCESSES).map(|_| {
            let cut = watch::Sender::new(false);
            cuts.push(cut.clone());
            world.process_with(Some(Arc::new(Cut(bus.peer(), cut))), |options| {
                options.writes = writes;
                options.grace = Duration::from_secs(20);
            })
        });
        let processes = processes.collect();
        let zeros = || (0..KEYS).map(|_| AtomicU64::new(0)).collect();
        let floors = (0..PROCESSES).map(|_| zeros()).collect();
        let confirmed = (0..PROCESSES).map(|_| zeros()).collect();
        let failing = (0..PROCESSES).map(|_| AtomicBool::new(false)).collect();
        let (unheard, reads) = (Mutex::default(), AtomicU64::new(0));
        let writing = tokio::sync::RwLock::default();
        let source = zeros();
        Self { world, processes, cuts, source, floors, confirmed, failing, unheard, writing, reads }
    }

    fn load(&self, n: usize) -> Bytes {
        bytes(&self.source[n].load(Ordering::SeqCst).to_string())
    }

    async fn fetch(&self, n: usize) -> std::result::Result<Bytes, Infallible> {
        let value = self.load(n);
        for _ in 0..fastrand::u8(..4) {
            tokio::task::yield_now().await;
        }
        Ok(value)
    }

    async fn read(&self, process: usize, n: usize, how: u8) {
        let floor = self.floors[process][n].load(Ordering::SeqCst);
        let confirmed = self.confirmed[process][n].load(Ordering::SeqCst);
        let could_ask = !self.failing[process].load(Ordering::SeqCst);
        let cache = &self.processes[process].cache;
        let (k, tags) = (name(n), [tag(n)]);
        let query = cache.query(&k).tags(&tags);
        let value = match how {
            0 => cache.get(&k).await.map(|hit| hit.value),
            1 => match query.lookup().await {
                Lookup::Hit(hit) => Some(hit.value),
                Lookup::Miss(ticket) => {
                    let Ok(value) = self.fetch(n).await;
                    let _ = cache.fulfil(ticket, value, InsertOptions::new()).await;
                    None
                }
            },
            2 => cache.get_many(&[k]).await.remove(0).map(|hit| hit.value),
            _ => Some(query.get_or_fetch(|| self.fetch(n)).await.unwrap().value),
        };
        self.reads.fetch_add(1, Ordering::SeqCst);
        let could_ask = could_ask && !self.failing[process].load(Ordering::SeqCst);
        let floor = if could_ask { floor.max(confirmed) } else { floor };
        if let Some(value) = value {
            let read = version(&value);
            assert!(read >= floor, "process {process}, key {n}: {read} is older than {floor}");
        }
    }

    async fn change(self: &Arc<Self>, process: usize, n: usize, how: u8) {
        let (_alone, _together) = match how {
            2 | 3 => (Some(self.writing.write().await), None),
            _ => (None, Some(self.writing.read().await)),
        };
        let cache = &self.processes[process].cache;
        let touched: Vec<usize> = match how {
            0..=3 => vec![n],
            4 | 5 => (0..KEYS).filter(|other| tag(*other) == tag(n)).collect(),
            _ => (0..KEYS).collect(),
        };
        let versions: HashMap<usize, u64> = touched
            .iter()
            .map(|n| (*n, self.source[*n].fetch_add(1, Ordering::SeqCst) + 1))
            .collect();
        let confirmed = match how {
            0 => cache.remove(&name(n)).await.is_ok(),
            1 => cache.remove_many(&[name(n)]).await.is_ok(),
            2 | 3 => {
                let query_tags = [tag(n)];
                let value = bytes(&versions[&n].to_string());
                let key = name(n);
                let query = cache.query(&key).tags(&query_tags);
                let _ = query.insert(value, InsertOptions::new()).await;
                // Until it is written, what others do comes before it.
                while cache.health().await.queued > 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                false // it does not say; what it owes is made up for
            }
            4 | 5 => cache.remove_tag(&tag(n)).await.is_ok(),
            _ => cache.clear().await.is_ok(),
        };
        for (n, version) in versions {
            // An insert is the last word on its own version only, and one that is queued is read once
            // it is made.
            if confirmed || !(2..=3).contains(&how) {
                self.floors[process][n].fetch_max(version, Ordering::SeqCst);
            }
            if confirmed && !self.cuts.iter().any(|cut| *cut.borrow()) {
                let this = Arc::clone(self);
                tokio::spawn(async move {
                    tokio::time::sleep(HEARD).await;
                    if this.cuts.iter().any(|cut| *cut.borrow()) {
                        this.unheard.lock().unwrap().push((process, n, version));
                        return;
                    }
                    for floors in &this.floors {
                        floors[n].fetch_max(version, Ordering::SeqCst);
                    }
                });
            } else {
                self.unheard.lock().unwrap().push((process, n, version));
            }
        }
    }

    /// Heals everything, waits until nothing is owed, and expects that all have heard.
    async fn heal(&self) {
        for (cut, process) in self.cuts.iter().zip(&self.processes) {
            cut.send_replace(false);
            process.faults.fail(false);
        }
        for process in &self.processes {
            loop {
                let health = process.cache.health().await;
                if (health.owed, health.queued) == (0, 0) && health.is_healthy() {
                    break;
                }
                let _probe = process.cache.get(&key("probe")).await;
                self.world.clock.advance(Duration::from_secs(1));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        tokio::time::sleep(HEARD).await;
        for (_, n, version) in self.unheard.lock().unwrap().drain(..) {
            for confirmed in &self.confirmed {
                confirmed[n].fetch_max(version, Ordering::SeqCst);
            }
        }
        for failing in &self.failing {
            failing.store(false, Ordering::SeqCst);
        }
    }
}

async fn run(seed: u64, writes: WriteMode, operations: usize) {
    fastrand::seed(seed);
    let history = Arc::new(History::new(writes));
    for process in 0..PROCESSES {
        history.read(process, 0, 0).await; // starts to listen
    }
    tokio::time::sleep(HEARD).await;
    let mut under_way = Vec::new();
    for operation in 0..operations {
        let (process, n) = (fastrand::usize(..PROCESSES), fastrand::usize(..KEYS));
        match fastrand::u8(..100) {
            0..1 => drop(history.cuts[process].send_replace(true)),
            1..3 => {
                history.failing[process].store(true, Ordering::SeqCst);
                history.processes[process].faults.fail(true);
            }
            3..5 => {
                for task in under_way.drain(..) {
                    let task: tokio::task::JoinHandle<()> = task;
                    task.await.unwrap_or_else(|error| panic!("seed {seed}, {operation}: {error}"));
                }
                history.heal().await;
            }
            5..8 => history.world.clock.advance(Duration::from_millis(fastrand::u64(..3_000))),
            8..25 => {
                let (this, how) = (Arc::clone(&history), fastrand::u8(..7));
                under_way.push(tokio::spawn(async move { this.change(process, n, how).await }));
            }
            25..30 => tokio::time::sleep(Duration::from_millis(fastrand::u64(..100))).await,
            _ => {
                let (this, how) = (Arc::clone(&history), fastrand::u8(..6));
                under_way.push(tokio::spawn(async move { this.read(process, n, how).await }));
            }
        }
        for _ in 0..fastrand::u8(..3) {
            tokio::task::yield_now().await;
        }
    }
    for task in under_way {
        task.await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    history.heal().await;
    for process in 0..PROCESSES {
        for n in 0..KEYS {
            history.read(process, n, 3).await;
        }
    }
    assert!(history.reads.load(Ordering::SeqCst) > operations as u64 / 2);
}

fn operations() -> usize {
    std::env::var("CACHE_DUAL_HISTORY_OPS").map_or(1_000, |n| n.parse().expect("a number"))
}

#[tokio::test(start_paused = true)]
async fn no_stale_read_outside_the_windows() {
    for seed in 0..8 {
        run(seed, WriteMode::Through, operations()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_stale_read_outside_the_windows_with_queued_writes() {
    for seed in 0..8 {
        run(seed, WriteMode::Queued { capacity: 100 }, operations()).await;
    }
}
