//! What keys of bodies promise, one named test each; those of scopes are in `scopes`. Properties over random requests are in `equivalence`
//! and `framing`.

mod common;

use std::collections::HashSet;

use cache_key::{EndpointKind, NotCanonical, Request, Value};
use common::key;

const CHAT: EndpointKind = EndpointKind::ChatCompletions;

/// A chat request with `more` members.
fn chat(more: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{more}}}"#)
}

/// A chat request with these messages.
fn messages(messages: &str) -> String {
    format!(r#"{{"model":"m","messages":{messages}}}"#)
}

fn same(kind: EndpointKind, one: &str, two: &str) {
    assert_eq!(key(kind, one), key(kind, two), "{kind}: {one} {two}");
}

fn differ(kind: EndpointKind, one: &str, two: &str) {
    assert_ne!(key(kind, one), key(kind, two), "{kind}: {one} {two}");
}

/// A1: member order does not matter, at any depth.
#[test]
fn a1_member_order() {
    same(
        CHAT,
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u","detail":"low"}}]}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{},"b":{}}}}}]}"#,
        r#"{"tools":[{"function":{"parameters":{"properties":{"b":{},"a":{}},"type":"object"},"name":"f"},"type":"function"}],"messages":[{"content":[{"image_url":{"detail":"low","url":"u"},"type":"image_url"}],"role":"user"}],"model":"m"}"#,
    );
}

/// A2: each member alone, and each of its values, makes another key.
#[test]
fn a2_every_member_counts() {
    let more = r#"
        ,"temperature":0.7
        ,"temperature":0
        ,"top_p":0.7
        ,"top_k":5
        ,"max_tokens":5
        ,"max_completion_tokens":5
        ,"n":2
        ,"stop":"x"
        ,"stop":["x"]
        ,"presence_penalty":1
        ,"frequency_penalty":1
        ,"seed":1
        ,"logit_bias":{"50256":-100}
        ,"logit_bias":{}
        ,"logprobs":true
        ,"logprobs":false
        ,"top_logprobs":2
        ,"response_format":{"type":"json_object"}
        ,"response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object"}}}
        ,"response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"array"}}}
        ,"tools":[]
        ,"tools":[{"type":"function","function":{"name":"f"}}]
        ,"tools":[{"type":"function","function":{"name":"f","parameters":{"a":1}}}]
        ,"tools":[{"type":"function","function":{"name":"f","parameters":{"a":null}}}]
        ,"tool_choice":"auto"
        ,"tool_choice":"none"
        ,"parallel_tool_calls":false
        ,"functions":[{"name":"f"}]
        ,"function_call":"none"
        ,"modalities":["text","audio"]
        ,"audio":{"voice":"alloy","format":"wav"}
        ,"reasoning_effort":"low"
        ,"reasoning":{"effort":"low"}
        ,"thinking":{"type":"enabled","budget_tokens":1024}
        ,"service_tier":"flex"
        ,"prediction":{"type":"content","content":"x"}
        ,"provider":{"order":["a"]}
        ,"extra_body":{"min_p":0.1}
        ,"extra_body":{}
        ,"user":"u"
        ,"metadata":{"a":"b"}
        ,"store":true
        ,"invented":1
        ,"invented":null
        ,"Temperature":0.7
        ,"web_search_options":{}
    "#;
    let more: Vec<&str> = more.trim().lines().map(str::trim).collect();
    let mut keys: HashSet<_> = more.iter().map(|more| key(CHAT, &chat(more))).collect();
    keys.insert(key(CHAT, &chat("")));
    assert_eq!(keys.len(), more.len() + 1);

    let message = r#"
        []
        [{"role":"user","content":"ho"}]
        [{"role":"system","content":"hi"}]
        [{"role":"user","content":"hi","name":"n"}]
        [{"role":"assistant","content":"hi","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]}]
        [{"role":"assistant","content":"hi","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{ }"}}]}]
        [{"role":"tool","content":"hi","tool_call_id":"1"}]
        [{"role":"tool","content":"hi","tool_call_id":"2"}]
        [{"role":"assistant","audio":{"id":"a"}}]
        [{"role":"assistant","refusal":"no"}]
        [{"role":"user","content":"hi","invented":1}]
        [{"role":"user","content":"hi","invented":null}]
    "#;
    let message: Vec<&str> = message.trim().lines().map(str::trim).collect();
    keys.extend(message.iter().map(|message| key(CHAT, &messages(message))));
    assert_eq!(keys.len(), more.len() + 1 + message.len());

    differ(CHAT, &chat(""), &chat("").replace(r#""m""#, r#""M""#));
}

/// A3: null is absence for the optional members that are listed, and only for them.
#[test]
fn a3_null_is_absent_for_known_optional_members() {
    for name in [
        "temperature",
        "top_p",
        "max_tokens",
        "stop",
        "seed",
        "tools",
        "tool_choice",
        "response_format",
        "user",
    ] {
        same(CHAT, &chat(""), &chat(&format!(r#","{name}":null"#)));
    }
    for (kind, name) in [
        (EndpointKind::Completions, "suffix"),
        (EndpointKind::Responses, "instructions"),
        (EndpointKind::Messages, "top_k"),
        (EndpointKind::Embeddings, "dimensions"),
        (EndpointKind::Rerank, "top_n"),
    ] {
        same(kind, r#"{"model":"m"}"#, &format!(r#"{{"model":"m","{name}":null}}"#));
        differ(
            EndpointKind::Generic,
            r#"{"model":"m"}"#,
            &format!(r#"{{"model":"m","{name}":null}}"#),
        );
    }
    same(
        CHAT,
        &messages(r#"[{"role":"assistant"}]"#),
        &messages(
            r#"[{"role":"assistant","content":null,"tool_calls":null,"function_call":null,"refusal":null,"audio":null,"name":null}]"#,
        ),
    );
    differ(CHAT, &chat(""), &chat(r#","invented":null"#));
    differ(CHAT, &chat(""), &chat(r#","Temperature":null"#));
    differ(CHAT, &chat(r#","tools":[{"a":null}]"#), &chat(r#","tools":[{}]"#));
    differ(
        CHAT,
        &messages(r#"[{"role":"tool"}]"#),
        &messages(r#"[{"role":"tool","tool_call_id":null}]"#),
    );
    differ(
        EndpointKind::Messages,
        &messages(r#"[{"role":"user"}]"#),
        &messages(r#"[{"role":"user","content":null}]"#),
    );
}

/// A3: NaN and the infinities are not JSON, so such a request is refused a key.
#[test]
fn a3_nan_and_infinity_are_refused() {
    for number in ["NaN", "Infinity", "-Infinity"] {
        let body = chat(&format!(r#","temperature":{number}"#));
        assert!(matches!(Request::parse(CHAT, body.as_bytes()), Err(NotCanonical::Syntax { .. })));
    }
}

/// A4: numbers count by exact value.
#[test]
fn a4_numbers_are_exact() {
    let temperature = |number: &str| chat(&format!(r#","temperature":{number}"#));
    for equal in [
        ["1", "1.0"],
        ["1", "1e0"],
        ["1", "10e-1"],
        ["0.0", "-0.0"],
        ["0", "0e5"],
        ["100", "1E+2"],
        ["0.70", "0.7"],
    ] {
        same(CHAT, &temperature(equal[0]), &temperature(equal[1]));
    }
    let different = [
        "0",
        "1",
        "-1",
        "10",
        "0.1",
        "0.7",
        "0.700001",
        "0.004",
        "0.1000000000000000055",
        "5e-324",
        "1e-400",
        "1e400",
        "1e401",
        "9007199254740992",
        "9007199254740993",
        "18446744073709551615",
        "18446744073709551616",
        "12345678901234567890",
        "12345678901234567891",
        "\"1\"",
        "true",
        "[1]",
    ];
    let keys: HashSet<_> = different.iter().map(|number| key(CHAT, &temperature(number))).collect();
    assert_eq!(keys.len(), different.len());
}

/// A5: there is nothing to resolve: bodies are keyed as they are sent, so two names of one setting
/// are two members, and what is read of a request comes from the parse that its key comes from.
#[test]
fn a5_aliases_are_members_of_their_own() {
    differ(CHAT, &chat(r#","max_tokens":5"#), &chat(r#","max_completion_tokens":5"#));
    let body = chat(r#","max_tokens":5,"max_completion_tokens":6"#);
    let request = Request::parse(CHAT, body.as_bytes()).expect("a chat");
    assert_eq!(request.member("max_tokens").and_then(Value::as_u64), Some(5));
    assert_eq!(request.member("max_completion_tokens").and_then(Value::as_u64), Some(6));
}

/// A6: what has no canonical form has no key, wherever it stands: even where nothing would count.
#[test]
fn a6_not_canonical_is_uncacheable() {
    for more in [
        r#","a":1,"a":1"#,
        r#","x":"\ud800""#,
        r#","x":1e99999999999999999999"#,
        r#","stream_options":{"a":1,"a":1}"#,
    ] {
        let body = chat(more);
        assert!(Request::parse(CHAT, body.as_bytes()).is_err(), "{body}");
    }
}

/// A7: transport-only members do not count at the top level and in `extra_body`; anywhere else,
/// in any other shape and for any other endpoint they do.
#[test]
fn a7_transport_members_are_left_out() {
    for more in [
        r#","stream":true"#,
        r#","stream":false"#,
        r#","stream":null"#,
        r#","stream_options":{"include_usage":true}"#,
        r#","request_id":"r-1""#,
        r#","stream":true,"stream_options":null,"request_id":"\u0041""#,
    ] {
        same(CHAT, &chat(""), &chat(more));
    }
    same(
        CHAT,
        &chat(r#","extra_body":{"min_p":1,"request_id":"1","stream_options":{}}"#),
        &chat(r#","extra_body":{"min_p":1,"request_id":"2"}"#),
    );
    differ(CHAT, &chat(r#","extra_body":{"stream":true}"#), &chat(r#","extra_body":{}"#));

    for name in ["stream", "stream_options", "request_id"] {
        let schema = |name: &str| {
            chat(&format!(
                r#","tools":[{{"function":{{"parameters":{{"properties":{{"{name}":{{}}}}}}}}}}]"#
            ))
        };
        differ(CHAT, &schema(name), &schema("other"));
        differ(
            CHAT,
            &chat(&format!(r#","metadata":{{"{name}":"x"}}"#)),
            &chat(r#","metadata":{}"#),
        );
        differ(CHAT, &chat(""), &chat(&format!(r#","{name}":1"#)));
        differ(EndpointKind::Generic, &chat(""), &chat(&format!(r#","{name}":null"#)));
    }
    same(EndpointKind::Messages, &chat(""), &chat(r#","stream":true"#));
    differ(EndpointKind::Messages, &chat(""), &chat(r#","request_id":"1""#));
    differ(EndpointKind::Embeddings, &chat(""), &chat(r#","stream":true"#));
}

/// A8: the order of messages, stops and inputs counts; token ids count by value.
#[test]
fn a8_array_order_counts() {
    differ(
        CHAT,
        &messages(r#"[{"role":"user","content":"a"},{"role":"user","content":"b"}]"#),
        &messages(r#"[{"role":"user","content":"b"},{"role":"user","content":"a"}]"#),
    );
    differ(CHAT, &chat(r#","stop":["a","b"]"#), &chat(r#","stop":["b","a"]"#));
    let input = |input: &str| format!(r#"{{"model":"m","input":{input}}}"#);
    let inputs = [
        r#"["a","b"]"#,
        r#"["b","a"]"#,
        r#"["ab"]"#,
        r#""ab""#,
        r#"["a","b",""]"#,
        "[1,2]",
        "[2,1]",
        "[12]",
        "[[1,2]]",
        "[[1],[2]]",
        r#"["1","2"]"#,
    ];
    let keys: HashSet<_> =
        inputs.iter().map(|text| key(EndpointKind::Embeddings, &input(text))).collect();
    assert_eq!(keys.len(), inputs.len());
    same(EndpointKind::Embeddings, &input("[1,2]"), &input("[1.0,2e0]"));
}

/// A9: separators in strings move no boundary.
#[test]
fn a9_framing_is_injective() {
    let tricky =
        ["", "|", "=", ";", ":", "\\u0000", "\\n", "a|b", "a=b", "\\u0005\\u0000\\u0000\\u0000a"];
    let mut keys = HashSet::new();
    for one in tricky {
        for two in tricky {
            keys.insert(key(CHAT, &chat(&format!(r#","a":"{one}","b":"{two}""#))));
            keys.insert(key(CHAT, &chat(&format!(r#","a":["{one}","{two}"]"#))));
            keys.insert(key(CHAT, &chat(&format!(r#","p{one}":"{two}""#))));
        }
    }
    assert_eq!(keys.len(), 3 * tricky.len() * tricky.len());
}

/// A11: no cargo feature of a JSON crate can change a key, since none takes part.
#[test]
fn a11_no_json_crate_takes_part() {
    let manifest = include_str!("../Cargo.toml");
    let dependencies = manifest
        .split("[dependencies]")
        .nth(1)
        .and_then(|rest| rest.split("\n[").next())
        .expect("a section");
    assert!(dependencies.contains("blake3"), "{dependencies}");
    let json = dependencies.lines().filter(|line| line.starts_with("serde"));
    assert!(json.clone().all(|line| line.contains("optional = true")), "{dependencies}");
    assert_eq!(json.count(), 2, "{dependencies}");
}

/// A13: text counts by its characters, however they are written, and is never normalised.
#[test]
fn a13_unicode() {
    let text = |text: &str| messages(&format!(r#"[{{"role":"user","content":"{text}"}}]"#));
    same(
        CHAT,
        &text("Hello 👋 你好 Café/\\n"),
        &text(r"Hello \uD83D\udc4b \u4F60\u597d Caf\u00e9\/\u000a"),
    );
    let different =
        ["é", "e\u{301}", "E", "e", " e", "ﬁ", "fi", "ß", "ss", "\\u0000", "", "👋", "👋🏽"];
    let keys: HashSet<_> = different.iter().map(|it| key(CHAT, &text(it))).collect();
    assert_eq!(keys.len(), different.len());
    let body = text(r"\ud83d");
    let at = body.find('\\').expect("the escape");
    assert_eq!(
        Request::parse(CHAT, body.as_bytes()).map(|_| ()),
        Err(NotCanonical::LoneSurrogate { offset: at })
    );
}

/// String content is the same as one text part of exactly two members, in messages only.
#[test]
fn string_content_is_one_text_part() {
    for kind in [CHAT, EndpointKind::Messages] {
        let content =
            |content: &str| messages(&format!(r#"[{{"role":"user","content":{content}}}]"#));
        same(kind, &content(r#""hi""#), &content(r#"[{"text":"hi","type":"text"}]"#));
        same(kind, &content(r#""""#), &content(r#"[{"type":"t\u0065xt","text":""}]"#));
        for other in [
            r#"[{"type":"text","text":"hi"},{"type":"text","text":""}]"#,
            r#"[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]"#,
            r#"[{"type":"text","text":"hi","cache_control":null}]"#,
            r#"[{"type":"input_text","text":"hi"}]"#,
            r#"["hi"]"#,
            r#"{"type":"text","text":"hi"}"#,
            r#"[{"type":"text","text":["hi"]}]"#,
            r#"[{"text":"hi"}]"#,
            "[]",
        ] {
            differ(kind, &content(r#""hi""#), &content(other));
        }
        let elsewhere = |content: &str| chat(&format!(r#","prediction":{{"content":{content}}}"#));
        differ(kind, &elsewhere(r#""hi""#), &elsewhere(r#"[{"type":"text","text":"hi"}]"#));
    }
    let content = |content: &str| messages(&format!(r#"[{{"role":"user","content":{content}}}]"#));
    differ(
        EndpointKind::Generic,
        &content(r#""hi""#),
        &content(r#"[{"type":"text","text":"hi"}]"#),
    );
}

/// Messages of the wrong shape count as they stand.
#[test]
fn malformed_messages_still_count() {
    let all = [
        "null",
        r#""x""#,
        "[1]",
        "[null]",
        r#"[[{"content":null}]]"#,
        "[[{}]]",
        "{}",
        r#"{"content":null}"#,
    ];
    let keys: HashSet<_> = all.iter().map(|it| key(CHAT, &messages(it))).collect();
    assert_eq!(keys.len(), all.len());
}

/// What later layers ask of the same parse.
#[test]
fn a_request_answers_questions() {
    let body = br#"{"model":"gpt-\u0034","stream":true,"n":2,"stop":["a",null],"temperature":0.5}"#;
    let request = Request::parse(CHAT, body).expect("a chat");
    assert_eq!((request.kind(), request.model(), request.streams()), (CHAT, Some("gpt-4"), true));
    let stop = request.member("stop").expect("it is there");
    assert!(stop.is_array() && !stop.is_object() && !stop.is_empty());
    assert_eq!(
        stop.items().map(|item| (item.as_str(), item.is_null())).collect::<Vec<_>>(),
        [(Some("a"), false), (None, true)]
    );
    assert_eq!(request.member("temperature").and_then(Value::as_f64), Some(0.5));
    assert_eq!(request.member("temperature").and_then(Value::as_number), Some("0.5"));
    assert_eq!(request.member("n").and_then(Value::as_bool), None);
    assert_eq!(request.member("model").map(Value::len), Some(5)); // bytes, escapes resolved
    assert!(request.member("missing").is_none() && stop.get("a").is_none());
    assert_eq!(
        request.body().members().map(|(name, _)| name).collect::<Vec<_>>(),
        ["model", "n", "stop", "stream", "temperature"]
    );

    for (body, streams) in [
        (r#"{"stream":false}"#, false),
        (r#"{"stream":"true"}"#, false),
        ("{}", false),
        (r#"{"x":{"stream":true}}"#, false),
    ] {
        let request = Request::parse(CHAT, body.as_bytes()).expect("a body");
        assert_eq!((request.streams(), request.model()), (streams, None));
    }
}
