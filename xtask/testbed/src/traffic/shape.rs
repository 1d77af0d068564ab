//! The bodies, one function per shape. Each is a function of its arguments alone: what repeats is the
//! same to the last byte.

use serde_json::{Value, json};

use super::image::data_url;
use crate::random::Random;

/// Draws that belong to thing number `index` of a kind.
fn of(kind: u64, index: usize) -> Random {
    Random::new(kind << 32 | index as u64)
}

fn message(role: &str, content: &str) -> Value {
    json!({"role": role, "content": content})
}

pub(super) fn question(index: usize) -> Value {
    let mut random = of(1, index);
    let length = 6 + random.below(40);
    let mut body = ask(&format!("{}?", random.words(length)));
    if index.is_multiple_of(2) {
        stream(&mut body);
    }
    body
}

pub(super) fn ask(text: &str) -> Value {
    json!({"model": "gpt-4o-mini", "messages": [message("user", text)], "temperature": 0.2})
}

/// The first `turn + 1` turns of a script. What the assistant said is part of the script: people who
/// ask the same things in the same order get the same answers from a cache.
pub(super) fn conversation(script: usize, turn: usize) -> Value {
    let mut random = of(2, script);
    let mut messages = vec![message("system", "You are a patient support assistant.")];
    for _ in 0..turn {
        messages.push(message("user", &random.words(12)));
        messages.push(message("assistant", &random.words(30)));
    }
    messages.push(message("user", &random.words(12)));
    let mut body = json!({"model": "gpt-4o-mini", "messages": messages});
    stream(&mut body); // people look on while it is written
    body
}

/// A task after `step` tool calls.
pub(super) fn agent(task: usize, step: usize) -> Value {
    let mut random = of(3, task);
    let mut messages = vec![
        message("system", "You are a careful agent. Use the tools."),
        message("user", &random.words(20)),
    ];
    for number in 0..step {
        let id = format!("call_{task}_{number}");
        let arguments = json!({"path": format!("src/{}.rs", random.words(1))}).to_string();
        messages.push(json!({"role": "assistant", "content": null, "tool_calls": [{
            "id": id, "type": "function",
            "function": {"name": "read_file", "arguments": arguments},
        }]}));
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": random.words(120)}));
    }
    json!({
        "model": "gpt-4o-mini",
        "messages": messages,
        "tools": [
            tool("read_file", "Reads a file.", "path"),
            tool("run_tests", "Runs the tests whose name contains the filter.", "filter"),
        ],
        "temperature": 0,
    })
}

fn tool(name: &str, description: &str, parameter: &str) -> Value {
    json!({"type": "function", "function": {
        "name": name,
        "description": description,
        "parameters": {
            "type": "object",
            "properties": {parameter: {"type": "string"}},
            "required": [parameter],
            "additionalProperties": false,
        },
    }})
}

pub(super) fn image(index: usize) -> Value {
    json!({
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "What does this picture show?"},
            {"type": "image_url", "image_url": {"url": data_url(index as u64), "detail": "low"}},
        ]}],
        "max_tokens": 300,
    })
}

pub(super) fn embedding(document: usize) -> Value {
    let mut random = of(5, document);
    let texts: Vec<String> = (0..16).map(|_| random.words(40)).collect();
    json!({"model": "text-embedding-3-small", "input": texts, "encoding_format": "base64"})
}

fn stream(body: &mut Value) {
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
}
