//! Raw bytes as an answer in each dialect and both transports: an answer that can be transcoded is
//! the same after another round, in pieces of any size, and whatever cannot has a reason; never a
//! panic or time that is not linear.
//!
//! The first byte chooses the dialect and the size of pieces; the rest is the answer.
#![no_main]

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

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
    for transport in [Transport::Plain, Transport::Stream] {
        let asked = Asked { kind, transport, stream: USAGE, token_limit: true, results: None };
        let _ = ResponsePolicy::default().judge(&asked, answer);
    }
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
