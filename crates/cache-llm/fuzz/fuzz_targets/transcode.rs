//! Raw bytes as an answer in each dialect and both transports: an answer that can be transcoded is
//! the same after another round, in pieces of any size, and whatever cannot has a reason; never a
//! panic or time that is not linear. Events that are told by the one before them without being parsed
//! amount to what they do when each is parsed.
//!
//! The first byte chooses the dialect and the size of pieces; the rest is the answer.
#![no_main]

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use cache_llm::sse::SseParser;
use cache_llm::transcode::{to_plain, to_stream};
use cache_llm::{AnswerKind, Asked, ResponsePolicy, StreamOptions, Transport};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;

const KINDS: [AnswerKind; 4] =
    [AnswerKind::Chat, AnswerKind::Completions, AnswerKind::Responses, AnswerKind::Messages];
const USAGE: StreamOptions = StreamOptions { include_usage: true, include_obfuscation: None };

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, answer)) = bytes.split_first() else { return };
    let kind = KINDS[usize::from(first % 4)];
    let piece = NonZeroUsize::new(usize::from(first / 4) + 1).expect("at least one");
    let bound = Duration::from_secs(2) + Duration::from_micros(bytes.len() as u64 * 100);
    let quick = (0..3).any(|_| {
        let start = Instant::now();
        check(kind, piece, answer);
        start.elapsed() < bound
    });
    assert!(quick, "{} bytes took more than {bound:?}, three times", bytes.len());
});

fn check(kind: AnswerKind, piece: NonZeroUsize, answer: &[u8]) {
    // As a plain answer. What comes back may have an index and a role that were not there.
    if let Ok(stream) = to_stream(kind, answer, USAGE, piece) {
        let plain = to_plain(kind, &stream).expect("a stream of ours");
        same(answer, &plain);
    }
    // As a stream.
    if let Ok(plain) = to_plain(kind, answer) {
        serde_json::from_slice::<&RawValue>(&plain).expect("it is JSON");
        if let Ok(stream) = to_stream(kind, &plain, USAGE, piece) {
            let again = to_plain(kind, &stream).expect("a stream of ours");
            same(&plain, &again);
        }
    }
    let judge = |transport, answer: &[u8]| {
        let asked = Asked { kind, transport, stream: USAGE, token_limit: true, results: None };
        ResponsePolicy::default().judge(&asked, answer)
    };
    let _ = judge(Transport::Plain, answer);
    let spaced = spaced(kind, answer);
    // Where there are two reasons against it, another one may come first.
    let is_good = |answer| judge(Transport::Stream, answer).is_ok();
    assert_eq!(is_good(answer), is_good(&spaced));
    match (to_plain(kind, answer), to_plain(kind, &spaced)) {
        (Ok(one), Ok(two)) => same(&one, &two),
        (one, two) => assert!(one.is_err() && two.is_err()),
    }
}

/// The stream with an event that says nothing before each of its own, which the next one is not like.
fn spaced(kind: AnswerKind, stream: &[u8]) -> Vec<u8> {
    let nothing: &[u8] = match kind {
        AnswerKind::Messages => br#"data: {"type":"ping"}"#,
        AnswerKind::Responses => br#"data: {"type":"response.nothing"}"#,
        _ => br#"data: {"choices":[]}"#,
    };
    let mut spaced = Vec::new();
    SseParser::new(stream.len()).push(stream, |event| {
        let event = event.expect("none is larger than the stream");
        let name = [b"event: ", event.name].concat();
        let data = event.data.split(|&byte| byte == b'\n').map(|line| [b"data: ", line].concat());
        if event.data != b"[DONE]" {
            spaced.extend([nothing, b"\n\n"].concat());
        }
        let lines = [name].into_iter().chain(data);
        for line in lines.chain([Vec::new()]) {
            spaced.extend([line, b"\n".to_vec()].concat());
        }
    });
    spaced
}

/// Whether two plain answers are one, by a reader that keeps numbers as they are. (It reads no half
/// surrogate pairs.)
fn same(one: &[u8], two: &[u8]) {
    let parse = |text| serde_json::from_slice::<Value>(text).map(normal);
    if let (Ok(one), Ok(two)) = (parse(one), parse(two)) {
        assert_eq!(one, two);
    }
}

/// With what is added where it is missing, without what plain answers need not have, and with
/// choices in the order of their indexes.
fn normal(mut answer: Value) -> Value {
    let Some(choices) = answer.get_mut("choices").and_then(Value::as_array_mut) else {
        return answer;
    };
    for (at, choice) in choices.iter_mut().enumerate() {
        if choice["index"].is_null() {
            choice["index"] = at.into();
        }
        let Some(message) = choice.get_mut("message").and_then(Value::as_object_mut) else {
            continue;
        };
        if message.get("role").is_none_or(|role| role.is_null() || role == "") {
            message.insert("role".into(), "assistant".into());
        }
        if let Some(calls) = message.get_mut("tool_calls").and_then(Value::as_array_mut) {
            for call in calls.iter_mut().filter_map(Value::as_object_mut) {
                call.remove("index");
            }
        }
    }
    choices.sort_by_key(|choice| choice["index"].as_u64());
    answer
}
