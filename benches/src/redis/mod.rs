//! Suite `redis`: reads and writes of the tier in Redis, against a server of their own.

mod aims;
mod batches;
mod contenders;
mod entries;
mod field;
mod figures;
mod lane;
mod page;
pub(crate) mod server;

use std::io;
use std::path::Path;
use std::sync::Arc;

use cache_benches_readers::Load;
use serde::Serialize;

use self::batches::Batches;
use self::entries::Entries;
use self::field::Field;
use self::figures::{Figures, Row};
use self::server::Server;
use crate::Options;
use crate::report::{Aim, commit_of, machine, told};

/// Connections of ours, by default, and of the floor that it is compared with.
const CONNECTIONS: usize = 2;
/// Threads of the runtime.
const WORKERS: usize = 2;

/// How much to run.
struct Scale {
    rounds: usize,
    /// Of one slice, in milliseconds.
    millis: u64,
    keys: usize,
    readers: &'static [usize],
    writers: &'static [usize],
}

const FULL: Scale =
    Scale { rounds: 15, millis: 200, keys: 10_000, readers: &[1, 16, 64, 256], writers: &[1, 64] };

const SMOKE: Scale =
    Scale { rounds: 1, millis: 30, keys: 1_000, readers: &[1, 64], writers: &[1, 64] };

#[derive(Serialize)]
struct Report {
    commit: String,
    machine: String,
    redis: String,
    rounds: usize,
    millis: u64,
    keys: usize,
    /// Connections of the pool.
    pool: usize,
    readers: Vec<usize>,
    gets: Vec<Row>,
    batches: Vec<Batches>,
    entries: Entries,
    writers: Vec<usize>,
    puts: Vec<Row>,
    /// Who is not there, and why.
    missing: Vec<&'static str>,
    aims: Vec<Aim>,
}

impl Report {
    /// Gets of this contender by so many readers.
    fn gets(&self, contender: &str, readers: usize) -> Option<&Figures> {
        let at = self.readers.iter().position(|&number| number == readers)?;
        self.gets.iter().find(|row| row.contender == contender)?.figures.get(at)
    }
}

/// Runs the suite.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    let scale = if options.smoke { SMOKE } else { FULL };
    let server = Server::start()?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = Arc::new(runtime.worker_threads(WORKERS).enable_all().build()?);
    let mut field = told("stored", || Field::new(&server, &runtime, scale.keys));
    let machine = machine(); // when what had to be built is built, and before the run loads it
    let gets = told("gets", || field.measure(&server, Load::Get, scale.readers, &scale))?;
    let batches =
        told("batches", || batches::measure(&server, &runtime, &field.ours, &field.floor, &scale))?;
    let entries = told("entries", || entries::measure(&scale));
    let puts = told("puts", || field.measure(&server, Load::Put, scale.writers, &scale))?;
    let mut report = Report {
        commit: commit_of(&["cache-core", "cache-redis"]),
        machine,
        redis: server.version()?,
        rounds: scale.rounds,
        millis: scale.millis,
        keys: scale.keys,
        pool: field.pool,
        readers: scale.readers.to_vec(),
        gets,
        batches,
        entries,
        writers: scale.writers.to_vec(),
        puts,
        missing: field.missing,
        aims: Vec::new(),
    };
    report.aims = aims::aims(&report);
    println!("{}", page::summary(&report));
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)?)?;
    }
    if !options.smoke {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks");
        std::fs::create_dir_all(&docs)?;
        std::fs::write(docs.join("redis.md"), page::page(&report))?;
        std::fs::write(docs.join("redis.svg"), page::plot(&report))?;
    }
    Ok(())
}
