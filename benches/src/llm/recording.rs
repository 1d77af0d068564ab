//! What recording adds to a stream that passes.

use std::error::Error;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cache_key::EndpointKind;
use cache_llm::{BodyStream, CacheMode, HitOptions, Plan, Reply};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use super::Scale;
use super::contenders::{Cache, Known, policies, provided, scope};
use super::streams::{Stream, request, streams};
use crate::turns::{in_turns, middle};

/// Medians over the rounds, in microseconds.
#[derive(Serialize)]
pub(super) struct Recorded {
    pub(super) costs: Vec<Cost>,
    /// From when the provider had the first event until the client had it.
    pub(super) first: [f64; 2],
    /// The same of all events: half of them, and 99 of 100.
    pub(super) p50: [f64; 2],
    pub(super) p99: [f64; 2],
}

/// The processor's time for one event.
#[derive(Serialize)]
pub(super) struct Cost {
    pub(super) name: &'static str,
    /// One that is read as it comes, and one that is recorded too, with its share of what is done at
    /// the end.
    pub(super) event: [f64; 2],
}

/// The plan of a stream that nobody has asked for yet.
pub(super) fn plan(cache: &Cache, kind: EndpointKind, number: usize) -> Plan {
    cache.prepare(kind, &request(kind, number), &scope()).expect("it may be cached")
}

/// As it comes, and recorded, in turns.
pub(super) fn recording(scale: &Scale) -> Result<Recorded, Box<dyn Error>> {
    let cache = policies(1_000, HitOptions::default(), Known::AsItComes)?;
    // One thread: what is done on another's time counts too.
    let one = Builder::new_current_thread().enable_all().build()?;
    let streams = streams(scale.events);
    let mut asked = 0;
    let passing = in_turns(2 * streams.len(), scale.rounds, |_, which| {
        asked += 1;
        one.block_on(pass(&cache, &streams[which / 2], (which % 2 == 1).then_some(asked)))
    });
    let costs = streams.iter().zip(passing.chunks(2)).map(|(stream, passing)| {
        let each = |time: &Duration| time.as_secs_f64() * 1e6 / stream.events.len() as f64;
        Cost { name: stream.name, event: [0, 1].map(|which| middle(&passing[which], each)) }
    });
    let costs = costs.collect();
    // Two, as a gateway has: what the client waits for.
    let two = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let waiting = in_turns(2, scale.rounds, |_, which| {
        asked += 1;
        arrive(&two, &cache, &streams[0], (which == 1).then_some(asked))
    });
    let of = |which: usize, wait: fn(&Waits) -> f64| middle(&waiting[which], wait);
    let both = |wait: fn(&Waits) -> f64| [of(0, wait), of(1, wait)];
    let (first, p50) = (both(|waits| waits.first), both(|waits| waits.p50));
    Ok(Recorded { costs, first, p50, p99: both(|waits| waits.p99) })
}

/// The body that the client reads: the provider's, or through the cache under a new key.
async fn through(
    cache: &Cache,
    kind: EndpointKind,
    body: BodyStream,
    recorded: Option<usize>,
) -> (BodyStream, Option<cache_llm::Recorded>) {
    let Some(number) = recorded else { return (body, None) };
    let plan = plan(cache, kind, number);
    let origin = || async { Ok(provided(body, true)) };
    match cache.answer(&plan, CacheMode::Use, origin).await {
        Ok(Reply::Passed(passed)) => match passed.storage {
            cache_llm::Storage::Recording(recorded) => (passed.body.into_stream(), Some(recorded)),
            other => panic!("not recorded: {other:?}"),
        },
        other => panic!("not passed on: {other:?}"),
    }
}

/// Reads a stream each of whose events comes a little later than the one before; how long it took until
/// it was stored.
async fn pass(cache: &Cache, of: &Stream, recorded: Option<usize>) -> Duration {
    let events = of.events.clone();
    let bytes: usize = events.iter().map(Bytes::len).sum();
    let body = stream::iter(events).then(|event| async {
        tokio::task::yield_now().await; // to whoever can go on with the last one
        Ok(event)
    });
    let (mut body, recorded) = through(cache, of.kind, body.boxed(), recorded).await;
    let start = Instant::now();
    let mut read = 0;
    while read < bytes {
        let event = body.next().await.expect("all of it");
        read += event.expect("it does not break off").len();
    }
    assert!(body.next().await.is_none(), "no more than that");
    if let Some(recorded) = recorded {
        recorded.outcome().await.expect("it is stored");
    }
    start.elapsed()
}

/// In microseconds.
struct Waits {
    first: f64,
    p50: f64,
    p99: f64,
}

/// Reads a stream whose events come from another task, which waits until each has arrived.
fn arrive(runtime: &Runtime, cache: &Cache, of: &Stream, recorded: Option<usize>) -> Waits {
    let (cache, kind, events) = (cache.clone(), of.kind, of.events.clone());
    let work = async move {
        let (feed, fed) = mpsc::unbounded_channel();
        let body = stream::unfold(fed, |mut fed| async {
            let event: Bytes = fed.recv().await?;
            Some((Ok(event), fed))
        });
        let (mut body, _) = through(&cache, kind, body.boxed(), recorded).await;
        let (told, mut tell) = mpsc::unbounded_channel();
        let provider = tokio::spawn(async move {
            let mut sent = Vec::with_capacity(events.len());
            for event in events {
                sent.push(Instant::now());
                feed.send(event).expect("it is read");
                tell.recv().await.expect("it is read");
            }
            sent
        });
        let mut came = Vec::new();
        while let Some(event) = body.next().await {
            came.push(Instant::now());
            event.expect("it does not break off");
            let _ = told.send(()); // the provider is gone behind the last one
        }
        let sent = provider.await.expect("it does not panic");
        assert_eq!(sent.len(), came.len(), "every event");
        let mut waits: Vec<f64> = sent
            .iter()
            .zip(&came)
            .map(|(sent, came)| (*came - *sent).as_secs_f64() * 1e6)
            .collect();
        let first = waits[0];
        waits.sort_by(f64::total_cmp);
        let of = |percent: usize| waits[waits.len() * percent / 100];
        Waits { first, p50: of(50), p99: of(99) }
    };
    runtime.block_on(async { tokio::spawn(work).await.expect("right answers") })
}
