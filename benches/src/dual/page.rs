//! The report: tables, aims and plots.

use super::far::{self, Figures, What};
use super::near::{EXPONENT, GET};
use super::{CAPACITY, Report};
use crate::plot::{Bar, Group, bars, colour};
use crate::report::{listed, row, table};

/// What a terminal shows.
pub(super) fn summary(report: &Report) -> String {
    let mut text = hits(report);
    for (what, rows) in &report.loads {
        text += &format!("\n{}", load(report, *what, rows));
    }
    text += &format!("\n{}\n{}\n{}", stampedes(report), tags(report), missing(report));
    text + &listed(&report.aims)
}

impl What {
    pub(super) fn told(self) -> &'static str {
        match self {
            Self::RemoteHits => "hits in Redis",
            Self::Misses => "misses",
            Self::MissesInMemory => "misses, no Redis",
        }
    }
}

fn hits(report: &Report) -> String {
    let head = ["hits in memory", "call", "ns, 1 thread", "million/s", "2 threads", "allocations"];
    let mut rows = vec![row(head)];
    rows.extend(report.hits.iter().map(|hits| {
        let [one, two] = hits.speed;
        row([
            hits.contender,
            hits.call,
            &format!("{:.0}", 1e3 / one),
            &format!("{one:.2}"),
            &format!("{two:.2}"),
            &shown(hits.allocations),
        ])
    }));
    table(&rows)
}

/// One sample of a metric in so many hits is kept; that is not nothing.
fn shown(allocations: f64) -> String {
    if allocations > 0.0 && allocations < 0.005 {
        format!("{allocations:.5}")
    } else {
        format!("{allocations:.2}")
    }
}

fn load(report: &Report, what: What, rows: &[far::Row]) -> String {
    let head = format!("{}, thousands a second (µs, p50 / p99)", what.told());
    let mut cells = vec![vec![head]];
    cells[0].extend(report.tasks.iter().map(|tasks| format!("{tasks} at once")));
    cells[0].push("reads of the server".to_owned());
    cells.extend(rows.iter().map(|row| {
        let cell = |figures: &Figures| {
            let Figures { operations, p50, p99, failed, .. } = figures;
            let failed = if *failed == 0 { String::new() } else { format!(", {failed} failed") };
            format!("{:.2} ({p50:.0} / {p99:.0}{failed})", operations / 1e3)
        };
        let mut cells = vec![row.contender.to_owned()];
        cells.extend(row.figures.iter().map(cell));
        cells.push(row.figures.first().map_or(String::new(), |one| format!("{:.2}", one.reads)));
        cells
    }));
    table(&cells)
}

fn stampedes(report: &Report) -> String {
    let mut rows =
        vec![row(["one key is missed, fetches (ms until all have it / after the fetch)"])];
    let told = |crowd: &super::Crowd| format!("by {}, {} ms", crowd.tasks, crowd.millis);
    rows[0].extend(report.crowds.iter().map(told));
    rows.extend(report.stampedes.iter().map(|row| {
        let cells = row.figures.iter().map(|figures| {
            format!("{} ({:.1} / {:.1})", figures.fetches, figures.all, figures.p99)
        });
        std::iter::once(row.contender.to_owned()).chain(cells).collect()
    }));
    table(&rows)
}

fn tags(report: &Report) -> String {
    let tags = &report.tags;
    let mut rows = vec![row(["tags invalidated", "bytes alive"])];
    rows.extend(tags.bytes.iter().map(|(count, bytes)| {
        row([&count.to_string(), &format!("{:.2} MB", *bytes as f64 / 1e6)])
    }));
    let figures = [
        ("one takes, ns", format!("{:.0}", tags.ns)),
        ("hit before, ns", format!("{:.1}", 1e3 / tags.before)),
        ("hit after, ns", format!("{:.1}", 1e3 / tags.after)),
        ("entries without tags still there", format!("{:.2} %", 100.0 * tags.plain)),
        ("entries with other tags still there", format!("{:.2} %", 100.0 * tags.tagged)),
    ];
    rows.extend(figures.iter().map(|(what, figure)| row([what, figure])));
    table(&rows)
}

fn missing(report: &Report) -> String {
    report.missing.iter().map(|missing| format!("- not there: {missing}.\n")).collect()
}

/// Speeds of all, one group a load.
pub(super) fn plots(report: &Report) -> Vec<(&'static str, String)> {
    let near = report.hits.iter().map(|hits| Bar {
        name: match hits.call {
            GET => hits.contender.to_owned(),
            call => format!("{}, {call}", hits.contender),
        },
        value: hits.speed[0],
        colour: colour(hits.contender, hits.role),
    });
    let near =
        Group { title: "Hits in memory, million/s, 1 thread".to_owned(), bars: near.collect() };
    let mut far = Vec::new();
    for (what, rows) in &report.loads {
        for (at, tasks) in report.tasks.iter().enumerate() {
            let bar = |row: &far::Row| Bar {
                name: row.contender.to_owned(),
                value: row.figures[at].operations / 1e3,
                colour: colour(row.contender, row.role),
            };
            let title = format!("{}, thousands/s, {tasks} at once", what.told());
            far.push(Group { title, bars: rows.iter().map(bar).collect() });
        }
    }
    for (at, crowd) in report.crowds.iter().enumerate() {
        let rows = report.stampedes.iter();
        let bars = rows.map(|row| Bar {
            name: row.contender.to_owned(),
            value: row.figures[at].all,
            colour: colour(row.contender, row.role),
        });
        let title = format!("{} miss one key, ms until all have it", crowd.tasks);
        far.push(Group { title, bars: bars.collect() });
    }
    vec![("dual-hits.svg", bars(&[near])), ("dual-loads.svg", bars(&far))]
}

pub(super) fn page(report: &Report) -> String {
    let loads: Vec<String> =
        report.loads.iter().map(|(what, rows)| load(report, *what, rows)).collect();
    format!(
        "# Suite `dual`: both tiers together

Written by `cargo xtask bench dual`; do not edit.

- commit: {commit}
- machine: {machine}
- Redis {redis} on loopback, without persistence, on the same processors as the readers
- {rounds} rounds after one to warm up; everyone takes turns within each round, starting with another \
one each time. Medians.

## Aims

{aims}
An aim that is not met stays listed.
{missing}
## Hits in memory

![Hits a second](dual-hits.svg)

{hits}
## Redis and the origin

![Operations a second](dual-loads.svg)

{loads}
{stampedes}
## Tags

{tags}
## What was done

Values of 2 KiB of random printable characters, the same for all. Hits are looked up by Zipf {EXPONENT} \
over {near_keys} keys, all of which fit, and waited for without a runtime, since none has to wait; of \
these the first bytes of each answer are compared, of all others every byte, while the clock runs.

Hits in Redis: {far_keys} keys come evenly from everywhere, and memory has room for one entry, so it \
never has the one that is asked for. Misses: keys that nobody has asked for before; the origin answers at \
once, and its answer is stored in both tiers, of which memory has room for {CAPACITY} entries. So many \
tasks on a runtime of two threads ask again when they have the answer, for {millis} ms at a time. A server \
reads at least once for every round trip, so with one task there are no more round trips than reads.

One key is missed: so many tasks ask for a key that nobody has, and whose fetch takes the given time. \
After the fetch: what 99 of 100 tasks waited at most from when it had the value. \"Fetches\" is the most of \
all rounds. The floor is one `OnceCell` that all wait for: what the runtime takes to wake them.

Tags: a cache without a remote tier, half of whose entries have a tag each, none of which is \
invalidated. Bytes are what the invalidations leave alive.

- **cache-dual**: `DualCache` as it comes, statistics included, with values of `Bytes`. The floor is its \
memory tier alone, holding the same entries. The recorder is that of metrics-exporter-prometheus. The remote \
tier is `RedisTier` as it comes, but for `compress_above(None)`: none of the others compresses.
- **multi-tier-cache**: its `CacheManager` with moka and Redis and values of `Bytes`. It copies one in ten \
hits in Redis to memory.
- **hitbox**: moka, composed with Redis, told to copy hits in Redis to memory, and to make one fetch a key. \
Redis is asked once before it is composed; otherwise each operation connects anew. It has no `get`: what stands there is that of its backend, and `get_or_fetch` is a function that it wraps. \
Values are `String`; it keeps them encoded and decodes each hit, in memory as JSON.
- **litellm-rs**: its `DualCache` with values of `Arc<str>`, hits in memory only: its part with Redis has not
been made to run in this suite yet. It has no call that fetches: callers get, ask the origin and set, each for itself.

## What the numbers do not show

A network: on loopback a round trip takes little more than waking the other side. Here the server has \
the same processors as the readers. Values of other sizes, other machines, more than two threads.
",
        commit = report.commit,
        machine = report.machine,
        redis = report.redis,
        rounds = report.rounds,
        aims = listed(&report.aims),
        missing = missing(report),
        hits = hits(report),
        loads = loads.join("\n"),
        stampedes = stampedes(report),
        tags = tags(report),
        near_keys = report.near_keys,
        far_keys = report.far_keys,
        millis = report.millis,
    )
}
