//! Streams through the whole cache.

mod common;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use cache_llm::{
    AnswerError, CacheMode, NotStored, Reply, ResponsePolicy, Source, Storage, Transport,
};
use common::*;
use futures_util::StreamExt;
use tokio::sync::oneshot;
use tokio::task::yield_now;

fn whole() -> String {
    EVENTS.concat()
}

/// How the recording of this reply turned out.
async fn recorded(storage: Storage) -> Result<(), NotStored> {
    match storage {
        Storage::Recording(recorded) => recorded.outcome().await,
        other => panic!("{other:?}"),
    }
}

/// A50: a stream that ended cleanly is stored and replayed as a stream, event by event.
#[tokio::test]
async fn stored_and_replayed_as_a_stream() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = stream_plan(&cache);
    let first = passed(calls.ask(&cache, &plan, streamed(&EVENTS)).await);
    assert_eq!(read(first.body).await.unwrap(), whole());
    // Who has seen the end of a stream finds it in memory: there is nothing to wait for.
    let second = hit(calls.ask(&cache, &plan, streamed(&[])).await);
    assert_eq!((second.source, second.transport), (Source::L1, Transport::Stream));
    assert_eq!(second.body, whole());
    let pieces: Vec<_> = second.into_stream().map(Result::unwrap).collect().await;
    assert_eq!(pieces, EVENTS);
    assert_eq!(calls.count(), 1);
    assert_eq!(recorded(first.storage).await, Ok(()));
    assert_eq!(cache.streams_in_flight(), 0);
}

/// A97: nothing is held up: each event is with the client before the next one is sent, and the
/// reply before the first.
#[tokio::test]
async fn events_pass_at_once() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = stream_plan(&cache);
    let (feed, answer) = fed_stream();
    let mut body = passed(calls.ask(&cache, &plan, answer).await).body.into_stream();
    for event in EVENTS {
        send(&feed, event).await;
        assert_eq!(body.next().await.unwrap().unwrap(), event);
    }
    drop(feed);
    assert!(body.next().await.is_none());
}

/// A50, F11: half a stream, an error event, an end without `[DONE]`: passed on, not stored.
#[tokio::test]
async fn unclean_streams_are_not_stored() {
    let error = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
    let cases: [(&[&str], NotStored); 5] = [
        (&EVENTS[..1], NotStored::Cut),
        (&EVENTS[..3], NotStored::Cut),
        (&[EVENTS[0], EVENTS[3]], NotStored::Unfinished),
        (&[EVENTS[0], error, EVENTS[3]], NotStored::ErrorObject),
        (&[EVENTS[2], EVENTS[3]], NotStored::Empty),
    ];
    for (pieces, reason) in cases {
        let pieces: Vec<&'static str> = pieces.to_vec();
        let (cache, calls) = (cache(), Calls::default());
        let plan = stream_plan(&cache);
        let reply = passed(calls.ask(&cache, &plan, streamed(&pieces)).await);
        assert_eq!(read(reply.body).await.unwrap(), pieces.concat());
        assert_eq!(recorded(reply.storage).await, Err(reason));
        assert!(cache.dual().peek(plan.key()).is_none());
        passed(calls.ask(&cache, &plan, streamed(&EVENTS)).await);
    }
}

/// A50: a connection that breaks is an error for every reader, even after `[DONE]`.
#[tokio::test]
async fn broken_streams_are_errors() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = stream_plan(&cache);
    let (feed, answer) = fed_stream();
    let first = passed(calls.ask(&cache, &plan, answer).await);
    let second = passed(calls.ask(&cache, &plan, streamed(&EVENTS)).await);
    let breaking = async {
        for event in EVENTS {
            send(&feed, event).await;
        }
        feed.send(Err(io::Error::from(io::ErrorKind::ConnectionReset).into())).await.unwrap();
    };
    let (one, two, ()) = tokio::join!(read(first.body), read(second.body), breaking);
    one.expect_err("never a silent truncation");
    two.expect_err("for nobody");
    assert_eq!(recorded(first.storage).await, Err(NotStored::Broken));
    assert_eq!(calls.count(), 1);
}

/// A43: a thousand concurrent identical streams make one call, and all get the same bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_streams_one_call() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = stream_plan(&cache);
    let (feed, answer) = fed_stream();
    let answer = Arc::new(std::sync::Mutex::new(Some(answer)));
    let tasks: Vec<_> = (0..1000)
        .map(|_| {
            let (cache, plan, calls) = (cache.clone(), plan.clone(), calls.clone());
            let answer = answer.clone();
            tokio::spawn(async move {
                let origin = || async move {
                    calls.add();
                    yield_now().await; // so that others find the call under way
                    Ok(answer.lock().unwrap().take().expect("only one call"))
                };
                body(cache.answer(&plan, CacheMode::Use, origin).await.unwrap()).await.unwrap()
            })
        })
        .collect();
    for event in EVENTS {
        send(&feed, event).await;
        yield_now().await;
    }
    drop(feed);
    for task in tasks {
        assert_eq!(task.await.unwrap(), whole());
    }
    assert_eq!(calls.count(), 1);
    while cache.streams_in_flight() > 0 {
        yield_now().await;
    }
}

/// A43: who joins late gets the identical bytes, at once as far as they came.
#[tokio::test]
async fn late_joiner() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = stream_plan(&cache);
    let (feed, answer) = fed_stream();
    let first = passed(calls.ask(&cache, &plan, answer).await);
    send(&feed, EVENTS[0]).await;
    send(&feed, EVENTS[1]).await;
    let mut first = first.body.into_stream();
    assert_eq!(first.next().await.unwrap().unwrap(), EVENTS[0]);
    let late = passed(calls.ask(&cache, &plan, streamed(&[])).await);
    assert!(late.collapsed);
    assert_eq!(late.status, 200);
    let mut late = late.body.into_stream();
    for event in &EVENTS[..2] {
        assert_eq!(late.next().await.unwrap().unwrap(), *event);
    }
    send(&feed, EVENTS[2]).await;
    send(&feed, EVENTS[3]).await;
    drop(feed);
    let rest: Vec<_> = late.map(Result::unwrap).collect().await;
    assert_eq!(rest, EVENTS[2..]);
    assert_eq!(calls.count(), 1);
}

/// A45: the leader's client leaves in the middle; the others go on, the call is not repeated, and
/// the answer is stored.
#[tokio::test]
async fn leader_leaves_mid_stream() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = stream_plan(&cache);
    let (feed, answer) = fed_stream();
    let leader = calls.ask(&cache, &plan, answer).await;
    let follower = passed(calls.ask(&cache, &plan, streamed(&[])).await);
    send(&feed, EVENTS[0]).await;
    drop(leader);
    for event in &EVENTS[1..] {
        send(&feed, event).await;
    }
    drop(feed);
    assert_eq!(read(follower.body).await.unwrap(), whole());
    assert_eq!(recorded(follower.storage).await, Ok(()));
    assert_eq!(calls.count(), 1);
}

/// When the last client leaves, the call ends, nothing is stored, and the next one starts anew.
#[tokio::test]
async fn everyone_leaves_mid_stream() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = stream_plan(&cache);
    let (feed, answer) = fed_stream();
    let one = passed(calls.ask(&cache, &plan, answer).await);
    let two = calls.ask(&cache, &plan, streamed(&[])).await;
    send(&feed, EVENTS[0]).await;
    drop(one.body);
    drop(two);
    feed.closed().await;
    assert_eq!(recorded(one.storage).await, Err(NotStored::Cut));
    let again = calls.ask(&cache, &plan, streamed(&EVENTS)).await;
    assert_eq!(read(passed(again).body).await.unwrap(), whole());
    assert_eq!(calls.count(), 2);
}

/// Clients that hang up on `[DONE]`, before the connection ends, have had a whole answer: stored.
#[tokio::test]
async fn client_leaves_at_done() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = stream_plan(&cache);
    let (feed, answer) = fed_stream();
    let reply = passed(calls.ask(&cache, &plan, answer).await);
    let mut body = reply.body.into_stream();
    for event in EVENTS {
        send(&feed, event).await;
        body.next().await.unwrap().unwrap();
    }
    drop(body);
    feed.closed().await;
    assert_eq!(recorded(reply.storage).await, Ok(()));
    assert_eq!(hit(calls.ask(&cache, &plan, streamed(&[])).await).body, whole());
}

/// A45: the leader is dropped at every stage: after each number of polls, while a follower waits.
/// The follower always gets the whole stream, by at most one more call, and nothing is left over.
#[tokio::test]
async fn leader_dropped_at_every_stage() {
    for polls in 0..12 {
        let (cache, calls) = (cache(), Calls::default());
        let plan = stream_plan(&cache);
        let origin = |calls: Calls| {
            || async move {
                calls.add();
                for _ in 0..3 {
                    yield_now().await;
                }
                Ok::<_, io::Error>(streamed(&EVENTS))
            }
        };
        let mut leader = Box::pin(async {
            body(cache.answer(&plan, CacheMode::Use, origin(calls.clone())).await.unwrap()).await
        });
        let mut done = false;
        if polls > 0 {
            done = poll(&mut leader).await.is_ready();
        }
        let follower = {
            let (cache, plan, origin) = (cache.clone(), plan.clone(), origin(calls.clone()));
            tokio::spawn(async move {
                body(cache.answer(&plan, CacheMode::Use, origin).await.unwrap()).await.unwrap()
            })
        };
        yield_now().await;
        for _ in 1..polls {
            done = done || poll(&mut leader).await.is_ready();
            yield_now().await;
        }
        drop(leader);
        assert_eq!(follower.await.unwrap(), whole(), "after {polls} polls");
        assert!(calls.count() <= 2, "after {polls} polls");
        while cache.streams_in_flight() > 0 {
            yield_now().await;
        }
        assert_eq!(hit(calls.ask(&cache, &plan, streamed(&[])).await).body, whole());
    }
}

/// A45: of many who wait for a leader that goes away before the answer, exactly one takes over.
#[tokio::test]
async fn one_of_many_takes_over() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = stream_plan(&cache);
    let mut leader = Box::pin(cache.answer(&plan, CacheMode::Use, || async {
        std::future::pending::<Result<Answer, io::Error>>().await
    }));
    assert!(poll(&mut leader).await.is_pending());
    let mut followers = Vec::new();
    for _ in 0..100 {
        let (cache, plan, calls) = (cache.clone(), plan.clone(), calls.clone());
        followers.push(tokio::spawn(async move {
            body(calls.ask(&cache, &plan, streamed(&EVENTS)).await).await.unwrap()
        }));
    }
    for _ in 0..3 {
        yield_now().await;
    }
    assert_eq!(calls.count(), 0);
    drop(leader);
    for follower in followers {
        assert_eq!(follower.await.unwrap(), whole());
    }
    assert_eq!(calls.count(), 1);
}

/// A44: an error status reaches all who wait, with head and body, and is not kept; those who come
/// after it make a call of their own.
#[tokio::test]
async fn error_answers_are_shared_and_not_kept() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = stream_plan(&cache);
    let (tell, told) = oneshot::channel::<Answer>();
    let mut leader =
        Box::pin(cache.answer(&plan, CacheMode::Use, || async {
            Ok(told.await.expect("the test sends it"))
        }));
    assert!(poll(&mut leader).await.is_pending());
    let mut follower = Box::pin(calls.ask(&cache, &plan, streamed(&[])));
    assert!(poll(&mut follower).await.is_pending());
    let head = Head { retry_after: Some(3) };
    let (feed, busy) = fed();
    tell.send(Answer { head: head.clone(), body: busy, ..plain(429, "") }).ok().unwrap();
    let (leader, follower) = (passed(leader.await.unwrap()), passed(follower.await));
    passed(calls.ask(&cache, &plan, streamed(&EVENTS)).await);
    assert_eq!(calls.count(), 1, "the follower made none, the latecomer one");
    send(&feed, "busy").await;
    drop(feed);
    for (reply, collapsed) in [(leader, false), (follower, true)] {
        assert_eq!((reply.status, reply.collapsed), (429, collapsed));
        assert_eq!(reply.head, head);
        assert!(matches!(reply.storage, Storage::NotStored(NotStored::Status(429))));
        assert_eq!(read(reply.body).await.unwrap(), "busy");
    }
}

/// A44: a failed call reaches all who wait, typed, and is not kept.
#[tokio::test]
async fn failed_calls_are_shared_and_not_kept() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = stream_plan(&cache);
    let (tell, told) = oneshot::channel::<io::Error>();
    let mut leader =
        Box::pin(cache.answer(&plan, CacheMode::Use, || async {
            Err(told.await.expect("the test sends it"))
        }));
    assert!(poll(&mut leader).await.is_pending());
    let mut follower = Box::pin(calls.ask_result(&cache, &plan, streamed(&[])));
    assert!(poll(&mut follower).await.is_pending());
    tell.send(io::ErrorKind::TimedOut.into()).unwrap();
    for reply in [leader.await, follower.await] {
        let Err(AnswerError::Origin(error)) = reply else { panic!("{reply:?}") };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
    assert_eq!(calls.count(), 0);
    passed(calls.ask(&cache, &plan, streamed(&EVENTS)).await);
}

/// A45: a panic fails those who wait at once; later callers are not affected.
#[tokio::test]
async fn leader_panics() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = stream_plan(&cache);
    let (open, gate) = oneshot::channel::<()>();
    let leader = {
        let (cache, plan) = (cache.clone(), plan.clone());
        tokio::spawn(async move {
            let origin = || async move {
                let _ = gate.await;
                panic!("boom")
            };
            cache.answer(&plan, CacheMode::Use, origin).await.map(drop)
        })
    };
    while cache.streams_in_flight() == 0 {
        yield_now().await;
    }
    let mut follower = Box::pin(calls.ask_result(&cache, &plan, streamed(&[])));
    assert!(poll(&mut follower).await.is_pending());
    open.send(()).unwrap();
    assert!(leader.await.unwrap_err().is_panic());
    assert!(matches!(follower.await, Err(AnswerError::Panicked)));
    passed(calls.ask(&cache, &plan, streamed(&EVENTS)).await);
}

/// F40: a stream beyond the limit passes through whole; it is not stored and cannot be joined.
#[tokio::test]
async fn too_large() {
    let limit = 1000;
    let (cache, calls) =
        (cache_with(ResponsePolicy::default().max_answer(limit)), Calls::default());
    let plan = stream_plan(&cache);
    let (feed, answer) = fed_stream();
    let reply = passed(calls.ask(&cache, &plan, answer).await);
    let reading = tokio::spawn(read(reply.body));
    for _ in 0..100 {
        feed.send(Ok(Bytes::from_static(&[b'x'; 100]))).await.unwrap();
    }
    let late = calls.ask(&cache, &plan, streamed(&EVENTS)).await;
    assert_eq!(read(passed(late).body).await.unwrap(), whole());
    assert_eq!(calls.count(), 2, "its start is gone, so the late one asks itself");
    drop(feed);
    assert_eq!(reading.await.unwrap().unwrap().len(), 10_000);
    assert_eq!(recorded(reply.storage).await, Err(NotStored::TooLarge { limit }));
    let kept = hit(calls.ask(&cache, &plan, streamed(&[])).await);
    assert_eq!(kept.body, whole(), "the late one's is kept");
}

/// Those who waited for an encoded stream make calls of their own: they may not understand it.
#[tokio::test]
async fn encoded_streams_are_not_shared() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = stream_plan(&cache);
    let (tell, told) = oneshot::channel::<Answer>();
    let mut leader =
        Box::pin(cache.answer(&plan, CacheMode::Use, || async {
            Ok(told.await.expect("the test sends it"))
        }));
    assert!(poll(&mut leader).await.is_pending());
    let mut follower = Box::pin(calls.ask(&cache, &plan, streamed(&EVENTS)));
    assert!(poll(&mut follower).await.is_pending());
    tell.send(Answer { content_encoded: true, ..streamed(&["zip"]) }).ok().unwrap();
    let leader = passed(leader.await.unwrap());
    assert!(matches!(leader.storage, Storage::NotStored(NotStored::Encoded)));
    assert_eq!(read(leader.body).await.unwrap(), "zip");
    assert_eq!(body(follower.await).await.unwrap(), whole());
    assert_eq!(calls.count(), 1);
}

/// A34: an invalidation voids the stream that is under way: it is not stored, and who comes after
/// does not join it.
#[tokio::test]
async fn invalidated_mid_stream() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = stream_plan(&cache);
    let (feed, answer) = fed_stream();
    let reply = passed(calls.ask(&cache, &plan, answer).await);
    send(&feed, EVENTS[0]).await;
    cache.remove(plan.key()).await.unwrap();
    let after = passed(calls.ask(&cache, &plan, streamed(&[EVENTS[0]])).await);
    assert!(!after.collapsed);
    for event in &EVENTS[1..] {
        send(&feed, event).await;
    }
    drop(feed);
    assert_eq!(read(reply.body).await.unwrap(), whole(), "who had it goes on");
    assert_eq!(recorded(reply.storage).await, Err(NotStored::Fenced));
    assert!(cache.dual().peek(plan.key()).is_none());
}

/// A56: `no-cache` makes a call of its own and replaces; `no-store` leaves all as it is.
#[tokio::test]
async fn modes() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = stream_plan(&cache);
    let other = [
        "data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\n",
        EVENTS[3],
    ];
    let reply = calls.ask(&cache, &plan, streamed(&EVENTS)).await;
    body(reply).await.unwrap();
    let bypassed = passed(calls.ask_as(CacheMode::Bypass, &cache, &plan, streamed(&other)).await);
    assert_eq!(read(bypassed.body).await.unwrap(), other.concat());
    assert_eq!(hit(calls.ask(&cache, &plan, streamed(&[])).await).body, whole());
    let refreshed = passed(calls.ask_as(CacheMode::Refresh, &cache, &plan, streamed(&other)).await);
    assert_eq!(read(refreshed.body).await.unwrap(), other.concat());
    assert_eq!(recorded(refreshed.storage).await, Ok(()));
    assert_eq!(hit(calls.ask(&cache, &plan, streamed(&[])).await).body, other.concat());
}

/// Requests and replies are `Send`, so that servers can spawn them.
#[test]
fn replies_are_send() {
    fn assert_send<T: Send>(_: &T) {}
    let cache = cache();
    let plan = stream_plan(&cache);
    let answer = cache.answer(&plan, CacheMode::Use, || async { Ok(streamed(&[])) });
    assert_send(&answer);
    assert_send(&None::<Reply<Head>>);
}

/// Clients come and go on several threads, round after round: whoever stays gets the whole stream,
/// and nothing is left behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_come_and_go() {
    for round in 0..50_usize {
        let (cache, calls) = (cache(), Calls::default());
        let plan = stream_plan(&cache);
        let clients: Vec<_> = (0..32_usize)
            .map(|id| {
                let (cache, plan, calls) = (cache.clone(), plan.clone(), calls.clone());
                let client = tokio::spawn(async move {
                    let origin = || async move {
                        calls.add();
                        yield_now().await;
                        let events = futures_util::stream::iter(EVENTS).then(|event| async move {
                            yield_now().await;
                            Ok(Bytes::from_static(event.as_bytes()))
                        });
                        Ok(Answer { body: events.boxed(), ..streamed(&[]) })
                    };
                    let reply = cache.answer(&plan, CacheMode::Use, origin).await.unwrap();
                    let mut stream = match reply {
                        Reply::Hit(hit) => hit.into_stream(),
                        Reply::Passed(passed) => passed.body.into_stream(),
                    };
                    // Two of three leave somewhere on the way.
                    let stays = (id + round) % 3 == 0;
                    let mut seen = Vec::new();
                    while let Some(piece) = stream.next().await {
                        seen.extend_from_slice(&piece.unwrap());
                        if !stays && seen.len() > (id * 37) % 200 {
                            return;
                        }
                    }
                    assert_eq!(seen, whole().as_bytes());
                });
                // And some of those before they are answered.
                if (id + round) % 3 == 1 && id % 4 == 0 {
                    client.abort();
                }
                client
            })
            .collect();
        for client in clients {
            if let Err(error) = client.await {
                assert!(error.is_cancelled(), "{error}");
            }
        }
        while cache.streams_in_flight() > 0 {
            yield_now().await;
        }
        let after = calls.ask(&cache, &plan, streamed(&EVENTS)).await;
        assert_eq!(body(after).await.unwrap(), whole());
    }
}
