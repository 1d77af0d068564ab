//! A request answered in one step, whether it may be cached or not.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::error::Error;
use std::io;

use cache_llm::{
    AnswerError, Bypass, CacheMode, EndpointKind, KeyScope, NotStored, OriginAnswer, Passed, Reply,
    Storage, Tenant, WithBody,
};
use common::*;
use futures_util::stream;

const KEPT_THERE: &str = r#"{"model":"m","store":true,"messages":[]}"#;

async fn serve(
    cache: &Cache,
    calls: &Calls,
    mode: CacheMode,
    body: &str,
    answer: Answer,
) -> Result<Reply<Head>, AnswerError<io::Error>> {
    let scope = KeyScope::new(Tenant::named("tenant"));
    let origin = || async {
        calls.add();
        Ok(answer)
    };
    cache.serve(EndpointKind::ChatCompletions, body.as_bytes(), &scope, mode, origin).await
}

fn reason(passed: &Passed<Head>) -> &NotStored {
    match &passed.storage {
        Storage::NotStored(reason) => reason,
        other => panic!("{other:?}"),
    }
}

/// A request that may be cached is answered as `prepare` and `answer` do it, in every mode.
#[tokio::test]
async fn one_step_is_two() {
    let (cache, calls) = (cache(), Calls::default());
    let body = r#"{"model":"m","messages":[]}"#;
    let ask = |mode, answer| serve(&cache, &calls, mode, body, answer);
    let first = passed(ask(CacheMode::Use, plain(200, HELLO)).await.unwrap());
    assert!(matches!(first.storage, Storage::Stored));
    assert_eq!(hit(ask(CacheMode::Use, plain(200, "no")).await.unwrap()).body, HELLO);
    assert_eq!(hit(calls.ask(&cache, &plan(&cache, ""), plain(200, "no")).await).body, HELLO);
    let bypassed = passed(ask(CacheMode::Bypass, plain(200, HELLO)).await.unwrap());
    assert_eq!(*reason(&bypassed), NotStored::Bypassed);
    let other = HELLO.replace("Hello", "Howdy");
    passed(ask(CacheMode::Refresh, plain(200, other.clone())).await.unwrap());
    assert_eq!(hit(ask(CacheMode::Use, plain(200, "no")).await.unwrap()).body, other);
    assert_eq!(calls.count(), 3);
}

/// A56: what is none of the cache's business passes as it came, in every mode, with the reason and its
/// causes. It is counted as bypassed and as nothing else, and nothing of it is stored.
#[tokio::test]
async fn bypassed_requests_pass_with_the_reason() {
    let (cache, calls) = (cache(), Calls::default());
    for mode in [CacheMode::Use, CacheMode::Refresh, CacheMode::Bypass] {
        let answer = OriginAnswer::whole(503, Head { retry_after: Some(7) }, "busy");
        let passed = passed(serve(&cache, &calls, mode, KEPT_THERE, answer).await.unwrap());
        assert_eq!((passed.status, passed.head.retry_after), (503, Some(7)));
        assert_eq!(*reason(&passed), NotStored::Request(Bypass::Stored));
        assert!(!passed.collapsed);
        assert_eq!(read(passed.body).await.unwrap(), "busy");
    }
    let streaming = KEPT_THERE.replace("\"store\"", "\"stream\":true,\"store\"");
    let stream = serve(&cache, &calls, CacheMode::Use, &streaming, streamed(&EVENTS)).await;
    assert_eq!(body(stream.unwrap()).await.unwrap(), EVENTS.concat());

    // The reason says what the bypass says, with what it comes of.
    let twice = r#"{"model":"m","model":"n","messages":[]}"#;
    let passed =
        passed(serve(&cache, &calls, CacheMode::Use, twice, plain(200, HELLO)).await.unwrap());
    let why = reason(&passed);
    let NotStored::Request(bypass) = why else { panic!("{why:?}") };
    assert_eq!((bypass.label(), why.label()), ("not_canonical", "request"));
    assert_eq!(why.to_string(), bypass.to_string());
    assert_eq!(why.source().unwrap().to_string(), bypass.source().unwrap().to_string());

    let report = cache.report();
    assert_eq!(report.bypassed, [("not_canonical", 1), ("store", 4)].into());
    assert_eq!((report.hits, report.misses, report.not_stored.len()), (0, 0, 0));
    assert_eq!((calls.count(), cache.dual().stats().l1.writes), (5, 0));
}

/// A failed call past the cache is the error that it is through it.
#[tokio::test]
async fn failures_past_the_cache_are_typed() {
    let scope = KeyScope::new(Tenant::named("tenant"));
    let origin = || async { Err::<Answer, _>(io::ErrorKind::ConnectionRefused.into()) };
    for body in [KEPT_THERE, r#"{"model":"m","messages":[]}"#] {
        let kind = EndpointKind::ChatCompletions;
        let reply = cache().serve(kind, body.as_bytes(), &scope, CacheMode::Use, origin).await;
        let Err(AnswerError::Origin(error)) = reply else { panic!("{reply:?}") };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}

/// An answer is made of what there is: bytes, or pieces with errors of any type.
#[tokio::test]
async fn answers_are_made_of_what_there_is() {
    let whole = OriginAnswer::whole(201, "head", vec![b'a']);
    assert_eq!((whole.status, whole.head), (201, "head"));
    assert!(!whole.is_event_stream && !whole.content_encoded);
    assert_eq!(cache_llm::Body::Stream(whole.body).bytes().await.unwrap(), "a");

    let pieces = stream::iter([Ok("a".to_owned()), Err(anyhow::anyhow!("cut"))]);
    let events = OriginAnswer::events(200, (), pieces);
    assert!(events.is_event_stream && !events.content_encoded);
    let error = cache_llm::Body::Stream(events.body).bytes().await.unwrap_err();
    assert_eq!(error.source().unwrap().to_string(), "cut");
}

/// A call that can send any body sends the caller's own where that is what is wanted.
#[tokio::test]
async fn with_body_hands_out_what_to_send() {
    let (calls, cache) = (Calls::default(), cache());
    let echo = |body| {
        calls.add();
        async { io::Result::Ok(OriginAnswer::whole(200, Head::default(), body)) }
    };
    let origin = WithBody::new(KEPT_THERE, echo);
    assert_eq!(format!("{origin:?}"), "WithBody { bytes: 40, .. }", "no requests in logs");
    let (kind, scope) = (EndpointKind::ChatCompletions, KeyScope::new(Tenant::Shared));
    let reply = cache.serve(kind, KEPT_THERE.as_bytes(), &scope, CacheMode::Use, origin).await;
    assert_eq!(body(reply.unwrap()).await.unwrap(), KEPT_THERE);
    assert_eq!(calls.count(), 1);
}
