//! Suite `memory`: hits, misses, insertions into full caches, and bytes per entry.

mod aims;
mod bytes;
mod insertion;
mod lane;
mod lookups;
mod page;

use std::io;
use std::path::Path;
use std::sync::Arc;

use cache_core::CacheKey;
use serde::Serialize;

use self::bytes::Bytes;
use self::insertion::Insertions;
use self::lookups::{Churn, Hits};
use crate::Options;
use crate::contenders::Answer;
use crate::report::{Aim, commit, machine, told};

const KEYS: usize = 50_000;
const VALUE_BYTES: usize = 2_048;

/// What is stored: one allocation an entry, as an answer would be.
type Value = Arc<[u8]>;

impl Answer for Value {
    fn answers(&self, number: u32) -> bool {
        self[..4] == number.to_le_bytes()
    }
}

/// How much to run.
struct Scale {
    rounds: usize,
    /// Of one thread, or of each of two; of more, each has fewer.
    lookups: usize,
    sizes: &'static [usize],
    insertions: usize,
    byte_sizes: &'static [usize],
}

const FULL: Scale = Scale {
    rounds: 7,
    lookups: 400_000,
    sizes: &[1_000, 10_000, 100_000, 1_000_000],
    insertions: 100_000,
    byte_sizes: &[10_000, 1_000_000],
};

const SMOKE: Scale = Scale {
    rounds: 1,
    lookups: 20_000,
    sizes: &[1_000, 10_000],
    insertions: 5_000,
    byte_sizes: &[10_000],
};

#[derive(Serialize)]
struct Report {
    commit: String,
    machine: String,
    rounds: usize,
    hits: Vec<Hits>,
    churn: Vec<Churn>,
    sizes: Vec<usize>,
    insertions: Vec<Insertions>,
    byte_sizes: Vec<usize>,
    bytes: Vec<Bytes>,
    aims: Vec<Aim>,
}

/// Runs the suite.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    let scale = if options.smoke { SMOKE } else { FULL };
    let machine = machine(); // before the run loads it
    let mut report = Report {
        commit: commit(),
        machine,
        rounds: scale.rounds,
        bytes: told("bytes", || bytes::bytes(scale.byte_sizes)),
        hits: told("hits", || lookups::hits(&scale)),
        churn: told("churn", || lookups::churn(&scale)),
        sizes: scale.sizes.to_vec(),
        insertions: told("insertions", || insertion::insertions(&scale)),
        byte_sizes: scale.byte_sizes.to_vec(),
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
        std::fs::write(docs.join("memory.md"), page::page(&report))?;
        for (file, plot) in page::plots(&report) {
            std::fs::write(docs.join(file), plot)?;
        }
    }
    Ok(())
}

/// The value of key `number`.
fn value(number: usize) -> Value {
    let number = u32::try_from(number).expect("keys are few");
    let mut bytes = vec![0; VALUE_BYTES];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes.into()
}

/// The key `number` of those that take digests.
fn key(number: usize) -> CacheKey {
    CacheKey::from_text(&number.to_string())
}

/// The key `number` of those that take text, in the shape of a gateway's.
fn text(number: usize) -> String {
    format!("chat:model:{}", key(number))
}
