//! The report: tables, aims and a plot.

use super::Report;
use super::recording::Cost;
use crate::plot::{Bar, Group, bars, colour};
use crate::report::{listed, row, table};

/// What a terminal shows.
pub(super) fn summary(report: &Report) -> String {
    let tables = [hits(report), parts(report), recording(report), crowd(report)].join("\n");
    format!("{tables}\n{}{}", missing(report), listed(&report.aims))
}

fn hits(report: &Report) -> String {
    let mut rows = vec![row(["from the raw body to the answer", "µs, p50", "p99", "of our p50"])];
    let ours = report.hits.first().map_or(f64::NAN, |ours| ours.p50);
    rows.extend(report.hits.iter().map(|hit| {
        row([
            hit.contender,
            &format!("{:.2}", hit.p50),
            &format!("{:.2}", hit.p99),
            &format!("{:.1}×", hit.p50 / ours),
        ])
    }));
    table(&rows)
}

fn parts(report: &Report) -> String {
    let mut rows = vec![row(["part", "µs"])];
    rows.extend(report.parts.iter().map(|part| row([part.what, &format!("{:.2}", part.us)])));
    table(&rows)
}

fn recording(report: &Report) -> String {
    let recorded = &report.recorded;
    let mut costs = vec![row(["processor's time of an event, µs", "as it comes", "recorded"])];
    costs.extend(recorded.costs.iter().map(|Cost { name, event: [direct, through] }| {
        row([*name, &format!("{direct:.2}"), &format!("{through:.2}")])
    }));
    let line = |what, [direct, through]: [f64; 2]| {
        row([what, &format!("{direct:.2}"), &format!("{through:.2}")])
    };
    let waits = table(&[
        row(["a chat completion, µs", "as it comes", "recorded"]),
        line("until the client has the first event", recorded.first),
        line("until it has an event, p50", recorded.p50),
        line("until it has an event, p99", recorded.p99),
    ]);
    [table(&costs), waits].join("\n")
}

fn crowd(report: &Report) -> String {
    let waits = &report.waits;
    let head = format!("{} followers, ms after the leader", report.followers);
    table(&[
        row([&head, "p50", "p99", "most"]),
        row([
            "until they have the first event",
            &format!("{:.2}", waits.p50),
            &format!("{:.2}", waits.p99),
            &format!("{:.2}", waits.most),
        ]),
    ])
}

fn missing(report: &Report) -> String {
    report.missing.iter().map(|missing| format!("- not there: {missing}.\n")).collect()
}

/// Times of a hit.
pub(super) fn plot(report: &Report) -> String {
    let bar = |hit: &super::hits::Row| Bar {
        name: hit.contender.to_owned(),
        value: hit.p50,
        colour: colour(hit.contender, hit.role),
    };
    let title = "From the raw body to the answer, µs, p50".to_owned();
    bars(&[Group { title, bars: report.hits.iter().map(bar).collect() }])
}

pub(super) fn page(report: &Report) -> String {
    format!(
        "# Suite `llm`: from the raw body to the answer

Written by `cargo xtask bench llm`; do not edit.

- commit: {commit}
- machine: {machine}
- {rounds} rounds after one to warm up; everyone takes turns within each round, starting with another \
one each time.

## Aims

{aims}
An aim that is not met stays listed. The first is 3 µs where a key of 600 B takes 2 µs.
{missing}
## Hits in memory

![Time of a hit](llm.svg)

{hits}
What ours is made of (slices of {questions} calls, medians over the rounds; each is timed by itself, and \
`answer` looks the key up without waiting for anything, where the lookup above it is the public one):

{parts}
## Streams

{recording}
{crowd}
## What was done

{questions} chat requests of {body} bytes with answers of {answer} bytes, all of which fit, are asked in \
random order, one after the other; each call is timed by itself, reading of the clock included, and its \
answer compared when the clock has stopped. The key of 600 B is timed in each of these rounds too, a \
thousand at a time. Nobody has to wait, so there is no runtime.

- **cache-llm**: `prepare` and `answer`, from the bytes of the body to those of the answer, with every \
policy on: kinds, times to live by kind and model, jitter, grace, sizes, temperature, costs; tags of \
tenant and model looked at, usage and savings counted. The requests have come before, byte for byte, as \
a client's do that asks again; \"in other bytes\" is the same cache told to remember no requests, which is \
what one costs that says the same in another way. \"Fresh id\" gives each hit an `id` and a time of \
its own. \"Made a stream\": asked for as a stream, stored plain.
- **llmix-rs**: `serde_json` into the parameters of its key, the key, its `TwoTierCache` in memory, with \
the whole answer as text.
- **llm-edge-cache**: `serde_json` into its request, `CacheManager::lookup`; what it gives is what the model \
said, not an answer.
- **litellm-rs**: `serde_json` into its typed request, `LLMCache::get_chat_response`; what it gives is a typed \
answer, not yet text.
- **vex-llm**: `serde_json` into its request, which is one system text and one prompt, and \
`CachedProvider::complete`; what it gives is what the model said.

None of these keeps tenants apart by default but vex-llm, none counts what was saved.

A stream has {events} events, one a chunk; the words of each are others, and so is the padding of responses. The processor's time is that of one thread that does everything: \
the provider's part, which is to yield between events, the recording and the client. It is counted until the \
answer is judged and stored, which is all behind the last event and delays no byte of the stream. Waits are \
those of two threads: the provider sends an event when the client has the one before, and the first one to a \
client that sleeps. {streams} streams are joined by {followers} each, before the first event.

## What the numbers do not show

Sockets, HTTP and a load beside these. Bodies and answers are in the processor's caches.
",
        commit = report.commit,
        machine = report.machine,
        rounds = report.rounds,
        aims = listed(&report.aims),
        missing = missing(report),
        hits = hits(report),
        parts = parts(report),
        recording = recording(report),
        crowd = crowd(report),
        questions = report.questions,
        body = report.bytes[0],
        answer = report.bytes[1],
        events = report.events,
        streams = report.streams,
        followers = report.followers,
    )
}
