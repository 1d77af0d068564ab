//! Streams as providers send them, one event a chunk.

use std::iter;

use bytes::Bytes;
use cache_key::EndpointKind;
use serde_json::{Value, json};

use super::questions::MODEL;

/// A kind of stream.
pub(super) struct Stream {
    pub(super) name: &'static str,
    pub(super) kind: EndpointKind,
    pub(super) events: Vec<Bytes>,
}

/// Streams of so many events.
pub(super) fn streams(count: usize) -> [Stream; 5] {
    let chat = EndpointKind::ChatCompletions;
    let text = |number| json!({"content": format!(" word{number}")});
    let thought = |number| json!({"content": null, "reasoning_content": format!(" word{number}")});
    [
        Stream { name: "chat completions", kind: chat, events: chat_events(count, text, "stop") },
        Stream {
            name: "the same, of thoughts",
            kind: chat,
            events: chat_events(count, thought, "stop"),
        },
        Stream {
            name: "the same, calling a tool",
            kind: chat,
            events: chat_events(count, call, "tool_calls"),
        },
        Stream {
            name: "Anthropic messages",
            kind: EndpointKind::Messages,
            events: message_events(count),
        },
        Stream { name: "responses", kind: EndpointKind::Responses, events: response_events(count) },
    ]
}

/// The events of a chat completion.
pub(super) fn chat(count: usize) -> Vec<Bytes> {
    chat_events(count, |number| json!({"content": format!(" word{number}")}), "stop")
}

/// The body of a request for a stream, another one for each `number`.
pub(super) fn request(kind: EndpointKind, number: usize) -> Vec<u8> {
    let asked = number.to_string();
    let messages = json!([{"role": "user", "content": asked}]);
    let body = match kind {
        EndpointKind::Messages => {
            json!({"model": MODEL, "stream": true, "max_tokens": 9_000, "messages": messages})
        }
        EndpointKind::Responses => {
            json!({"model": MODEL, "stream": true, "store": false, "input": asked})
        }
        _ => json!({"model": MODEL, "stream": true, "messages": messages}),
    };
    body.to_string().into_bytes()
}

/// A fragment of an array of texts, whose quotes are escaped; the last one ends it.
fn call(number: usize) -> Value {
    let part = match number {
        0 => "[\"word0\"".to_owned(),
        LAST => "]".to_owned(),
        _ => format!(",\"word{number}\""),
    };
    json!({"tool_calls": [{"index": 0, "function": {"arguments": part}}]})
}

/// The number of the last delta, whichever it is.
const LAST: usize = usize::MAX;

fn chat_events(count: usize, delta: impl Fn(usize) -> Value, reason: &str) -> Vec<Bytes> {
    let chunk = |delta: Value, reason: Option<&str>| {
        let chunk = json!({
            "id": "chatcmpl-0", "object": "chat.completion.chunk", "created": 1_790_000_000,
            "model": MODEL, "system_fingerprint": "fp_0123456789",
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        });
        Bytes::from(format!("data: {chunk}\n\n"))
    };
    let said = (0..count - 4).map(|number| chunk(delta(number), None));
    let first = chunk(json!({"role": "assistant", "content": "So:"}), None);
    let last = chunk(delta(LAST), None);
    let end = [chunk(json!({}), Some(reason)), Bytes::from("data: [DONE]\n\n")];
    iter::once(first).chain(said).chain([last]).chain(end).collect()
}

/// An event that is named within its data, too.
fn named(data: &Value) -> Bytes {
    let name = data["type"].as_str().expect("it has a type");
    format!("event: {name}\ndata: {data}\n\n").into()
}

fn message_events(count: usize) -> Vec<Bytes> {
    let message = json!({
        "id": "msg_0", "type": "message", "role": "assistant", "model": MODEL, "content": [],
        "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 20, "output_tokens": 1},
    });
    let block = json!({"type": "text", "text": ""});
    let said = |number: usize| {
        let delta = json!({"type": "text_delta", "text": format!(" word{number}")});
        named(&json!({"type": "content_block_delta", "index": 0, "delta": delta}))
    };
    let begin = [
        named(&json!({"type": "message_start", "message": message})),
        named(&json!({"type": "content_block_start", "index": 0, "content_block": block})),
    ];
    let end = [
        named(&json!({"type": "content_block_stop", "index": 0})),
        named(&json!({
            "type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": count},
        })),
        named(&json!({"type": "message_stop"})),
    ];
    begin.into_iter().chain((0..count - 5).map(said)).chain(end).collect()
}

fn response_events(count: usize) -> Vec<Bytes> {
    let words = 0..count - 8;
    let text: String = words.clone().map(|number| format!(" word{number}")).collect();
    let part = |text: &str| json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text});
    let item = |status: &str, content: Vec<Value>| json!({"id": "msg_0", "type": "message", "status": status, "role": "assistant", "content": content});
    let response = |status: &str, output: Vec<Value>, usage: Value| {
        json!({
            "id": "resp_0", "object": "response", "created_at": 1_790_000_000, "status": status,
            "error": null, "incomplete_details": null, "model": MODEL, "output": output,
            "usage": usage,
        })
    };
    let begun = response("in_progress", vec![], Value::Null);
    let whole = item("completed", vec![part(&text)]);
    let usage = json!({"input_tokens": 20, "output_tokens": count});
    let ended = response("completed", vec![whole.clone()], usage);
    // What each event has beside its type and number.
    let place = json!({"item_id": "msg_0", "output_index": 0, "content_index": 0});
    let here = |mut more: Value| {
        for (name, value) in place.as_object().expect("it is one") {
            more[name] = value.clone();
        }
        more
    };
    let begin = [
        ("response.created", json!({"response": begun})),
        ("response.in_progress", json!({"response": begun})),
        (
            "response.output_item.added",
            json!({"output_index": 0, "item": item("in_progress", vec![])}),
        ),
        ("response.content_part.added", here(json!({"part": part("")}))),
    ];
    let said = words.map(|number| {
        let delta = format!(" word{number}");
        let noise = "x".repeat(1 + number % 16);
        let more = json!({"delta": delta, "logprobs": [], "obfuscation": noise});
        ("response.output_text.delta", here(more))
    });
    let end = [
        ("response.output_text.done", here(json!({"text": text, "logprobs": []}))),
        ("response.content_part.done", here(json!({"part": part(&text)}))),
        ("response.output_item.done", json!({"output_index": 0, "item": whole})),
        ("response.completed", json!({"response": ended})),
    ];
    let all = begin.into_iter().chain(said).chain(end);
    all.enumerate()
        .map(|(number, (kind, mut data))| {
            data["type"] = kind.into();
            data["sequence_number"] = number.into();
            named(&data)
        })
        .collect()
}
