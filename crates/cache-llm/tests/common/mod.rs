//! A provider that is made of plain values and counts its calls.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "these are helpers of tests")]

pub(crate) mod stepper;

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use bytes::Bytes;
use cache_core::BoxError;
use cache_dual::DualCache;
use cache_llm::{
    AnswerError, Body, BodyStream, CacheMode, EndpointKind, Hit, KeyScope, LlmCache, OriginAnswer,
    Passed, Plan, Reply, ResponsePolicy, Tenant,
};
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

/// What comes with an answer in these tests.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Head {
    pub(crate) retry_after: Option<u32>,
}

pub(crate) type Cache = LlmCache<Head, io::Error>;
pub(crate) type Answer = OriginAnswer<Head>;

pub(crate) const HELLO: &str = r#"{"id":"c-1","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"total_tokens":3},"new_member":1.50}"#;

/// The events of a good stream, one a chunk.
pub(crate) const EVENTS: [&str; 4] = [
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hel\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: [DONE]\n\n",
];

pub(crate) fn cache() -> Cache {
    cache_with(ResponsePolicy::default())
}

pub(crate) fn cache_with(policy: ResponsePolicy) -> Cache {
    let dual = DualCache::builder().build().unwrap();
    LlmCache::builder(dual).response_policy(policy).build().unwrap()
}

pub(crate) fn plan(cache: &Cache, members: &str) -> Plan {
    plan_for(cache, "tenant", members)
}

pub(crate) fn plan_for(cache: &Cache, tenant: &str, members: &str) -> Plan {
    let body = format!(r#"{{"model":"m","messages":[]{members}}}"#);
    let scope = KeyScope::new(Tenant::named(tenant));
    cache.prepare(EndpointKind::ChatCompletions, body.as_bytes(), &scope).unwrap()
}

/// A plan for a stream.
pub(crate) fn stream_plan(cache: &Cache) -> Plan {
    plan(cache, r#","stream":true"#)
}

/// A plain answer in one piece.
pub(crate) fn plain(status: u16, body: impl Into<Bytes>) -> Answer {
    Answer::whole(status, Head::default(), body)
}

/// A stream of these pieces.
pub(crate) fn streamed(pieces: &[&'static str]) -> Answer {
    let pieces: Vec<_> = pieces.iter().copied().map(io::Result::Ok).collect();
    Answer::events(200, Head::default(), stream::iter(pieces))
}

pub(crate) type Feed = mpsc::Sender<Result<Bytes, BoxError>>;

/// A stream that is fed by hand. Its feed is closed when the stream is dropped.
pub(crate) fn fed() -> (Feed, BodyStream) {
    let (feed, pieces) = mpsc::channel(1);
    let body = stream::unfold(pieces, |mut pieces: mpsc::Receiver<_>| async {
        pieces.recv().await.map(|piece| (piece, pieces))
    });
    (feed, body.boxed())
}

pub(crate) fn fed_stream() -> (Feed, Answer) {
    let (feed, body) = fed();
    (feed, Answer::events(200, Head::default(), body))
}

pub(crate) async fn send(feed: &Feed, text: &'static str) {
    feed.send(Ok(Bytes::from_static(text.as_bytes()))).await.expect("the upstream is read");
}

/// Counts calls.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<AtomicUsize>);

impl Calls {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// Asks with an origin that gives this answer.
    pub(crate) async fn ask(&self, cache: &Cache, plan: &Plan, answer: Answer) -> Reply<Head> {
        self.ask_as(CacheMode::Use, cache, plan, answer).await
    }

    pub(crate) async fn ask_as(
        &self,
        mode: CacheMode,
        cache: &Cache,
        plan: &Plan,
        answer: Answer,
    ) -> Reply<Head> {
        self.ask_result_as(mode, cache, plan, answer).await.expect("the origin answers")
    }

    pub(crate) async fn ask_result(
        &self,
        cache: &Cache,
        plan: &Plan,
        answer: Answer,
    ) -> Result<Reply<Head>, AnswerError<io::Error>> {
        self.ask_result_as(CacheMode::Use, cache, plan, answer).await
    }

    async fn ask_result_as(
        &self,
        mode: CacheMode,
        cache: &Cache,
        plan: &Plan,
        answer: Answer,
    ) -> Result<Reply<Head>, AnswerError<io::Error>> {
        let calls = self.clone();
        let origin = || async move {
            calls.add();
            Ok(answer)
        };
        cache.answer(plan, mode, origin).await
    }
}

pub(crate) fn passed(reply: Reply<Head>) -> Passed<Head> {
    match reply {
        Reply::Passed(passed) => passed,
        Reply::Hit(hit) => panic!("{hit:?}"),
    }
}

pub(crate) fn hit(reply: Reply<Head>) -> Hit {
    match reply {
        Reply::Hit(hit) => hit,
        Reply::Passed(passed) => panic!("{passed:?}"),
    }
}

pub(crate) async fn read(body: Body) -> Result<Bytes, BoxError> {
    let mut body = body.into_stream();
    let mut all = Vec::new();
    while let Some(piece) = body.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all.into())
}

/// The body of any reply.
pub(crate) async fn body(reply: Reply<Head>) -> Result<Bytes, BoxError> {
    match reply {
        Reply::Passed(passed) => read(passed.body).await,
        Reply::Hit(hit) => Ok(hit.body),
    }
}

/// Polls a future once.
pub(crate) async fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}
