//! Random requests of every kind.

use cache_llm::EndpointKind;
use fastrand::Rng;

use crate::json::{Json, number, object, text};

pub(crate) const KINDS: [EndpointKind; 5] = [
    EndpointKind::ChatCompletions,
    EndpointKind::Completions,
    EndpointKind::Responses,
    EndpointKind::Messages,
    EndpointKind::Embeddings,
];

/// What text is made of: what JSON, UTF-8, keys and people may stumble over.
const ATOMS: [&str; 34] = [
    "a",
    "b",
    "A",
    " ",
    "  ",
    "the ",
    "not ",
    "1",
    "0",
    "-1",
    "null",
    "true",
    "\"",
    "\\",
    "\\u0041",
    "\n",
    "\r\n",
    "\t",
    "\0",
    "\u{7f}",
    "é",
    "e\u{301}",
    "ß",
    "日本",
    "👩\u{200d}🚀",
    "\u{feff}",
    "\u{2028}",
    ":",
    ",",
    "|",
    "=",
    ";",
    "}",
    "]",
];

pub(crate) fn words(rng: &mut Rng, most: usize) -> String {
    (0..rng.usize(0..=most)).map(|_| ATOMS[rng.usize(..ATOMS.len())]).collect()
}

pub(crate) fn any_number(rng: &mut Rng) -> Json {
    match rng.u8(0..6) {
        0 => number(rng.u8(0..3)),
        1 => number(rng.i64(..)),
        2 => number(format!("{}.{}", rng.u8(0..3), rng.u32(..))),
        3 => number(f64::from(rng.u8(0..20)) / 10.0),
        4 => number(format!("-{}e{}", rng.u16(1..), rng.i16(-400..400))),
        _ => number(format!("{}.000000000000000000{}", rng.u8(..), rng.u64(1..))),
    }
}

/// Whatever JSON can be.
pub(crate) fn anything(rng: &mut Rng, depth: usize) -> Json {
    match rng.u8(0..if depth == 0 { 5 } else { 8 }) {
        0 => Json::Null,
        1 => Json::Bool(rng.bool()),
        2 => any_number(rng),
        3 | 4 => text(words(rng, 4)),
        5 => Json::List((0..rng.usize(0..4)).map(|_| anything(rng, depth - 1)).collect()),
        _ => free(rng, depth - 1),
    }
}

/// An object of any members, some of which have names that mean something at the top level.
fn free(rng: &mut Rng, depth: usize) -> Json {
    let mut made = Json::Object(Vec::new());
    let names = ["stream", "stream_options", "request_id", "model", "name", "a", "é", ""];
    for name in names {
        if rng.u8(0..3) == 0 {
            made.push(name, anything(rng, depth));
        }
    }
    made
}

fn schema(rng: &mut Rng, depth: usize) -> Json {
    let kind = |kind: &str| ("type", text(kind));
    match rng.u8(0..if depth == 0 { 3 } else { 5 }) {
        0 => object([kind("string"), ("description", text(words(rng, 4)))]),
        1 => object([kind("number"), ("minimum", any_number(rng))]),
        2 => object([
            kind("string"),
            ("enum", Json::List((0..3).map(|n| text(format!("e{n}"))).collect())),
        ]),
        3 => object([kind("array"), ("items", schema(rng, depth - 1))]),
        _ => {
            let members: Vec<_> = (0..rng.usize(1..4)).map(|n| format!("p{n}")).collect();
            let required = members.iter().map(text).collect();
            let properties =
                members.into_iter().map(|name| (name, schema(rng, depth - 1))).collect();
            object([
                kind("object"),
                ("properties", Json::Object(properties)),
                ("required", Json::List(required)),
                ("additionalProperties", Json::Bool(false)),
            ])
        }
    }
}

fn some<T>(rng: &mut Rng, most: usize, mut make: impl FnMut(&mut Rng) -> T) -> Vec<T> {
    (0..rng.usize(1..=most)).map(|_| make(rng)).collect()
}

fn image(rng: &mut Rng) -> String {
    // They begin alike, as images do.
    format!("data:image/jpeg;base64,/9j/4AAQSkZJRgABAQAAAQ{:016x}AA==", rng.u64(..))
}

fn chat_content(rng: &mut Rng) -> Json {
    if rng.bool() {
        return text(words(rng, 20));
    }
    Json::List(some(rng, 3, |rng| match rng.u8(0..4) {
        0 => object([
            ("type", text("image_url")),
            ("image_url", object([("url", text(image(rng))), ("detail", text("low"))])),
        ]),
        1 => object([
            ("type", text("input_audio")),
            ("input_audio", object([("data", text(image(rng))), ("format", text("wav"))])),
        ]),
        _ => object([("type", text("text")), ("text", text(words(rng, 10)))]),
    }))
}

fn tool_call(rng: &mut Rng) -> Json {
    let arguments = free(rng, 1).compact();
    object([
        ("id", text(format!("call_{}", rng.u16(..)))),
        ("type", text("function")),
        ("function", object([("name", text("f")), ("arguments", text(arguments))])),
    ])
}

fn chat_message(rng: &mut Rng) -> Json {
    let role = |role: &str| ("role", text(role));
    match rng.u8(0..6) {
        0 => object([role("system"), ("content", text(words(rng, 20)))]),
        1 => object([
            role("assistant"),
            ("content", chat_content(rng)),
            ("tool_calls", Json::List(some(rng, 2, tool_call))),
        ]),
        2 => object([
            role("tool"),
            ("tool_call_id", text(format!("call_{}", rng.u16(..)))),
            ("content", text(words(rng, 6))),
        ]),
        3 => object([role("user"), ("name", text(words(rng, 2))), ("content", chat_content(rng))]),
        _ => object([role("user"), ("content", chat_content(rng))]),
    }
}

fn chat_tool(rng: &mut Rng) -> Json {
    let name = text(format!("f{}", rng.u8(0..9)));
    let function = [
        ("name", name),
        ("description", text(words(rng, 6))),
        ("parameters", schema(rng, 2)),
        ("strict", Json::Bool(rng.bool())),
    ];
    object([("type", text("function")), ("function", object(function))])
}

fn choice(rng: &mut Rng, of: &[&str]) -> Json {
    text(of[rng.usize(..of.len())])
}

/// Members that more than one kind knows, and some that none does, each now and then.
fn common_members(rng: &mut Rng, body: &mut Json) {
    let mut maybe = |rng: &mut Rng, name: &str, make: &mut dyn FnMut(&mut Rng) -> Json| {
        if rng.u8(0..5) == 0 {
            body.push(name, make(rng));
        }
    };
    maybe(rng, "temperature", &mut |rng| number(f64::from(rng.u8(0..21)) / 10.0));
    maybe(rng, "top_p", &mut |rng| number(format!("0.{}", rng.u32(..))));
    maybe(rng, "metadata", &mut |rng| free(rng, 1));
    maybe(rng, "user", &mut |rng| text(words(rng, 3)));
    maybe(rng, "service_tier", &mut |rng| choice(rng, &["auto", "flex"]));
    maybe(rng, "x_new_member", &mut |rng| anything(rng, 2));
    maybe(rng, "provider", &mut |rng| object([("order", anything(rng, 2))]));
    maybe(rng, "extra_body", &mut |rng| object([("top_k", any_number(rng)), ("x", free(rng, 1))]));
}

fn chat(rng: &mut Rng, body: &mut Json) {
    body.push("messages", Json::List(some(rng, 5, chat_message)));
    let mut maybe = |rng: &mut Rng, name: &str, make: &mut dyn FnMut(&mut Rng) -> Json| {
        if rng.u8(0..6) == 0 {
            body.push(name, make(rng));
        }
    };
    maybe(rng, "n", &mut |rng| number(rng.u8(1..4)));
    maybe(rng, "max_tokens", &mut |rng| number(rng.u16(1..)));
    maybe(rng, "max_completion_tokens", &mut |rng| number(rng.u16(1..)));
    maybe(rng, "seed", &mut |rng| number(rng.i64(..)));
    maybe(rng, "stop", &mut |rng| Json::List(some(rng, 3, |rng| text(words(rng, 2)))));
    maybe(rng, "frequency_penalty", &mut any_number);
    maybe(rng, "presence_penalty", &mut any_number);
    maybe(rng, "logit_bias", &mut |rng| {
        Json::Object(vec![(rng.u16(..).to_string(), any_number(rng))])
    });
    maybe(rng, "logprobs", &mut |rng| Json::Bool(rng.bool()));
    maybe(rng, "top_logprobs", &mut |rng| number(rng.u8(0..20)));
    maybe(rng, "response_format", &mut |rng| {
        let schema =
            [("name", text("s")), ("strict", Json::Bool(true)), ("schema", schema(rng, 3))];
        object([("type", text("json_schema")), ("json_schema", object(schema))])
    });
    maybe(rng, "tools", &mut |rng| Json::List(some(rng, 3, chat_tool)));
    maybe(rng, "tool_choice", &mut |rng| choice(rng, &["auto", "none", "required"]));
    maybe(rng, "parallel_tool_calls", &mut |rng| Json::Bool(rng.bool()));
    maybe(rng, "reasoning_effort", &mut |rng| choice(rng, &["low", "medium", "high"]));
    maybe(rng, "modalities", &mut |_| Json::List(vec![text("text"), text("audio")]));
    maybe(rng, "audio", &mut |rng| {
        object([("voice", choice(rng, &["alloy", "ash"])), ("format", text("wav"))])
    });
    maybe(rng, "prediction", &mut |rng| {
        object([("type", text("content")), ("content", text(words(rng, 8)))])
    });
    maybe(rng, "functions", &mut |rng| Json::List(vec![object([("name", text(words(rng, 1)))])]));
}

fn completions(rng: &mut Rng, body: &mut Json) {
    body.push("prompt", text(words(rng, 30)));
    for name in ["suffix", "stop"] {
        if rng.u8(0..4) == 0 {
            body.push(name, text(words(rng, 3)));
        }
    }
    for name in ["max_tokens", "best_of", "seed", "frequency_penalty", "logprobs"] {
        if rng.u8(0..4) == 0 {
            body.push(name, any_number(rng));
        }
    }
    body.push("echo", Json::Bool(rng.bool()));
}

fn responses(rng: &mut Rng, body: &mut Json) {
    let input = |rng: &mut Rng| {
        let part = |rng: &mut Rng| match rng.u8(0..3) {
            0 => object([("type", text("input_image")), ("image_url", text(image(rng)))]),
            _ => object([("type", text("input_text")), ("text", text(words(rng, 8)))]),
        };
        match rng.u8(0..4) {
            0 => object([
                ("type", text("function_call_output")),
                ("call_id", text(format!("call_{}", rng.u16(..)))),
                ("output", text(words(rng, 5))),
            ]),
            _ => object([
                ("role", choice(rng, &["user", "developer"])),
                ("content", Json::List(some(rng, 3, part))),
            ]),
        }
    };
    let input = if rng.bool() { text(words(rng, 30)) } else { Json::List(some(rng, 4, input)) };
    body.push("input", input);
    let mut maybe = |rng: &mut Rng, name: &str, make: &mut dyn FnMut(&mut Rng) -> Json| {
        if rng.u8(0..4) == 0 {
            body.push(name, make(rng));
        }
    };
    maybe(rng, "instructions", &mut |rng| text(words(rng, 10)));
    maybe(rng, "previous_response_id", &mut |rng| text(format!("resp_{}", rng.u32(..))));
    maybe(rng, "max_output_tokens", &mut |rng| number(rng.u16(1..)));
    maybe(rng, "reasoning", &mut |rng| object([("effort", choice(rng, &["low", "high"]))]));
    maybe(rng, "include", &mut |_| Json::List(vec![text("reasoning.encrypted_content")]));
    maybe(rng, "truncation", &mut |rng| choice(rng, &["auto", "disabled"]));
    maybe(rng, "text", &mut |rng| {
        let format =
            [("type", text("json_schema")), ("name", text("s")), ("schema", schema(rng, 2))];
        object([("format", object(format))])
    });
    maybe(rng, "tools", &mut |rng| {
        let tool = |rng: &mut Rng| {
            let name = text(format!("f{}", rng.u8(0..9)));
            object([("type", text("function")), ("name", name), ("parameters", schema(rng, 2))])
        };
        Json::List(some(rng, 3, tool))
    });
}

fn messages(rng: &mut Rng, body: &mut Json) {
    let part = |rng: &mut Rng| match rng.u8(0..5) {
        0 => {
            let source = [
                ("type", text("base64")),
                ("media_type", text("image/jpeg")),
                ("data", text(image(rng))),
            ];
            object([("type", text("image")), ("source", object(source))])
        }
        1 => object([
            ("type", text("tool_result")),
            ("tool_use_id", text(format!("toolu_{}", rng.u16(..)))),
            ("content", text(words(rng, 5))),
        ]),
        2 => object([
            ("type", text("text")),
            ("text", text(words(rng, 5))),
            ("cache_control", object([("type", text("ephemeral"))])),
        ]),
        _ => object([("type", text("text")), ("text", text(words(rng, 8)))]),
    };
    let message = |rng: &mut Rng| {
        let content =
            if rng.bool() { text(words(rng, 20)) } else { Json::List(some(rng, 3, part)) };
        object([("role", choice(rng, &["user", "assistant"])), ("content", content)])
    };
    body.push("messages", Json::List(some(rng, 5, message)));
    body.push("max_tokens", number(rng.u16(1..)));
    let mut maybe = |rng: &mut Rng, name: &str, make: &mut dyn FnMut(&mut Rng) -> Json| {
        if rng.u8(0..4) == 0 {
            body.push(name, make(rng));
        }
    };
    maybe(rng, "system", &mut |rng| text(words(rng, 20)));
    maybe(rng, "stop_sequences", &mut |rng| Json::List(some(rng, 3, |rng| text(words(rng, 2)))));
    maybe(rng, "top_k", &mut |rng| number(rng.u8(..)));
    maybe(rng, "thinking", &mut |rng| {
        object([("type", text("enabled")), ("budget_tokens", number(rng.u16(..)))])
    });
    maybe(rng, "tools", &mut |rng| {
        let tool = |rng: &mut Rng| {
            object([
                ("name", text(format!("f{}", rng.u8(0..9)))),
                ("description", text(words(rng, 4))),
                ("input_schema", schema(rng, 2)),
            ])
        };
        Json::List(some(rng, 3, tool))
    });
}

fn embeddings(rng: &mut Rng, body: &mut Json) {
    let tokens = |rng: &mut Rng| Json::List(some(rng, 4, |rng| number(rng.u32(..200_000))));
    let input = match rng.u8(0..4) {
        0 => text(words(rng, 10)),
        1 => tokens(rng),
        2 => Json::List(some(rng, 3, tokens)),
        _ => Json::List(some(rng, 5, |rng| text(words(rng, 6)))),
    };
    body.push("input", input);
    if rng.u8(0..3) == 0 {
        body.push("dimensions", number(4));
    }
    if rng.u8(0..3) == 0 {
        body.push("encoding_format", choice(rng, &["float", "base64"]));
    }
}

/// A request of this kind that none before was like.
pub(crate) fn request(kind: EndpointKind, rng: &mut Rng) -> Json {
    let mut body = object([("model", text(format!("gpt-{}", rng.u8(4..7))))]);
    match kind {
        EndpointKind::ChatCompletions => chat(rng, &mut body),
        EndpointKind::Completions => completions(rng, &mut body),
        EndpointKind::Responses => responses(rng, &mut body),
        EndpointKind::Messages => messages(rng, &mut body),
        _ => embeddings(rng, &mut body),
    }
    common_members(rng, &mut body);
    body
}
