//! The bodies of suite `keys`, made from nothing but this text, so that everyone times the same.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// One body and two others that show whether answers are right.
pub(crate) struct Body {
    pub(crate) name: &'static str,
    /// As a client sends it.
    pub(crate) original: String,
    /// The same request written otherwise: members in reverse order at every depth.
    pub(crate) respelled: String,
    /// Another request: one character differs, deep inside.
    pub(crate) changed: String,
}

impl Body {
    fn new(name: &'static str, request: &Value, from: &str, to: &str) -> Self {
        let original = request.to_string();
        assert_eq!(original.matches(from).count(), 1, "{from} stands once in {name}");
        let changed = original.replace(from, to);
        let mut respelled = String::new();
        write_reversed(request, &mut respelled);
        Self { name, original, respelled, changed }
    }

    /// All three, in the order of the fields.
    pub(crate) fn texts(&self) -> [&[u8]; 3] {
        [self.original.as_bytes(), self.respelled.as_bytes(), self.changed.as_bytes()]
    }
}

/// The three bodies, short to long.
pub(crate) fn bodies() -> [Body; 3] {
    [
        Body::new("chat, 600 B", &chat(), "capital of France", "capital of Franca"),
        Body::new("agent, 64 KB", &agent(), "call_29\",\"type", "call_2A\",\"type"),
        Body::new("image, 1 MB", &image(), "What is in this picture?", "What is on this picture?"),
    ]
}

/// A short chat request: about 600 bytes.
fn chat() -> Value {
    json!({
        "model": "gpt-4.1-mini",
        "messages": [
            {"role": "system", "content": "You are a helpful assistant. Answer in one short \
                sentence, in the language of the question, and say so when you do not know. \
                Do not repeat the question."},
            {"role": "user", "content": "What is the capital of France, and how many people live \
                there today?"},
        ],
        "temperature": 0.7, "top_p": 0.95, "max_tokens": 256, "n": 1, "stream": false,
        "presence_penalty": 0, "frequency_penalty": 0.25, "seed": 42,
        "stop": ["\n\n", "User:"], "user": "user-7f3a9c",
        "response_format": {"type": "text"}, "logit_bias": {"50256": -100},
        "metadata": {"trace": "c0ffee"},
    })
}

/// An agent in the middle of its work: 20 tools, 60 turns, code, JSON within strings, text that is
/// not ASCII.
fn agent() -> Value {
    let mut random = Random(7);
    let mut messages = vec![json!({
        "role": "system",
        "content": prose(&mut random, 3000),
    })];
    for turn in 0..60 {
        messages.push(match turn % 4 {
            0 => json!({"role": "user", "content": prose(&mut random, 700)}),
            1 => {
                let arguments = json!({
                    "path": format!("src/module_{turn}/lib.rs"),
                    "pattern": "fn \"main\"\\s*\\(", "limit": turn * 10,
                });
                json!({"role": "assistant", "content": null, "tool_calls": [{
                    "id": format!("call_{turn}"), "type": "function",
                    "function": {"name": format!("tool_{}", turn % 20),
                                 "arguments": arguments.to_string()},
                }]})
            }
            2 => json!({
                "role": "tool", "tool_call_id": format!("call_{}", turn - 1),
                "content": code(&mut random, 1300),
            }),
            _ => json!({"role": "assistant",
                "content": [{"type": "text", "text": prose(&mut random, 700)}]}),
        });
    }
    let tools: Vec<Value> = (0..20).map(|i| tool(i, &mut random)).collect();
    json!({
        "model": "gpt-4.1", "temperature": 0.2, "max_tokens": 4096, "stream": true,
        "stream_options": {"include_usage": true}, "tool_choice": "auto",
        "parallel_tool_calls": true, "tools": tools, "messages": messages,
    })
}

/// The definition of one tool.
fn tool(i: usize, random: &mut Random) -> Value {
    json!({"type": "function", "function": {
        "name": format!("tool_{i}"),
        "description": prose(random, 160),
        "strict": true,
        "parameters": {
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "Path, relative to the workspace"},
                "pattern": {"type": "string", "description": "A regular expression"},
                "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 50},
                "mode": {"type": "string", "enum": ["content", "files", "count"]},
                "ignore_case": {"type": "boolean", "default": false},
            },
            "required": ["path", "pattern"],
            "additionalProperties": false,
        },
    }})
}

/// A question about a picture: one megabyte of base64.
fn image() -> Value {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut random = Random(9);
    let mut url = String::from("data:image/png;base64,");
    url.extend((0..1_048_576).map(|_| char::from(ALPHABET[random.below(64)])));
    json!({
        "model": "gpt-4.1", "max_tokens": 300,
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "What is in this picture?"},
            {"type": "image_url", "image_url": {"url": url, "detail": "high"}},
        ]}],
    })
}

/// Some `length` bytes of text: lines, one word in eight not ASCII.
pub(crate) fn prose(random: &mut Random, length: usize) -> String {
    const WORDS: [&str; 32] = [
        "the",
        "request",
        "answer",
        "cache",
        "token",
        "with",
        "model",
        "naïve",
        "should",
        "return",
        "value",
        "of",
        "each",
        "question",
        "while",
        "résumé",
        "streaming",
        "error",
        "then",
        "tool",
        "calls",
        "without",
        "context",
        "日本語",
        "and",
        "response",
        "prompt",
        "when",
        "user",
        "asks",
        "for",
        "🙂",
    ];
    let mut text = String::new();
    while text.len() < length {
        text.push_str(WORDS[random.below(WORDS.len())]);
        text.push_str(match random.below(24) {
            0 => ".\n",
            1 => ", ",
            2 => " \"quoted\" ",
            _ => " ",
        });
    }
    text
}

/// Some `length` bytes of code: quotes, backslashes, tabs, short lines.
fn code(random: &mut Random, length: usize) -> String {
    let mut text = String::new();
    let mut line = 1;
    while text.len() < length {
        let indent = "\t".repeat(random.below(3));
        let number = random.below(1000);
        let _ = writeln!(
            text,
            "{line:>5}{indent}let value_{number} = parse(\"line {number}\")?; // — see \\{line}"
        );
        line += 1;
    }
    text
}

/// Writes `value` with the members of every object in reverse order.
fn write_reversed(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_reversed(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (i, (name, value)) in members.iter().rev().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                let _ = write!(out, "{}:", Value::from(name.as_str()));
                write_reversed(value, out);
            }
            out.push('}');
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

/// `SplitMix64` (Steele, Lea and Flood 2014): the same numbers on every machine.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let below = (mixed ^ (mixed >> 31)) % bound as u64;
        usize::try_from(below).expect("it is below a usize")
    }
}
