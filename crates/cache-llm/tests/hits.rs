//! What hits look like: whose identity they bear, and whether they show reasoning and usage.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "helpers of tests")]

mod common;

use std::sync::Arc;

use bytes::Bytes;
use cache_core::{ManualClock, Timestamp};
use cache_dual::DualCache;
use cache_llm::transcode::{to_plain, to_stream};
use cache_llm::{
    AnswerKind, HitOptions, Identity, LlmCache, Reasoning, StreamOptions, Transport, UsageView,
};
use common::*;
use serde_json::{Value, json};

const STRIP: HitOptions = HitOptions {
    identity: Identity::Recorded,
    reasoning: Reasoning::Strip,
    usage: UsageView::Original,
};

/// A stream of `plain`, a few characters an event, as a stream of its own dialect has it.
fn stream_of(kind: AnswerKind, plain: &Value, piece: usize) -> Bytes {
    let options = StreamOptions { include_usage: true, ..StreamOptions::default() };
    to_stream(kind, plain.to_string().as_bytes(), options, piece.try_into().unwrap()).unwrap()
}

fn apply(options: HitOptions, kind: AnswerKind, transport: Transport, body: Bytes) -> Bytes {
    options.apply(kind, transport, body, 7).unwrap()
}

fn value(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

fn chat(message: Value) -> Value {
    json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
}

/// A59: what is stripped of a plain answer and of a stream of it, cut anywhere, is the same; nothing
/// of it is left in any event.
#[test]
fn reasoning_is_stripped_in_every_dialect() {
    let response = |output: Value| {
        json!({"id": "r", "object": "response", "created_at": 1, "status": "completed",
            "output": output, "usage": {"input_tokens": 1, "output_tokens": 2}})
    };
    let message = |content: Value| {
        json!({"id": "msg", "type": "message", "role": "assistant", "model": "m",
            "content": content, "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 1, "output_tokens": 2}})
    };
    let output_text = |text: &str| {
        json!({"type": "message", "id": "i", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}]})
    };
    let legacy = |text: &str| {
        json!({"id": "c", "object": "text_completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "text": text, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
    };
    let cases = [
        (
            AnswerKind::Chat,
            chat(
                json!({"role": "assistant", "content": "<think>SECRET\n</think>\n\nParis 1 < 2 <"}),
            ),
            chat(json!({"role": "assistant", "content": "Paris 1 < 2 <"})),
        ),
        (
            AnswerKind::Chat,
            chat(json!({"role": "assistant", "reasoning_content": "SECRET", "reasoning": "SECRET",
                "reasoning_details": [{"index": 0, "text": "SECRET"}], "content": "Paris"})),
            chat(json!({"role": "assistant", "content": "Paris"})),
        ),
        (
            AnswerKind::Chat,
            chat(json!({"role": "assistant", "content": "Paris <think>SECRET SECRET </thin"})),
            chat(json!({"role": "assistant", "content": "Paris "})),
        ),
        (AnswerKind::Completions, legacy("<think>SECRET</think> a <t"), legacy("a <t")),
        (
            AnswerKind::Messages,
            message(json!([{"type": "thinking", "thinking": "SECRET", "signature": "SECRET"},
                {"type": "redacted_thinking", "data": "SECRET"},
                {"type": "text", "text": "<think>SECRET</think>Hello <thi"},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}])),
            message(json!([{"type": "text", "text": "Hello <thi"},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}])),
        ),
        (
            AnswerKind::Responses,
            response(json!([{"type": "reasoning", "id": "rs",
                "summary": [{"type": "summary_text", "text": "SECRET"}],
                "content": [{"type": "reasoning_text", "text": "SECRET"}]},
                output_text("<think>SECRET</think>Hello <thi")])),
            response(json!([output_text("Hello <thi")])),
        ),
    ];
    for (kind, raw, expected) in cases {
        let plain = apply(STRIP, kind, Transport::Plain, raw.to_string().into());
        assert_eq!(value(&plain), expected, "{kind:?}");
        for piece in [1, 2, 3, 5, 8, 13, 100] {
            let stripped = apply(STRIP, kind, Transport::Stream, stream_of(kind, &raw, piece));
            let text = std::str::from_utf8(&stripped).unwrap();
            assert!(!text.contains("SECRET") && !text.contains("\"SE"), "{text}");
            assert_eq!(value(&to_plain(kind, &stripped).unwrap()), expected, "{kind:?} {piece}");
            if kind == AnswerKind::Responses {
                let numbers = text.lines().filter_map(|line| line.strip_prefix("data: "));
                for (at, event) in numbers.enumerate() {
                    assert_eq!(value(event.as_bytes())["sequence_number"], at, "{event}");
                }
            }
            // What a client puts together of the deltas alone.
            if kind == AnswerKind::Messages || kind == AnswerKind::Responses {
                let deltas = text.lines().filter_map(|line| line.strip_prefix("data: "));
                let deltas = deltas.map(|event| value(event.as_bytes())).filter_map(|event| {
                    match event["type"].as_str()? {
                        "content_block_delta" => Some(event["delta"]["text"].as_str()?.to_owned()),
                        "response.output_text.delta" => Some(event["delta"].as_str()?.to_owned()),
                        _ => None,
                    }
                });
                assert_eq!(deltas.collect::<String>(), "Hello <thi", "{kind:?} {piece}");
            }
        }
    }
}

/// Log probabilities spell the text that they are about.
#[test]
fn log_probabilities_go_with_what_they_spell() {
    let answer = |content: &str| {
        json!({"choices": [{"index": 0, "message": {"content": content}, "finish_reason": "stop",
            "logprobs": {"content": [{"token": "SECRET", "logprob": -0.1}]}}]})
    };
    let stripped = |content: &str| {
        let body = answer(content).to_string().into();
        value(&apply(STRIP, AnswerKind::Chat, Transport::Plain, body))
    };
    assert_eq!(stripped("<think>SECRET</think>a")["choices"][0]["logprobs"], Value::Null);
    assert_eq!(stripped("a"), answer("a"));
}

/// A59: stored raw, and stripped for the caller who wants it so, in both transports.
#[tokio::test]
async fn each_caller_has_a_flag() {
    let (cache, calls) = (cache(), Calls::default());
    let raw = HELLO.replace("Hello", "<think>Hm</think>Hello");
    let asked = plan(&cache, "");
    let first = passed(calls.ask(&cache, &asked, plain(200, raw.clone())).await);
    assert_eq!(read(first.body).await.unwrap(), raw, "answers that are no hits pass as they are");
    for _ in 0..2 {
        let stripping = asked.clone().with_hit_options(STRIP);
        let stripped = hit(calls.ask(&cache, &stripping, plain(200, "never")).await);
        assert_eq!(stripped.body, HELLO, "numbers as they were written");
        assert_eq!(hit(calls.ask(&cache, &asked, plain(200, "never")).await).body, raw);
    }
    let streaming = plan(&cache, r#","stream":true"#).with_hit_options(STRIP);
    let stream = hit(calls.ask(&cache, &streaming, plain(200, "never")).await);
    let text = String::from_utf8(stream.body.to_vec()).unwrap();
    assert!(text.contains("Hello") && !text.contains("Hm"), "{text}");
    assert_eq!(calls.count(), 1);
}

/// rivals.md, section 2 line 10: byte-exact by default; by option an id and a time of its own, the
/// same in every event, another one with every hit.
#[tokio::test]
async fn identity_by_option() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_millis(2_000_000_000_500)));
    let dual = DualCache::builder().clock(clock).build().unwrap();
    let fresh = HitOptions { identity: Identity::Fresh, ..HitOptions::default() };
    let cache: Cache = LlmCache::builder(dual).hits(fresh).build().unwrap();
    let calls = Calls::default();
    let mut answer = chat(json!({"role": "assistant", "content": "Paris"}));
    answer["id"] = json!("chatcmpl-abc");
    let asked = plan(&cache, "");
    passed(calls.ask(&cache, &asked, plain(200, answer.to_string())).await);
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let mut body = value(&hit(calls.ask(&cache, &asked, plain(200, "")).await).body);
        let id = body["id"].as_str().unwrap().to_owned();
        assert!(id.starts_with("chatcmpl-") && id.len() >= 32, "{id}");
        assert!(ids.insert(id), "each hit has its own");
        assert_eq!(body["created"], 2_000_000_000);
        (body["id"], body["created"]) = (json!("chatcmpl-abc"), json!(1));
        assert_eq!(body, answer, "nothing else is changed");
    }
    let streaming = plan(&cache, r#","stream":true"#);
    let stream = hit(calls.ask(&cache, &streaming, plain(200, "")).await).body;
    let text = std::str::from_utf8(&stream).unwrap();
    let events = text.lines().filter_map(|line| line.strip_prefix("data: {"));
    let events: Vec<_> = events.map(|event| value(format!("{{{event}").as_bytes())).collect();
    assert!(events.len() > 1 && events.iter().all(|event| event["created"] == 2_000_000_000));
    assert!(events.iter().all(|event| event["id"] == events[0]["id"]));
    assert!(ids.insert(events[0]["id"].as_str().unwrap().to_owned()));
    let exact = asked.with_hit_options(HitOptions::default());
    assert_eq!(hit(calls.ask(&cache, &exact, plain(200, "")).await).body, answer.to_string());
}

#[test]
fn identity_in_other_dialects() {
    let fresh = HitOptions { identity: Identity::Fresh, ..HitOptions::default() };
    let message = json!({"id": "msg_01", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 2}});
    let response = json!({"id": "resp_01", "object": "response", "created_at": 1,
        "status": "completed", "output": [], "usage": {"input_tokens": 1}});
    for (kind, answer) in [(AnswerKind::Messages, message), (AnswerKind::Responses, response)] {
        let stream = apply(fresh, kind, Transport::Stream, stream_of(kind, &answer, 4));
        let text = std::str::from_utf8(&stream).unwrap();
        assert!(!text.contains("msg_01") && !text.contains("resp_01"), "{text}");
        let plain = value(&to_plain(kind, &stream).unwrap());
        let prefix = if kind == AnswerKind::Messages { "msg_" } else { "resp_" };
        let id = plain["id"].as_str().unwrap();
        assert!(id.starts_with(prefix), "{id}");
        assert!(text.matches("\"id\":").count() == text.matches(id).count(), "one id: {text}");
        if kind == AnswerKind::Responses {
            assert_eq!(plain["created_at"], 7);
        }
    }
}

/// A60: the billing view has no tokens in any place of the body; the hit still tells them.
#[tokio::test]
async fn usage_can_be_zeroed() {
    let (cache, calls) = (cache(), Calls::default());
    let mut answer = chat(json!({"role": "assistant", "content": "Paris"}));
    answer["usage"]["cost"] = json!(0.5);
    answer["usage"]["completion_tokens_details"] = json!({"reasoning_tokens": 9, "x": null});
    let asked = plan(&cache, "");
    passed(calls.ask(&cache, &asked, plain(200, answer.to_string())).await);
    let zero = HitOptions { usage: UsageView::Zero, ..HitOptions::default() };
    let hit = hit(calls.ask(&cache, &asked.with_hit_options(zero), plain(200, "")).await);
    let usage = json!({"prompt_tokens": 0, "completion_tokens": 0, "cost": 0,
        "completion_tokens_details": {"reasoning_tokens": 0, "x": null}});
    assert_eq!(value(&hit.body)["usage"], usage);
    assert_eq!((hit.usage.input, hit.usage.reasoning), (Some(1), Some(9)));
    let message = json!({"id": "msg_01", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 2}});
    let stream = stream_of(AnswerKind::Messages, &message, 4);
    let stream = apply(zero, AnswerKind::Messages, Transport::Stream, stream);
    let plain = value(&to_plain(AnswerKind::Messages, &stream).unwrap());
    assert_eq!(plain["usage"], json!({"input_tokens": 0, "output_tokens": 0}));
}

/// What cannot be read cannot be stripped, so it is not served to those who want it stripped.
#[test]
fn no_guess_about_what_is_hidden() {
    let twice: Bytes = r#"{"choices":[],"a":1,"a":"<think>"}"#.into();
    assert!(STRIP.apply(AnswerKind::Chat, Transport::Plain, twice.clone(), 0).is_err());
    let kept = HitOptions::default().apply(AnswerKind::Chat, Transport::Plain, twice.clone(), 0);
    assert_eq!(kept.unwrap(), twice);
    assert!(serde_json::from_str::<HitOptions>(r#"{"reasoning":"drop"}"#).is_err());
    assert!(serde_json::from_str::<HitOptions>(r#"{"thoughts":"keep"}"#).is_err());
}

/// A59: a chunk that held reasoning goes only if it held nothing else, such as members that nobody has
/// heard of.
#[test]
fn chunks_that_say_more_stay() {
    let options = HitOptions { reasoning: Reasoning::Strip, ..HitOptions::default() };
    let chunk = |top: &str, choice: &str| {
        format!(
            "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"reasoning\":\"hm\"}}{choice}}}]{top}}}\n\n"
        )
    };
    for (top, choice, stays) in [
        ("", "", false),
        (r#","usage":null,"obfuscation":"x""#, r#","finish_reason":null"#, false),
        (r#","citations":["a"]"#, "", true),
        ("", r#","filter":{"a":1}"#, true),
        ("", r#","finish_reason":"stop""#, true),
    ] {
        let stream = chunk(top, choice) + "data: [DONE]\n\n";
        let edited = options.apply(AnswerKind::Chat, Transport::Stream, stream.into(), 0).unwrap();
        assert!(!edited.windows(4).any(|part| part == b"\"hm\""));
        assert_eq!(edited.starts_with(b"data: {"), stays, "{top} {choice}");
    }
}
