//! The report: tables, aims and plots.

use std::fmt::Write;

use super::aims::{mean, mean_ratio, pairs, points, share};
use super::{Report, THREADS, Table};
use crate::contenders::Role;
use crate::plot::{Axis, Line, Panel, colour, lines};
use crate::report::{listed, row, table};
use crate::trace::Kind;

/// What a terminal shows.
pub(super) fn summary(report: &Report) -> String {
    let mut text = String::new();
    for of in &report.tables {
        let _ = writeln!(text, "{}", ratios(of));
    }
    let _ = writeln!(text, "{}", means(report));
    let _ = writeln!(text, "{}", shared(report));
    text + &listed(&report.aims)
}

/// Hit ratios in percent; the best of each column in bold.
fn ratios(of: &Table) -> String {
    let mut rows = vec![row([&format!("{}, hit ratio in %", of.trace)])];
    rows[0].extend(of.capacities.iter().map(|&capacity| grouped(capacity)));
    let best: Vec<f64> = (0..of.capacities.len())
        .map(|at| of.rows.iter().map(|row| row.ratios[at]).fold(0.0, f64::max))
        .collect();
    rows.extend(of.rows.iter().map(|row| {
        let cells = row.ratios.iter().zip(&best).map(|(&ratio, &best)| {
            let shown = percent(ratio);
            if shown == percent(best) { format!("**{shown}**") } else { shown }
        });
        std::iter::once(row.contender.to_owned()).chain(cells).collect()
    }));
    let optimum = of.optimum.iter().map(|&ratio| percent(ratio));
    rows.push(std::iter::once("the optimum (Belady)".to_owned()).chain(optimum).collect());
    table(&rows)
}

fn means(report: &Report) -> String {
    let tables = &report.tables;
    let judged: Vec<&Table> = tables.iter().filter(|of| of.kind != Kind::Prompts).collect();
    let head = ["mean of all", "hit ratio in %", "share of the optimum", "lowest share", "of"];
    let mut rows = vec![row(head)];
    for (at, contender) in tables.first().map_or(&[][..], |of| &of.rows).iter().enumerate() {
        let each = || judged.iter().map(|of| (of.trace.as_str(), share(of, at)));
        let lowest = each().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or(("", f64::NAN));
        rows.push(row([
            contender.contender,
            &percent(mean_ratio(tables, at)),
            &format!("{:.3}", mean(each().map(|(_, share)| share))),
            &format!("{:.3}", lowest.1),
            lowest.0,
        ]));
    }
    table(&rows)
}

/// How much the hit ratio changes when threads share a trace.
fn shared(report: &Report) -> String {
    let Some(first) = report.tables.first() else { return String::new() };
    let mut rows = vec![row(["points against one thread"])];
    rows[0].extend(
        first.shared.iter().map(|row| format!("{}, {} threads", row.contender, row.threads)),
    );
    for of in &report.tables {
        for (at, &capacity) in of.capacities.iter().enumerate() {
            let mut cells = vec![format!("{} at {}", of.trace, grouped(capacity))];
            cells.extend(of.shared.iter().map(|shared| {
                let alone = of.rows.iter().find(|row| row.contender == shared.contender);
                let alone = alone.map_or(f64::NAN, |row| row.ratios[at]);
                format!("{:+.2}", 100.0 * (shared.ratios[at] - alone))
            }));
            rows.push(cells);
        }
    }
    table(&rows)
}

/// Every trace and capacity at which a rival hits more often, by whatever margin.
fn losses(report: &Report) -> String {
    let mut lines = String::new();
    for pair in pairs(&report.tables).filter(|pair| pair.lead() < 0.0) {
        let (name, rival, ahead) = (pair.name(), pair.best_rival().0, points(-pair.lead()));
        let _ = writeln!(lines, "- {name}: {rival} is ahead by {ahead}.");
    }
    if lines.is_empty() { "- Nowhere in this run.\n".to_owned() } else { lines }
}

/// The same sets of traces as those of the plots: a file of its own for each recorded trace.
fn families(report: &Report) -> Vec<(String, Vec<&Table>)> {
    let recorded = report.tables.iter().filter(|of| of.kind != Kind::Synthetic);
    let mut families: Vec<_> = recorded.map(|of| (of.trace.to_lowercase(), vec![of])).collect();
    let synthetic: Vec<_> = report.tables.iter().filter(|of| of.kind == Kind::Synthetic).collect();
    if !synthetic.is_empty() {
        families.push(("synthetic".to_owned(), synthetic));
    }
    families
}

/// Files and what is drawn in them.
pub(super) fn plots(report: &Report) -> Vec<(String, String)> {
    let drawn = families(report).into_iter().map(|(name, tables)| {
        let panels: Vec<Panel> = tables.into_iter().map(panel).collect();
        (format!("hit-ratio-{name}.svg"), lines(&panels))
    });
    drawn.collect()
}

/// Our default, the rivals and the optimum over the capacities.
fn panel(of: &Table) -> Panel {
    let percents = |ratios: &[f64]| ratios.iter().map(|ratio| 100.0 * ratio).collect();
    let shown = of.rows.iter().filter(|row| row.role != Role::Ours);
    let mut lines: Vec<Line> = shown
        .map(|row| Line {
            name: row.contender.to_owned(),
            values: percents(&row.ratios),
            colour: colour(row.contender, row.role),
            ours: row.role.is_ours(),
            bound: false,
        })
        .collect();
    lines.push(Line {
        name: "optimum".to_owned(),
        values: percents(&of.optimum),
        colour: "black",
        ours: false,
        bound: true,
    });
    Panel {
        title: format!("{}: hit ratio by capacity", of.trace),
        steps: of.capacities.iter().map(|&capacity| grouped(capacity)).collect(),
        unit: "%",
        axis: Axis::Linear,
        lines,
    }
}

fn percent(ratio: f64) -> String {
    format!("{:.2}", 100.0 * ratio)
}

/// With its thousands set apart.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(super) fn page(report: &Report) -> String {
    let mut tables = String::new();
    for (name, family) in families(report) {
        let _ = writeln!(tables, "![Hit ratio over capacity](hit-ratio-{name}.svg)\n");
        for of in family {
            let (accesses, distinct) = (grouped(of.accesses), grouped(of.distinct));
            let _ = writeln!(
                tables,
                "**{}**: {accesses} accesses of {distinct} keys.\n\n{}",
                of.trace,
                ratios(of)
            );
        }
    }
    format!(
        "# Suite `hit-ratio`: who keeps the right entries

Written by `cargo xtask bench hit-ratio --trace FILE ...`; do not edit.

- commit: {commit}
- machine: {machine}

{means}
The mean hit ratio is over every trace and capacity alike. The share of the optimum is the mean over \
the capacities of a trace, and then over the traces, without those of prompts, on which every cache \
is far from it.

## Aims

{aims}
An aim that is not met stays listed.

## Hit ratios

{tables}
## Several threads

Threads take slices of one trace in turn, each the next one that no one has taken. What changes is \
also the order of the accesses, and two threads may miss the same key at once; what the exact LRU \
under its mutex loses is due to that alone. One run each; threads: {threads}.

{shared}
## Where a rival wins

{losses}
## What was done

Each access looks its key up, and stores it if it was missing: as in front of a model that answers \
everything. Every entry counts one, whatever its size. Keys are `CacheKey`s made from the numbers of \
the blocks, the same on every run, and every cache gets the same pass-through hasher; everything else \
is as each cache comes, shards included. Each hit is checked to be the value of its key. The optimum \
is Belady's with leave not to store: it knows what comes, so no cache reaches it.

## Traces

Nothing recorded is in this repository. Where to find it, and on what terms:

- **OLTP**, **P3** (`.lis`): N. Megiddo and D. S. Modha, \"ARC: A Self-Tuning, Low Overhead \
Replacement Cache\", USENIX FAST 03; citing the paper is the condition of use. A line `start count …` \
reads the blocks from `start` on.
- **mooncake-conversation** (`.jsonl`): one hour of conversations with an LLM service, from the trace \
release of Mooncake (FAST '25); its authors withheld the text. Each id of a block of 512 prompt tokens \
is an access, in order.
- The synthetic loads are made by the suite from fixed seeds: Zipf over 50,000 keys; a loop; Zipf 0.9 \
over 20,000 keys with a scan of 4,000 new ones after every 8,000 accesses; Zipf 0.9 over 10,000 keys of \
which a fifth is replaced every 25,000 accesses; and \"gateway\", a mix of popular questions, \
conversations whose last turn is read again when the next one comes, requests repeated soon after, and \
a quarter that never comes again.

## What this does not show

Time, memory, entries of different sizes, times to live, traffic of gateways as it really is.
",
        commit = report.commit,
        machine = report.machine,
        means = means(report),
        aims = listed(&report.aims),
        threads = THREADS.map(|threads| threads.to_string()).join(" and "),
        shared = shared(report),
        losses = losses(report),
    )
}
