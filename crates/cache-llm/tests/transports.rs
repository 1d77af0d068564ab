//! One entry for both transports.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use cache_dual::DualCache;
use cache_llm::{
    CacheMode, Chunking, EndpointKind, KeyScope, LlmCache, Plan, ReplayOptions, Source, Tenant,
    Transport,
};
use common::*;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::Instant;

const USAGE: &str = r#","stream":true,"stream_options":{"include_usage":true}"#;

/// [`EVENTS`] with the usage that was asked for.
const WITH_USAGE: [&str; 5] = [
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hel\"}}],\"usage\":null}\n\n",
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"}}],\"usage\":null}\n\n",
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n",
    "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"total_tokens\":3}}\n\n",
    "data: [DONE]\n\n",
];

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn plan_of(cache: &Cache, kind: EndpointKind, body: &str) -> Plan {
    cache.prepare(kind, body.as_bytes(), &KeyScope::new(Tenant::Shared)).unwrap()
}

/// A50: a stored plain answer serves streams, with the usage only for those who ask for it.
#[tokio::test]
async fn a_plain_answer_serves_streams() {
    let (cache, calls) = (cache(), Calls::default());
    passed(calls.ask(&cache, &plan(&cache, ""), plain(200, HELLO)).await);
    for (members, usage) in [(r#","stream":true"#, 0), (USAGE, 1)] {
        let reply = hit(calls.ask(&cache, &plan(&cache, members), streamed(&[])).await);
        assert_eq!((reply.source, reply.transport), (Source::L1, Transport::Stream));
        assert!(reply.transcoded);
        let events: Vec<_> = reply.into_stream().map(Result::unwrap).collect().await;
        assert_eq!(events.len(), 4 + usage, "{events:?}");
        assert_eq!(events[3 + usage], "data: [DONE]\n\n");
        let chunk = |event: &Bytes| json(event.strip_prefix(b"data: ").unwrap());
        assert_eq!(chunk(&events[0])["choices"][0]["delta"], json!({"role": "assistant"}));
        assert_eq!(chunk(&events[1])["choices"][0]["delta"], json!({"content": "Hello"}));
        assert_eq!(chunk(&events[2])["choices"][0]["finish_reason"], "stop");
        for event in &events[..3] {
            // Null where the usage is to come, and otherwise not a member.
            assert_eq!(chunk(event).get("usage"), (usage == 1).then_some(&Value::Null));
        }
        if usage == 1 {
            let last = json!({"id": "c-1", "choices": [], "usage": {"total_tokens": 3}});
            assert_eq!(chunk(&events[3]), last);
        }
    }
    assert_eq!(calls.count(), 1);
}

/// A50, A60: a stream stored with its usage serves plain requests, and streams that did not ask for
/// the usage, which then do not see it.
#[tokio::test]
async fn a_stream_with_usage_serves_all() {
    let (cache, calls) = (cache(), Calls::default());
    let reply = calls.ask(&cache, &plan(&cache, USAGE), streamed(&WITH_USAGE)).await;
    body(reply).await.unwrap();
    let answer = hit(calls.ask(&cache, &plan(&cache, ""), plain(200, "")).await);
    assert_eq!((answer.transport, answer.transcoded), (Transport::Plain, true));
    let expected = json!({"id": "c", "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "Hello"}}], "usage": {"total_tokens": 3}});
    assert_eq!(json(&answer.body), expected);
    let without = hit(calls.ask(&cache, &stream_plan(&cache), streamed(&[])).await);
    assert_eq!(
        without.body,
        WITH_USAGE.concat().replace(",\"usage\":null", "").replace(WITH_USAGE[3], "")
    );
    let same = hit(calls.ask(&cache, &plan(&cache, USAGE), streamed(&[])).await);
    assert_eq!((same.body, same.transcoded), (WITH_USAGE.concat().into(), false));
    assert_eq!(calls.count(), 1);
}

/// F10: a stream without usage serves neither plain requests nor streams with it: the provider is
/// asked once more, and that answer then serves all three.
#[tokio::test]
async fn what_cannot_be_transcoded_is_replaced() {
    for (members, answer) in [("", plain(200, HELLO)), (USAGE, streamed(&WITH_USAGE))] {
        let (cache, calls) = (cache(), Calls::default());
        body(calls.ask(&cache, &stream_plan(&cache), streamed(&EVENTS)).await).await.unwrap();
        body(calls.ask(&cache, &plan(&cache, members), answer).await).await.unwrap();
        assert_eq!(calls.count(), 2);
        for members in ["", USAGE, r#","stream":true"#] {
            hit(calls.ask(&cache, &plan(&cache, members), plain(500, "")).await);
        }
    }
}

/// What is no good answer takes no entry's place.
#[tokio::test]
async fn a_bad_answer_replaces_nothing() {
    let (cache, calls) = (cache(), Calls::default());
    body(calls.ask(&cache, &stream_plan(&cache), streamed(&EVENTS)).await).await.unwrap();
    for (members, answer) in [("", plain(500, "")), (USAGE, streamed(&WITH_USAGE[..3]))] {
        body(calls.ask(&cache, &plan(&cache, members), answer).await).await.unwrap();
    }
    let kept = hit(calls.ask(&cache, &stream_plan(&cache), streamed(&[])).await);
    assert_eq!(kept.body, EVENTS.concat());
}

/// A43: plain requests that find an entry that does not serve them make one call together, and share
/// what it brings, good or bad.
#[tokio::test]
async fn those_who_replace_share_a_call() {
    let (cache, calls) = (cache(), Calls::default());
    body(calls.ask(&cache, &stream_plan(&cache), streamed(&EVENTS)).await).await.unwrap();
    let plan = plan(&cache, "");
    for status in [429, 200] {
        let (tell, told) = oneshot::channel::<Answer>();
        let mut leader = Box::pin(cache.answer(&plan, CacheMode::Use, || async {
            Ok(told.await.expect("the test sends it"))
        }));
        assert!(poll(&mut leader).await.is_pending());
        let mut follower = Box::pin(calls.ask(&cache, &plan, plain(200, "never")));
        assert!(poll(&mut follower).await.is_pending());
        tell.send(plain(status, HELLO)).ok().unwrap();
        assert_eq!(passed(leader.await.unwrap()).status, status);
        if status == 200 {
            let hit = hit(follower.await);
            assert_eq!((hit.source, hit.body), (Source::Collapsed, HELLO.into()));
        } else {
            assert_eq!(passed(follower.await).status, status);
        }
    }
    assert_eq!(calls.count(), 1, "only the stream's own");
    assert_eq!(cache.streams_in_flight(), 0);
}

/// A43: a plain request that comes while a stream with usage is under way waits for its end and makes
/// no call; if the stream fails it makes its own.
#[tokio::test]
async fn a_plain_request_waits_for_a_stream() {
    for ends_well in [true, false] {
        let (cache, calls) = (cache(), Calls::default());
        let (feed, answer) = fed_stream();
        let first = passed(calls.ask(&cache, &plan(&cache, USAGE), answer).await);
        send(&feed, WITH_USAGE[0]).await;
        let plan = plan(&cache, "");
        let mut waiting = Box::pin(calls.ask(&cache, &plan, plain(200, HELLO)));
        assert!(poll(&mut waiting).await.is_pending());
        drop(first); // whose client goes: the waiting one keeps the stream going
        let feeding = async {
            for event in &WITH_USAGE[1..if ends_well { 5 } else { 3 }] {
                send(&feed, event).await;
            }
            drop(feed);
        };
        let (answer, ()) = tokio::join!(waiting, feeding);
        if ends_well {
            let answer = hit(answer);
            assert_eq!((answer.source, answer.transport), (Source::Collapsed, Transport::Plain));
            assert_eq!(json(&answer.body)["choices"][0]["message"]["content"], "Hello");
        } else {
            assert_eq!(read(passed(answer).body).await.unwrap(), HELLO);
        }
        assert_eq!(calls.count(), if ends_well { 1 } else { 2 });
        assert_eq!((cache.streams_in_flight(), cache.dual().in_flight()), (0, 0));
    }
}

/// A97: a stream waits for nobody: neither for a plain answer under way, nor for a stream that was
/// asked for otherwise. So one call a transport.
#[tokio::test]
async fn a_stream_waits_for_no_plain_answer() {
    let (cache, calls) = (cache(), Calls::default());
    let plan_plain = plan(&cache, "");
    let (tell, told) = oneshot::channel::<Answer>();
    let mut pending = Box::pin(cache.answer(&plan_plain, CacheMode::Use, || async {
        Ok(told.await.expect("the test sends it"))
    }));
    assert!(poll(&mut pending).await.is_pending());
    let (_feed, answer) = fed_stream();
    let _first = passed(calls.ask(&cache, &stream_plan(&cache), answer).await);
    let other = calls.ask(&cache, &plan(&cache, USAGE), streamed(&WITH_USAGE)).await;
    assert_eq!(body(other).await.unwrap(), WITH_USAGE.concat());
    tell.send(plain(200, HELLO)).ok().unwrap();
    passed(pending.await.unwrap());
    assert_eq!(calls.count(), 2);
}

/// A34: nothing of a stream that began before a removal reaches a plain request that came after it.
#[tokio::test]
async fn no_waiting_for_what_was_removed() {
    let (cache, calls) = (cache(), Calls::default());
    let (feed, answer) = fed_stream();
    let first = passed(calls.ask(&cache, &plan(&cache, USAGE), answer).await);
    send(&feed, WITH_USAGE[0]).await;
    let plan = plan(&cache, "");
    cache.remove(plan.key()).await.unwrap();
    let after = calls.ask(&cache, &plan, plain(200, HELLO));
    let after = tokio::time::timeout(Duration::from_secs(5), after).await;
    let after = passed(after.expect("it does not wait for the stream"));
    assert_eq!(read(after.body).await.unwrap(), HELLO);
    drop((first, feed));
    while cache.streams_in_flight() > 0 {
        yield_now().await;
    }
}

/// A52: a stream whose parts could be joined in two ways is stored and serves streams, never a plain
/// request.
#[tokio::test]
async fn no_guesses() {
    let (cache, calls) = (cache(), Calls::default());
    let odd = [
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\",\"new\":\"x\"}}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\",\"new\":\"x\"},\"finish_reason\":\"stop\"}]}\n\n",
        WITH_USAGE[3],
        WITH_USAGE[4],
    ];
    body(calls.ask(&cache, &plan(&cache, USAGE), streamed(&odd)).await).await.unwrap();
    assert_eq!(
        hit(calls.ask(&cache, &plan(&cache, USAGE), streamed(&[])).await).body,
        odd.concat()
    );
    passed(calls.ask(&cache, &plan(&cache, ""), plain(200, HELLO)).await);
}

/// A7, A50: obfuscation is padding: whoever refuses it does not get it, and nothing else changes.
/// Only the provider can add it.
#[tokio::test]
async fn obfuscation() {
    let (cache, calls) = (cache(), Calls::default());
    let padded = [
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}],\"obfuscation\":\"xyz\"}\n\n",
        ": comment\n\n",
        "data: [DONE]\n\n",
    ];
    let without = plan(&cache, r#","stream":true,"stream_options":{"include_obfuscation":false}"#);
    let with = plan(&cache, r#","stream":true,"stream_options":{"include_obfuscation":true}"#);
    body(calls.ask(&cache, &stream_plan(&cache), streamed(&padded)).await).await.unwrap();
    let bare = hit(calls.ask(&cache, &without, streamed(&[])).await);
    assert_eq!(bare.body, padded.concat().replace(",\"obfuscation\":\"xyz\"", ""));
    assert_eq!(hit(calls.ask(&cache, &with, streamed(&[])).await).body, padded.concat());
    // Of a plain answer, or of a stream that was recorded without it.
    for first in ["", r#","stream":true,"stream_options":{"include_obfuscation":false}"#] {
        let cache = common::cache();
        let answer = if first.is_empty() { plain(200, HELLO) } else { streamed(&EVENTS) };
        body(calls.ask(&cache, &plan(&cache, first), answer).await).await.unwrap();
        passed(calls.ask(&cache, &with, streamed(&padded)).await);
    }
}

/// The other dialects too: messages and responses need no usage option.
#[tokio::test]
async fn every_dialect() {
    let message = [
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n",
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":2}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ];
    let response = [
        "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"r\",\"status\":\"in_progress\",\"output\":[]}}\n\n",
        "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":1,\"response\":{\"id\":\"r\",\"error\":null,\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"id\":\"m\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hi\",\"annotations\":[]}]}],\"usage\":{\"total_tokens\":3}}}\n\n",
    ];
    let completion = [
        "data: {\"id\":\"c\",\"object\":\"text_completion\",\"choices\":[{\"index\":0,\"text\":\"H\",\"finish_reason\":null}]}\n\n",
        "data: {\"id\":\"c\",\"object\":\"text_completion\",\"choices\":[{\"index\":0,\"text\":\"i\",\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"id\":\"c\",\"object\":\"text_completion\",\"choices\":[],\"usage\":{\"total_tokens\":3}}\n\n",
        "data: [DONE]\n\n",
    ];
    let cases: [(_, &str, &[&str], Value); 3] = [
        (
            EndpointKind::Messages,
            "",
            &message,
            json!({"id": "msg", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 5, "output_tokens": 2}}),
        ),
        (
            EndpointKind::Responses,
            "",
            &response,
            json!({"id": "r", "error": null, "status": "completed", "output": [{"type": "message", "id": "m", "content": [{"type": "output_text", "text": "Hi", "annotations": []}]}], "usage": {"total_tokens": 3}}),
        ),
        (
            EndpointKind::Completions,
            r#","stream_options":{"include_usage":true}"#,
            &completion,
            json!({"id": "c", "object": "text_completion", "choices": [{"index": 0, "text": "Hi", "finish_reason": "stop"}], "usage": {"total_tokens": 3}}),
        ),
    ];
    for (kind, options, events, expected) in cases {
        let (cache, calls) = (cache(), Calls::default());
        let members = r#""model":"m","max_tokens":9,"prompt":"a""#;
        let stream = plan_of(&cache, kind, &format!(r#"{{{members},"stream":true{options}}}"#));
        let plain_plan = plan_of(&cache, kind, &format!("{{{members}}}"));
        let events: Vec<&'static str> =
            events.iter().map(|event| &*event.to_string().leak()).collect();
        body(calls.ask(&cache, &stream, streamed(&events)).await).await.unwrap();
        let again = hit(calls.ask(&cache, &stream, streamed(&[])).await);
        assert_eq!((again.body, again.transcoded), (events.concat().into(), false), "{kind}");
        let answer = hit(calls.ask(&cache, &plain_plan, plain(200, "")).await);
        assert_eq!(json(&answer.body), expected, "{kind}");
        // And the other way.
        let cache = common::cache();
        passed(calls.ask(&cache, &plain_plan, plain(200, answer.body.clone())).await);
        let replayed = hit(calls.ask(&cache, &stream, streamed(&[])).await);
        assert!(replayed.transcoded);
        let mut cut_off: Vec<_> = replayed.into_stream().map(Result::unwrap).collect().await;
        assert!(cut_off.len() > 2, "{kind}: in one piece");
        // A stream without its end is not stored.
        cut_off.pop();
        let cache = common::cache();
        let cut_off: &'static str = String::from_utf8(cut_off.concat()).unwrap().leak();
        let reply = calls.ask(&cache, &stream, streamed(&[cut_off])).await;
        body(reply).await.unwrap();
        passed(calls.ask(&cache, &stream, streamed(&[])).await);
    }
}

/// Streams are given out as they were recorded, cut anew, or at the pace of a model.
#[tokio::test(start_paused = true)]
async fn replay_options() {
    let build = |options| -> Cache {
        let dual = DualCache::builder().build().unwrap();
        LlmCache::builder(dual).replay(options).build().unwrap()
    };
    let characters = |count| Chunking::Characters(std::num::NonZeroUsize::new(count).unwrap());
    let rate = NonZeroU32::new(10);
    let cases = [
        (ReplayOptions::default(), 5, 0),
        (ReplayOptions { chunking: characters(1), ..ReplayOptions::default() }, 9, 0),
        (ReplayOptions { tokens_per_second: rate, ..ReplayOptions::default() }, 5, 400),
        (ReplayOptions { chunking: characters(5), tokens_per_second: rate }, 5, 800),
    ];
    for (options, events, millis) in cases {
        let (cache, calls) = (build(options), Calls::default());
        let plan = plan(&cache, USAGE);
        body(calls.ask(&cache, &plan, streamed(&WITH_USAGE)).await).await.unwrap();
        let begin = Instant::now();
        let hit = hit(calls.ask(&cache, &plan, streamed(&[])).await);
        let mut stream = hit.into_stream();
        let first = stream.next().await.unwrap().unwrap();
        assert_eq!(begin.elapsed(), Duration::ZERO, "the first event waits for nothing");
        let rest: Vec<_> = stream.map(Result::unwrap).collect().await;
        assert_eq!(begin.elapsed().as_millis(), millis, "{options:?}");
        assert_eq!(1 + rest.len(), events, "{options:?}");
        assert!(first.starts_with(b"data: {\"id\":\"c\""));
        // Whatever the pieces, it is the same answer.
        let all = [&[first], &*rest].concat().concat();
        let kind = cache_llm::AnswerKind::Chat;
        let (one, two) = (
            cache_llm::transcode::to_plain(kind, &all).unwrap(),
            cache_llm::transcode::to_plain(kind, WITH_USAGE.concat().as_bytes()).unwrap(),
        );
        assert_eq!(json(&one), json(&two));
    }
}

/// What is padded for its reader is not cut anew, which would take the padding out.
#[tokio::test]
async fn padding_is_not_cut_away() {
    let replay: cache_llm::ReplayOptions =
        serde_json::from_str(r#"{"chunking": {"characters": 1}}"#).unwrap();
    let dual = DualCache::builder().build().unwrap();
    let cache: Cache = LlmCache::builder(dual).replay(replay).build().unwrap();
    let padded = [
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"abc\"},\"finish_reason\":\"stop\"}],\"obfuscation\":\"xyz\"}\n\n",
        "data: {\"choices\":[],\"usage\":{\"total_tokens\":1},\"obfuscation\":\"x\"}\n\n",
        "data: [DONE]\n\n",
    ];
    let asked = |obfuscation: bool| {
        let options = format!(r#"{{"include_usage":true,"include_obfuscation":{obfuscation}}}"#);
        plan(&cache, &format!(r#","stream":true,"stream_options":{options}"#))
    };
    let calls = Calls::default();
    body(calls.ask(&cache, &asked(true), streamed(&padded)).await).await.unwrap();
    let again = hit(calls.ask(&cache, &asked(true), streamed(&[])).await);
    assert_eq!(again.body, padded.concat());
    let bare = hit(calls.ask(&cache, &asked(false), streamed(&[])).await);
    assert!(bare.body.windows(13).any(|part| part == br#""content":"b""#), "cut anew");
}
