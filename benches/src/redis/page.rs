//! The report: tables, aims and plots.

use super::Report;
use super::batches::BATCH;
use super::field::LLMIX;
use super::figures::{Figures, Row};
use crate::plot::{Axis, Line, Panel, colour, lines};
use crate::report::{listed, row, table};

/// What a terminal shows.
pub(super) fn summary(report: &Report) -> String {
    let tables = [
        operations(report),
        latencies(report),
        processors("gets", &report.readers, &report.gets),
        batches(report),
        entries(report),
        puts(report),
        processors("puts", &report.writers, &report.puts),
    ];
    format!("{}\n{}{}", tables.join("\n"), failures(report), listed(&report.aims))
}

/// One row a contender, one cell a number of readers.
fn by_number(
    head: &str,
    numbers: &[usize],
    rows: &[Row],
    cell: impl Fn(&Figures) -> String,
) -> Vec<Vec<String>> {
    let mut cells = vec![row([head])];
    cells[0].extend(numbers.iter().map(|number| format!("{number} at once")));
    cells.extend(rows.iter().map(|row| {
        let figures = row.figures.iter().map(&cell);
        std::iter::once(row.contender.to_owned()).chain(figures).collect()
    }));
    cells
}

fn operations(report: &Report) -> String {
    let thousands = |figures: &Figures| format!("{:.2}", figures.operations / 1e3);
    table(&by_number("gets, thousands a second", &report.readers, &report.gets, thousands))
}

fn latencies(report: &Report) -> String {
    let both = |figures: &Figures| format!("{:.0} / {:.0}", figures.p50, figures.p99);
    table(&by_number("gets, µs, p50 / p99", &report.readers, &report.gets, both))
}

fn puts(report: &Report) -> String {
    let cell = |figures: &Figures| {
        let thousands = figures.operations / 1e3;
        format!("{thousands:.2} ({:.0} / {:.0})", figures.p50, figures.p99)
    };
    let head = "puts, thousands a second (µs, p50 / p99)";
    table(&by_number(head, &report.writers, &report.puts, cell))
}

/// Where the time goes.
fn processors(what: &str, numbers: &[usize], rows: &[Row]) -> String {
    let cells = by_number(
        &format!("{what}, µs of processor: client + server (command)"),
        numbers,
        rows,
        |figures| {
            let shown = |time: Option<f64>| time.map_or("?".to_owned(), |us| format!("{us:.1}"));
            let (client, server) = (shown(figures.client_cpu), shown(figures.server_cpu));
            format!("{client} + {server} ({:.1})", figures.command)
        },
    );
    table(&cells)
}

fn batches(report: &Report) -> String {
    let mut rows = vec![row(["100 keys, one reader", "µs", "reads of the server"])];
    rows.extend(report.batches.iter().map(|batches| {
        vec![batches.how.to_owned(), format!("{:.0}", batches.us), format!("{:.2}", batches.reads)]
    }));
    table(&rows)
}

fn entries(report: &Report) -> String {
    let mut rows = vec![row(["an entry of 2 KiB with one tag", "µs"])];
    for (what, took) in [("encoded", report.entries.encode), ("decoded", report.entries.decode)] {
        rows.push(row([what, &format!("{:.2}", took / 1e3)]));
    }
    table(&rows)
}

/// Operations without an answer, said where there were any.
fn failures(report: &Report) -> String {
    let loads = [("gets", &report.readers, &report.gets), ("puts", &report.writers, &report.puts)];
    let mut lines = String::new();
    for (what, numbers, rows) in loads {
        for row in rows {
            for (number, figures) in numbers.iter().zip(&row.figures) {
                if figures.failed > 0 {
                    let (name, failed) = (row.contender, figures.failed);
                    lines += &format!("- {name}: {failed} {what} by {number} at once failed.\n");
                }
            }
        }
    }
    lines
}

/// Speeds and tails over the numbers of readers.
pub(super) fn plot(report: &Report) -> String {
    let panel = |title: &str, unit, value: &dyn Fn(&Figures) -> f64| {
        let line = |row: &Row| Line {
            name: row.contender.to_owned(),
            values: row.figures.iter().map(value).collect(),
            colour: colour(row.contender, row.role),
            ours: row.contender == super::field::OURS,
            bound: false,
        };
        Panel {
            title: title.to_owned(),
            steps: report.readers.iter().map(ToString::to_string).collect(),
            unit,
            axis: Axis::Logarithmic,
            lines: report.gets.iter().map(line).collect(),
        }
    };
    lines(&[
        panel("Gets, thousands a second, by readers", "k", &|figures| figures.operations / 1e3),
        panel("Latency of a get, p99, by readers", "µs", &|figures| figures.p99),
    ])
}

pub(super) fn page(report: &Report) -> String {
    let missing = if report.missing.is_empty() {
        String::new()
    } else {
        format!("\nNot there in this run: {}.\n", report.missing.join(", "))
    };
    let failures = failures(report);
    let failed = if failures.is_empty() {
        "Every operation was answered.\n".to_owned()
    } else {
        format!("Operations without an answer, which count in no figure:\n\n{failures}")
    };
    format!(
        "# Suite `redis`: the tier in Redis

Written by `cargo xtask bench redis`; do not edit.

- commit: {commit}
- machine: {machine}
- Redis {redis} on loopback, without persistence, on the same processors as the readers
- {rounds} rounds after one to warm up; everyone takes turns within each round, for {millis} ms each, \
starting with another one each time. Medians.

## Aims

{aims}
An aim that is not met stays listed. The floor is redis-rs with as many connections as ours.

## Gets

![Gets a second and their latency](redis.svg)

{operations}
{latencies}
{gets_processors}
{failed}{missing}
## Batches

{batches}
A server reads at least once for every round trip, so there are no more round trips than reads.

## Entries

{entries}
To the bytes that are stored and back, without a server: on one thread, neither compressed nor encrypted. \
Decoding checks both checksums, gives the bytes free at the end, and copies nothing.

## Puts

{puts}
{puts_processors}
No aim: a put of ours is a script (decisions [0005](../decisions/0005-fenced-inserts.md) and \
[0006](../decisions/0006-tombstones.md)) and does more than the `SET` or `SETEX` of the others. In brackets \
stands what the server says it takes for that command (`INFO commandstats`).

## What was done

{keys} keys, all stored, values of 2 KiB of random printable characters. So many tasks on a runtime of \
two threads each read a key and ask again when they have the answer; the keys of a task come evenly from \
everywhere. Each answer is compared with its value, every byte, while the clock runs. What a client or \
server takes of the processors is what the system counts for its threads, the kernel's share included.

- **cache-redis**: `RedisTier` as it comes, with two connections, but for `compress_above(None)`: these \
values do not compress, and in the stored form of the others nothing is compressed. With zstd: words, \
stored with the default options.
- **redis-rs**: the floor. Its multiplexed connections as they come, taken in turn; `GET` of the very \
records that ours has stored, by names made beforehand, and `SET` of values with `PX`.
- **deadpool-redis**: the same commands over a connection checked out for each. The pool has its default \
size, {pool} here, and asks a connection for a sign of life whenever it hands it out.
- **llm-edge-cache**: its `L2Cache`, which connects for each operation.
- **{LLMIX}**: its `TwoTierCache`. Memory is asked first and cannot be left out; it has one entry, and an \
answer from there would count as failed. In a process of its own with a runtime of two threads, because \
it pins a release of redis-rs that does not go together with ours.

For batches of {BATCH} one task reads through one tier, by one call or by a call a key.

## What the numbers do not show

A network: on loopback a round trip takes little more than waking the other side. Here the server has \
the same processors as the readers: whoever lets it work less has more left for itself, and with many \
readers both are the bound. Values of other sizes, TLS, clusters, a server under the load of others.
",
        commit = report.commit,
        machine = report.machine,
        redis = report.redis,
        rounds = report.rounds,
        millis = report.millis,
        aims = listed(&report.aims),
        operations = operations(report),
        latencies = latencies(report),
        gets_processors = processors("gets", &report.readers, &report.gets),
        batches = batches(report),
        entries = entries(report),
        puts = puts(report),
        puts_processors = processors("puts", &report.writers, &report.puts),
        keys = report.keys,
        pool = report.pool,
    )
}
