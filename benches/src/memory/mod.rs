//! Suite `memory`: hits, and insertions into full caches.

mod contenders;

use std::hint::black_box;
use std::io;
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use cache_core::CacheKey;
use serde::Serialize;

use self::contenders::{Contender, Named, Value, by_cache_key, by_string};
use crate::Options;
use crate::random::{Random, Zipf};
use crate::report::{commit, machine, median, table};

const KEYS: usize = 50_000;
const EXPONENT: f64 = 0.99;
const VALUE_BYTES: usize = 2_048;
/// Lookups that each thread repeats.
const SEQUENCE: usize = 1 << 19;

/// How much to run.
struct Scale {
    rounds: usize,
    hits: usize,
    sizes: &'static [usize],
    insertions: usize,
}

/// Medians over the rounds.
#[derive(Serialize)]
struct Hits {
    contender: &'static str,
    key: &'static str,
    one_thread_ns: f64,
    two_threads_million_per_s: f64,
}

#[derive(Serialize)]
struct Insertions {
    contender: &'static str,
    /// By number of entries, in the order of `Report::sizes`.
    ns: Vec<f64>,
}

#[derive(Serialize)]
struct Report {
    commit: String,
    machine: String,
    rounds: usize,
    hits: Vec<Hits>,
    sizes: Vec<usize>,
    insertions: Vec<Insertions>,
}

/// Runs the suite.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    let scale = if options.smoke {
        Scale { rounds: 1, hits: 20_000, sizes: &[1_000, 10_000], insertions: 5_000 }
    } else {
        Scale {
            rounds: 9,
            hits: 1_000_000,
            sizes: &[1_000, 10_000, 100_000, 1_000_000],
            insertions: 200_000,
        }
    };
    let machine = machine(); // before the run loads it
    let report = Report {
        commit: commit(),
        machine,
        rounds: scale.rounds,
        hits: hits(&scale),
        sizes: scale.sizes.to_vec(),
        insertions: insertions(&scale),
    };
    let text = tables(&report);
    println!("{text}");
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&report)?)?;
    }
    if !options.smoke {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks");
        std::fs::create_dir_all(&docs)?;
        std::fs::write(docs.join("memory.md"), page(&report, &text))?;
    }
    Ok(())
}

fn value(number: usize) -> Value {
    let mut bytes = vec![0; VALUE_BYTES];
    bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
    bytes.into()
}

fn is_answer(value: &Value, number: usize) -> bool {
    value[..8] == (number as u64).to_le_bytes()
}

/// Contenders of one key type and their keys.
struct Field<K> {
    contenders: Vec<Named<K>>,
    keys: Vec<K>,
}

impl<K: Clone + Send + Sync> Field<K> {
    fn filled(contenders: Vec<Named<K>>, keys: Vec<K>) -> Self {
        for (_, contender) in &contenders {
            for (number, key) in keys.iter().enumerate() {
                contender.insert(key.clone(), value(number));
            }
        }
        Self { contenders, keys }
    }

    /// Nanoseconds a hit and thread, and the share of lookups that missed.
    fn time(&self, contender: usize, sequences: &[Vec<usize>], lookups: usize) -> (f64, f64) {
        let contender = &*self.contenders[contender].1;
        let start = Barrier::new(sequences.len());
        let (slowest, missed) = std::thread::scope(|threads| {
            let run = |sequence| {
                start.wait();
                look_up(contender, &self.keys, sequence, lookups)
            };
            let threads: Vec<_> =
                sequences.iter().map(|sequence| threads.spawn(move || run(sequence))).collect();
            let ends = threads.into_iter().map(|thread| thread.join().expect("right answers"));
            ends.fold((Duration::ZERO, 0), |(slowest, sum), (took, missed)| {
                (slowest.max(took), sum + missed)
            })
        });
        let ns = slowest.as_secs_f64() * 1e9 / lookups as f64;
        (ns, missed as f64 / (lookups * sequences.len()) as f64)
    }
}

fn look_up<K>(
    contender: &dyn Contender<K>,
    keys: &[K],
    sequence: &[usize],
    lookups: usize,
) -> (Duration, usize) {
    let mut missed = 0;
    let start = Instant::now();
    for &number in sequence.iter().cycle().take(lookups) {
        match contender.get(&keys[number]) {
            Some(value) => assert!(is_answer(&value, number), "a wrong answer"),
            None => missed += 1,
        }
    }
    (start.elapsed(), missed)
}

fn hits(scale: &Scale) -> Vec<Hits> {
    let capacity = 2 * KEYS; // nobody has to evict, however unevenly it divides its capacity
    let texts: Vec<String> = (0..KEYS)
        .map(|number| format!("chat:model:{}", CacheKey::from_text(&number.to_string())))
        .collect();
    let digests = texts.iter().map(|text| CacheKey::from_text(text)).collect();
    let digests = Field::filled(by_cache_key(capacity), digests);
    let texts = Field::filled(by_string(capacity), texts);

    let zipf = Zipf::new(KEYS, EXPONENT);
    let sequences = [1, 2].map(|seed| {
        let mut random = Random::seeded(seed);
        (0..SEQUENCE).map(|_| zipf.sample(&mut random)).collect::<Vec<_>>()
    });
    let all = digests.contenders.len() + texts.contenders.len();
    let (mut alone, mut both) = (vec![Vec::new(); all], vec![Vec::new(); all]);
    for round in 0..=scale.rounds {
        // Interleaved, and starting elsewhere each time, so that no one runs on a warmer machine.
        for turn in 0..all {
            let contender = (turn + round) % all;
            let time =
                |sequences: &[Vec<usize>]| match contender.checked_sub(digests.contenders.len()) {
                    None => digests.time(contender, sequences, scale.hits),
                    Some(contender) => texts.time(contender, sequences, scale.hits),
                };
            let (one, two) = (time(&sequences[..1]), time(&sequences));
            assert!(one.1 + two.1 < 0.02, "this is to measure hits, and they missed");
            if round > 0 {
                // the first round warms up
                alone[contender].push(one.0);
                both[contender].push(2e3 / two.0);
            }
        }
    }
    let names = digests.contenders.iter().map(|&(name, _)| (name, "CacheKey"));
    let names = names.chain(texts.contenders.iter().map(|&(name, _)| (name, "String")));
    let medians = alone.iter_mut().zip(&mut both);
    names
        .zip(medians)
        .map(|((contender, key), (alone, both))| Hits {
            contender,
            key,
            one_thread_ns: median(alone),
            two_threads_million_per_s: median(both),
        })
        .collect()
}

fn insertions(scale: &Scale) -> Vec<Insertions> {
    let shared = value(0); // what is measured is the cache, not the allocator
    let names = by_cache_key(1).into_iter().map(|(name, _)| name);
    let mut table: Vec<Insertions> =
        names.map(|contender| Insertions { contender, ns: Vec::new() }).collect();
    for &size in scale.sizes {
        let contenders = by_cache_key(size);
        let key = |number: usize| CacheKey::from_text(&number.to_string());
        let mut next: usize = 0;
        let mut fill = |count: usize| {
            let keys: Vec<_> = (next..next + count).map(key).collect();
            next += count;
            keys
        };
        let first = fill(size + size / 2);
        for (_, contender) in &contenders {
            for &key in &first {
                contender.insert(key, shared.clone());
            }
        }
        let mut times = vec![Vec::new(); contenders.len()];
        for round in 0..scale.rounds {
            let keys = fill(scale.insertions);
            for turn in 0..contenders.len() {
                let contender = (turn + round) % contenders.len();
                let start = Instant::now();
                for &key in &keys {
                    contenders[contender].1.insert(key, black_box(&shared).clone());
                }
                let ns = start.elapsed().as_secs_f64() * 1e9 / keys.len() as f64;
                times[contender].push(ns);
            }
        }
        for (row, times) in table.iter_mut().zip(&mut times) {
            row.ns.push(median(times));
        }
    }
    table.retain(|row| !row.contender.contains("map"));
    table
}

fn tables(report: &Report) -> String {
    let head = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
    let ours = report.hits.first().map_or(f64::NAN, |row| row.one_thread_ns);
    let mut hits =
        vec![head(&["hits", "key", "1 thread, ns", "2 threads, M/s", "time of the first row"])];
    hits.extend(report.hits.iter().map(|row| {
        vec![
            row.contender.to_owned(),
            row.key.to_owned(),
            format!("{:.0}", row.one_thread_ns),
            format!("{:.1}", row.two_threads_million_per_s),
            format!("{:.2}×", row.one_thread_ns / ours),
        ]
    }));
    let mut sizes = head(&["insertions at capacity, ns"]);
    sizes.extend(report.sizes.iter().map(|size| format!("{size} entries")));
    let mut insertions = vec![sizes];
    insertions.extend(report.insertions.iter().map(|row| {
        let cells = row.ns.iter().map(|ns| format!("{ns:.0}"));
        std::iter::once(row.contender.to_owned()).chain(cells).collect()
    }));
    format!("{}\n{}", table(&hits), table(&insertions))
}

/// Every comparison in which a rival with the same kind of key was faster.
fn losses(report: &Report) -> String {
    let ours = |name: &str| name.starts_with("cache-memory");
    let mut lines = String::new();
    for rival in report.hits.iter().filter(|row| !ours(row.contender)) {
        let mut same = report.hits.iter().filter(|row| row.key == rival.key);
        let Some(mine) = same.find(|row| ours(row.contender)) else { continue };
        for (what, ratio) in [
            ("hits, 1 thread", mine.one_thread_ns / rival.one_thread_ns),
            ("hits, 2 threads", rival.two_threads_million_per_s / mine.two_threads_million_per_s),
        ] {
            if ratio > 1.0 {
                lines += &format!(
                    "- {what}, `{}` keys: {} is {ratio:.2} times as fast as {}.\n",
                    rival.key, rival.contender, mine.contender
                );
            }
        }
    }
    for rival in report.insertions.iter().filter(|row| !ours(row.contender)) {
        for mine in report.insertions.iter().filter(|row| ours(row.contender)) {
            let each = report.sizes.iter().zip(mine.ns.iter().zip(&rival.ns));
            let lost: Vec<_> = each
                .filter(|(_, (mine, rival))| mine > rival)
                .map(|(size, (mine, rival))| format!("{:.2} times at {size}", mine / rival))
                .collect();
            if !lost.is_empty() {
                lines += &format!(
                    "- insertions, {} is faster than {}: {}.\n",
                    rival.contender,
                    mine.contender,
                    lost.join(", ")
                );
            }
        }
    }
    if lines.is_empty() { "- Nowhere in this run.\n".to_owned() } else { lines }
}

fn page(report: &Report, tables: &str) -> String {
    format!(
        "# Suite `memory`: the tier in memory

Written by `cargo xtask bench memory`; do not edit.

- commit: {commit}
- machine: {machine}
- {rounds} rounds after one to warm up; the caches take turns within each round, starting with \
another one each time. Medians.

{tables}
## What was done

Closed loop: each thread makes its next call when the last one is answered. **Hits**: {KEYS} keys, \
all stored, Zipf {EXPONENT}, values `Arc<[u8]>` of {VALUE_BYTES} bytes with an allocation each. \
`String` keys are `chat:model:` and 64 hex digits, hashed by what each cache comes with; `CacheKey` \
is 32 bytes, hashed by passing eight of them through, in every cache alike. Each answer is checked \
against its key while the clock runs, so the time of a hit includes reading the value, and two \
threads on few processors share their cores with whatever else the machine does. **Insertions**: \
one thread inserts new keys into a full cache, so each insertion evicts; the value is shared, so \
the allocator is left out. \"As tier\" is what `DualCache` uses: whole entries with their times.

## Where we lose

{losses}
## What this does not show

Hit ratios, memory per entry, mixed loads, more than two threads, latencies in the tail. A
`DashMap` alone neither evicts nor expires: it is the floor, not a rival.
",
        commit = report.commit,
        machine = report.machine,
        rounds = report.rounds,
        losses = losses(report),
    )
}
