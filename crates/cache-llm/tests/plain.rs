//! Plain answers through the whole cache.

mod common;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache_core::{CacheKey, ManualClock};
use cache_dual::DualCache;
use cache_llm::{
    AnswerError, Body, BodyError, CacheMode, EndpointKind, KeyScope, LlmCache, NotStored,
    OriginAnswer, PolicyError, RequestPolicy, ResponsePolicy, Source, Storage, Tenant, Transport,
};
use common::*;
use futures_util::stream;
use tokio::sync::oneshot;
use tokio::task::yield_now;

/// A60, F10: the first answer is the provider's, the second the same bytes from memory.
#[tokio::test]
async fn stored_raw_and_served() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = plan(&cache, "");
    let first = passed(calls.ask(&cache, &plan, plain(200, HELLO)).await);
    assert!(matches!(first.storage, Storage::Stored), "{first:?}");
    assert_eq!((first.status, first.collapsed), (200, false));
    assert_eq!(read(first.body).await.unwrap(), HELLO);
    let second = hit(calls.ask(&cache, &plan, plain(200, "never")).await);
    assert_eq!(second.body, HELLO, "down to the spelling of its numbers");
    assert_eq!((second.source, second.transport), (Source::L1, Transport::Plain));
    assert_eq!(calls.count(), 1);
    let stats = cache.dual().stats();
    assert_eq!((stats.l1_hits, stats.misses), (1, 1), "each lookup counts once");
}

/// A24: a chat answer is gone after an hour, embeddings after a day.
#[tokio::test]
async fn answers_expire_by_kind() {
    let clock = Arc::new(ManualClock::default());
    let dual = DualCache::builder().clock(clock.clone()).build().unwrap();
    let cache: Cache = LlmCache::builder(dual).build().unwrap();
    let calls = Calls::default();
    let scope = KeyScope::new(Tenant::Shared);
    let embeddings = r#"{"data":[{"index":0,"embedding":[0.5]}]}"#;
    let cases = [
        (EndpointKind::ChatCompletions, r#"{"model":"m","messages":[]}"#, HELLO, 3600),
        (EndpointKind::Embeddings, r#"{"model":"m","input":"a"}"#, embeddings, 24 * 3600),
    ];
    for (kind, request, answer, seconds) in cases {
        let plan = cache.prepare(kind, request.as_bytes(), &scope).unwrap();
        let ttl = Duration::from_secs(seconds);
        passed(calls.ask(&cache, &plan, plain(200, answer)).await);
        clock.advance(ttl.saturating_sub(Duration::from_millis(1)));
        let last = hit(calls.ask(&cache, &plan, plain(200, answer)).await);
        assert_eq!(last.age + last.remaining, ttl);
        assert_eq!(last.remaining, Duration::from_millis(1));
        clock.advance(Duration::from_millis(1));
        passed(calls.ask(&cache, &plan, plain(200, answer)).await);
    }
    assert_eq!(calls.count(), 4);
}

/// A43: a thousand concurrent identical requests make one call, and all get the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_requests_one_call() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = plan(&cache, "");
    let (open, gate) = oneshot::channel::<()>();
    let gate = Arc::new(tokio::sync::Mutex::new(Some(gate)));
    let tasks: Vec<_> = (0..1000)
        .map(|_| {
            let (cache, plan, calls, gate) =
                (cache.clone(), plan.clone(), calls.clone(), gate.clone());
            tokio::spawn(async move {
                let origin = || async move {
                    calls.add();
                    let gate = gate.lock().await.take().expect("only one call");
                    gate.await.expect("the gate opens");
                    Ok(plain(200, HELLO))
                };
                body(cache.answer(&plan, CacheMode::Use, origin).await.unwrap()).await.unwrap()
            })
        })
        .collect();
    while calls.count() == 0 {
        yield_now().await;
    }
    open.send(()).unwrap();
    for task in tasks {
        assert_eq!(task.await.unwrap(), HELLO);
    }
    assert_eq!(calls.count(), 1);
    assert_eq!(cache.dual().in_flight(), 0);
}

/// Starts a request whose origin waits for what the test sends it, and another that waits for the
/// first.
macro_rules! leader_and_follower {
    ($cache:expr, $plan:expr, $calls:expr) => {{
        let (tell, told) = oneshot::channel::<Result<Answer, io::Error>>();
        let calls = $calls.clone();
        let mut leader = Box::pin($cache.answer(&$plan, CacheMode::Use, || async move {
            calls.add();
            told.await.expect("the test sends it")
        }));
        assert!(poll(&mut leader).await.is_pending());
        let calls = $calls.clone();
        let mut follower = Box::pin($cache.answer(&$plan, CacheMode::Use, || async move {
            calls.add();
            Ok(plain(200, HELLO))
        }));
        assert!(poll(&mut follower).await.is_pending());
        (tell, leader, follower)
    }};
}

/// A44: an error status reaches all who wait with its head and body, and is not kept.
#[tokio::test]
async fn error_answers_are_shared_and_not_kept() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = plan(&cache, "");
    let (tell, leader, follower) = leader_and_follower!(cache, plan, calls);
    let busy = r#"{"error":{"message":"slow down"}}"#;
    let head = Head { retry_after: Some(7) };
    tell.send(Ok(Answer { head: head.clone(), ..plain(429, busy) })).ok().unwrap();
    for (reply, collapsed) in [(leader.await, false), (follower.await, true)] {
        let reply = passed(reply.unwrap());
        assert_eq!((reply.status, &reply.head), (429, &head));
        assert_eq!(reply.collapsed, collapsed);
        assert!(matches!(reply.storage, Storage::NotStored(NotStored::Status(429))));
        assert_eq!(read(reply.body).await.unwrap(), busy);
    }
    assert_eq!(calls.count(), 1);
    assert_eq!(passed(calls.ask(&cache, &plan, plain(200, HELLO)).await).status, 200);
}

/// A44: a failed call reaches all who wait, typed, and is not kept.
#[tokio::test]
async fn failed_calls_are_shared_and_not_kept() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = plan(&cache, "");
    let (tell, leader, follower) = leader_and_follower!(cache, plan, calls);
    tell.send(Err(io::ErrorKind::ConnectionRefused.into())).ok().unwrap();
    for reply in [leader.await, follower.await] {
        let Err(AnswerError::Origin(error)) = reply else { panic!("{reply:?}") };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
    assert_eq!(calls.count(), 1);
    passed(calls.ask(&cache, &plan, plain(200, HELLO)).await);
}

/// A44, F11: a body that breaks off is an error for all, never half an answer.
#[tokio::test]
async fn broken_bodies_are_errors() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = plan(&cache, "");
    let (tell, leader, follower) = leader_and_follower!(cache, plan, calls);
    let (feed, half) = fed();
    tell.send(Ok(Answer { body: half, ..plain(200, "") })).ok().unwrap();
    let breaking = async {
        send(&feed, &HELLO[..40]).await;
        feed.send(Err(io::Error::from(io::ErrorKind::ConnectionReset).into())).await.unwrap();
    };
    let (leader, follower, ()) = tokio::join!(leader, follower, breaking);
    for reply in [leader, follower] {
        let Err(AnswerError::Body(error)) = reply else { panic!("{reply:?}") };
        assert!(error.is::<io::Error>());
    }
    passed(calls.ask(&cache, &plan, plain(200, HELLO)).await);
}

/// A45: a leader that goes away before the answer is there is followed by one who waits.
#[tokio::test]
async fn leader_dropped_while_calling() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = plan(&cache, "");
    let (_tell, leader, follower) = leader_and_follower!(cache, plan, calls);
    drop(leader);
    assert_eq!(body(follower.await.unwrap()).await.unwrap(), HELLO);
    assert_eq!(calls.count(), 2);
}

/// A45: the same while the body is arriving.
#[tokio::test]
async fn leader_dropped_while_reading() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = plan(&cache, "");
    let (tell, mut leader, follower) = leader_and_follower!(cache, plan, calls);
    let (feed, half) = fed();
    tell.send(Ok(Answer { body: half, ..plain(200, "") })).ok().unwrap();
    assert!(poll(&mut leader).await.is_pending());
    drop(leader);
    assert!(feed.is_closed(), "its call is over");
    assert_eq!(body(follower.await.unwrap()).await.unwrap(), HELLO);
}

/// A45: a panic fails those who wait at once; later callers are not affected.
#[tokio::test]
async fn leader_panics() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = plan(&cache, "");
    let (open, gate) = oneshot::channel::<()>();
    let (told, plan_too) = (cache.clone(), plan.clone());
    let leader = tokio::spawn(async move {
        let origin = || async move {
            let _ = gate.await;
            panic!("boom")
        };
        told.answer(&plan_too, CacheMode::Use, origin).await.map(drop)
    });
    while cache.dual().in_flight() == 0 {
        yield_now().await;
    }
    let mut follower = Box::pin(calls.ask_result(&cache, &plan, plain(200, HELLO)));
    assert!(poll(&mut follower).await.is_pending());
    open.send(()).unwrap();
    assert!(leader.await.unwrap_err().is_panic());
    assert!(matches!(follower.await, Err(AnswerError::Panicked)));
    passed(calls.ask(&cache, &plan, plain(200, HELLO)).await);
}

/// A55: what is not to be stored passes through unchanged, with its reason.
#[tokio::test]
async fn bad_answers_pass_and_are_not_kept() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = plan(&cache, "");
    let bad = [
        (plain(200, HELLO.replace("\"stop\"", "\"length\"")), "truncated"),
        (plain(200, HELLO.replace("\"stop\"", "\"content_filter\"")), "finish_reason"),
        (plain(200, HELLO.replace("Hello", "")), "empty"),
        (plain(200, r#"{"error":{}}"#), "error_object"),
        (plain(200, "<html>"), "not_json"),
        (plain(500, HELLO), "status"),
        (plain(201, HELLO), "status"),
        (streamed(&EVENTS), "transport"),
        (Answer { content_encoded: true, ..plain(200, "\u{1f}\u{8b}") }, "encoded"),
    ];
    for (answer, label) in bad {
        let status = answer.status;
        let reply = passed(calls.ask(&cache, &plan, answer).await);
        assert_eq!(reply.status, status);
        let Storage::NotStored(reason) = &reply.storage else { panic!("{reply:?}") };
        assert_eq!(reason.label(), label);
        assert!(!read(reply.body).await.unwrap().is_empty());
        assert!(cache.dual().peek(plan.key()).is_none());
    }
}

/// A56: `no-store` neither reads nor writes, `no-cache` does not read but writes.
#[tokio::test]
async fn modes() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = plan(&cache, "");
    let other = |text| plain(200, HELLO.replace("Hello", text));
    let says = |reply, text: &'static str| async move {
        assert_eq!(body(reply).await.unwrap(), HELLO.replace("Hello", text));
    };
    let bypassed = passed(calls.ask_as(CacheMode::Bypass, &cache, &plan, other("1")).await);
    assert!(matches!(bypassed.storage, Storage::NotStored(NotStored::Bypassed)));
    says(calls.ask(&cache, &plan, other("2")).await, "2").await;
    says(calls.ask_as(CacheMode::Bypass, &cache, &plan, other("3")).await, "3").await;
    says(calls.ask(&cache, &plan, other("-")).await, "2").await;
    let refreshed = passed(calls.ask_as(CacheMode::Refresh, &cache, &plan, other("4")).await);
    assert!(matches!(refreshed.storage, Storage::Stored));
    says(calls.ask(&cache, &plan, other("-")).await, "4").await;
    // A refresh that brings nothing good leaves what is there.
    let failed = passed(calls.ask_as(CacheMode::Refresh, &cache, &plan, plain(500, "")).await);
    assert_eq!(failed.status, 500);
    says(calls.ask(&cache, &plan, other("-")).await, "4").await;
    assert_eq!(calls.count(), 5);
}

/// F40: an answer beyond the limit passes through as a stream, all of it, is not stored, and those
/// who waited make calls of their own.
#[tokio::test]
async fn too_large() {
    let (cache, calls) = (cache_with(ResponsePolicy::default().max_answer(1000)), Calls::default());
    let plan = plan(&cache, "");
    let (tell, leader, follower) = leader_and_follower!(cache, plan, calls);
    let (feed, large) = fed();
    tell.send(Ok(Answer { body: large, ..plain(200, "") })).ok().unwrap();
    let sending = async {
        for _ in 0..11 {
            feed.send(Ok(Bytes::from_static(&[b'x'; 100]))).await.unwrap();
        }
    };
    let (leader, follower, ()) = tokio::join!(leader, follower, sending);
    let leader = passed(leader.unwrap());
    assert!(matches!(leader.storage, Storage::NotStored(NotStored::TooLarge { limit: 1000 })));
    let Body::Stream(_) = &leader.body else { panic!("{leader:?}") };
    let reading = tokio::spawn(read(leader.body));
    for _ in 0..100 {
        feed.send(Ok(Bytes::from_static(&[b'x'; 100]))).await.unwrap();
    }
    drop(feed);
    assert_eq!(reading.await.unwrap().unwrap(), vec![b'x'; 11_100]);
    assert_eq!(body(follower.unwrap()).await.unwrap(), HELLO);
    assert_eq!(calls.count(), 2);
    assert!(cache.dual().peek(plan.key()).is_none());
}

/// Those who waited for an encoded answer make calls of their own: they may not understand it.
#[tokio::test]
async fn encoded_answers_are_not_shared() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = plan(&cache, "");
    let (tell, leader, follower) = leader_and_follower!(cache, plan, calls);
    tell.send(Ok(Answer { content_encoded: true, ..plain(429, "zip") })).ok().unwrap();
    let (leader, follower) = tokio::join!(leader, follower);
    assert_eq!(passed(leader.unwrap()).status, 429);
    assert_eq!(body(follower.unwrap()).await.unwrap(), HELLO);
    assert_eq!(calls.count(), 2);
}

/// A48: tenants share neither answers nor calls.
#[tokio::test]
async fn tenants_never_share() {
    let (cache, calls) = (cache(), Calls::default());
    let (one, two) = (plan_for(&cache, "one", ""), plan_for(&cache, "two", ""));
    let (tell, told) = oneshot::channel::<()>();
    let mut first = Box::pin(cache.answer(&one, CacheMode::Use, || async move {
        told.await.unwrap();
        Ok(plain(200, HELLO))
    }));
    assert!(poll(&mut first).await.is_pending());
    passed(calls.ask(&cache, &two, plain(200, HELLO)).await);
    tell.send(()).unwrap();
    passed(first.await.unwrap());
    assert_eq!(calls.count(), 1);
}

/// A34, A46: what was fetched before an invalidation is not stored after it.
#[tokio::test]
async fn invalidated_while_fetching() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = plan(&cache, "");
    let (tell, leader, follower) = leader_and_follower!(cache, plan, calls);
    drop(follower);
    cache.remove(plan.key()).await.unwrap();
    tell.send(Ok(plain(200, HELLO))).ok().unwrap();
    passed(leader.await.unwrap());
    assert!(cache.dual().peek(plan.key()).is_none());
    assert!(!cache.remove(&CacheKey::from_text("never stored")).await.unwrap());
}

/// A116: settings are checked when the cache is built.
#[test]
fn settings_are_checked() {
    let build = |requests, responses| {
        LlmCache::<Head, io::Error>::builder(DualCache::builder().build().unwrap())
            .request_policy(requests)
            .response_policy(responses)
            .build()
            .map(drop)
    };
    let (requests, responses) = (RequestPolicy::default, ResponsePolicy::default);
    assert_eq!(build(requests(), responses()), Ok(()));
    let zero = |setting| Err(PolicyError::ZeroTtl { setting, entry: None });
    assert_eq!(build(requests().chat_ttl(Duration::ZERO), responses()), zero("chat_ttl"));
    assert_eq!(build(requests().embedding_ttl(Duration::ZERO), responses()), zero("embedding_ttl"));
    assert_eq!(
        build(requests().max_temperature(-1.0), responses()),
        Err(PolicyError::Temperature { setting: "max_temperature", value: -1.0 })
    );
    assert!(build(requests().assumed_temperature(f64::NAN), responses()).is_err());
    assert_eq!(build(requests(), responses().max_answer(0)), Err(PolicyError::ZeroMaxAnswer));
}

/// Whoever gave an answer, it is read in one way.
#[tokio::test]
async fn replies_are_read_alike() {
    let (cache, calls) = (cache(), Calls::default());
    for asked in [plan(&cache, ""), plan(&cache, r#","seed":1,"stream":true"#)] {
        let whole = match asked.transport() {
            Transport::Plain => HELLO.to_owned(),
            Transport::Stream => EVENTS.concat(),
        };
        for _ in 0..2 {
            let answer = match asked.transport() {
                Transport::Plain => plain(200, HELLO),
                Transport::Stream => streamed(&EVENTS),
            };
            let reply = calls.ask(&cache, &asked, answer).await;
            assert_eq!(reply.status(), 200);
            assert_eq!(reply.into_body().bytes().await.unwrap(), whole);
        }
    }
    assert_eq!(calls.count(), 2, "each was asked for once");
    let broken = calls.ask(&cache, &plan(&cache, r#","seed":2"#), plain(503, "no")).await;
    assert_eq!((broken.status(), broken.into_body().bytes().await.unwrap()), (503, "no".into()));
}

/// A body that breaks off is a typed error with its cause, which `?` turns into any other.
#[tokio::test]
async fn broken_bodies_are_typed() {
    async fn read(body: Body) -> Result<Bytes, Box<dyn std::error::Error>> {
        Ok(body.bytes().await?)
    }
    let body = |last: io::Result<&'static str>| {
        let pieces = OriginAnswer::events(200, (), stream::iter([Ok("a"), last]));
        Body::Stream(pieces.body)
    };
    assert_eq!(read(body(Ok("b"))).await.unwrap(), "ab");
    let error = read(body(Err(io::ErrorKind::ConnectionReset.into()))).await.unwrap_err();
    let error = error.downcast::<BodyError>().unwrap();
    assert_eq!(error.to_string(), "the body of the answer broke off");
    let cause = std::error::Error::source(&*error).unwrap();
    let cause = cause.downcast_ref::<io::Error>().unwrap();
    assert_eq!(cause.kind(), io::ErrorKind::ConnectionReset);
}
