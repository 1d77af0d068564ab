//! Which answers are kept, and why the others are not.

use bytes::Bytes;
use cache_llm::{AnswerKind, Asked, NotStored, ResponsePolicy, StreamOptions, Transport};
use proptest::prelude::*;

const CHAT: Asked = Asked {
    kind: AnswerKind::Chat,
    transport: Transport::Plain,
    stream: StreamOptions { include_usage: false, include_obfuscation: None },
    token_limit: false,
    results: None,
};
const STREAM: Asked = Asked { transport: Transport::Stream, ..CHAT };
const EMBEDDINGS: Asked = Asked { kind: AnswerKind::Embeddings, ..CHAT };

fn judge(asked: &Asked, body: &str) -> Result<(), NotStored> {
    ResponsePolicy::default().judge(asked, body.as_bytes())
}

/// A plain answer with these choices.
fn answer(choices: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-5",
            "choices":[{choices}],"usage":{{"prompt_tokens":9,"completion_tokens":2}},"x":null}}"#
    )
}

fn choice(message: &str, finish_reason: &str) -> String {
    answer(&format!(
        r#"{{"index":0,"message":{message},"finish_reason":{finish_reason},"logprobs":null}}"#
    ))
}

/// A stream of these chunks' choices, ended by `[DONE]`.
fn stream(chunks: &[&str]) -> String {
    open_stream(chunks) + "data: [DONE]\n\n"
}

fn open_stream(chunks: &[&str]) -> String {
    let mut stream = String::new();
    for choices in chunks {
        stream += "data: {\"object\":\"chat.completion.chunk\",\"choices\":[";
        stream += choices;
        stream += "]}\n\n";
    }
    stream
}

const HELLO: &str =
    r#"{"index":0,"delta":{"role":"assistant","content":"Hel"},"finish_reason":null}"#;
const STOP: &str = r#"{"index":0,"delta":{},"finish_reason":"stop"}"#;

fn reason(text: &str) -> Result<(), NotStored> {
    Err(NotStored::FinishReason(text.into()))
}

/// A55: a good answer is stored; each failure in disguise is not, with its reason.
#[test]
fn plain_chat() {
    let hello = r#"{"role":"assistant","content":"Hello","refusal":null}"#;
    let cases = [
        (choice(hello, r#""stop""#), Ok(())),
        (choice(r#"{"content":[{"type":"text","text":"a"}]}"#, r#""stop""#), Ok(())),
        (choice(r#"{"content":null,"audio":{"id":"a"}}"#, r#""stop""#), Ok(())),
        (choice(hello, r#""content_filter""#), reason("content_filter")),
        (choice(hello, r#""error""#), reason("error")),
        (
            choice(hello, r#""insufficient_system_resource""#),
            reason("insufficient_system_resource"),
        ),
        (choice(hello, r#""length""#), Err(NotStored::Truncated)),
        (choice(hello, "null"), Err(NotStored::Unfinished)),
        (choice(hello, r#""""#), Err(NotStored::Unfinished)),
        (choice(r#"{"content":""}"#, r#""stop""#), Err(NotStored::Empty)),
        (choice(r#"{"content":null,"tool_calls":[]}"#, r#""stop""#), Err(NotStored::Empty)),
        (choice(r#"{"content":[]}"#, r#""stop""#), Err(NotStored::Empty)),
        (choice("null", r#""stop""#), Err(NotStored::Empty)),
        (choice(r#"{"content":"","reasoning_content":"hm"}"#, r#""stop""#), Err(NotStored::Empty)),
        (choice(r#"{"content":null,"refusal":"No."}"#, r#""stop""#), Err(NotStored::Refusal)),
        (answer(""), Err(NotStored::Unexpected)),
        (r#"{"error":{"message":"busy"}}"#.into(), Err(NotStored::ErrorObject)),
        (r#"{"error":null}"#.into(), Err(NotStored::Unexpected)),
        (r#"{"object":"list","data":[]}"#.into(), Err(NotStored::Unexpected)),
        (r#"{"choices":{}}"#.into(), Err(NotStored::Unexpected)),
        (r#"{"choices":[],"choices":[]}"#.into(), Err(NotStored::Unexpected)),
        ("[]".into(), Err(NotStored::Unexpected)),
        ("null".into(), Err(NotStored::Unexpected)),
        ("<html>".into(), Err(NotStored::NotJson)),
        (String::new(), Err(NotStored::NotJson)),
        (choice(hello, r#""stop""#) + "{}", Err(NotStored::NotJson)),
        (choice(hello, r#""stop""#)[..90].into(), Err(NotStored::NotJson)),
    ];
    for (body, expected) in cases {
        assert_eq!(judge(&CHAT, &body), expected, "{body}");
    }
    let error_in_choice =
        answer(r#"{"message":{"content":"x"},"finish_reason":"stop","error":{"code":502}}"#);
    assert_eq!(judge(&CHAT, &error_in_choice), Err(NotStored::ErrorObject));
}

/// Bytes that are not UTF-8 are not JSON, in members that nobody reads too.
#[test]
fn not_utf8() {
    let mut body = choice(r#"{"content":"Hello","note":"?"}"#, r#""stop""#).into_bytes();
    let at = body.iter().position(|&byte| byte == b'?').unwrap();
    body[at] = 0xff;
    let judged = ResponsePolicy::default().judge(&CHAT, &body);
    assert_eq!(judged, Err(NotStored::NotJson));
}

/// A55: `length` is the answer asked for when the request set the limit itself.
#[test]
fn length_by_request() {
    let asked = Asked { token_limit: true, ..CHAT };
    let cut = choice(r#"{"content":"Hel"}"#, r#""length""#);
    assert_eq!(judge(&asked, &cut), Ok(()));
    let empty = choice(r#"{"content":""}"#, r#""length""#);
    assert_eq!(judge(&asked, &empty), Err(NotStored::Empty));
    let streamed = stream(&[HELLO, r#"{"index":0,"delta":{},"finish_reason":"length"}"#]);
    assert_eq!(judge(&Asked { token_limit: true, ..STREAM }, &streamed), Ok(()));
    assert_eq!(judge(&STREAM, &streamed), Err(NotStored::Truncated));
}

/// A55: each rule that has a setting obeys it.
#[test]
fn rules_are_settings() {
    let policy = ResponsePolicy::default()
        .store_truncated(true)
        .store_refusals(true)
        .also_accept("eos")
        .max_answer(400);
    let judge = |body: &str| policy.judge(&CHAT, body.as_bytes());
    assert_eq!(judge(&choice(r#"{"content":"a"}"#, r#""length""#)), Ok(()));
    assert_eq!(judge(&choice(r#"{"refusal":"No."}"#, r#""stop""#)), Ok(()));
    assert_eq!(judge(&choice(r#"{"content":"a"}"#, r#""eos""#)), Ok(()));
    assert_eq!(judge(&choice(r#"{"content":"a"}"#, r#""eos_token""#)), reason("eos_token"));
    let long = choice(&format!(r#"{{"content":"{}"}}"#, "a".repeat(400)), r#""stop""#);
    assert_eq!(judge(&long), Err(NotStored::TooLarge { limit: 400 }));
}

/// A52: tool calls are stored raw, if their arguments are JSON.
#[test]
fn tool_calls() {
    let call = |arguments: &str| {
        let calls = format!(
            r#"{{"content":null,"tool_calls":[{{"id":"c","type":"function",
                "function":{{"name":"f","arguments":{arguments}}}}}]}}"#
        );
        judge(&CHAT, &choice(&calls, r#""tool_calls""#))
    };
    assert_eq!(call(r#""{\"city\":\"Paris\"}""#), Ok(()));
    assert_eq!(call(r#"{"city":"Paris"}"#), Ok(()), "an object, as some providers send it");
    assert_eq!(call(r#""{\"city\":""#), Err(NotStored::ToolArguments));
    assert_eq!(call(r#""""#), Err(NotStored::ToolArguments));
    assert_eq!(call("null"), Err(NotStored::ToolArguments));
    let custom = r#"{"tool_calls":[{"type":"custom","custom":{"name":"sql","input":"select 1"}}]}"#;
    assert_eq!(judge(&CHAT, &choice(custom, r#""tool_calls""#)), Ok(()));
    let old = |arguments: &str| {
        let call = format!(r#"{{"function_call":{{"name":"f","arguments":"{arguments}"}}}}"#);
        judge(&CHAT, &choice(&call, r#""function_call""#))
    };
    assert_eq!(old("{}"), Ok(()));
    assert_eq!(old("{"), Err(NotStored::ToolArguments));
}

/// A54: with n > 1 the answer is stored whole or not at all.
#[test]
fn several_choices() {
    let two = Asked { results: Some(2), ..CHAT };
    let good = r#"{"index":0,"message":{"content":"a"},"finish_reason":"stop"}"#;
    let bad = r#"{"index":1,"message":{"content":"b"},"finish_reason":"content_filter"}"#;
    let both = format!("{good},{}", good.replace(":0", ":1"));
    assert_eq!(judge(&two, &answer(&both)), Ok(()));
    assert_eq!(judge(&two, &answer(good)), Err(NotStored::Results { asked: 2, got: 1 }));
    assert_eq!(judge(&two, &answer(&format!("{good},{bad}"))), reason("content_filter"));
    assert_eq!(judge(&two, &answer(&format!("{good},{good}"))), Err(NotStored::Unexpected));

    let two = Asked { results: Some(2), ..STREAM };
    let other = |chunk: &str| chunk.replace("\"index\":0", "\"index\":1");
    let chunks = [HELLO, &other(HELLO), STOP, &other(STOP)];
    assert_eq!(judge(&two, &stream(&chunks)), Ok(()));
    assert_eq!(judge(&two, &stream(&chunks[..3])), Err(NotStored::Unfinished));
    assert_eq!(judge(&two, &stream(&[HELLO, STOP])), Err(NotStored::Results { asked: 2, got: 1 }));
}

/// A50, A55, F11: a stream is stored when it ended cleanly, and is judged like a plain answer.
#[test]
fn streams() {
    let usage = r#"data: {"choices":[],"usage":{"prompt_tokens":9}}"#;
    let good = stream(&[HELLO, STOP]);
    let cases = [
        (good.clone(), Ok(())),
        (good.replace('\n', "\r\n"), Ok(())),
        (good.replace("data: [DONE]", &format!("{usage}\n\ndata: [DONE]")), Ok(())),
        (format!(": keep-alive\n\n{good}"), Ok(())),
        // Cut anywhere.
        (open_stream(&[HELLO]), Err(NotStored::Cut)),
        (open_stream(&[HELLO, STOP]), Err(NotStored::Cut)),
        (good[..good.len() - 1].into(), Err(NotStored::Cut)),
        (String::new(), Err(NotStored::Cut)),
        (stream(&[HELLO]), Err(NotStored::Unfinished)),
        (stream(&[]), Err(NotStored::Unexpected)),
        (stream(&[STOP]), Err(NotStored::Empty)),
        (good.clone() + &good, Err(NotStored::Unexpected)),
        // Errors on the way, said in any of the usual manners.
        (
            good.replace("data: [DONE]", "data: {\"error\":{\"message\":\"x\"}}\n\ndata: [DONE]"),
            Err(NotStored::ErrorObject),
        ),
        (
            good.replace("data: [DONE]", "event: error\ndata: {}\n\ndata: [DONE]"),
            Err(NotStored::ErrorObject),
        ),
        (good.replace("\"stop\"", "\"error\""), reason("error")),
        (good.replace("\"stop\"", "\"content_filter\""), reason("content_filter")),
        (good.replace("data: [DONE]", "data: oops\n\ndata: [DONE]"), Err(NotStored::NotJson)),
        (good.replace("\"content\":", "\"refusal\":"), Err(NotStored::Refusal)),
        // A plain answer is not a stream.
        (choice(r#"{"content":"a"}"#, r#""stop""#), Err(NotStored::Cut)),
    ];
    for (body, expected) in cases {
        assert_eq!(judge(&STREAM, &body), expected, "{body}");
    }
}

/// A52: the arguments of streamed tool calls are judged put together, call by call.
#[test]
fn streamed_tool_calls() {
    let part = |index: u8, arguments: &str| {
        format!(
            r#"{{"index":0,"delta":{{"tool_calls":[{{"index":{index},
                "function":{{"arguments":"{arguments}"}}}}]}}}}"#
        )
        .replace('\n', "")
    };
    let end = STOP.replace("stop", "tool_calls");
    let [a, b, c, d] = [part(0, r#"{\"a\""#), part(1, "{"), part(0, ":1}"), part(1, "}")];
    assert_eq!(judge(&STREAM, &stream(&[&a, &b, &c, &d, &end])), Ok(()));
    assert_eq!(judge(&STREAM, &stream(&[&a, &b, &c, &end])), Err(NotStored::ToolArguments));
}

/// A50: half a stream is not stored, wherever it is cut, and in whatever pieces it came.
#[test]
fn every_prefix_of_a_stream_is_refused() {
    let policy = ResponsePolicy::default();
    let whole = Bytes::from(stream(&[HELLO, STOP]));
    for end in 0..whole.len() {
        let pieces: Vec<_> = whole[..end].chunks(7).map(Bytes::copy_from_slice).collect();
        policy.judge_recorded(&STREAM, &pieces).expect_err("a part was taken for the whole");
    }
    let pieces: Vec<_> = whole.chunks(7).map(Bytes::copy_from_slice).collect();
    assert_eq!(policy.judge_recorded(&STREAM, &pieces), Ok(whole));
}

/// A55: embeddings are stored when each input has one.
#[test]
fn embedding_answers() {
    let item = |index: u8, vector: &str| {
        format!(r#"{{"object":"embedding","index":{index},"embedding":{vector}}}"#)
    };
    let list = |items: &[String]| {
        format!(r#"{{"object":"list","data":[{}],"model":"e","usage":{{}}}}"#, items.join(","))
    };
    let two = Asked { results: Some(2), ..EMBEDDINGS };
    let good = list(&[item(0, "[0.1,-2e-3]"), item(1, r#""AACAPw==""#)]);
    assert_eq!(judge(&two, &good), Ok(()));
    assert_eq!(judge(&EMBEDDINGS, &good), Ok(()));
    let one = list(&[item(0, "[1]")]);
    assert_eq!(judge(&two, &one), Err(NotStored::Results { asked: 2, got: 1 }));
    for bad in [
        list(&[]),
        list(&[item(0, "[]")]),
        list(&[item(0, r#""""#)]),
        list(&[item(0, "null")]),
        list(&[item(0, "[null]")]),
        list(&[item(0, "[1]"), item(0, "[1]")]),
        list(&[item(7, "[1]")]),
        r#"{"object":"list"}"#.into(),
    ] {
        assert_eq!(judge(&EMBEDDINGS, &bad), Err(NotStored::Unexpected), "{bad}");
    }
    assert_eq!(judge(&EMBEDDINGS, r#"{"error":{}}"#), Err(NotStored::ErrorObject));
    assert_eq!(judge(&EMBEDDINGS, &list(&[item(0, "[1e999]")])), Err(NotStored::NotJson));
}

/// A55: what the head says is enough to refuse.
#[test]
fn heads() {
    let policy = ResponsePolicy::default();
    assert_eq!(policy.judge_head(&CHAT, 200, false, false), Ok(()));
    assert_eq!(policy.judge_head(&STREAM, 200, true, false), Ok(()));
    for status in [201, 204, 302, 400, 401, 429, 500, 503] {
        assert_eq!(policy.judge_head(&CHAT, status, false, false), Err(NotStored::Status(status)));
    }
    assert_eq!(policy.judge_head(&CHAT, 200, true, false), Err(NotStored::Transport));
    assert_eq!(policy.judge_head(&STREAM, 200, false, false), Err(NotStored::Transport));
    assert_eq!(policy.judge_head(&CHAT, 200, false, true), Err(NotStored::Encoded));
}

/// A78, A79: messages and labels hold nothing of the answer but the finish reason.
#[test]
fn reasons_are_readable() {
    assert_eq!(NotStored::Status(503).to_string(), "the status is 503, not 200");
    assert_eq!(NotStored::FinishReason("secret".into()).label(), "finish_reason");
}

/// However deeply something is nested, it is judged and not run into.
#[test]
fn deep_nesting_is_no_trouble() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let says =
        |member: &str| judge(&CHAT, &choice(&format!(r#"{{"{member}":{deep}}}"#), r#""stop""#));
    assert_eq!(says("content"), Ok(()), "something is there");
    assert_eq!(says("unknown"), Err(NotStored::Empty));
    assert_eq!(says("tool_calls"), Err(NotStored::Unexpected));
    let call = format!(r#"{{"function_call":{{"arguments":"{deep}"}}}}"#);
    assert_eq!(judge(&CHAT, &choice(&call, r#""function_call""#)), Ok(()), "JSON it is");
}

proptest! {
    /// Hostile bytes are judged, whatever they are; a good answer with a byte changed is still an
    /// answer or is refused.
    #[test]
    fn no_bytes_make_it_panic(
        noise in proptest::collection::vec(any::<u8>(), 0..200),
        at in any::<usize>(),
        byte in any::<u8>(),
    ) {
        let policy = ResponsePolicy::default();
        for asked in [CHAT, STREAM, EMBEDDINGS] {
            prop_assert!(policy.judge(&asked, &noise).is_err());
            let good = match asked.transport {
                Transport::Stream => stream(&[HELLO, STOP]),
                Transport::Plain => choice(r#"{"content":"Hello"}"#, r#""stop""#),
            };
            let mut changed = good.into_bytes();
            let at = at % changed.len();
            changed[at] = byte;
            let _ = policy.judge(&asked, &changed);
        }
    }

    /// A stream is judged the same in whatever pieces it came.
    #[test]
    fn pieces_do_not_matter(
        chunks in proptest::collection::vec(0_usize..4, 0..6),
        size in 1_usize..50,
        done in any::<bool>(),
    ) {
        let length = STOP.replace("stop", "length");
        let error = r#"{"index":0,"error":{}}"#;
        let chunks: Vec<&str> = chunks.iter().map(|&i| [HELLO, STOP, &length, error][i]).collect();
        let body = if done { stream(&chunks) } else { open_stream(&chunks) };
        let pieces: Vec<_> = body.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect();
        let recorded = ResponsePolicy::default().judge_recorded(&STREAM, &pieces);
        prop_assert_eq!(recorded.map(|_| ()), judge(&STREAM, &body));
    }
}
