//! Hits in Redis and misses, by tasks that ask as fast as they are answered.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use cache_benches_readers::{Load, Order, Run, Store, digits, fill};
use serde::Serialize;
use tokio::runtime::Runtime;

use super::contenders::{Dual, Hitbox, MultiTier, Ours};
use super::origin::Origin;
use super::stampede::{Crowd, Stampede};
use super::values::{Value, values};
use super::{CAPACITY, Scale};
use crate::contenders::Role;
use crate::redis::server::Server;
use crate::turns::{in_turns, middle};

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub(super) enum What {
    /// What is in Redis and not in memory.
    RemoteHits,
    /// What nobody has; the origin answers at once.
    Misses,
    /// The same of caches without Redis.
    MissesInMemory,
}

/// One contender.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) contender: &'static str,
    pub(super) role: Role,
    /// For each number of tasks.
    pub(super) figures: Vec<Figures>,
}

/// Medians over the rounds; times are in microseconds.
#[derive(Serialize)]
pub(super) struct Figures {
    /// A second, of all tasks together.
    pub(super) operations: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// How often the server read from a connection for an operation: with one task no fewer than round
    /// trips.
    pub(super) reads: f64,
    /// Operations without an answer, in all rounds.
    pub(super) failed: usize,
}

/// A contender with its keys stored.
pub(super) trait Lane {
    fn name(&self) -> (&'static str, Role);
    fn run(&self, runtime: &Runtime, what: What, order: Order) -> Run;
    /// All ask for one key that nobody has.
    fn stampede(&self, runtime: &Runtime, crowd: Crowd) -> Stampede;
}

struct Of<D: Dual> {
    /// With one entry in memory.
    narrow: Asker<D>,
    wide: Asker<D>,
    /// Without Redis.
    alone: Asker<D>,
}

struct Asker<D: Dual> {
    cache: D,
    keys: Arc<[D::Key]>,
    values: Arc<[D::Value]>,
    stock: Arc<[Bytes]>,
    /// Whether `put` takes a key that nobody has.
    anew: bool,
}

// Not derived, which would ask for more than is needed.
impl<D: Dual> Clone for Asker<D> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            keys: Arc::clone(&self.keys),
            values: Arc::clone(&self.values),
            stock: Arc::clone(&self.stock),
            anew: self.anew,
        }
    }
}

impl<D: Dual> Asker<D> {
    fn check(&self, number: usize, found: Option<D::Value>) -> bool {
        let Some(found) = found else { return false };
        assert!(found.bytes() == &self.stock[number][..], "a wrong answer");
        true
    }
}

/// A key that nobody has.
pub(super) fn fresh<D: Dual>() -> D::Key {
    static NEXT: AtomicUsize = AtomicUsize::new(1 << 32);
    D::key(&digits(NEXT.fetch_add(1, Ordering::Relaxed)))
}

impl<D: Dual> Store for Asker<D> {
    async fn get(&mut self, number: usize) -> bool {
        let found = self.cache.get(&self.keys[number]).await;
        self.check(number, found)
    }

    /// A miss.
    async fn put(&mut self, number: usize) -> bool {
        let origin = Origin::immediate(self.values[number].clone());
        let found = if self.anew {
            self.cache.get_or_fetch(&fresh::<D>(), &origin).await
        } else {
            self.cache.get_or_fetch(&self.keys[number], &origin).await
        };
        self.check(number, found)
    }
}

impl<D: Dual> Lane for Of<D> {
    fn name(&self) -> (&'static str, Role) {
        (D::NAME, D::ROLE)
    }

    fn run(&self, runtime: &Runtime, what: What, order: Order) -> Run {
        let asker = match what {
            What::RemoteHits => &self.narrow,
            What::Misses => &self.wide,
            What::MissesInMemory => &self.alone,
        };
        runtime.block_on(order.run(asker))
    }

    fn stampede(&self, runtime: &Runtime, crowd: Crowd) -> Stampede {
        let (cache, value) = (self.wide.cache.clone(), self.wide.values[0].clone());
        runtime.block_on(crowd.ask(&cache, value))
    }
}

async fn lane<D: Dual>(url: &str, stock: &Arc<[Bytes]>) -> Result<Box<dyn Lane>, Box<dyn Error>> {
    let keys: Arc<[D::Key]> = (0..stock.len()).map(|number| D::key(&digits(number))).collect();
    let values: Arc<[D::Value]> = stock.iter().map(D::Value::of).collect();
    let asker = |cache, anew| Asker {
        cache,
        keys: Arc::clone(&keys),
        values: Arc::clone(&values),
        stock: Arc::clone(stock),
        anew,
    };
    let narrow = asker(D::build(1, Some(url)).await?, false);
    fill(&narrow, stock.len()).await;
    Ok(Box::new(Of {
        narrow,
        wide: asker(D::build(CAPACITY, Some(url)).await?, true),
        alone: asker(D::build(CAPACITY, None).await?, true),
    }))
}

/// Everyone, with their keys stored in Redis.
pub(super) fn lanes(
    server: &Server,
    runtime: &Runtime,
    keys: usize,
) -> Result<Vec<Box<dyn Lane>>, Box<dyn Error>> {
    let (url, stock) = (server.url(), values(keys));
    runtime.block_on(async {
        Ok(vec![
            lane::<Ours>(&url, &stock).await?,
            lane::<MultiTier>(&url, &stock).await?,
            lane::<Hitbox>(&url, &stock).await?,
        ])
    })
}

/// Everyone in turns, for each number of tasks.
pub(super) fn measure(
    lanes: &[Box<dyn Lane>],
    server: &Server,
    runtime: &Runtime,
    what: What,
    scale: &Scale,
) -> io::Result<Vec<Row>> {
    let load = if what == What::RemoteHits { Load::Get } else { Load::Put };
    let slice = |at: usize, readers: usize| {
        if load == Load::Put {
            server.empty()?; // misses are many, and all are stored
        }
        server.forget()?;
        let order = Order { load, readers, millis: scale.millis, keys: scale.far_keys };
        let run = lanes[at].run(runtime, what, order);
        let reads = server.reads()? / run.answered as f64;
        let is_remote = what != What::RemoteHits || readers > 1 || reads > 0.98;
        let (name, _) = lanes[at].name();
        assert!(is_remote, "{name}: this is to measure hits in Redis, and memory answered");
        Ok((run, reads))
    };
    // By contender, round and number.
    let results = in_turns(lanes.len(), scale.rounds, |_, at| {
        scale.tasks.iter().map(|&tasks| slice(at, tasks)).collect::<io::Result<Vec<_>>>()
    });
    lanes
        .iter()
        .zip(results)
        .map(|(lane, rounds)| {
            let rounds = rounds.into_iter().collect::<io::Result<Vec<_>>>()?;
            let figures = (0..scale.tasks.len()).map(|which| {
                let of = |number: &dyn Fn(&Run) -> f64| {
                    middle(&rounds, |slices| number(&slices[which].0))
                };
                Figures {
                    operations: of(&|run| run.operations),
                    p50: of(&|run| run.p50),
                    p99: of(&|run| run.p99),
                    reads: middle(&rounds, |slices| slices[which].1),
                    failed: rounds.iter().map(|slices| slices[which].0.failed).sum(),
                }
            });
            let (contender, role) = lane.name();
            Ok(Row { contender, role, figures: figures.collect() })
        })
        .collect()
}
