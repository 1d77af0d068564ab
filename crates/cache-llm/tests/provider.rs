//! Typed providers with a cache around them.
#![allow(clippy::unwrap_used, clippy::unnecessary_literal_bound, reason = "these are tests")]

mod common;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use cache_dual::DualCache;
use cache_llm::{
    AnswerError, Bypass, CacheMode, CachedError, CachedProvider, Cassette, ChunkStream,
    EndpointKind, KeyScope, LlmProvider, NotStored, Preset, ProviderCache, Served, ServedBy,
    Storage, Tenant, cached,
};
use common::poll;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// A provider that may be held up, made to fail, or said to be out.
#[derive(Clone)]
struct Mine {
    calls: Arc<AtomicUsize>,
    is_out: Arc<AtomicBool>,
    gate: Arc<Semaphore>,
    finish: &'static str,
}

impl Default for Mine {
    fn default() -> Self {
        Self {
            calls: Arc::default(),
            is_out: Arc::default(),
            gate: Arc::new(Semaphore::new(100)),
            finish: "stop",
        }
    }
}

impl Mine {
    fn gated() -> Self {
        Self { gate: Arc::new(Semaphore::new(0)), ..Self::default() }
    }

    fn count(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn call(&self) -> io::Result<()> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        if self.is_out.load(Ordering::SeqCst) {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "retry after 7 s"));
        }
        Ok(())
    }
}

impl LlmProvider for Mine {
    type Request = Value;
    type Answer = Value;
    type Chunk = Value;
    type Error = io::Error;

    fn name(&self) -> &str {
        "mine"
    }

    async fn is_available(&self) -> bool {
        !self.is_out.load(Ordering::SeqCst)
    }

    async fn complete(&self, request: &Value) -> io::Result<Value> {
        self.call().await?;
        if let Some(input) = request.get("input") {
            let of = |(index, input): (usize, &Value)| json!({"index": index, "embedding": [input.as_str().unwrap().len()]});
            let inputs = input.as_array().unwrap();
            return Ok(json!({"data": inputs.iter().enumerate().map(of).collect::<Vec<_>>()}));
        }
        let message = json!({"role": "assistant", "content": "Hello"});
        Ok(json!({
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish}],
            "usage": {"total_tokens": 3},
        }))
    }

    async fn stream(&self, _: &Value) -> io::Result<ChunkStream<Value, io::Error>> {
        self.call().await?;
        let chunk = |delta: Value, finish: Option<&str>| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        let mut chunks = vec![
            Ok(chunk(json!({"role": "assistant", "content": "Hel"}), None)),
            Ok(chunk(json!({"content": "lo"}), None)),
            Ok(chunk(json!({}), Some("stop"))),
        ];
        if self.finish == "broken" {
            chunks[2] = Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(stream::iter(chunks).boxed())
    }

    fn request_of(&self, body: &[u8]) -> Option<Value> {
        serde_json::from_slice(body).ok()
    }
}

fn around(inner: &Mine, tenant: &str, cache: &ProviderCache<io::Error>) -> CachedProvider<Mine> {
    let scope = KeyScope::new(Tenant::named(tenant));
    CachedProvider::new(inner.clone(), EndpointKind::ChatCompletions, cache.clone(), scope)
}

fn cache() -> ProviderCache<io::Error> {
    ProviderCache::builder(DualCache::builder().build().unwrap()).build().unwrap()
}

fn hi() -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]})
}

/// A47, A49: the name is the inner one's, its availability is passed through, and what is stored is
/// served while it is out.
#[tokio::test]
async fn hits_need_no_provider() {
    let inner = Mine::default();
    let provider = around(&inner, "t", &cache());
    assert!(provider.is_available().await);
    let first = provider.complete(&hi()).await.unwrap();
    inner.is_out.store(true, Ordering::SeqCst);
    assert_eq!(provider.name(), "mine");
    assert!(!provider.is_available().await);
    assert_eq!(provider.complete(&hi()).await.unwrap(), first);
    assert_eq!(inner.count(), 1);
    let other = json!({"model": "m", "messages": []});
    let error = provider.complete(&other).await.unwrap_err();
    assert_eq!(error.provider().unwrap().to_string(), "retry after 7 s");
}

/// A43, A44, A46: concurrent requests make one call; all get its answer, stored once, or its error, typed
/// and not kept.
#[tokio::test]
async fn one_call_for_all() {
    for fails in [true, false] {
        let inner = Mine::gated();
        inner.is_out.store(fails, Ordering::SeqCst);
        let provider = around(&inner, "t", &cache());
        let request = hi();
        let mut all: Vec<_> = (0..50).map(|_| Box::pin(provider.complete(&request))).collect();
        for one in &mut all {
            assert!(poll(one).await.is_pending());
        }
        inner.gate.add_permits(1);
        let mut shared = Vec::new();
        for one in all {
            match one.await {
                Ok(answer) => assert_eq!(answer["choices"][0]["message"]["content"], "Hello"),
                Err(CachedError::Answer(AnswerError::Origin(error))) => shared.push(error),
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(inner.count(), 1);
        assert_eq!(shared.len(), if fails { 50 } else { 0 });
        assert!(shared.windows(2).all(|two| Arc::ptr_eq(&two[0], &two[1])));
        let dual = provider.cache().dual();
        assert_eq!((dual.in_flight(), dual.stats().l1.writes), (0, u64::from(!fails)));
    }
}

/// A45: the caller whose call it was goes away; another's takes over.
#[tokio::test]
async fn the_leader_leaves() {
    let inner = Mine::gated();
    let provider = around(&inner, "t", &cache());
    let request = hi();
    let mut leader = Box::pin(provider.complete(&request));
    let mut follower = Box::pin(provider.complete(&request));
    assert!(poll(&mut leader).await.is_pending() && poll(&mut follower).await.is_pending());
    drop(leader);
    inner.gate.add_permits(1);
    follower.await.unwrap();
    assert_eq!(inner.count(), 2);
}

/// A48: another tenant, another provider, another base URL: another entry.
#[tokio::test]
async fn scopes_share_nothing() {
    let (inner, cache) = (Mine::default(), cache());
    for tenant in ["one", "two", "one"] {
        around(&inner, tenant, &cache).complete(&hi()).await.unwrap();
    }
    assert_eq!(inner.count(), 2);
    let scope = KeyScope::new(Tenant::named("one")).base_url("http://127.0.0.1:1");
    let kind = EndpointKind::ChatCompletions;
    let elsewhere = CachedProvider::new(inner.clone(), kind, cache.clone(), scope.clone());
    elsewhere.complete(&hi()).await.unwrap();
    assert_eq!(inner.count(), 3);
    // Two names with one cache.
    let other = cached(&cache, kind, &hi(), &scope.provider("other"), || async {
        Ok(json!({"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}))
    })
    .await;
    assert!(!other.unwrap().is_cached());
}

/// A50: typed streams are kept, replayed chunk by chunk, and serve plain requests where they can; a plain
/// answer serves a stream. What breaks off is an error for its readers, and not kept.
#[tokio::test]
async fn streams_are_typed_too() {
    let inner = Mine::default();
    let provider = around(&inner, "t", &cache());
    let mut seen = Vec::new();
    for _ in 0..2 {
        // Whatever the request itself says of the transport.
        let chunks = provider.stream(&hi()).await.unwrap();
        seen.push(chunks.map(|chunk| chunk.unwrap()).collect::<Vec<_>>().await);
        tokio::task::yield_now().await;
    }
    assert_eq!(seen[0].len(), 3);
    assert_eq!((&seen[0], inner.count()), (&seen[1], 1));

    let (inner, cache) = (Mine::default(), cache());
    let provider = around(&inner, "t", &cache);
    let mut streaming = hi();
    streaming["stream"] = json!(true);
    provider.complete(&streaming).await.unwrap();
    let chunks: Vec<_> = provider.stream(&streaming).await.unwrap().collect().await;
    let text = |chunk: &Result<Value, _>| {
        let chunk = chunk.as_ref().ok()?;
        Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned())
    };
    assert_eq!(chunks.iter().filter_map(text).collect::<String>(), "Hello");
    assert_eq!(inner.count(), 1);

    let broken = Mine { finish: "broken", ..Mine::default() };
    let provider = around(&broken, "u", &cache);
    for calls in [1, 2] {
        let chunks: Vec<_> = provider.stream(&hi()).await.unwrap().collect().await;
        assert_eq!(chunks.len(), 3);
        assert!(chunks[2].is_err());
        assert_eq!(broken.count(), calls);
    }
}

/// Why an answer of the provider is not stored.
fn reason(served: &Served<Value>) -> &NotStored {
    match &served.by {
        ServedBy::Provider(Storage::NotStored(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// A51, A55, A56: what is not to be kept reaches its caller all the same, with the reason.
#[tokio::test]
async fn reasons_are_told() {
    let inner = Mine { finish: "content_filter", ..Mine::default() };
    let provider = around(&inner, "t", &cache());
    let served = provider.serve(&hi(), CacheMode::Use).await.unwrap();
    assert!(matches!(reason(&served), NotStored::FinishReason(_)));
    let mut kept_there = hi();
    kept_there["store"] = json!(true);
    let served = provider.serve(&kept_there, CacheMode::Use).await.unwrap();
    assert_eq!(*reason(&served), NotStored::Request(Bypass::Stored));
    assert!(served.answer["choices"].is_array());
    // The presets.
    let kinds =
        [(Preset::Conservative, false), (Preset::Standard, true), (Preset::Aggressive, true)];
    for (preset, any_temperature) in kinds {
        let dual = DualCache::builder().build().unwrap();
        let cache: ProviderCache<io::Error> =
            ProviderCache::builder(dual).request_policy(preset.requests()).build().unwrap();
        let scope = KeyScope::new(Tenant::Shared);
        let body = hi().to_string();
        let plan = cache.prepare(EndpointKind::ChatCompletions, body.as_bytes(), &scope);
        assert_eq!(plan.is_ok(), any_temperature, "{preset:?}");
    }
}

/// A typed provider of embeddings that can make requests of JSON is asked for missing items only.
#[tokio::test]
async fn typed_embeddings_item_by_item() {
    let (inner, cache) = (Mine::default(), cache());
    let scope = KeyScope::new(Tenant::Shared);
    let provider = CachedProvider::new(inner.clone(), EndpointKind::Embeddings, cache, scope);
    let of = |input: Value| json!({"model": "m", "input": input});
    provider.complete(&of(json!(["a"]))).await.unwrap();
    let answer = provider.complete(&of(json!(["a", "bb", "bb"]))).await.unwrap();
    let first = |place: usize| answer["data"][place]["embedding"][0].to_string();
    assert_eq!([first(0), first(1), first(2)], ["1.0", "2.0", "2.0"]);
    assert_eq!(inner.count(), 2);
    let served = provider.serve(&of(json!(["bb", "a"])), CacheMode::Use).await.unwrap();
    assert!(served.is_cached());
}

/// While a cassette is played, no call is made, whichever way one is asked for: neither of a request that is
/// not on it, nor of one that could not be.
#[tokio::test]
async fn a_played_cassette_makes_no_call() {
    let empty = br#"{"format":"cache-llm cassette 1","entries":{}}"#;
    let dual = DualCache::builder().build().unwrap();
    let cassette = Cassette::parse(empty).unwrap();
    let cache = ProviderCache::builder(dual).cassette(cassette).build().unwrap();
    let inner = Mine::default();
    let provider = around(&inner, "t", &cache);
    let scope = KeyScope::new(Tenant::named("t"));
    let mut bypassed = hi();
    bypassed["store"] = json!(true);
    for (request, is_bypassed) in [(hi(), false), (bypassed, true)] {
        let call = || inner.complete(&request);
        let kind = EndpointKind::ChatCompletions;
        let served = cached::<_, Value, _, _, _>(&cache, kind, &request, &scope, call).await;
        let mut errors = vec![served.unwrap_err(), provider.complete(&request).await.unwrap_err()];
        for mode in [CacheMode::Use, CacheMode::Refresh, CacheMode::Bypass] {
            errors.push(provider.serve(&request, mode).await.unwrap_err());
        }
        let Err(error) = provider.stream(&request).await else { panic!("a stream") };
        errors.push(error);
        for error in errors {
            match error {
                CachedError::Answer(AnswerError::NotRecordable(Bypass::Stored)) if is_bypassed => {}
                CachedError::Answer(AnswerError::NotRecorded { .. }) if !is_bypassed => {}
                other => panic!("{other:?} of {request}"),
            }
        }
    }
    assert_eq!(inner.count(), 0);
    assert_eq!(cache.report().bypassed["store"], 6, "counted all the same");
}

/// A47: what is played is there whether the provider is or not, and the provider is not asked either. A dry
/// run plays nothing.
#[tokio::test]
async fn a_played_cassette_is_available() {
    let empty = br#"{"format":"cache-llm cassette 1","entries":{}}"#;
    let inner = Mine::default();
    for (cassette, dry_run, while_out) in [
        (Cassette::parse(empty).unwrap(), false, true),
        (Cassette::parse(empty).unwrap(), true, false),
        (Cassette::recording(), false, false),
    ] {
        let dual = DualCache::builder().build().unwrap();
        let builder = ProviderCache::builder(dual).cassette(cassette).dry_run(dry_run);
        let provider = around(&inner, "t", &builder.build().unwrap());
        inner.is_out.store(true, Ordering::SeqCst);
        assert_eq!(provider.is_available().await, while_out);
        inner.is_out.store(false, Ordering::SeqCst);
        assert!(provider.is_available().await);
    }
}

/// One that records is in nobody's way.
#[tokio::test]
async fn a_recording_cassette_lets_bypassed_calls_pass() {
    let dual = DualCache::builder().build().unwrap();
    let cache = ProviderCache::builder(dual).cassette(Cassette::recording()).build().unwrap();
    let inner = Mine::default();
    let provider = around(&inner, "t", &cache);
    let mut request = hi();
    request["store"] = json!(true);
    let served = provider.serve(&request, CacheMode::Use).await.unwrap();
    assert_eq!(*reason(&served), NotStored::Request(Bypass::Stored));
    assert!(provider.stream(&request).await.is_ok());
    assert_eq!(inner.count(), 2);
}
