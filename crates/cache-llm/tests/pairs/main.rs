//! A2, A8, A14, A15, A48, F1; rivals' lines 3, 4 and 15: random pairs of requests of every kind with one
//! difference each never share an answer, and those with no difference that counts do.
//!
//! `CACHE_LLM_PAIRS` says how many, e.g. 1000000 (better with `--release`).

mod change;
mod json;
mod meaning;
mod provider;
mod requests;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use cache_dual::DualCache;
use cache_llm::{
    Body, CacheMode, EndpointKind, KeyScope, LlmCache, OriginAnswer, Plan, Reply, Storage, Tenant,
    Transport, WithBody,
};
use fastrand::Rng;
use futures_util::{StreamExt, stream};

use crate::change::change;
use crate::json::Json;
use crate::meaning::{reduced, twin};
use crate::provider::{Question, input, vectors};
use crate::requests::{KINDS, request};

type Cache = LlmCache<(), Infallible>;

/// Who asks whom, beside the body.
#[derive(Clone, Debug, PartialEq)]
struct Scope {
    tenant: Who,
    namespace: &'static str,
    provider: &'static str,
    base_url: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    parts: Vec<(&'static str, &'static str)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Shared,
    Anonymous,
    Named(&'static str),
    Credential(&'static str),
}

/// Tenants that are easily taken for one another.
const TENANTS: [Who; 12] = [
    Who::Shared,
    Who::Anonymous,
    Who::Named("acme"),
    Who::Named("Acme"),
    Who::Named("acme "),
    Who::Named("acme\0"),
    Who::Named("acm"),
    Who::Named(""),
    Who::Named("shared"),
    Who::Credential("acme"),
    Who::Credential("sk-1"),
    Who::Credential("sk-2"),
];

impl Scope {
    fn new(rng: &mut Rng) -> Self {
        let headers = if rng.bool() { vec![("openai-beta", "a=v1")] } else { Vec::new() };
        Self {
            tenant: TENANTS[rng.usize(..TENANTS.len())],
            namespace: "",
            provider: "openai",
            base_url: "https://api.openai.com/v1",
            headers,
            parts: Vec::new(),
        }
    }

    /// The same but for one thing.
    fn changed(&self, rng: &mut Rng) -> Self {
        let mut other = self.clone();
        match rng.u8(0..8) {
            0 => other.namespace = "staging",
            1 => other.provider = "openai ",
            2 => other.base_url = "https://api.openai.com/v2",
            3 => other.headers.push(("openai-organization", "org-1")),
            4 => other.headers.push(("openai-beta", "a=v2")),
            5 => other.parts.push(("openai-beta", "a=v1")),
            // Joined by any separator, these are alike.
            6 => (other.namespace, other.provider) = ("open", "ai"),
            _ => (other.provider, other.base_url) = ("openaihttps://", "api.openai.com/v1"),
        }
        other
    }

    fn key_scope(&self) -> KeyScope {
        let tenant = match self.tenant {
            Who::Shared => Tenant::Shared,
            Who::Anonymous => Tenant::Anonymous,
            Who::Named(name) => Tenant::named(name),
            Who::Credential(credential) => Tenant::credential(credential.as_bytes()),
        };
        let scope = KeyScope::new(tenant)
            .namespace(self.namespace)
            .provider(self.provider)
            .base_url(self.base_url);
        let scope =
            self.headers.iter().fold(scope, |scope, (name, value)| scope.header(name, value));
        self.parts.iter().fold(scope, |scope, (name, value)| scope.part(name, value))
    }
}

/// What somebody got.
struct Served {
    body: Bytes,
    is_hit: bool,
    is_stored: bool,
}

/// Asks as a gateway does: by the cache if it takes the request, else the provider.
async fn ask(cache: &Cache, question: &Question, scope: &Scope, text: &str) -> Served {
    let Ok(plan) = cache.prepare(question.kind, text.as_bytes(), &scope.key_scope()) else {
        return Served { body: question.answer().into(), is_hit: false, is_stored: false };
    };
    answer(cache, &plan, question, text).await
}

async fn answer(cache: &Cache, plan: &Plan, question: &Question, text: &str) -> Served {
    let is_event_stream = plan.transport() == Transport::Stream;
    let origin = WithBody::new(text.to_owned(), |body| async move {
        if is_event_stream {
            let pieces = question.stream().into_iter().map(Ok::<_, Infallible>);
            return Ok(OriginAnswer::events(200, (), stream::iter(pieces)));
        }
        let is_own = body == text;
        let answer = if is_own { question.answer() } else { question.embeddings(&input(&body)) };
        Ok(OriginAnswer::whole(200, (), answer))
    });
    match cache.answer(plan, CacheMode::Use, origin).await.expect("the provider answers") {
        Reply::Hit(hit) => Served { body: hit.body, is_hit: true, is_stored: true },
        Reply::Passed(passed) => {
            let body = match passed.body {
                Body::Whole(body) => body,
                Body::Stream(mut pieces) => {
                    let mut all = Vec::new();
                    while let Some(piece) = pieces.next().await {
                        all.extend_from_slice(&piece.expect("nothing breaks"));
                    }
                    all.into()
                }
            };
            let is_stored = match passed.storage {
                Storage::Recording(recorded) => recorded.outcome().await.is_ok(),
                storage => matches!(storage, Storage::Stored),
            };
            Served { body, is_hit: false, is_stored }
        }
    }
}

/// Whether this is the answer to the question and to no other.
fn is_right(question: &Question, is_stream: bool, body: &Bytes) -> bool {
    match question.kind {
        EndpointKind::Embeddings => vectors(body) == question.vectors(),
        _ if is_stream => {
            // Hits may be cut anew, but every answer has its id in one piece.
            let text = std::str::from_utf8(body).expect("answers are text");
            text.contains(&format!(r#""id":"{}""#, question.digest()))
        }
        _ => body == question.answer().as_bytes() || same_json(body, &question.answer()),
    }
}

/// Transcoded answers have their members in another order.
fn same_json(body: &Bytes, answer: &str) -> bool {
    let body: serde_json::Value = serde_json::from_slice(body).expect("an answer is JSON");
    serde_json::from_str::<serde_json::Value>(answer).expect("so is this") == body
}

/// How the second request of a pair differs from the first.
#[derive(Debug)]
enum By {
    Tenant,
    Scope,
    Kind,
    Member,
    Nothing,
}

#[derive(Default)]
struct Counts {
    stored: AtomicUsize,
    differ: AtomicUsize,
    twins: AtomicUsize,
}

async fn pair(cache: &Cache, seed: u64, counts: &Counts) {
    let mut rng = Rng::with_seed(seed);
    let rng = &mut rng;
    let kind = KINDS[rng.usize(..KINDS.len())];
    let (body, scope) = (request(kind, rng), Scope::new(rng));
    let question = |kind, body: &Json, scope: &Scope| Question {
        kind,
        scope: format!("{scope:?}"),
        body: reduced(kind, body),
    };
    let first = question(kind, &body, &scope);

    let by = match rng.u8(0..10) {
        0 => By::Tenant,
        1 => By::Scope,
        2 if kind != EndpointKind::Embeddings => By::Kind,
        3 | 4 => By::Nothing,
        _ => By::Member,
    };
    let (mut other_body, mut other_scope, mut other_kind) = (body.clone(), scope.clone(), kind);
    let mut other_text = None;
    let mut is_stream = false;
    match by {
        By::Tenant => {
            while other_scope == scope {
                other_scope.tenant = TENANTS[rng.usize(..TENANTS.len())];
            }
        }
        By::Scope => other_scope = scope.changed(rng),
        By::Kind => {
            while other_kind == kind {
                other_kind = KINDS[rng.usize(..KINDS.len() - 1)];
            }
        }
        By::Member => {
            while reduced(kind, &other_body).meaning() == first.body.meaning() {
                other_body = body.clone();
                change(&mut other_body, rng);
            }
        }
        By::Nothing => {
            is_stream = kind != EndpointKind::Embeddings && rng.bool();
            other_text = Some(twin(kind, &body, is_stream, rng));
        }
    }
    let second = question(other_kind, &other_body, &other_scope);
    let other_text = other_text.unwrap_or_else(|| other_body.compact());

    // A stream now and then: what is stored of it serves the others.
    let mut text = body.compact();
    let streams_first = kind == EndpointKind::ChatCompletions && rng.u8(0..4) == 0;
    if streams_first {
        text.truncate(text.len() - 1);
        text.push_str(r#","stream":true,"stream_options":{"include_usage":true}}"#);
    }
    let tell = || format!("pair {seed}, by {by:?}: {text} and {other_text}");

    let served = ask(cache, &first, &scope, &text).await;
    assert!(is_right(&first, streams_first, &served.body), "the first of {}", tell());
    counts.stored.fetch_add(usize::from(served.is_stored), Ordering::Relaxed);
    let other = ask(cache, &second, &other_scope, &other_text).await;
    assert!(is_right(&second, is_stream, &other.body), "got {:?} in {}", other.body, tell());
    if let By::Nothing = by {
        assert!(other.is_hit || !served.is_stored, "not shared: {}", tell());
        counts.twins.fetch_add(usize::from(other.is_hit), Ordering::Relaxed);
    } else {
        assert_ne!(first.digest(), second.digest(), "{}", tell());
        counts.differ.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn pairs_with_one_difference_never_share() {
    let pairs = std::env::var("CACHE_LLM_PAIRS").map_or(10_000, |n| n.parse().expect("a number"));
    let counts = Arc::new(Counts::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let counts = Arc::clone(&counts);
            scope.spawn(move || {
                // Its own, so that nobody else's answers push out what its next request is to find.
                let dual = DualCache::builder().build().expect("the defaults are good");
                let cache = Cache::builder(dual).build().expect("the defaults are good");
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .expect("there is room for a runtime");
                runtime.block_on(async {
                    for seed in (thread..pairs).step_by(threads) {
                        pair(&cache, seed as u64, &counts).await;
                    }
                });
            });
        }
    });
    let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    let (stored, differ, twins) =
        (count(&counts.stored), count(&counts.differ), count(&counts.twins));
    // Or there would be nothing to share.
    assert!(stored * 100 >= pairs * 99, "only {stored} of {pairs} first answers were stored");
    assert!(twins * 10 >= pairs, "only {twins} of {pairs} were twins");
    println!("{differ} pairs differ and share nothing, {twins} twins share");
}
