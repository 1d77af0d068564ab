//! Suite `dual`: both tiers together, against a server of their own.

mod aims;
mod contenders;
mod far;
mod near;
mod origin;
mod page;
mod stampede;
mod tags;
mod values;

use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use self::far::What;
use self::near::Hits;
use self::stampede::Crowd;
use self::tags::Tags;
use crate::Options;
use crate::redis::server::Server;
use crate::report::{Aim, commit_of, machine, told};

/// Threads of the runtime.
const WORKERS: usize = 2;
/// Entries in memory, of those whose entries need not fit: the default of most.
const CAPACITY: usize = 10_000;
/// How long entries live.
const LIFE: Duration = Duration::from_secs(3_600);

/// How much to run.
struct Scale {
    rounds: usize,
    /// Keys of the hits in memory.
    near_keys: usize,
    /// Of one thread.
    lookups: usize,
    /// Keys in Redis.
    far_keys: usize,
    tasks: &'static [usize],
    /// Of one slice, in milliseconds.
    millis: u64,
    crowds: &'static [Crowd],
    /// How many are invalidated.
    tags: usize,
}

const FULL: Scale = Scale {
    rounds: 11,
    near_keys: 50_000,
    lookups: 400_000,
    far_keys: 10_000,
    tasks: &[1, 64],
    millis: 200,
    crowds: &[Crowd { tasks: 1_000, millis: 20 }, Crowd { tasks: 10_000, millis: 100 }],
    tags: 1_000_000,
};

const SMOKE: Scale = Scale {
    rounds: 1,
    near_keys: 2_000,
    lookups: 20_000,
    far_keys: 1_000,
    tasks: &[1, 64],
    millis: 30,
    crowds: &[Crowd { tasks: 1_000, millis: 20 }, Crowd { tasks: 10_000, millis: 100 }],
    tags: 20_000,
};

#[derive(Serialize)]
struct Report {
    commit: String,
    machine: String,
    redis: String,
    rounds: usize,
    near_keys: usize,
    far_keys: usize,
    millis: u64,
    hits: Vec<Hits>,
    tasks: Vec<usize>,
    /// By what is asked for.
    loads: Vec<(What, Vec<far::Row>)>,
    crowds: Vec<Crowd>,
    stampedes: Vec<stampede::Row>,
    tags: Tags,
    /// Who is not there, and why.
    missing: Vec<&'static str>,
    aims: Vec<Aim>,
}

/// Runs the suite.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    let scale = if options.smoke { SMOKE } else { FULL };
    let server = Server::start()?;
    let machine = machine(); // before the run loads it
    let mut report = measure(&server, machine, &scale)
        .map_err(|error| io::Error::other(format!("a contender does not work: {error}")))?;
    report.aims = aims::aims(&report);
    println!("{}", page::summary(&report));
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)?)?;
    }
    if !options.smoke {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks");
        std::fs::create_dir_all(&docs)?;
        std::fs::write(docs.join("dual.md"), page::page(&report))?;
        for (file, plot) in page::plots(&report) {
            std::fs::write(docs.join(file), plot)?;
        }
    }
    Ok(())
}

fn measure(
    server: &Server,
    machine: String,
    scale: &Scale,
) -> Result<Report, Box<dyn std::error::Error>> {
    // Those that count what is allocated come first: nothing else may run meanwhile.
    let tags = told("tags", || tags::tags(scale))?;
    let hits = told("hits", || near::hits(scale))?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(WORKERS).enable_all().build()?;
    let lanes = told("stored", || far::lanes(server, &runtime, scale.far_keys))?;
    // What is in Redis comes first: misses empty it.
    let mut loads = Vec::new();
    for what in [What::RemoteHits, What::Misses, What::MissesInMemory] {
        let rows =
            told(&format!("{what:?}"), || far::measure(&lanes, server, &runtime, what, scale));
        loads.push((what, rows?));
    }
    let stampedes = told("stampedes", || stampede::measure(&lanes, &runtime, scale));
    let missing = if cfg!(feature = "slow-rivals") {
        Vec::new()
    } else {
        vec![
            "litellm-rs 0.4.16: compiled only if asked for, with `--slow-rivals`, since that takes minutes",
        ]
    };
    Ok(Report {
        commit: commit_of(&["cache-core", "cache-memory", "cache-redis", "cache-dual"]),
        machine,
        redis: server.version()?,
        rounds: scale.rounds,
        near_keys: scale.near_keys,
        far_keys: scale.far_keys,
        millis: scale.millis,
        hits,
        tasks: scale.tasks.to_vec(),
        loads,
        crowds: scale.crowds.to_vec(),
        stampedes,
        tags,
        missing,
        aims: Vec::new(),
    })
}

impl Report {
    /// Hits in memory by this call of ours.
    fn ours(&self, call: &str) -> Option<&Hits> {
        self.hits.iter().find(|row| row.call == call && row.role != crate::contenders::Role::Rival)
    }
}
