//! Everyone, with their keys stored, and the turns that they take.

use std::io;
use std::sync::Arc;

use cache_benches_readers::{Load, Order, Stock, Store, fill};
use tokio::runtime::Runtime;

use super::contenders::{Edge, Floor, Ours, Pool, Setup};
use super::figures::{Figures, Row, Slice};
use super::lane::{Elsewhere, Here, Lane};
use super::server::Server;
use super::{CONNECTIONS, Scale};
use crate::contenders::Role;
use crate::report::told;

pub(super) const OURS: &str = "cache-redis";
pub(super) const FLOOR: &str = "redis-rs, 2 connections";
pub(super) const POOL: &str = "deadpool-redis";
pub(super) const EDGE: &str = "llm-edge-cache 0.1.0";
pub(super) const LLMIX: &str = "llmix-rs 2.1.0";

/// What names begin with that ours stores, and that floor and pool read.
const PREFIX: &str = "bench";

pub(super) struct Field {
    lanes: Vec<Lane>,
    /// The first of the lanes, for batches.
    pub(super) ours: Ours,
    /// Its floor.
    pub(super) floor: Floor,
    /// How many connections the pool may have.
    pub(super) pool: usize,
    /// Who is not there.
    pub(super) missing: Vec<&'static str>,
}

impl Field {
    pub(super) fn new(server: &Server, runtime: &Arc<Runtime>, keys: usize) -> Self {
        let url = server.url();
        let (random, prose) = (Stock::random(keys), Stock::prose(keys));
        let plain = |connections| Setup { prefix: PREFIX, connections, compress: false };
        let compressing = Setup { prefix: "zstd", connections: CONNECTIONS, compress: true };
        let ours = Ours::new(&url, plain(CONNECTIONS), &random);
        let compressing = Ours::new(&url, compressing, &prose);
        let floor = |count| runtime.block_on(Floor::new(&url, count, PREFIX, &random));
        let (floor, single) = (floor(CONNECTIONS), floor(1));
        let pool = Pool::new(&url, PREFIX, &random);
        let connections = pool.connections();
        let edge = runtime.block_on(Edge::new(&url, &random));

        runtime.block_on(async {
            fill(&ours, keys).await;
            fill(&compressing, keys).await;
            fill(&edge, keys).await;
        });
        let script = "evalsha";
        let mut lanes = vec![
            here(runtime, OURS, Role::Default, script, ours.clone()),
            here(runtime, FLOOR, Role::Floor, "set", floor.clone()),
            here(
                runtime,
                "cache-redis, 1 connection",
                Role::Ours,
                script,
                Ours::new(&url, plain(1), &random),
            ),
            here(runtime, "redis-rs, 1 connection", Role::Floor, "set", single),
            here(runtime, "cache-redis, zstd, prose", Role::Ours, script, compressing),
            here(runtime, POOL, Role::Rival, "set", pool),
            here(runtime, EDGE, Role::Rival, "setex", edge),
        ];
        let mut missing = Vec::new();
        match told("llmix-rs built and stored", || Elsewhere::start(&url, keys)) {
            Ok(place) => lanes.push(Lane {
                name: LLMIX,
                role: Role::Rival,
                put_command: "setex",
                place: Box::new(place),
            }),
            Err(error) => {
                eprintln!("{LLMIX} is left out, since its program does not start: {error}");
                missing.push(LLMIX);
            }
        }
        Self { lanes, ours, floor, pool: connections, missing }
    }

    /// Everyone in turns, for each number of readers or writers.
    pub(super) fn measure(
        &mut self,
        server: &Server,
        load: Load,
        numbers: &[usize],
        scale: &Scale,
    ) -> io::Result<Vec<Row>> {
        let count = self.lanes.len();
        // By lane and number.
        let mut slices: Vec<Vec<Vec<Slice>>> =
            (0..count).map(|_| numbers.iter().map(|_| Vec::new()).collect()).collect();
        for round in 0..=scale.rounds {
            for (which, &readers) in numbers.iter().enumerate() {
                for turn in 0..count {
                    // Starting elsewhere each time, so that no one runs on a warmer machine.
                    let at = (turn + round) % count;
                    let order = Order { load, readers, millis: scale.millis, keys: scale.keys };
                    let slice = Slice::measure(server, &mut self.lanes[at], order)?;
                    if round > 0 {
                        // the first round warms up
                        slices[at][which].push(slice);
                    }
                }
            }
        }
        let row = |(lane, slices): (&Lane, &Vec<Vec<Slice>>)| Row {
            contender: lane.name,
            role: lane.role,
            figures: slices.iter().map(|slices| Figures::of(slices)).collect(),
        };
        Ok(self.lanes.iter().zip(&slices).map(row).collect())
    }
}

fn here<S: Store>(
    runtime: &Arc<Runtime>,
    name: &'static str,
    role: Role,
    put_command: &'static str,
    store: S,
) -> Lane {
    let place = Here { store, runtime: Arc::clone(runtime) };
    Lane { name, role, put_command, place: Box::new(place) }
}
