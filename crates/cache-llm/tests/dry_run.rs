//! The dry run, and the report of what was decided.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache_conformance::MemoryRemote;
use cache_core::ManualClock;
use cache_dual::DualCache;
use cache_dual::codec::Raw;
use cache_llm::{
    Body, CacheMode, EndpointKind, KeyScope, LlmCache, NotStored, Passed, Plan, Price, PriceTable,
    Samples, Storage, Tenant,
};
use common::*;

const PRICED: &str = r#"{"model":"m","choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":0}}"#;

fn dry(dual: DualCache<Bytes>, yes: bool) -> Cache {
    let price = Price { input: 1.0, output: 0.0, cached_input: None, cache_write: None };
    let prices = PriceTable { as_of: String::new(), models: [("m".to_owned(), price)].into() };
    LlmCache::builder(dual).prices(prices).dry_run(yes).build().unwrap()
}

/// Asks, and waits until what became of the answer is known.
async fn ask(cache: &Cache, plan: &Plan, answer: Answer, expected: &str) {
    let passed: Passed<Head> = passed(Calls::default().ask(cache, plan, answer).await);
    assert!(matches!(passed.storage, Storage::NotStored(NotStored::DryRun)), "{passed:?}");
    assert!(matches!(passed.body, Body::Stream(_)), "nothing is held up");
    assert_eq!(read(passed.body).await.unwrap(), expected, "it passes as it came");
    tokio::task::yield_now().await;
}

/// Serves nothing, and counts what serving would have had: hits in both transports, dollars,
/// reasons.
#[tokio::test]
async fn a_dry_run_serves_nothing_and_counts() {
    let clock = Arc::new(ManualClock::default());
    let cache = dry(DualCache::builder().clock(clock.clone()).build().unwrap(), true);
    let (asked, streaming) = (plan(&cache, ""), stream_plan(&cache));
    let stream = EVENTS.concat();
    ask(&cache, &asked, plain(200, PRICED), PRICED).await; // a miss
    ask(&cache, &asked, plain(200, "other"), "other").await; // a hit, that is passed on all the same
    ask(&cache, &streaming, streamed(&EVENTS), &stream).await; // a hit, of the plain answer
    let other = plan(&cache, r#","seed":1,"stream":true"#);
    ask(&cache, &other, streamed(&EVENTS), &stream).await; // a miss
    ask(&cache, &other, streamed(&EVENTS), &stream).await; // a hit
    let without_usage = plan(&cache, r#","seed":1"#);
    ask(&cache, &without_usage, plain(503, "{}"), "{}").await; // a miss: no plain answer of that
    let scope = KeyScope::new(Tenant::Shared);
    let refused = cache.prepare(EndpointKind::ChatCompletions, b"{}", &scope);
    assert!(refused.is_err());

    let report = cache.report();
    assert!(report.dry_run);
    assert_eq!((report.hits, report.misses), (3, 3));
    assert_eq!(report.hit_ratio(), Some(0.5));
    assert_eq!(report.overall_hit_ratio(), Some(3.0 / 7.0));
    assert_eq!(report.bypassed, [("no_model", 1)].into());
    assert_eq!(report.not_stored, [("status", 1)].into());
    let saved = report.savings.total();
    assert_eq!((saved.hits, saved.unpriced, saved.input_tokens), (3, 1, 2000));
    assert_eq!(saved.dollars.to_string(), "$0.002000");

    // What would have expired, or been removed, would have been a miss.
    cache.remove(other.key()).await.unwrap();
    ask(&cache, &other, streamed(&EVENTS), &stream).await;
    assert_eq!(cache.report().misses, 4);
    cache.remove_tenant(&Tenant::named("tenant")).await.unwrap();
    ask(&cache, &other, streamed(&EVENTS), &stream).await;
    assert_eq!(cache.report().misses, 5);
    clock.advance(Duration::from_secs(3600));
    ask(&cache, &other, streamed(&EVENTS), &stream).await;
    assert_eq!((cache.report().hits, cache.report().misses), (3, 6));
}

/// What is forgotten would be a miss, and answers that are several are filled first.
#[tokio::test]
async fn a_dry_run_forgets_and_counts_samples() {
    let cache = dry(DualCache::builder().build().unwrap(), true);
    let asked = plan(&cache, "");
    ask(&cache, &asked, plain(200, PRICED), PRICED).await;
    assert_eq!(cache.forget(&asked).await.unwrap(), 1);
    ask(&cache, &asked, plain(200, PRICED), PRICED).await;
    assert_eq!((cache.report().hits, cache.report().misses), (0, 2));
    let several = plan(&cache, r#","seed":1"#).with_samples(Samples::in_turn(3).unwrap());
    for _ in 0..5 {
        ask(&cache, &several, plain(200, PRICED), PRICED).await;
    }
    assert_eq!((cache.report().hits, cache.report().misses), (2, 5));
    assert_eq!(cache.forget(&several).await.unwrap(), 3);
}

/// A cache that serves, on the same remote tier, has nothing from a dry run, and the reverse.
#[tokio::test]
async fn a_dry_run_leaves_no_answers() {
    let clock = Arc::new(ManualClock::default());
    let remote = Arc::new(MemoryRemote::new(clock.clone()));
    let build = |yes| {
        let builder = DualCache::builder().remote(remote.clone(), Raw).clock(clock.clone());
        dry(builder.build().unwrap(), yes)
    };
    let (dry, serving) = (build(true), build(false));
    let plan = plan(&dry, "");
    ask(&dry, &plan, plain(200, PRICED), PRICED).await;
    let calls = Calls::default();
    passed(calls.ask(&serving, &plan, plain(200, PRICED)).await);
    assert_eq!(hit(calls.ask(&serving, &plan, plain(200, "never")).await).body, PRICED);
    ask(&dry, &plan, plain(200, PRICED), PRICED).await;
    assert_eq!((dry.report().hits, dry.report().misses), (1, 1));
}

/// The same report of a cache that serves.
#[tokio::test]
async fn a_report_of_what_was_served() {
    let (cache, calls) = (cache(), Calls::default());
    let asked = plan(&cache, "");
    passed(calls.ask(&cache, &asked, plain(500, "{}")).await);
    passed(calls.ask(&cache, &asked, plain(200, HELLO)).await);
    hit(calls.ask(&cache, &asked, plain(200, HELLO)).await);
    passed(calls.ask_as(CacheMode::Bypass, &cache, &asked, plain(200, HELLO)).await);
    let cut = passed(
        calls.ask(&cache, &plan(&cache, r#","stream":true,"n":1"#), streamed(&EVENTS[..2])).await,
    );
    let Storage::Recording(recorded) = cut.storage else { panic!("it looked good") };
    read(cut.body).await.unwrap();
    assert_eq!(recorded.outcome().await, Err(NotStored::Cut));
    let report = cache.report();
    assert!(!report.dry_run);
    assert_eq!((report.hits, report.misses, report.savings.total().hits), (1, 4, 1));
    assert_eq!(report.not_stored, [("bypassed", 1), ("cut", 1), ("status", 1)].into());
    assert_eq!(report.hit_ratio(), Some(0.2));
}

/// Plain answers that nobody reads count as in a cache that serves, which reads them whole.
#[tokio::test]
async fn unread_answers_count() {
    let cache = dry(DualCache::builder().build().unwrap(), true);
    for _ in 0..2 {
        let asked = plan(&cache, "");
        let answer = Answer { body: two_pieces(PRICED), ..plain(200, "") };
        let unread: Passed<Head> = passed(Calls::default().ask(&cache, &asked, answer).await);
        drop(unread);
        for _ in 0..20 {
            tokio::task::yield_now().await; // to who reads on
        }
    }
    let report = cache.report();
    assert_eq!((report.hits, report.misses), (1, 1));
    assert!(report.not_stored.is_empty(), "{report:?}");
}

/// A body whose second half comes later.
fn two_pieces(text: &'static str) -> cache_llm::BodyStream {
    let halves = text.as_bytes().split_at(text.len() / 2);
    let pieces = [halves.0, halves.1].map(Bytes::from_static);
    let later = |piece| async {
        tokio::task::yield_now().await;
        Ok(piece)
    };
    futures_util::StreamExt::boxed(futures_util::StreamExt::then(
        futures_util::stream::iter(pieces),
        later,
    ))
}
