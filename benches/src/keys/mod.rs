//! Suite `keys`: from the raw body of a request to its key.

pub(crate) mod bodies;
mod contenders;
mod plot;

use std::hint::black_box;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use self::bodies::{Body, bodies};
use self::contenders::{Answer, Contender, Role, contenders};
use crate::Options;
use crate::report::{commit_of, machine, median, table};

/// The bound that we set ourselves on our time over that of both floors together.
const BOUND: f64 = 1.3;

/// Medians over the rounds.
#[derive(Serialize)]
struct Row {
    contender: &'static str,
    role: Role,
    us: f64,
    /// Our time is this many times shorter.
    times_ours: f64,
    /// Whether members in another order give the same key.
    knows_order: bool,
}

#[derive(Serialize)]
struct Table {
    body: &'static str,
    bytes: usize,
    /// The sum of the floors.
    floors_us: f64,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Report {
    commit: String,
    machine: String,
    rounds: usize,
    tables: Vec<Table>,
}

/// Runs the suite.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    // Short turns: whatever else the machine does then slows everyone within a round, not one of them.
    let rounds = if options.smoke { 1 } else { 321 };
    let slice = Duration::from_millis(1);
    let machine = machine(); // before the run loads it
    let contenders = contenders();
    let report = Report {
        commit: commit_of(&["cache-core", "cache-key"]),
        machine,
        rounds,
        tables: bodies().iter().map(|body| measure(body, &contenders, rounds, slice)).collect(),
    };
    let text: String = report.tables.iter().map(|table| shown(table) + "\n").collect();
    println!("{text}");
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)?)?;
    }
    if !options.smoke {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks");
        std::fs::create_dir_all(&docs)?;
        std::fs::write(docs.join("keys.md"), page(&report, &text))?;
        std::fs::write(docs.join("keys.svg"), plot::bars(&report))?;
    }
    Ok(())
}

/// Times everyone on the three texts of `body`, in turns.
fn measure(body: &Body, contenders: &[Contender], rounds: usize, slice: Duration) -> Table {
    let expected: Vec<[Answer; 3]> =
        contenders.iter().map(|contender| body.texts().map(|text| (contender.run)(text))).collect();
    for (contender, [original, respelled, changed]) in contenders.iter().zip(&expected) {
        if contender.role != Role::Floor {
            assert_ne!(original, changed, "{} merges two requests", contender.name);
        }
        if contender.role == Role::Ours {
            assert_eq!(original, respelled, "equal requests have equal keys");
        }
    }
    let repeats: Vec<u32> = contenders
        .iter()
        .map(|contender| {
            let once = timed(contender, body, [0; 3], 1, false);
            u32::try_from(slice.as_nanos() / once.as_nanos().max(1)).unwrap_or(1).max(1)
        })
        .collect();
    let mut times = vec![Vec::new(); contenders.len()];
    for round in 0..=rounds {
        // Interleaved, and starting elsewhere each time, so that no one runs on a warmer machine.
        for turn in 0..contenders.len() {
            let at = (turn + round) % contenders.len();
            let took = timed(&contenders[at], body, expected[at], repeats[at], true);
            if round > 0 {
                // the first round warms up
                times[at].push(took.as_secs_f64() * 1e6 / f64::from(repeats[at] * 3));
            }
        }
    }
    let medians: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
    let of = |role| {
        let all = contenders.iter().zip(&medians);
        all.filter(move |(contender, _)| contender.role == role).map(|(_, us)| us).sum::<f64>()
    };
    let (ours, floors_us) = (of(Role::Ours), of(Role::Floor));
    let rows =
        contenders.iter().zip(&medians).zip(&expected).map(|((contender, &us), answers)| Row {
            contender: contender.name,
            role: contender.role,
            us,
            times_ours: us / ours,
            knows_order: answers[0] == answers[1],
        });
    Table { body: body.name, bytes: body.original.len(), floors_us, rows: rows.collect() }
}

/// How long `repeats` times the three texts take; every answer is compared while the clock runs.
fn timed(
    contender: &Contender,
    body: &Body,
    expected: [Answer; 3],
    repeats: u32,
    checked: bool,
) -> Duration {
    let texts = body.texts();
    let start = Instant::now();
    for _ in 0..repeats {
        for (text, expected) in texts.iter().zip(expected) {
            let answer = (contender.run)(black_box(text));
            assert!(
                answer == expected || !checked,
                "{}: another answer than before",
                contender.name
            );
        }
    }
    start.elapsed()
}

fn shown(table_of: &Table) -> String {
    let head = format!("{} ({} bytes)", table_of.body, table_of.bytes);
    let mut rows = vec![
        [head.as_str(), "µs", "of the floors", "of our time", "knows member order"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(table_of.rows.iter().map(|row| {
        let knows = match row.role {
            Role::Floor => "",
            _ if row.knows_order => "yes",
            _ => "no",
        };
        vec![
            row.contender.to_owned(),
            format!("{:.2}", row.us),
            format!("{:.2}×", row.us / table_of.floors_us),
            format!("{:.1}×", row.times_ours),
            knows.to_owned(),
        ]
    }));
    table(&rows)
}

/// What was aimed at, and where it is not met.
fn verdicts(report: &Report) -> String {
    let mut lines = String::new();
    for (table, aim) in report.tables.iter().zip([4.0, 8.0, 12.0]) {
        let ours =
            table.rows.iter().find(|row| row.role == Role::Ours).map_or(f64::NAN, |row| row.us);
        let ratio = ours / table.floors_us;
        let met = if ratio <= BOUND { "met" } else { "**not met**" };
        lines += &format!(
            "- {}: {ratio:.2} times the floors together (aim: at most {BOUND}): {met}.\n",
            table.body
        );
        for row in table.rows.iter().filter(|row| row.role == Role::Rival) {
            let met = if row.times_ours >= aim { "met" } else { "**not met**" };
            lines += &format!(
                "  - {:.1} times as fast as {} (aim: {aim}): {met}.\n",
                row.times_ours, row.contender
            );
        }
    }
    lines
}

fn page(report: &Report, tables: &str) -> String {
    format!(
        "# Suite `keys`: from a raw body to a key

Written by `cargo xtask bench keys`; do not edit.

- commit: {commit}
- machine: {machine}
- {rounds} rounds after one to warm up; everyone takes turns within each round, starting with \
another one each time. Medians. One thread.

![Time of each as a multiple of ours](keys.svg)

{tables}
## Aims

{verdicts}
An aim that is not met stays listed. One is out of reach by arithmetic: at 1 MB, RFC 8785 text and \
BLAKE3 take only about seven times what it takes to hash the body once, which every key of all bytes \
has to do; nothing can be twelve times as fast. At 600 bytes our time is parsing, in less than the \
first floor takes, hashing, in less than the second, since the canonical bytes are 14 % fewer than those \
of the body, and about a third of it writing these bytes: 22 names and 27 values, each looked at by the \
rules or not, in the order of the names. No floor does that, and it is more than 0.3 of them.

## What was done

From the bytes of the body, as they come from a socket, to the key; each call parses anew. Of each \
body there are three texts, in turn: the original, the same request with the members of every object \
in reverse order, and one with one character changed. Every answer is compared with what it must be \
while the clock runs: ours must give the first two one key, and everyone another one to the third.

- **cache-key**: `Request::parse` and `Request::key` in a scope with a tenant and a provider.
- **llmix-rs**, **llm-edge-cache**: their own key functions behind `serde_json`, which parses into the \
parameters that they take; what they have no field for goes where they take anything. Both know fewer \
differences than they should (`llm-edge-cache` rounds the temperature; both keep no tenants apart): \
they do less work than ours.
- **RFC 8785 text**: `serde_json` to a `Value`, `serde_json_canonicalizer` to text, then the hash.
- **Floors**: reading the body into the `Value` of `sonic-rs`, and hashing the raw bytes with \
BLAKE3. The first makes no key, the second \
no difference between spelling and meaning.

The allocations of a key are counted, and bounded, by `crates/cache-key/tests/allocations.rs`: none \
once a thread has made its first key of a body of that size (up to 256 KiB of buffers are kept a \
thread); of longer ones a number that grows with members and nesting, not with bytes.

## What the numbers do not show

Bodies are in the processor's caches. The three texts take turns, but they come again: a processor \
that has seen a body before predicts its branches better than one that meets it for the first time, \
for everyone here alike. `sonic-rs` and `llmix-rs` are built as their defaults are, for the base \
instructions of the target, like ours.
",
        commit = report.commit,
        machine = report.machine,
        rounds = report.rounds,
        verdicts = verdicts(report),
    )
}
