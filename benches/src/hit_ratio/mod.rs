//! Suite `hit-ratio`: replays of traces, ours beside its rivals and the optimum.

mod aims;
mod optimum;
mod page;
mod replay;

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use self::replay::Tape;
use crate::contenders::{Recipe, Role, by_policy};
use crate::report::{Aim, commit, machine, told};
use crate::trace::{self, Kind, Trace};

/// Of each synthetic load.
const ACCESSES: usize = 500_000;
/// Beside one thread, how many share a trace.
const THREADS: [usize; 2] = [2, 8];
/// Who is replayed by several threads, with our default. The exact LRU is a control: what it loses
/// is due to the order of the accesses, not to the cache.
const SHARED: [&str; 3] = ["quick_cache", "moka", "Mutex<lru::LruCache>"];

/// What to replay, and where to leave the numbers.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    common: crate::Options,
    /// Replay this trace too: .lis, .lis.zst, or the .jsonl of Mooncake. May be given several times.
    #[arg(long, value_name = "FILE")]
    trace: Vec<PathBuf>,
    /// Leave out the synthetic loads, and the report under docs/benchmarks as it is.
    #[arg(long, requires = "trace")]
    only_traces: bool,
}

/// Hit ratios of one contender, by capacity.
#[derive(Serialize)]
struct Row {
    contender: &'static str,
    role: Role,
    ratios: Vec<f64>,
}

/// The same when this many threads share the trace.
#[derive(Serialize)]
struct SharedRow {
    contender: &'static str,
    role: Role,
    threads: usize,
    ratios: Vec<f64>,
}

#[derive(Serialize)]
struct Table {
    trace: String,
    kind: Kind,
    accesses: usize,
    distinct: usize,
    capacities: Vec<usize>,
    /// Belady's.
    optimum: Vec<f64>,
    rows: Vec<Row>,
    shared: Vec<SharedRow>,
}

#[derive(Serialize)]
struct Report {
    commit: String,
    machine: String,
    tables: Vec<Table>,
    aims: Vec<Aim>,
}

/// Runs the suite.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    let smoke = options.common.smoke;
    let machine = machine(); // before the run loads it
    let accesses = if smoke { 20_000 } else { usize::MAX };
    let mut traces: Vec<Trace> =
        options.trace.iter().map(|file| trace::read(file, accesses)).collect::<io::Result<_>>()?;
    if !options.only_traces {
        traces.extend(trace::synthetic(accesses.min(ACCESSES)));
    }
    let recipes = by_policy();
    let tables: Vec<Table> =
        traces.iter().map(|trace| told(&trace.name, || measure(trace, &recipes))).collect();
    let aims = aims::aims(&tables);
    let report = Report { commit: commit(), machine, tables, aims };
    println!("{}", page::summary(&report));
    if let Some(file) = &options.common.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)?)?;
    }
    if !smoke && !options.only_traces {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks");
        std::fs::create_dir_all(&docs)?;
        std::fs::write(docs.join("hit-ratio.md"), page::page(&report))?;
        for (file, plot) in page::plots(&report) {
            std::fs::write(docs.join(file), plot)?;
        }
    }
    Ok(())
}

fn measure(trace: &Trace, recipes: &[Recipe<cache_core::CacheKey, u32>]) -> Table {
    let (tape, capacities) = (Tape::of(trace), &trace.capacities);
    let ratios = tape.replay_all(recipes, capacities);
    let rows: Vec<Row> = recipes
        .iter()
        .zip(ratios)
        .map(|(recipe, ratios)| Row { contender: recipe.name, role: recipe.role, ratios })
        .collect();
    let mut shared = Vec::new();
    let several =
        |recipe: &&Recipe<_, _>| recipe.role == Role::Default || SHARED.contains(&recipe.name);
    for recipe in recipes.iter().filter(several) {
        for threads in THREADS {
            let replayed =
                capacities.iter().map(|&capacity| tape.replay(recipe, capacity, threads));
            shared.push(SharedRow {
                contender: recipe.name,
                role: recipe.role,
                threads,
                ratios: replayed.collect(),
            });
        }
    }
    let accesses = trace.accesses.len();
    let optimum = optimum::hits(&trace.accesses, trace.distinct(), capacities);
    let optimum = optimum.into_iter().map(|hits| hits as f64 / accesses as f64).collect();
    Table {
        trace: trace.name.clone(),
        kind: trace.kind,
        accesses,
        distinct: trace.distinct(),
        capacities: capacities.clone(),
        optimum,
        rows,
        shared,
    }
}
