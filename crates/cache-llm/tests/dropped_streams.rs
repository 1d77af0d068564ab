//! A45, F22: who asks leaves at every point of an answer under way, in every order. Nobody who stays
//! hangs or misses a byte, what is whole is stored once and what is not never, and nothing is left.
#![allow(clippy::unwrap_used, reason = "what a test's helper unwraps is what it expects")]

mod common;

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use cache_core::BoxError;
use cache_llm::{CacheMode, NotStored, Plan, ResponsePolicy, Storage};
use common::stepper::{Stepped, step};
use common::*;
use futures_util::{Stream, StreamExt};
use tokio::task::yield_now;

/// A stream with usage, so that plain requests can wait for it too.
const STREAM: [&str; 4] = [
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hello\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"total_tokens\":3}}\n\n",
    "data: [DONE]\n\n",
];

/// The same answer in three pieces.
const PLAIN: [&str; 3] = [
    r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"#,
    r#""finish_reason":"stop"}],"#,
    r#""usage":{"total_tokens":3}}"#,
];

/// More steps than any answer here takes.
const ALL: usize = 24;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Stream,
    Plain,
}

use Kind::{Plain, Stream as Streamed};

impl Kind {
    fn pieces(self) -> &'static [&'static str] {
        match self {
            Self::Stream => &STREAM,
            Self::Plain => &PLAIN,
        }
    }

    fn text(self) -> String {
        self.pieces().concat()
    }

    fn plan(self, cache: &Cache) -> Plan {
        match self {
            Self::Stream => {
                plan(cache, r#","stream":true,"stream_options":{"include_usage":true}"#)
            }
            Self::Plain => plan(cache, ""),
        }
    }
}

/// Whether this is the answer, in whatever transport the provider gave it.
fn says_hello(kind: Kind, answer: &Bytes) -> bool {
    let Ok(text) = std::str::from_utf8(answer) else { return false };
    let is_whole = match kind {
        Streamed => text.ends_with("data: [DONE]\n\n"),
        Plain => serde_json::from_str::<serde_json::Value>(text).is_ok(),
    };
    let has = |part: &str| text.matches(part).count() == 1;
    is_whole && has("Hello") && has(r#""stop""#) && has(r#""total_tokens":3"#)
}

/// One call to the provider, seen from there.
struct Call {
    kind: Kind,
    /// Whether its future, or the body that came of it, is still held by anyone.
    is_held: AtomicBool,
    /// Whether the body has begun.
    has_begun: AtomicBool,
    /// How many pieces were taken.
    taken: AtomicUsize,
    /// Whether the end was seen after all pieces.
    has_ended: AtomicBool,
}

impl Call {
    /// Whether there is something to store: a stream up to its terminal event, a body to its end.
    fn is_whole(&self) -> bool {
        match self.kind {
            Streamed => self.taken.load(SeqCst) == STREAM.len(),
            Plain => self.has_ended.load(SeqCst),
        }
    }
}

struct Held(Arc<Call>);

impl Held {
    fn new(call: Arc<Call>) -> Self {
        call.is_held.store(true, SeqCst);
        Self(call)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.is_held.store(false, SeqCst);
    }
}

/// The time of the provider: what it sends in one tick.
#[derive(Default)]
struct Ticks {
    now: AtomicUsize,
    waiting: Mutex<Vec<Waker>>,
}

impl Ticks {
    fn tick(&self) {
        self.now.fetch_add(1, SeqCst);
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// A body with one piece, or its end, a tick.
struct Upstream {
    call: Held,
    ticks: Arc<Ticks>,
    last: usize,
}

impl Stream for Upstream {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let now = self.ticks.now.load(SeqCst);
        if now == self.last {
            self.ticks.waiting.lock().unwrap().push(context.waker().clone());
            return Poll::Pending;
        }
        self.last = now;
        let call = &self.call.0;
        let taken = call.taken.load(SeqCst);
        let Some(piece) = call.kind.pieces().get(taken) else {
            call.has_ended.store(true, SeqCst);
            return Poll::Ready(None);
        };
        call.taken.store(taken + 1, SeqCst);
        Poll::Ready(Some(Ok(Bytes::from_static(piece.as_bytes()))))
    }
}

/// The provider, and all calls that were made.
#[derive(Clone, Default)]
struct Provider {
    calls: Arc<Mutex<Vec<Arc<Call>>>>,
    ticks: Arc<Ticks>,
}

impl Provider {
    /// Makes a call, which takes two steps to begin with; `own` is told of it.
    async fn call(self, kind: Kind, own: Arc<Mutex<Option<Arc<Call>>>>) -> io::Result<Answer> {
        let call = Arc::new(Call {
            kind,
            is_held: AtomicBool::new(false),
            has_begun: AtomicBool::new(false),
            taken: AtomicUsize::new(0),
            has_ended: AtomicBool::new(false),
        });
        let held = Held::new(Arc::clone(&call));
        self.calls.lock().unwrap().push(Arc::clone(&call));
        *own.lock().unwrap() = Some(call);
        step().await;
        step().await;
        held.0.has_begun.store(true, SeqCst);
        let last = self.ticks.now.load(SeqCst);
        let body = Upstream { call: held, ticks: self.ticks, last };
        let is_event_stream = kind == Streamed;
        Ok(Answer { is_event_stream, body: body.boxed(), ..plain(200, "") })
    }

    fn calls(&self) -> Vec<Arc<Call>> {
        self.calls.lock().unwrap().clone()
    }
}

/// Who asks, from when, and for how long: in rounds, in each of which everybody takes a step.
#[derive(Clone, Copy, Debug)]
struct Part {
    kind: Kind,
    joins: usize,
    /// How many rounds after joining. With 0 its future is never polled.
    leaves: Option<usize>,
}

/// One of those who ask, as the others see it.
struct Caller {
    part: Part,
    asking: Stepped<Bytes>,
    own: Arc<Mutex<Option<Arc<Call>>>>,
    is_reading: Arc<AtomicBool>,
}

impl Caller {
    fn join(part: Part, cache: &Cache, provider: &Provider) -> Self {
        let own = Arc::<Mutex<Option<Arc<Call>>>>::default();
        let is_reading = Arc::new(AtomicBool::new(false));
        let plan = part.kind.plan(cache);
        let (cache, provider) = (cache.clone(), provider.clone());
        let (mine, reading) = (Arc::clone(&own), Arc::clone(&is_reading));
        let asking = Stepped::new(async move {
            let origin = || provider.call(part.kind, mine);
            let reply = cache.answer(&plan, CacheMode::Use, origin).await.expect("it is answered");
            reading.store(true, SeqCst);
            let bytes = body(reply).await.expect("nothing breaks");
            reading.store(false, SeqCst);
            bytes
        });
        Self { part, asking, own, is_reading }
    }

    /// Whether it waits for a body to begin that nobody else can have.
    fn is_calling(&self) -> bool {
        let own = self.own.lock().unwrap();
        own.as_ref().is_some_and(|call| {
            call.is_held.load(SeqCst) && (self.part.kind == Plain || !call.has_begun.load(SeqCst))
        })
    }

    fn is_reading(&self) -> bool {
        !self.asking.is_over() && self.is_reading.load(SeqCst)
    }
}

/// Plays a scene to its end and checks what is left of it. In how many rounds.
async fn play(parts: &[Part], linger: bool, last_comes_first: bool) -> usize {
    let scene = format!("{parts:?} linger {linger} reversed {last_comes_first}");
    let linger = if linger { Duration::from_secs(60) } else { Duration::ZERO };
    let cache = cache_with(ResponsePolicy::default().linger(linger));
    let provider = Provider::default();
    let is_mixed = is_mixed(parts);
    let mut callers: Vec<Option<Caller>> = parts.iter().map(|_| None).collect();
    // Departures after which a call has to be made again; and what was taken of the stream by then.
    let (mut losses, mut ended) = (0, Vec::new());
    let (mut round, mut idle) = (0, 0);
    loop {
        let mut is_busy = false;
        for n in 0..parts.len() {
            let n = if last_comes_first { parts.len() - 1 - n } else { n };
            let part = parts[n];
            if round < part.joins {
                is_busy = true;
                continue;
            }
            let mut caller =
                callers[n].take().unwrap_or_else(|| Caller::join(part, &cache, &provider));
            if part.leaves == Some(round - part.joins) && !caller.asking.is_over() {
                let others_read = callers.iter().flatten().any(Caller::is_reading);
                let is_last = caller.is_reading() && !others_read && linger.is_zero();
                losses += usize::from(caller.is_calling() || is_last || is_mixed);
                if is_last && !is_mixed {
                    let open =
                        provider.calls().into_iter().filter(|call| call.is_held.load(SeqCst));
                    ended.extend(open.map(|call| (call.taken.load(SeqCst), call)));
                }
                caller.asking.leave();
            } else {
                is_busy |= caller.asking.step();
            }
            callers[n] = Some(caller);
        }
        if callers.iter().flatten().any(Caller::is_reading) {
            ended.clear(); // somebody has joined in time
        }
        provider.ticks.tick();
        yield_now().await; // whoever reads the upstream takes what there is
        round += 1;
        let all_over = callers
            .iter()
            .all(|caller| caller.as_ref().is_some_and(|caller| caller.asking.is_over()));
        if all_over {
            break;
        }
        idle = if is_busy { 0 } else { idle + 1 };
        assert!(idle < 2 * ALL, "somebody hangs: {scene}");
    }
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    for _ in 0..ALL {
        if tasks() == 0 {
            break;
        }
        provider.ticks.tick();
        yield_now().await;
    }
    assert_eq!(tasks(), 0, "a task is left: {scene}");
    assert_eq!(cache.streams_in_flight(), 0, "a flight is left: {scene}");
    assert_eq!(cache.dual().in_flight(), 0, "a fetch is left: {scene}");
    let calls = provider.calls();
    let held = calls.iter().filter(|call| call.is_held.load(SeqCst)).count();
    assert_eq!(held, 0, "a call is left: {scene}");

    // No call but where nobody was left who had the one before.
    let most = 1 + losses + usize::from(is_mixed);
    assert!(calls.len() <= most, "{} calls, not {most}: {scene}", calls.len());
    for (taken, call) in ended {
        let more = call.taken.load(SeqCst) - taken;
        assert!(more <= 1, "{more} more events were taken for nobody: {scene}");
    }
    if !linger.is_zero() && parts[0].kind == Streamed && !is_mixed {
        for call in calls.iter().filter(|call| call.has_begun.load(SeqCst)) {
            assert!(call.has_ended.load(SeqCst), "it was not read on: {scene}");
        }
    }

    // Whoever stayed has all of it.
    let mut has_answered = false;
    for caller in callers.into_iter().flatten() {
        let kind = caller.part.kind;
        if let Some(answer) = caller.asking.output() {
            has_answered = true;
            let is_right = if is_mixed { says_hello(kind, &answer) } else { answer == kind.text() };
            assert!(is_right, "{answer:?}: {scene}");
        } else {
            assert!(caller.part.leaves.is_some(), "it stayed and got nothing: {scene}");
        }
    }

    assert_stored(parts, &cache, &provider, has_answered, &scene).await;
    round
}

/// What was whole is stored, once, and nothing else; and who asks later is answered.
async fn assert_stored(
    parts: &[Part],
    cache: &Cache,
    provider: &Provider,
    has_answered: bool,
    scene: &str,
) {
    let calls = provider.calls();
    let is_mixed = is_mixed(parts);
    let wholes = calls.iter().filter(|call| call.is_whole()).count();
    let key = *parts[0].kind.plan(cache).key();
    let is_stored = cache.dual().peek(&key).is_some();
    assert_eq!(is_stored, wholes > 0, "{scene}");
    assert!(is_stored || !has_answered, "{scene}");
    let writes = cache.dual().stats().l1.writes;
    if is_mixed {
        let most = wholes + parts.iter().filter(|part| part.kind == Plain).count();
        assert!(writes <= most as u64, "{writes} writes: {scene}");
    } else {
        assert_eq!(writes, u64::from(is_stored), "{scene}");
    }
    let later = Part { kind: parts[0].kind, joins: 0, leaves: None };
    let mut later = Caller::join(later, cache, provider);
    while !later.asking.is_over() {
        later.asking.step();
        provider.ticks.tick();
        yield_now().await;
    }
    assert!(says_hello(later.part.kind, &later.asking.output().unwrap()), "{scene}");
    assert_eq!(provider.calls().len(), calls.len() + usize::from(!is_stored), "{scene}");
}

fn is_mixed(parts: &[Part]) -> bool {
    parts.iter().any(|part| part.kind != parts[0].kind)
}

/// How many rounds one caller alone needs.
async fn rounds(kind: Kind) -> usize {
    play(&[Part { kind, joins: 0, leaves: None }], false, false).await
}

/// One alone leaves at every point.
#[tokio::test(start_paused = true)]
async fn one_leaves() {
    for (kind, linger) in [(Streamed, false), (Streamed, true), (Plain, false)] {
        let most = rounds(kind).await;
        assert!((6..ALL).contains(&most), "{most} rounds of a {kind:?}");
        for leaves in 0..=most {
            play(&[Part { kind, joins: 0, leaves: Some(leaves) }], linger, false).await;
        }
    }
}

/// The leader leaves at every point, or never, and so does a follower that joins at every point.
#[tokio::test(start_paused = true)]
async fn two_leave() {
    for kinds in [[Streamed, Streamed], [Plain, Plain], [Streamed, Plain], [Plain, Streamed]] {
        let most = rounds(kinds[0]).await.max(rounds(kinds[1]).await);
        for linger in [false, true] {
            if linger && kinds == [Plain, Plain] {
                continue; // it is about streams
            }
            for first in leaving(most) {
                for joins in 0..=most {
                    // Who takes over needs twice as long.
                    for second in leaving(most + most / 2) {
                        let parts = [
                            Part { kind: kinds[0], joins: 0, leaves: first },
                            Part { kind: kinds[1], joins, leaves: second },
                        ];
                        play(&parts, linger, joins % 2 == 1).await;
                    }
                }
            }
        }
    }
}

/// Three leave at every point, in every order.
#[tokio::test(start_paused = true)]
async fn three_leave() {
    let mixed = [Streamed, Plain, Streamed];
    for kinds in [[Streamed; 3], [Plain; 3], mixed] {
        let most = rounds(kinds[0]).await;
        for linger in [false, true] {
            if linger && kinds == [Plain; 3] {
                continue;
            }
            for first in leaving(most) {
                for (joins_second, joins_third) in
                    [(0, 0), (0, 1), (1, most / 2), (most / 2, most - 1)]
                {
                    for second in leaving(most).step_by(2) {
                        for third in leaving(most) {
                            let parts = [
                                Part { kind: kinds[0], joins: 0, leaves: first },
                                Part { kind: kinds[1], joins: joins_second, leaves: second },
                                Part { kind: kinds[2], joins: joins_third, leaves: third },
                            ];
                            play(&parts, linger, joins_third == 1).await;
                        }
                    }
                }
            }
        }
    }
}

/// After each number of rounds, and never.
fn leaving(most: usize) -> impl Iterator<Item = Option<usize>> {
    (0..=most).map(Some).chain([None])
}

/// An upstream that says nothing for long.
struct Silent {
    cache: Cache,
    calls: Calls,
    plan: Plan,
    feed: Feed,
    storage: Storage,
}

/// Asks for a stream, and leaves after its first event.
async fn left(policy: ResponsePolicy) -> Silent {
    let (cache, calls) = (cache_with(policy), Calls::default());
    let plan = stream_plan(&cache);
    let (feed, answer) = fed_stream();
    let reply = passed(calls.ask(&cache, &plan, answer).await);
    let mut body = reply.body.into_stream();
    send(&feed, EVENTS[0]).await;
    assert_eq!(body.next().await.unwrap().unwrap(), EVENTS[0]);
    Silent { cache, calls, plan, feed, storage: reply.storage }
}

async fn outcome(storage: Storage) -> Result<(), NotStored> {
    match storage {
        Storage::Recording(recorded) => recorded.outcome().await,
        other => panic!("{other:?}"),
    }
}

/// Waits until nobody reads what is fed.
async fn closed(feed: &Feed) {
    tokio::time::timeout(10 * LINGER, feed.closed()).await.expect("the upstream is dropped");
}

const LINGER: Duration = Duration::from_secs(10);

fn lingering() -> ResponsePolicy {
    ResponsePolicy::default().linger(LINGER)
}

/// By default a stream ends with its last reader, though nothing comes from upstream.
#[tokio::test(start_paused = true)]
async fn silent_streams_end_with_their_last_reader() {
    let started = tokio::time::Instant::now();
    let silent = left(ResponsePolicy::default()).await;
    closed(&silent.feed).await;
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(outcome(silent.storage).await, Err(NotStored::Cut));
    assert_eq!(silent.cache.streams_in_flight(), 0);
}

/// By option it is read on, for as long as was said and no longer.
#[tokio::test(start_paused = true)]
async fn silent_streams_end_when_their_time_is_over() {
    let started = tokio::time::Instant::now();
    let silent = left(lingering()).await;
    closed(&silent.feed).await;
    let waited = started.elapsed();
    assert!((LINGER..LINGER + Duration::from_millis(2)).contains(&waited), "{waited:?}");
    assert_eq!(outcome(silent.storage).await, Err(NotStored::Cut));
    assert_eq!(silent.cache.streams_in_flight(), 0);
    let again = silent.calls.ask(&silent.cache, &silent.plan, streamed(&EVENTS)).await;
    assert_eq!(read(passed(again).body).await.unwrap(), EVENTS.concat());
}

/// What is read on to its end is stored, and serves who asks later.
#[tokio::test(start_paused = true)]
async fn streams_that_are_read_on_are_stored() {
    let Silent { cache, calls, plan, feed, storage } = left(lingering()).await;
    for event in &EVENTS[1..] {
        send(&feed, event).await;
    }
    drop(feed);
    assert_eq!(outcome(storage).await, Ok(()));
    let later = hit(calls.ask(&cache, &plan, streamed(&[])).await);
    assert_eq!((later.body, calls.count()), (EVENTS.concat().into(), 1));
}

/// Who joins in that time has all of it, and keeps it going; when that one has left, the time begins
/// anew.
#[tokio::test(start_paused = true)]
async fn streams_that_are_read_on_can_be_joined() {
    let Silent { cache, calls, plan, feed, storage } = left(lingering()).await;
    for _ in 0..3 {
        tokio::time::sleep(LINGER * 9 / 10).await;
        let joined = passed(calls.ask(&cache, &plan, streamed(&[])).await);
        assert!(joined.collapsed);
        tokio::time::sleep(2 * LINGER).await;
        assert!(!feed.is_closed(), "somebody reads it");
        let mut body = joined.body.into_stream();
        assert_eq!(body.next().await.unwrap().unwrap(), EVENTS[0]);
    }
    let joined = passed(calls.ask(&cache, &plan, streamed(&[])).await);
    for event in &EVENTS[1..] {
        send(&feed, event).await;
    }
    drop(feed);
    assert_eq!(read(joined.body).await.unwrap(), EVENTS.concat());
    assert_eq!((outcome(storage).await, calls.count()), (Ok(()), 1));
}

/// F40: what is too large to be stored is read for nobody.
#[tokio::test(start_paused = true)]
async fn large_streams_are_not_read_on() {
    let started = tokio::time::Instant::now();
    let limit = EVENTS[0].len() + 10;
    // It is too large when they leave ...
    let policy = lingering().max_answer(limit - 11);
    let silent = left(policy).await;
    closed(&silent.feed).await;
    assert_eq!(outcome(silent.storage).await, Err(NotStored::TooLarge { limit: limit - 11 }));
    // ... or it comes to be, later.
    let silent = left(lingering().max_answer(limit)).await;
    send(&silent.feed, EVENTS[1]).await;
    closed(&silent.feed).await;
    assert_eq!(outcome(silent.storage).await, Err(NotStored::TooLarge { limit }));
    assert_eq!(started.elapsed(), Duration::ZERO);
}
