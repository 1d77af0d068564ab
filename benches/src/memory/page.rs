//! The report: tables, aims and plots.

use super::lookups::{CHURN_EXPONENT, CHURN_TIMES, HIT_EXPONENT, Hits};
use super::{KEYS, Report, VALUE_BYTES};
use crate::contenders::Role;
use crate::plot::{Axis, Bar, Group, Line, Panel, bars, colour, lines};
use crate::report::{listed, row, table};

/// What a terminal shows.
pub(super) fn summary(report: &Report) -> String {
    let tables = [hits(report), churn(report), insertions(report), bytes(report)];
    format!("{}\n{}", tables.join("\n"), listed(&report.aims))
}

fn hits(report: &Report) -> String {
    let head = ["hits, million/s", "key", "1 thread", "2 threads", "8 threads"];
    let mut rows = vec![row(head)];
    rows[0].extend(row(["uniform, 1", "uniform, 2", "ns, 1 thread", "time of the first row"]));
    let first = report.hits.first().map_or(f64::NAN, |row| row.zipf[0]);
    rows.extend(report.hits.iter().map(|row| {
        let mut cells = vec![row.contender.to_owned(), row.key.to_owned()];
        cells.extend(row.zipf.iter().chain(&row.uniform).map(|speed| format!("{speed:.2}")));
        cells.push(format!("{:.0}", 1e3 / row.zipf[0]));
        cells.push(format!("{:.2}×", first / row.zipf[0]));
        cells
    }));
    table(&rows)
}

fn churn(report: &Report) -> String {
    let head = ["churn, million/s", "key", "1 thread", "2 threads", "hit ratio", "2 threads"];
    let mut rows = vec![row(head)];
    rows.extend(report.churn.iter().map(|row| {
        let mut cells = vec![row.contender.to_owned(), row.key.to_owned()];
        cells.extend(row.lookups.iter().map(|speed| format!("{speed:.2}")));
        cells.extend(row.hit_ratios.iter().map(|ratio| format!("{:.2} %", 100.0 * ratio)));
        cells
    }));
    table(&rows)
}

fn insertions(report: &Report) -> String {
    let mut rows = vec![row(["insertions at capacity, ns"])];
    rows[0].extend(report.sizes.iter().map(|size| format!("{size} entries")));
    rows.extend(report.insertions.iter().map(|row| {
        let cells = row.ns.iter().map(|ns| format!("{ns:.0}"));
        std::iter::once(row.contender.to_owned()).chain(cells).collect()
    }));
    table(&rows)
}

fn bytes(report: &Report) -> String {
    let mut rows = vec![row(["bytes per entry over key and value"])];
    rows[0].extend(report.byte_sizes.iter().map(|size| format!("{size} entries")));
    rows.extend(report.bytes.iter().map(|row| {
        let each = row.per_entry.iter().zip(&row.entries).zip(&report.byte_sizes);
        let cells = each.map(|((bytes, entries), size)| match entries {
            entries if entries == size => format!("{bytes:.1}"),
            entries => format!("{bytes:.1} ({entries} held)"),
        });
        std::iter::once(row.contender.to_owned()).chain(cells).collect()
    }));
    table(&rows)
}

/// Every comparison that a rival wins against our default, with the same kind of key.
fn losses(report: &Report) -> String {
    let mut lines = String::new();
    let mut lost = |what: &str, rival: &str, ratio: f64| {
        if ratio > 1.0 {
            lines += &format!("- {what}: {rival} is {ratio:.2} times as good.\n");
        }
    };
    let rivals = || report.hits.iter().filter(|row| !row.role.is_ours());
    for rival in rivals() {
        let ours = |row: &&Hits| row.role == Role::Default && row.key == rival.key;
        let Some(ours) = report.hits.iter().find(ours) else { continue };
        let (name, key) = (rival.contender, rival.key);
        for (threads, (ours, its)) in
            ["1 thread", "2 threads", "8 threads"].iter().zip(ours.zipf.iter().zip(&rival.zipf))
        {
            lost(&format!("hits, {threads}, `{key}`"), name, its / ours);
        }
        for (threads, (ours, its)) in
            ["1 thread", "2 threads"].iter().zip(ours.uniform.iter().zip(&rival.uniform))
        {
            lost(&format!("uniform hits, {threads}, `{key}`"), name, its / ours);
        }
    }
    for rival in report.churn.iter().filter(|row| !row.role.is_ours()) {
        let mut rows = report.churn.iter();
        let ours = rows.find(|row| row.role == Role::Default && row.key == rival.key);
        let Some(ours) = ours else { continue };
        let (name, key) = (rival.contender, rival.key);
        for (at, threads) in ["1 thread", "2 threads"].iter().enumerate() {
            let speed = rival.lookups[at] / ours.lookups[at];
            lost(&format!("churn, {threads}, `{key}`, speed"), name, speed);
            let ratio = rival.hit_ratios[at] / ours.hit_ratios[at];
            lost(&format!("churn, {threads}, `{key}`, hit ratio"), name, ratio);
        }
    }
    let mut all = report.insertions.iter();
    if let Some(ours) = all.find(|row| row.role == Role::Default) {
        for rival in report.insertions.iter().filter(|row| !row.role.is_ours()) {
            for (size, (ours, its)) in report.sizes.iter().zip(ours.ns.iter().zip(&rival.ns)) {
                lost(&format!("insertion at {size} entries"), rival.contender, ours / its);
            }
        }
    }
    let mut all = report.bytes.iter();
    if let Some(ours) = all.find(|row| row.role == Role::Default) {
        for rival in report.bytes.iter().filter(|row| !row.role.is_ours()) {
            let sizes = report.byte_sizes.iter();
            for (size, (ours, its)) in sizes.zip(ours.per_entry.iter().zip(&rival.per_entry)) {
                lost(&format!("bytes over key and value at {size}"), rival.contender, ours / its);
            }
        }
    }
    if lines.is_empty() { "- Nowhere in this run.\n".to_owned() } else { lines }
}

/// Files and what is drawn in them.
pub(super) fn plots(report: &Report) -> Vec<(&'static str, String)> {
    let group = |title: &str, bars: Vec<Bar>| Group { title: title.to_owned(), bars };
    let hits = |title: &str, value: &dyn Fn(&Hits) -> f64| {
        let bar = |row: &Hits| Bar {
            name: if row.key == "String" {
                format!("{}, String", row.contender)
            } else {
                row.contender.to_owned()
            },
            value: value(row),
            colour: colour(row.contender, row.role),
        };
        group(title, report.hits.iter().map(bar).collect())
    };
    let speeds = [
        hits("Hits, 1 thread, million a second", &|row| row.zipf[0]),
        hits("Hits, 2 threads, million a second", &|row| row.zipf[1]),
    ];
    let sizes = report.byte_sizes.iter().enumerate().map(|(at, size)| {
        let bar = |row: &super::Bytes| Bar {
            name: row.contender.to_owned(),
            value: row.per_entry[at],
            colour: colour(row.contender, row.role),
        };
        let title = format!("Bytes per entry over key and value, {size} entries");
        group(&title, report.bytes.iter().map(bar).collect())
    });
    let line = |row: &super::Insertions| Line {
        name: row.contender.to_owned(),
        values: row.ns.clone(),
        colour: colour(row.contender, row.role),
        ours: row.role == Role::Default,
        bound: false,
    };
    let panel = Panel {
        title: "Insertion into a full cache, by its entries".to_owned(),
        steps: report.sizes.iter().map(ToString::to_string).collect(),
        unit: "ns",
        axis: Axis::Logarithmic,
        lines: report.insertions.iter().map(line).collect(),
    };
    vec![
        ("memory-hits.svg", bars(&speeds)),
        ("memory-insertions.svg", lines(&[panel])),
        ("memory-bytes.svg", bars(&sizes.collect::<Vec<_>>())),
    ]
}

pub(super) fn page(report: &Report) -> String {
    format!(
        "# Suite `memory`: the tier in memory

Written by `cargo xtask bench memory`; do not edit.

- commit: {commit}
- machine: {machine}
- {rounds} rounds after one to warm up; the caches take turns within each round, starting with \
another one each time. Medians.

## Aims

{aims}
An aim that is not met stays listed.

## Hits

![Hits a second](memory-hits.svg)

{hits}
{KEYS} keys, all stored, Zipf {HIT_EXPONENT} or uniform. Closed loop: each thread makes its next call \
when the last one is answered. Speeds are of all threads together.

## Read-through under churn

{churn}
{KEYS} keys, of which one in {CHURN_TIMES} fits, Zipf {CHURN_EXPONENT}; what is missing is stored.

## Insertions

![Time of an insertion by the size of the cache](memory-insertions.svg)

{insertions}
One thread inserts new keys into a full cache, so each insertion evicts.

## Memory

![Bytes per entry](memory-bytes.svg)

{bytes}
The bytes alive, counted by the allocator, after as many insertions as fit and as many again, each of \
a new key, less those of keys and values, over the entries then held. Caches are built with their \
capacity, and told to expect as many entries where they ask. (What a map holds was inserted once.)

## Where a rival wins

Against our default, with keys of the same type.

{losses}
## What was done

Values are `Arc<[u8]>` of {VALUE_BYTES} bytes with an allocation each, the same ones in every cache. \
`String` keys are `chat:model:` and 64 hex digits, hashed by what each cache comes with; `CacheKey` \
is 32 bytes, hashed by passing eight of them through, in every cache alike. The keys of a load are \
drawn before it is timed. Each answer is checked against its key while the clock runs, so the time of \
a hit includes reading the value: through a copy, a guard or a handle, as each cache hands it out. \
For insertions and memory the entries share one value, so the allocator is left out. \"As tier\" is \
what `DualCache` uses: whole entries with their times, through the trait. Who limits times gives each \
entry an hour. foyer is shown with its algorithm that does least on a hit but for FIFO, and with its \
default. `Mutex<LruCache>` copies the value under its lock. litellm-rs, where it is shown, is waited \
for without a runtime, and its key carries a hash made before the clock runs.

## What this does not show

Hit ratios on traces (see [hit-ratio](hit-ratio.md)), latencies in the tail, other values than \
these, machines with many processors. A `DashMap` alone neither evicts nor expires: it is the floor, \
not a rival.
",
        commit = report.commit,
        machine = report.machine,
        rounds = report.rounds,
        aims = listed(&report.aims),
        hits = hits(report),
        churn = churn(report),
        insertions = insertions(report),
        bytes = bytes(report),
        losses = losses(report),
    )
}
