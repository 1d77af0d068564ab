//! Embeddings, item by item, through the whole cache.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "these are tests")]

mod common;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use bytes::Bytes;
use cache_conformance::MemoryRemote;
use cache_core::{ManualClock, Raw};
use cache_dual::DualCache;
use cache_llm::{
    AnswerError, CacheMode, EmbeddingOptions, EndpointKind, HitOptions, KeyScope, LlmCache,
    NotStored, OriginAnswer, Plan, Reply, RequestPolicy, Source, Storage, Tenant, UsageView,
    WithBody,
};
use common::*;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// A provider of embeddings that remembers what it was sent. A text's vector begins with its length.
#[derive(Clone, Default)]
struct Provider {
    sent: Arc<Mutex<Vec<String>>>,
    /// What to answer with in place of 200.
    status: Arc<AtomicU16>,
    /// What to make of a good answer.
    spoil: Option<fn(&mut Value)>,
    gate: Option<Arc<tokio::sync::Semaphore>>,
}

impl Provider {
    fn gated() -> Self {
        Self { gate: Some(Arc::new(tokio::sync::Semaphore::new(0))), ..Self::default() }
    }

    fn open(&self) {
        self.gate.as_ref().expect("it is gated").add_permits(1);
    }

    fn inputs(&self) -> Vec<Value> {
        let inputs = |body: &String| serde_json::from_str::<Value>(body).unwrap()["input"].take();
        self.sent.lock().iter().map(inputs).collect()
    }

    async fn answer(self, body: Bytes) -> io::Result<OriginAnswer<Head>> {
        self.sent.lock().push(String::from_utf8(body.to_vec()).unwrap());
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        match self.status.load(Ordering::SeqCst) {
            0 => {}
            1 => return Err(io::ErrorKind::ConnectionRefused.into()),
            status => return Ok(plain(status, r#"{"error":{"message":"no"}}"#)),
        }
        let request: Value = serde_json::from_slice(&body).unwrap();
        let inputs = match &request["input"] {
            Value::Array(inputs) if !inputs[0].is_number() => inputs.clone(),
            input => vec![input.clone()],
        };
        let tokens = |input: &Value| match input {
            Value::Array(tokens) => tokens.len(),
            text => text.as_str().unwrap().len(),
        };
        let item = |(index, input): (usize, &Value)| {
            let vector = [f32::from(u16::try_from(tokens(input)).unwrap()), 0.1];
            let embedding = match request["encoding_format"].as_str() {
                Some("base64") => json!(base64(vector)),
                _ => json!(vector),
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        };
        let used: usize = inputs.iter().map(tokens).sum();
        let mut answer = json!({
            "object": "list",
            "data": inputs.iter().enumerate().map(item).rev().collect::<Vec<_>>(),
            "model": "m-2026-01-01",
            "usage": {"prompt_tokens": used, "total_tokens": used},
        });
        if let Some(spoil) = self.spoil {
            spoil(&mut answer);
        }
        Ok(plain(200, answer.to_string()))
    }
}

/// Of two floats, without a library of its own.
fn base64(vector: [f32; 2]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vector.iter().flat_map(|float| float.to_le_bytes()).collect();
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for at in 0..=three.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

fn plan_of(cache: &Cache, body: &str) -> Plan {
    let scope = KeyScope::new(Tenant::named("tenant"));
    cache.prepare(EndpointKind::Embeddings, body.as_bytes(), &scope).unwrap()
}

fn of(input: Value) -> String {
    json!({"model": "m", "input": input}).to_string()
}

async fn ask_result(
    cache: &Cache,
    provider: &Provider,
    body: &str,
) -> Result<Reply<Head>, AnswerError<io::Error>> {
    ask_as(CacheMode::Use, cache, provider, body).await
}

async fn ask_as(
    mode: CacheMode,
    cache: &Cache,
    provider: &Provider,
    body: &str,
) -> Result<Reply<Head>, AnswerError<io::Error>> {
    let plan = plan_of(cache, body);
    let origin = WithBody::new(body.to_owned(), |body| provider.clone().answer(body));
    cache.answer(&plan, mode, origin).await
}

async fn ask(cache: &Cache, provider: &Provider, body: &str) -> Reply<Head> {
    ask_result(cache, provider, body).await.unwrap()
}

async fn json_of(reply: Reply<Head>) -> Value {
    serde_json::from_slice(&body(reply).await.unwrap()).unwrap()
}

/// First number of each vector, in the order of `index`, which has to be that of `data`.
fn lengths(answer: &Value) -> Vec<f64> {
    let data = answer["data"].as_array().unwrap();
    data.iter()
        .enumerate()
        .map(|(place, item)| {
            assert_eq!(item["index"], place, "{answer}");
            item["embedding"][0].as_f64().unwrap()
        })
        .collect()
}

/// A8, rivals 1D 10: `[a,a,b,c]` with b known: the provider sees `[a,c]`, and the answer has all four in
/// their places, with what the provider counted for what it was sent.
#[tokio::test]
async fn only_missing_items_are_sent() {
    let (cache, provider) = (cache(), Provider::default());
    passed(ask(&cache, &provider, &of(json!("bb"))).await);
    let request = r#"{ "user":"u\u0031", "input" : ["a", "\u0061", "bb","ccc"],"dimensions":2e0,"model":"m"}"#;
    let known = r#"{"model":"m","user":"u1","dimensions":2,"input":["bb"]}"#;
    passed(ask(&cache, &provider, known).await);
    let reply = passed(ask(&cache, &provider, request).await);
    assert!(matches!(reply.storage, Storage::Stored));
    let answer: Value = serde_json::from_slice(&read(reply.body).await.unwrap()).unwrap();
    assert_eq!(lengths(&answer), [1.0, 1.0, 2.0, 3.0]);
    assert_eq!(answer["usage"], json!({"prompt_tokens": 4, "total_tokens": 4}));
    assert_eq!((&answer["model"], &answer["object"]), (&json!("m-2026-01-01"), &json!("list")));
    let sent = provider.sent.lock().last().unwrap().clone();
    let edited = r#"{ "user":"u\u0031", "input" : ["a","ccc"],"dimensions":2e0,"model":"m"}"#;
    assert_eq!(sent, edited, "the rest of the request is as it came");
    let again = hit(ask(&cache, &provider, request).await);
    let again: Value = serde_json::from_slice(&again.body).unwrap();
    assert_eq!(lengths(&again), [1.0, 1.0, 2.0, 3.0]);
    assert_eq!(again["usage"]["prompt_tokens"], 6, "what the three were once counted for");
    assert_eq!(provider.inputs().len(), 3);
}

/// A5, A8: one text and a list of one are one item; so are lists of tokens. Another order of items is
/// another answer of the same items; other dimensions, another model are other items.
#[tokio::test]
async fn items_are_keyed_alone() {
    let (cache, provider) = (cache(), Provider::default());
    passed(ask(&cache, &provider, &of(json!(["a", "bb", "ccc"]))).await);
    for body in [of(json!("a")), of(json!(["bb"])), of(json!(["bb", "a", "bb"]))] {
        hit(ask(&cache, &provider, &body).await);
    }
    let swapped = json_of(ask(&cache, &provider, &of(json!(["bb", "a"]))).await).await;
    assert_eq!(lengths(&swapped), [2.0, 1.0]);
    passed(ask(&cache, &provider, &of(json!([1, 2, 3]))).await);
    hit(ask(&cache, &provider, &of(json!([[1, 2, 3]]))).await);
    hit(ask(&cache, &provider, r#"{"model":"m","input":[1.0, 2,3e0]}"#).await);
    for body in [
        r#"{"model":"m","input":"a","dimensions":2}"#,
        r#"{"model":"n","input":"a"}"#,
        r#"{"model":"m","input":"a","user":"u"}"#,
        r#"{"model":"m","input":["1","2","3"]}"#,
        r#"{"model":"m","input":[[1],[2],[3]]}"#,
        r#"{"model":"m","input":[3, 2, 1]}"#,
    ] {
        passed(ask(&cache, &provider, body).await);
    }
}

/// Rivals 1D 10: how vectors travel is no part of the key: stored once, served as numbers or base64.
#[tokio::test]
async fn one_entry_for_both_encodings() {
    for first in ["float", "base64"] {
        let (cache, provider) = (cache(), Provider::default());
        let body = |format: &str| {
            format!(r#"{{"model":"m","input":["a","bb"],"encoding_format":{format}}}"#)
        };
        passed(ask(&cache, &provider, &body(&format!("\"{first}\""))).await);
        let text = json_of(ask(&cache, &provider, &body("\"base64\"")).await).await;
        assert_eq!(text["data"][1]["embedding"], base64([2.0, 0.1]));
        for format in ["\"float\"", "null"] {
            let bytes = hit(ask(&cache, &provider, &body(format)).await).body;
            let numbers = std::str::from_utf8(&bytes).unwrap();
            assert!(numbers.contains(r#""embedding":[2.0,0.1]"#), "shortest text: {numbers}");
        }
        assert_eq!(provider.inputs().len(), 1);
    }
}

/// A43: concurrent requests with items in common make one call for each item, and nobody waits in a
/// circle.
#[tokio::test]
async fn items_under_way_are_shared() {
    let (cache, provider) = (cache(), Provider::gated());
    let (one, two) = (of(json!(["a", "bb"])), of(json!(["bb", "ccc"])));
    let mut first = Box::pin(ask(&cache, &provider, &one));
    assert!(poll(&mut first).await.is_pending());
    let mut second = Box::pin(ask(&cache, &provider, &two));
    assert!(poll(&mut second).await.is_pending());
    let mut third = Box::pin(ask(&cache, &provider, &one));
    assert!(poll(&mut third).await.is_pending());
    provider.open();
    provider.open();
    let (first, second, third) = tokio::join!(first, second, third);
    passed(first);
    let second = passed(second);
    let second: Value = serde_json::from_slice(&read(second.body).await.unwrap()).unwrap();
    assert_eq!(lengths(&second), [2.0, 3.0]);
    assert_eq!(second["usage"]["prompt_tokens"], 3, "what this call sent");
    assert_eq!(hit(third).source, Source::Collapsed);
    assert_eq!(provider.inputs(), [json!(["a", "bb"]), json!(["ccc"])]);
    hit(ask(&cache, &provider, &two).await);
}

/// A45: the caller whose call it was goes away: who waited asks.
#[tokio::test]
async fn a_leader_that_leaves_hands_over() {
    let (cache, provider) = (cache(), Provider::gated());
    let body = of(json!(["a", "bb"]));
    let mut first = Box::pin(ask(&cache, &provider, &body));
    assert!(poll(&mut first).await.is_pending());
    let mut second = Box::pin(ask(&cache, &provider, &body));
    assert!(poll(&mut second).await.is_pending());
    drop(first);
    provider.open();
    passed(second.await);
    assert_eq!(provider.inputs().len(), 2);
}

/// A44: an error status is the whole request's answer, is not kept, and takes nothing away of what was
/// known. Failed calls likewise.
#[tokio::test]
async fn errors_take_nothing_away() {
    let (cache, provider) = (cache(), Provider::default());
    passed(ask(&cache, &provider, &of(json!("a"))).await);
    let body = of(json!(["a", "bb"]));
    provider.status.store(429, Ordering::SeqCst);
    let refused = passed(ask(&cache, &provider, &body).await);
    assert_eq!(refused.status, 429);
    assert!(matches!(refused.storage, Storage::NotStored(NotStored::Status(429))));
    provider.status.store(1, Ordering::SeqCst);
    let Err(AnswerError::Origin(error)) = ask_result(&cache, &provider, &body).await else {
        panic!("the call failed")
    };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    hit(ask(&cache, &provider, &of(json!("a"))).await); // A47: without the provider
    provider.status.store(0, Ordering::SeqCst);
    passed(ask(&cache, &provider, &body).await);
    assert_eq!(provider.inputs().last().unwrap(), &json!(["bb"]));
}

/// A44: who waits for the very same items gets the error; who waits for one of them only does not get an
/// error that may be about another one, and asks.
#[tokio::test]
async fn errors_are_shared_by_those_they_are_about() {
    let (cache, provider) = (cache(), Provider::gated());
    let (both, one) = (of(json!(["a", "bb"])), of(json!(["a"])));
    let mut leader = Box::pin(ask(&cache, &provider, &both));
    assert!(poll(&mut leader).await.is_pending());
    let mut same = Box::pin(ask(&cache, &provider, &both));
    assert!(poll(&mut same).await.is_pending());
    let mut less = Box::pin(ask(&cache, &provider, &one));
    assert!(poll(&mut less).await.is_pending());
    provider.status.store(400, Ordering::SeqCst);
    provider.open();
    assert_eq!(passed(leader.await).status, 400);
    let same = passed(same.await);
    assert_eq!((same.status, same.collapsed), (400, true));
    assert!(poll(&mut less).await.is_pending(), "asks for itself");
    provider.status.store(0, Ordering::SeqCst);
    provider.open();
    assert_eq!(passed(less.await).status, 200);
    assert_eq!(provider.inputs(), [json!(["a", "bb"]), json!(["a"])]);
}

/// A55: an answer with an index that is missing or comes twice is not stored. One to a part of the request
/// is not served either: the provider is asked for all of it.
#[tokio::test]
async fn wrong_indexes_are_not_stored() {
    for spoil in [
        (|answer: &mut Value| answer["data"][0]["index"] = json!(7)) as fn(&mut Value),
        |answer| answer["data"][0]["index"] = answer["data"][1]["index"].clone(),
        |answer| drop(answer["data"].as_array_mut().unwrap().pop()),
    ] {
        let (cache, good) = (cache(), Provider::default());
        passed(ask(&cache, &good, &of(json!("a"))).await);
        let bad = Provider { spoil: Some(spoil), ..Provider::default() };
        let first = passed(ask(&cache, &bad, &of(json!(["bb", "ccc"]))).await);
        assert!(matches!(first.storage, Storage::NotStored(_)), "{first:?}");
        let part = passed(ask(&cache, &bad, &of(json!(["a", "bb", "ccc"]))).await);
        assert!(matches!(part.storage, Storage::NotStored(_)));
        let sent = bad.inputs();
        assert_eq!(sent[1..], [json!(["bb", "ccc"]), json!(["a", "bb", "ccc"])]);
        passed(ask(&cache, &good, &of(json!("bb"))).await);
        hit(ask(&cache, &good, &of(json!("a"))).await);
    }
}

/// An answer never mixes vectors of two models: items of the older one are asked for again.
#[tokio::test]
async fn models_are_never_mixed() {
    let clock = Arc::new(ManualClock::default());
    let dual = DualCache::builder().clock(clock.clone()).build().unwrap();
    let cache: Cache = LlmCache::builder(dual).build().unwrap();
    let old = Provider::default();
    passed(ask(&cache, &old, &of(json!(["a", "bb"]))).await);
    clock.advance(std::time::Duration::from_secs(1));
    let new = Provider {
        spoil: Some(|answer| answer["model"] = json!("m-2026-02-02")),
        ..Provider::default()
    };
    let answer = json_of(ask(&cache, &new, &of(json!(["ccc", "a", "bb"]))).await).await;
    assert_eq!(answer["model"], "m-2026-02-02");
    assert_eq!(lengths(&answer), [3.0, 1.0, 2.0]);
    assert_eq!(answer["usage"]["prompt_tokens"], 6, "both calls");
    assert_eq!(new.inputs(), [json!(["ccc"]), json!(["a", "bb"])]);
    hit(ask(&cache, &new, &of(json!(["a", "bb", "ccc"]))).await);
}

/// What may not be taken apart is kept as a whole: members that are not known, lists that are mixed or
/// hold other things than texts and tokens, another encoding; and everything, if told so.
#[tokio::test]
async fn the_rest_is_kept_whole() {
    let (cache, provider) = (cache(), Provider::default());
    for body in [
        r#"{"model":"m","input":["a","bb"],"late_chunking":true}"#,
        r#"{"model":"m","input":["a","bb"],"titles":["x","y"]}"#,
        r#"{"model":"m","input":["a","bb"],"task":["x","y"]}"#,
        r#"{"model":"m","input":["a","bb"],"encoding_format":"int8"}"#,
    ] {
        assert_eq!(plan_of(&cache, body).keys().len(), 1, "{body}");
        passed(ask(&cache, &provider, body).await);
        let body_of_hit = hit(ask(&cache, &provider, body).await);
        assert!(!body_of_hit.transcoded, "as it came");
    }
    for mixed in [json!(["a", [1]]), json!([{"text": "a"}, {"text": "b"}]), json!([])] {
        assert_eq!(plan_of(&cache, &of(mixed)).keys().len(), 1);
    }
    let known = EmbeddingOptions {
        independent_members: vec!["normalized".into()],
        ..EmbeddingOptions::default()
    };
    let whole = EmbeddingOptions { per_item: false, ..EmbeddingOptions::default() };
    for (options, keys) in [(known, 2), (whole, 1)] {
        let dual = DualCache::builder().build().unwrap();
        let cache: Cache = LlmCache::builder(dual).embeddings(options).build().unwrap();
        let body = r#"{"model":"m","input":["a","bb"],"normalized":true}"#;
        assert_eq!(plan_of(&cache, body).keys().len(), keys);
    }
}

/// Where no entry is kept item by item yet, an answer passes as it came, byte for byte.
#[tokio::test]
async fn a_whole_miss_is_the_providers_answer() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = plan_of(&cache, &of(json!(["a", "a", "bb"])));
    let answer = r#"{ "usage":{"prompt_tokens":8},"data":[{"embedding":[0.50],"index":0},{"embedding":[5e-1],"index":1},{"embedding":[1],"index":2}],"x":1.0}"#;
    // This one cannot ask for less: it is sent as it is.
    let first = passed(calls.ask(&cache, &plan, plain(200, answer)).await);
    assert_eq!(read(first.body).await.unwrap(), answer);
    let second = hit(calls.ask(&cache, &plan, plain(200, "never")).await);
    assert_eq!(
        second.body,
        r#"{"usage":{"prompt_tokens":6},"data":[{"embedding":[0.5],"index":0},{"embedding":[0.5],"index":1},{"embedding":[1.0],"index":2}],"x":1.0}"#
    );
    assert_eq!(calls.count(), 1);
}

/// F34, A34: an item that was removed while it was on its way is not stored, and its call not joined.
#[tokio::test]
async fn removed_while_on_its_way() {
    let (cache, provider) = (cache(), Provider::gated());
    let body = of(json!(["a", "bb"]));
    let plan = plan_of(&cache, &body);
    let mut first = Box::pin(ask(&cache, &provider, &body));
    assert!(poll(&mut first).await.is_pending());
    cache.remove(&plan.keys()[0]).await.unwrap();
    let one = of(json!("a"));
    let mut second = Box::pin(ask(&cache, &provider, &one));
    assert!(poll(&mut second).await.is_pending());
    assert_eq!(provider.inputs().len(), 2, "not joined");
    provider.open();
    let first = passed(first.await);
    assert!(matches!(first.storage, Storage::NotStored(NotStored::Fenced)), "{first:?}");
    assert!(cache.dual().peek(&plan.keys()[0]).is_none());
    assert!(cache.dual().peek(&plan.keys()[1]).is_some());
}

/// A refresh asks for all items, each once, and takes their places; a bypass does nothing of the kind.
#[tokio::test]
async fn modes() {
    let (cache, provider) = (cache(), Provider::default());
    let body = of(json!(["a", "a", "bb"]));
    for mode in [CacheMode::Refresh, CacheMode::Refresh, CacheMode::Bypass] {
        passed(ask_as(mode, &cache, &provider, &body).await.unwrap());
    }
    assert_eq!(
        provider.inputs(),
        [json!(["a", "bb"]), json!(["a", "bb"]), json!(["a", "a", "bb"])]
    );
    hit(ask(&cache, &provider, &body).await);
}

/// A48: tenants share no items.
#[tokio::test]
async fn tenants_share_no_items() {
    let cache = cache();
    let keys = |tenant| {
        let scope = KeyScope::new(Tenant::named(tenant));
        let body = of(json!(["a", "bb"]));
        cache.prepare(EndpointKind::Embeddings, body.as_bytes(), &scope).unwrap().keys()
    };
    let (one, two) = (keys("one"), keys("two"));
    assert!(one.iter().all(|key| !two.contains(key)));
}

/// A17, A24: items reach the remote tier, and a fresh process finds all of a batch there.
#[tokio::test]
async fn a_fresh_process_finds_items_in_l2() {
    let clock = Arc::new(ManualClock::default());
    let remote = Arc::new(MemoryRemote::new(clock.clone()));
    let process = || -> Cache {
        let dual = DualCache::builder().clock(clock.clone()).remote(remote.clone(), Raw);
        LlmCache::builder(dual.build().unwrap()).build().unwrap()
    };
    let provider = Provider::default();
    passed(ask(&process(), &provider, &of(json!(["a", "bb", "ccc"]))).await);
    let fresh = process();
    let found = hit(ask(&fresh, &provider, &of(json!(["ccc", "a"]))).await);
    assert_eq!(found.source, Source::L2);
    assert_eq!(hit(ask(&fresh, &provider, &of(json!(["ccc", "a"]))).await).source, Source::L1);
}

/// A60: a hit that is put together tells the model, and is counted under it, as any other.
#[tokio::test]
async fn a_hit_tells_its_model() {
    let (cache, provider) = (cache(), Provider::default());
    let body = of(json!(["a", "bb"]));
    passed(ask(&cache, &provider, &body).await);
    let found = hit(ask(&cache, &provider, &body).await);
    assert_eq!(found.model(), Some("m-2026-01-01"));
    assert_eq!(cache.savings().models["m-2026-01-01"].input_tokens, 3);
}

/// The report counts embeddings too: hits, misses, and why answers were not stored.
#[tokio::test]
async fn the_report_counts_them() {
    let (cache, provider) = (cache(), Provider::default());
    let body = of(json!(["a", "bb"]));
    passed(ask(&cache, &provider, &body).await);
    hit(ask(&cache, &provider, &body).await);
    provider.status.store(503, Ordering::SeqCst);
    passed(ask(&cache, &provider, &of(json!("ccc"))).await);
    let report = cache.report();
    assert_eq!((report.hits, report.misses), (1, 2));
    assert_eq!(report.not_stored, [("status", 1)].into());
}

/// A60: hits look as the caller wants them, also those that are put together.
#[tokio::test]
async fn hits_look_as_asked_for() {
    let (cache, provider) = (cache(), Provider::default());
    let body = of(json!(["a", "bb"]));
    passed(ask(&cache, &provider, &body).await);
    let options = HitOptions { usage: UsageView::Zero, ..HitOptions::default() };
    let plan = plan_of(&cache, &body).with_hit_options(options);
    let found = hit(Calls::default().ask(&cache, &plan, plain(200, "never")).await);
    assert_eq!(found.usage.input, Some(3), "the original one beside the body");
    let answer: Value = serde_json::from_slice(&found.body).unwrap();
    assert_eq!(answer["usage"], json!({"prompt_tokens": 0, "total_tokens": 0}));
    assert_eq!(lengths(&answer), [1.0, 2.0]);
}

/// Grace: items past their time are served where the provider fails or has too much to do, if all are
/// there; an error about the request itself is not hidden.
#[tokio::test]
async fn stale_items_serve_while_the_provider_fails() {
    let clock = Arc::new(ManualClock::default());
    let dual = DualCache::builder().clock(clock.clone()).build().unwrap();
    let hour = std::time::Duration::from_secs(3600);
    let policy = RequestPolicy::default().embedding_ttl(hour).grace(hour);
    let cache: Cache = LlmCache::builder(dual).request_policy(policy).build().unwrap();
    let provider = Provider::default();
    passed(ask(&cache, &provider, &of(json!("a"))).await);
    clock.advance(hour / 2);
    passed(ask(&cache, &provider, &of(json!("bb"))).await);
    clock.advance(hour / 2);
    let both = of(json!(["bb", "a"]));
    for status in [1, 429, 503] {
        provider.status.store(status, Ordering::SeqCst);
        let stale = hit(ask_result(&cache, &provider, &both).await.unwrap());
        assert!(stale.stale);
        assert_eq!((stale.age, stale.source), (hour, Source::L1));
        assert_eq!(lengths(&serde_json::from_slice(&stale.body).unwrap()), [2.0, 1.0]);
    }
    provider.status.store(400, Ordering::SeqCst);
    assert_eq!(passed(ask(&cache, &provider, &both).await).status, 400);
    provider.status.store(503, Ordering::SeqCst);
    assert_eq!(passed(ask(&cache, &provider, &of(json!(["a", "ccc"]))).await).status, 503);
    assert_eq!(provider.inputs().last().unwrap(), &json!(["a", "ccc"]));
}

/// A15: after an invalidation, nobody joins a call that was under way.
#[tokio::test]
async fn calls_under_way_are_not_joined_after_an_invalidation() {
    for which in 0..3 {
        let (cache, provider) = (cache(), Provider::gated());
        let body = of(json!(["a", "bb"]));
        let mut first = Box::pin(ask(&cache, &provider, &body));
        assert!(poll(&mut first).await.is_pending());
        match which {
            0 => cache.remove_tenant(&Tenant::named("tenant")).await.unwrap(),
            1 => cache.remove_model("m").await.unwrap(),
            _ => cache.remove_tag(&cache_llm::Tag::named("t")).await.unwrap(),
        }
        let mut second = Box::pin(ask(&cache, &provider, &body));
        assert!(poll(&mut second).await.is_pending());
        assert_eq!(provider.inputs().len(), 2, "not joined");
        drop((first, second));
    }
}

/// A15: a request is removed item by item, and as a whole if it was kept so, in any spelling.
#[tokio::test]
async fn removed_by_request() {
    let scope = KeyScope::new(Tenant::named("tenant"));
    for per_item in [true, false] {
        let dual = DualCache::builder().build().unwrap();
        let options = EmbeddingOptions { per_item, ..EmbeddingOptions::default() };
        let cache: Cache = LlmCache::builder(dual).embeddings(options).build().unwrap();
        let provider = Provider::default();
        let body = of(json!(["a", "bb"]));
        passed(ask(&cache, &provider, &body).await);
        hit(ask(&cache, &provider, &body).await);
        let spelled = br#"{"input":["\u0061","bb"],"model":"m"}"#;
        let removed = cache.remove_request(EndpointKind::Embeddings, spelled, &scope).await;
        assert!(removed.unwrap());
        passed(ask(&cache, &provider, &body).await);
    }
}
