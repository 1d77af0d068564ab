//! What the acceptance list and the judging sheet ask of this crate and no other file here shows by name.

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache_conformance::MemoryRemote;
use cache_core::{CodecId, RemoteTier};
use cache_dual::codec::Raw;
use cache_dual::{CacheKey, DualCache, SystemClock};
use cache_llm::{Bypass, CacheMode, EndpointKind, KeyScope, LlmCache, Plan, RequestPolicy, Tenant};
use common::*;
use futures_util::StreamExt;
use tokio::sync::oneshot;

const MESSAGE: &str = r#"{"role":"user","content":"Hi"}"#;

fn chat_key(cache: &Cache, messages: &str, members: &str) -> CacheKey {
    let body = format!(r#"{{"model":"m","messages":[{messages}]{members}}}"#);
    *chat_plan(cache, &body, &KeyScope::new(Tenant::Shared)).key()
}

fn chat_plan(cache: &Cache, body: &str, scope: &KeyScope) -> Plan {
    let plan = cache.prepare(EndpointKind::ChatCompletions, body.as_bytes(), scope);
    plan.unwrap_or_else(|reason| panic!("{reason}: {body}"))
}

/// A2, F1; rivals 1D 3: each member of a chat request alone makes another key, and so does each of its
/// values.
#[test]
fn every_member_counts() {
    let cache = cache();
    let members: &[(&str, &[&str])] = &[
        ("temperature", &["0", "0.7", "0.700001", "0.004", r#""0""#]),
        ("top_p", &["0", "0.9", "1"]),
        ("top_k", &["1", "2"]),
        ("max_tokens", &["1", "2"]),
        ("max_completion_tokens", &["1", "2"]),
        ("n", &["1", "2"]),
        ("stop", &[r#""a""#, r#""b""#, r#"["a"]"#, r#"["a","b"]"#, r#"["b","a"]"#]),
        ("presence_penalty", &["0", "1"]),
        ("frequency_penalty", &["0", "1"]),
        ("seed", &["1", "2", "9007199254740992", "9007199254740993"]),
        ("logit_bias", &[r#"{"1":1}"#, r#"{"1":2}"#, r#"{"2":1}"#]),
        ("logprobs", &["true", "false"]),
        ("top_logprobs", &["1", "2"]),
        (
            "response_format",
            &[
                r#"{"type":"text"}"#,
                r#"{"type":"json_object"}"#,
                r#"{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object"}}}"#,
                r#"{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object","properties":{"a":{"type":"string"}}}}}"#,
                r#"{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object","properties":{"a":{"type":"number"}}}}}"#,
            ],
        ),
        (
            "tools",
            &[
                "[]",
                r#"[{"type":"function","function":{"name":"f","parameters":{}}}]"#,
                r#"[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]"#,
                r#"[{"type":"function","function":{"name":"g","parameters":{}}}]"#,
            ],
        ),
        (
            "tool_choice",
            &[r#""auto""#, r#""none""#, r#"{"type":"function","function":{"name":"f"}}"#],
        ),
        ("parallel_tool_calls", &["true", "false"]),
        ("functions", &[r#"[{"name":"f"}]"#, r#"[{"name":"g"}]"#]),
        ("function_call", &[r#""auto""#, r#""none""#]),
        ("modalities", &[r#"["text"]"#, r#"["text","audio"]"#]),
        ("audio", &[r#"{"voice":"ash"}"#, r#"{"voice":"alloy"}"#]),
        ("reasoning_effort", &[r#""low""#, r#""high""#]),
        ("reasoning", &[r#"{"max_tokens":1}"#, r#"{"max_tokens":2}"#]),
        ("thinking", &[r#"{"budget_tokens":1}"#, r#"{"budget_tokens":2}"#]),
        ("service_tier", &[r#""auto""#, r#""flex""#]),
        ("prediction", &[r#"{"content":"a"}"#, r#"{"content":"b"}"#]),
        ("provider", &[r#"{"order":["a","b"]}"#, r#"{"order":["b","a"]}"#]),
        ("metadata", &[r#"{"a":"1"}"#, r#"{"a":"2"}"#]),
        ("user", &[r#""a""#, r#""b""#]),
        ("invented_tomorrow", &["null", "1", "2", r#"{"stream":true}"#, r#"{"stream":false}"#]),
    ];
    let mut keys = vec![(String::new(), chat_key(&cache, MESSAGE, ""))];
    for (name, values) in members {
        for value in *values {
            let member = format!(r#","{name}":{value}"#);
            let key = chat_key(&cache, MESSAGE, &member);
            keys.push((member, key));
        }
    }
    let messages = [
        r#"{"role":"system","content":"Hi"}"#,
        r#"{"role":"user","content":"Hi "}"#,
        r#"{"role":"user","content":"hi"}"#,
        r#"{"role":"user","name":"a","content":"Hi"}"#,
        r#"{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"image_url","image_url":{"url":"u"}}]}"#,
        r#"{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"image_url","image_url":{"url":"v"}}]}"#,
        r#"{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"input_audio","input_audio":{"data":"u"}}]}"#,
        r#"{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}]}"#,
        r#"{"role":"assistant","tool_calls":[{"id":"d","function":{"name":"f","arguments":"{}"}}]}"#,
        r#"{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{ }"}}]}"#,
        r#"{"role":"tool","tool_call_id":"c","content":"Hi"}"#,
        r#"{"role":"tool","tool_call_id":"d","content":"Hi"}"#,
    ];
    keys.extend(messages.map(|message| (message.to_owned(), chat_key(&cache, message, ""))));
    for (at, (one, key)) in keys.iter().enumerate() {
        for (other, other_key) in &keys[..at] {
            assert_ne!(key, other_key, "{one} and {other}");
        }
    }
}

/// A2, A48: so do the model and everything beside the body.
#[test]
fn everything_beside_the_members_counts() {
    let cache = cache();
    let scope = || KeyScope::new(Tenant::named("t")).provider("p").base_url("u");
    let body = |model: &str| format!(r#"{{"model":"{model}","messages":[],"prompt":""}}"#);
    let key = |kind, model, scope: &KeyScope| {
        *cache.prepare(kind, body(model).as_bytes(), scope).expect("it is cached").key()
    };
    let chat = EndpointKind::ChatCompletions;
    let keys = [
        key(chat, "m", &scope()),
        key(chat, "M", &scope()),
        key(EndpointKind::Completions, "m", &scope()),
        key(chat, "m", &scope().provider("q")),
        key(chat, "m", &scope().base_url("v")),
        key(chat, "m", &scope().namespace("n")),
        key(chat, "m", &scope().header("openai-beta", "b")),
        key(chat, "m", &KeyScope::new(Tenant::named("T")).provider("p").base_url("u")),
    ];
    for (at, one) in keys.iter().enumerate() {
        assert!(!keys[..at].contains(one), "{at}");
    }
}

/// A57, as far as it goes without a tier that matches by meaning: what is shorter than the least size is
/// not cached, and nothing that is only alike shares an answer, be it as alike as two images.
#[test]
fn short_requests_pass_and_alike_is_not_equal() {
    let dual = DualCache::builder().build().expect("good options");
    let policy = RequestPolicy::default().min_body(100);
    let cache: Cache = LlmCache::builder(dual).request_policy(policy).build().expect("as well");
    let scope = KeyScope::new(Tenant::named("t"));
    let body = |model: &str, image: &str, members: &str| {
        format!(
            r#"{{"model":"{model}","messages":[{{"role":"user","content":[{{"type":"text","text":"What is it?"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{image}"}}}}]}}]{members}}}"#
        )
    };
    let key = |body: &str, scope: &KeyScope| *chat_plan(&cache, body, scope).key();
    let one = body("m", "AAAA", r#","temperature":0"#);
    for other in [
        body("n", "AAAA", r#","temperature":0"#),
        body("m", "AAAB", r#","temperature":0"#),
        body("m", "AAAA", r#","temperature":0.1"#),
    ] {
        assert_ne!(key(&one, &scope), key(&other, &scope), "{other}");
    }
    assert_ne!(key(&one, &scope), key(&one, &KeyScope::new(Tenant::named("u"))));

    let short = br#"{"model":"m","messages":[]}"#;
    let bypass = cache.prepare(EndpointKind::ChatCompletions, short, &scope).unwrap_err();
    assert_eq!(bypass, Bypass::TooSmall { limit: 100 });
}

/// A7: what identifies a request or shapes a stream is no part of its key, at the top level and in
/// `extra_body`; the same names anywhere else are.
#[test]
fn transport_members_count_elsewhere_only() {
    let cache = cache();
    let key = |members: &str| chat_key(&cache, MESSAGE, members);
    assert_eq!(key(r#","request_id":"a""#), key(""));
    assert_eq!(key(r#","request_id":"a","stream_options":{"include_usage":true}"#), key(""));
    let extra = |members: &str| key(&format!(r#","extra_body":{{"x":1{members}}}"#));
    assert_eq!(extra(r#","request_id":"a""#), extra(""));
    assert_ne!(extra(r#","top_k":1"#), extra(""));
    for name in ["request_id", "stream", "stream_options"] {
        let schema = |value: &str| {
            key(&format!(
                r#","tools":[{{"type":"function","function":{{"name":"f","parameters":{{"properties":{{"{name}":{value}}}}}}}}}]"#
            ))
        };
        let one = schema(r#"{"type":"string"}"#);
        assert_ne!(one, schema(r#"{"type":"object"}"#), "{name}");
        assert_ne!(one, schema("null"), "{name}");
    }
}

/// A8: the order of messages, of stop texts and of inputs is part of the question, and tokens are by value.
#[test]
fn order_counts() {
    let cache = cache();
    let (one, two) = (r#"{"role":"user","content":"1"}"#, r#"{"role":"user","content":"2"}"#);
    let key = |first: &str, second: &str| chat_key(&cache, &format!("{first},{second}"), "");
    assert_ne!(key(one, two), key(two, one));
    let stop = |list: &str| chat_key(&cache, MESSAGE, &format!(r#","stop":{list}"#));
    assert_ne!(stop(r#"["a","b"]"#), stop(r#"["b","a"]"#));
    let scope = KeyScope::new(Tenant::Shared);
    let inputs = |list: &str| {
        let body = format!(r#"{{"model":"m","input":{list}}}"#);
        cache
            .prepare(EndpointKind::Embeddings, body.as_bytes(), &scope)
            .expect("it is cached")
            .keys()
    };
    assert_ne!(inputs(r#"["a","b"]"#), inputs(r#"["b","a"]"#));
    assert_ne!(inputs("[1,2]"), inputs("[2,1]"));
    assert_ne!(inputs("[1,2]"), inputs("[12]"));
    assert_ne!(inputs("[1,2]"), inputs("[[1],[2]]"));
    assert_eq!(inputs("[1,2]"), inputs("[1, 2.0]"));
}

/// Rivals 1D 4: what the provider's contract says is equal shares an entry; two members of one name are no
/// request that could have a key.
#[test]
fn equal_requests_share() {
    let cache = cache();
    let scope = KeyScope::new(Tenant::Shared);
    let key = |body: &str| *chat_plan(&cache, body, &scope).key();
    let plain =
        key(r#"{"model":"m","messages":[{"role":"user","content":"é"}],"temperature":0,"n":1}"#);
    for same in [
        r#"{"n":1,"temperature":0,"messages":[{"content":"é","role":"user"}],"model":"m"}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"é"}],"temperature":0.0,"n":1e0}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"é"}],"temperature":-0,"n":1,"seed":null}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"\u00e9"}],"temperature":0,"n":1}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"é"}],"temperature":0,"n":1,"stream":true}"#,
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"é"}]}],"temperature":0,"n":1}"#,
        "{ \"model\" : \"m\",\n\"messages\":[{\"role\":\"user\",\"content\":\"é\"}],\t\"temperature\":0,\"n\":1}",
    ] {
        assert_eq!(key(same), plain, "{same}");
    }
    // No folding of Unicode, no trimming.
    assert_ne!(
        key(
            "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"e\u{301}\"}],\"temperature\":0,\"n\":1}"
        ),
        plain
    );
    let twice = br#"{"model":"m","messages":[],"n":1,"\u006e":1}"#;
    let refused = cache.prepare(EndpointKind::ChatCompletions, twice, &scope);
    assert!(matches!(refused, Err(Bypass::NotCanonical(_))), "{refused:?}");
}

/// A48: two base URLs, or two tenants, never share a call that is under way, plain or streamed.
#[tokio::test]
async fn places_share_no_flight() {
    for members in ["", r#","stream":true"#] {
        let (cache, calls) = (cache(), Calls::default());
        let body = format!(r#"{{"model":"m","messages":[]{members}}}"#);
        let scope = |tenant, url| KeyScope::new(Tenant::named(tenant)).base_url(url);
        let answer = || if members.is_empty() { plain(200, HELLO) } else { streamed(&EVENTS) };
        let first = chat_plan(&cache, &body, &scope("one", "http://a"));
        let (tell, told) = oneshot::channel::<Answer>();
        let mut leader = Box::pin(cache.answer(&first, CacheMode::Use, || async {
            Ok(told.await.expect("the test sends it"))
        }));
        assert!(poll(&mut leader).await.is_pending());
        for (other, made) in [(scope("one", "http://b"), 1), (scope("two", "http://a"), 2)] {
            let other = chat_plan(&cache, &body, &other);
            let reply = passed(calls.ask(&cache, &other, answer()).await);
            assert!(!reply.collapsed);
            read(reply.body).await.expect("nothing breaks");
            assert_eq!(calls.count(), made, "a call of its own");
        }
        assert!(tell.send(answer()).is_ok());
        let reply = passed(leader.await.expect("it is answered"));
        read(reply.body).await.expect("nothing breaks");
        assert_eq!((cache.streams_in_flight(), cache.dual().in_flight()), (0, 0));
    }
}

/// Rivals 1D 1: of 20 streams at once, one call; each has the first event, and every one after it, before
/// the next is sent and before any time has passed. (What that takes on a real clock is in the suite `llm`.)
#[tokio::test(start_paused = true)]
async fn followers_have_the_first_event_at_once() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = stream_plan(&cache);
    let (feed, answer) = fed_stream();
    let started = tokio::time::Instant::now();
    let mut bodies = vec![passed(calls.ask(&cache, &plan, answer).await).body.into_stream()];
    for _ in 1..20 {
        let follower = passed(calls.ask(&cache, &plan, streamed(&[])).await);
        assert!(follower.collapsed);
        bodies.push(follower.body.into_stream());
    }
    for event in EVENTS {
        send(&feed, event).await;
        for body in &mut bodies {
            let next = tokio::time::timeout(Duration::from_millis(5), body.next()).await;
            let next = next.expect("within 5 ms").expect("not the end").expect("nothing breaks");
            assert_eq!(next, event);
        }
    }
    assert_eq!((started.elapsed(), calls.count()), (Duration::ZERO, 1));
    drop(feed);
    for body in &mut bodies {
        assert!(body.next().await.is_none());
    }
}

/// A113: an answer stands in the remote tier as the bytes that it is, and its codec is noted with it.
#[tokio::test]
async fn entries_say_their_codec() {
    let remote = Arc::new(MemoryRemote::new(Arc::new(SystemClock)));
    let dual = DualCache::builder().remote(Arc::<MemoryRemote>::clone(&remote), Raw).build();
    let cache: Cache = LlmCache::builder(dual.expect("it is good")).build().expect("so is this");
    let (calls, plan) = (Calls::default(), plan(&cache, ""));
    body(calls.ask(&cache, &plan, plain(200, HELLO)).await).await.expect("nothing breaks");
    let entry = remote.get(plan.key()).await.expect("it is up").entry.expect("it is there");
    assert_eq!(entry.value.codec, CodecId::RAW);
    assert!(entry.value.bytes.ends_with(HELLO.as_bytes()), "byte for byte");
}

/// Rivals 1D 13: a request of 5 MB gets its key without a second copy of it.
#[test]
fn large_bodies_are_not_copied() {
    let cache = cache();
    let image = "A".repeat(5 << 20);
    let body = Bytes::from(format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"text","text":"What is it?"}},{{"type":"image_url","image_url":{{"url":"data:image/jpeg;base64,{image}"}}}}]}}]}}"#
    ));
    let scope = KeyScope::new(Tenant::Shared);
    let prepare = || cache.prepare(EndpointKind::ChatCompletions, &body, &scope).map(drop);
    prepare().expect("it is cached"); // and what is allocated once is
    let allocated = allocation_counter::measure(|| prepare().expect("it is cached"));
    assert!(allocated.bytes_max < 64 << 10, "{} bytes at once", allocated.bytes_max);
}
