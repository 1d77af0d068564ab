//! Benchmarks of the layered LLM cache beside its rivals: `cargo xtask bench SUITE`.

mod contenders;
mod counting;
mod dual;
mod hit_ratio;
mod keys;
mod llm;
mod memory;
mod plot;
mod program;
mod random;
mod redis;
mod report;
mod trace;
mod turns;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Ours beside its rivals in one run; answers are checked while timing.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Subcommand)]
enum Suite {
    /// From the raw body of a request to its key.
    Keys(Options),
    /// Hits, misses, insertions and bytes of the tier in memory.
    Memory(Options),
    /// Replays of traces: who keeps the right entries.
    HitRatio(hit_ratio::Options),
    /// Reads and writes of the tier in Redis, against a server of their own.
    Redis(Options),
    /// Both tiers together: hits, misses, stampedes, against a server of their own.
    Dual(Options),
    /// From the raw body of a request to its answer, and streams on their way.
    Llm(Options),
}

/// How to run a suite and where to leave the numbers.
#[derive(clap::Args)]
struct Options {
    /// Also write every number as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Seconds instead of minutes: shows that the suite runs, not how fast anything is. Leaves the
    /// report under docs/benchmarks alone.
    #[arg(long)]
    smoke: bool,
}

fn main() -> std::io::Result<()> {
    match Args::parse().suite {
        Suite::Keys(options) => keys::run(&options),
        Suite::Memory(options) => memory::run(&options),
        Suite::HitRatio(options) => hit_ratio::run(&options),
        Suite::Redis(options) => redis::run(&options),
        Suite::Dual(options) => dual::run(&options),
        Suite::Llm(options) => llm::run(&options),
    }
}
