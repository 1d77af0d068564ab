//! Suite `llm`: from the raw body of a request to its answer, and streams on their way.

mod aims;
mod contenders;
mod crowd;
mod hits;
mod page;
mod parts;
mod questions;
mod recording;
mod streams;

use std::io;
use std::path::Path;

use serde::Serialize;

use self::crowd::Waits;
use self::hits::Row;
use self::parts::Part;
use self::recording::Recorded;
use crate::Options;
use crate::report::{Aim, commit_of, machine, told};

/// How much to run.
struct Scale {
    rounds: usize,
    /// Questions that are stored, and asked once a round each.
    questions: usize,
    /// Events of one stream.
    events: usize,
    /// Streams that a crowd joins.
    streams: usize,
    followers: usize,
}

const FULL: Scale =
    Scale { rounds: 101, questions: 1_000, events: 2_000, streams: 100, followers: 100 };

const SMOKE: Scale = Scale { rounds: 1, questions: 100, events: 200, streams: 3, followers: 100 };

#[derive(Serialize)]
struct Report {
    commit: String,
    machine: String,
    rounds: usize,
    questions: usize,
    /// Bytes of a body and of an answer, about.
    bytes: [usize; 2],
    hits: Vec<Row>,
    /// Microseconds, in the same rounds.
    short_key: f64,
    parts: Vec<Part>,
    events: usize,
    recorded: Recorded,
    streams: usize,
    followers: usize,
    waits: Waits,
    /// Who is not there, and why.
    missing: Vec<&'static str>,
    aims: Vec<Aim>,
}

/// Runs the suite.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    let scale = if options.smoke { SMOKE } else { FULL };
    let machine = machine(); // before the run loads it
    let mut report = measure(machine, &scale)
        .map_err(|error| io::Error::other(format!("a contender does not work: {error}")))?;
    report.aims = aims::aims(&report);
    println!("{}", page::summary(&report));
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)?)?;
    }
    if !options.smoke {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks");
        std::fs::create_dir_all(&docs)?;
        std::fs::write(docs.join("llm.md"), page::page(&report))?;
        std::fs::write(docs.join("llm.svg"), page::plot(&report))?;
    }
    Ok(())
}

fn measure(machine: String, scale: &Scale) -> Result<Report, Box<dyn std::error::Error>> {
    let questions = questions::questions(scale.questions);
    let (hits, short_key) = told("hits", || hits::hits(&questions, scale))?;
    let parts = told("parts", || parts::parts(&questions, scale))?;
    let recorded = told("recording", || recording::recording(scale))?;
    let waits = told("followers", || crowd::crowd(scale))?;
    let missing = if cfg!(feature = "slow-rivals") {
        Vec::new()
    } else {
        vec![
            "litellm-rs 0.4.16, vex-llm 1.7.0: compiled only if asked for, with `--slow-rivals`, \
             since that takes minutes",
        ]
    };
    let crates = ["cache-core", "cache-key", "cache-memory", "cache-dual", "cache-llm"];
    Ok(Report {
        commit: commit_of(&crates),
        machine,
        rounds: scale.rounds,
        questions: scale.questions,
        bytes: [questions[0].body.len(), questions[0].answer.len()],
        hits,
        short_key,
        parts,
        events: scale.events,
        recorded,
        streams: scale.streams,
        followers: scale.followers,
        waits,
        missing,
        aims: Vec::new(),
    })
}
