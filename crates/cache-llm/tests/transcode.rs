//! Any answer, in both transports: nothing is lost, and nothing is guessed.
#![allow(clippy::unwrap_used, clippy::format_push_string, reason = "helpers of tests")]

mod values;

use std::num::NonZeroUsize;

use bytes::Bytes;
use cache_llm::transcode::{NotTranscodable, to_plain, to_stream};
use cache_llm::{AnswerKind, Asked, ResponsePolicy, StreamOptions, Transport};
use proptest::prelude::*;
use proptest::sample::select;
use values::value;

const USAGE: StreamOptions = StreamOptions { include_usage: true, include_obfuscation: None };

fn streamed(kind: AnswerKind, plain: &str, piece: usize) -> Bytes {
    let piece = NonZeroUsize::new(piece).unwrap();
    to_stream(kind, plain.as_bytes(), USAGE, piece)
        .unwrap_or_else(|error| panic!("{error}: {plain}"))
}

/// Characters as they stand in JSON: escaped and not, and what looks like the syntax around them.
const UNITS: [&str; 18] = [
    "a",
    "Z",
    " ",
    "é",
    "日",
    "😀",
    "\\n",
    "\\r\\n",
    "\\\"",
    "\\\\",
    "\\/",
    "\\u00e9",
    "\\ud83d\\ude00",
    "data: ",
    "[DONE]",
    "}",
    "null",
    "\\u0000",
];

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(select(&UNITS[..]), 0..12).prop_map(|units| units.concat())
}

fn string() -> impl Strategy<Value = String> {
    text().prop_map(|text| format!("\"{text}\""))
}

/// Numbers and booleans, some of which no double keeps.
const NUMBERS: [&str; 8] =
    ["0", "-0", "1.50", "1e400", "12345678901234567890", "-1.5E+07", "true", "false"];

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![Just("null".to_owned()), select(&NUMBERS[..]).prop_map(str::to_owned), string()]
}

/// Any JSON.
fn any_json() -> impl Strategy<Value = String> {
    scalar().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(inner, 0..3).prop_map(|values| {
                let members = values.iter().enumerate();
                let members: Vec<_> =
                    members.map(|(at, value)| format!("\"k\\u006{at}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// Some members of an object: each there or not.
fn members(all: Vec<(&'static str, BoxedStrategy<String>)>) -> impl Strategy<Value = Vec<String>> {
    all.into_iter()
        .map(|(name, value)| {
            prop::option::weighted(0.6, value.prop_map(move |value| format!("\"{name}\":{value}")))
                .boxed()
        })
        .collect::<Vec<_>>()
        .prop_map(|members| members.into_iter().flatten().collect())
        .prop_shuffle()
}

fn object(
    fixed: &'static str,
    all: Vec<(&'static str, BoxedStrategy<String>)>,
) -> impl Strategy<Value = String> {
    members(all).prop_map(move |mut members| {
        if !fixed.is_empty() {
            members.insert(0, fixed.to_owned());
        }
        format!("{{{}}}", members.join(","))
    })
}

fn array(item: impl Strategy<Value = String>, most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(item, 0..=most).prop_map(|items| format!("[{}]", items.join(",")))
}

fn or_null(value: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    prop_oneof![1 => Just("null".to_owned()), 3 => value].boxed()
}

fn logprobs() -> impl Strategy<Value = String> {
    object(
        "",
        vec![
            ("content", or_null(array(any_json(), 3))),
            ("refusal", or_null(array(any_json(), 2))),
            ("new", any_json().boxed()),
        ],
    )
}

fn chat() -> impl Strategy<Value = String> {
    let function = || {
        object(
            "",
            vec![
                ("name", string().boxed()),
                ("arguments", string().boxed()),
                ("new", any_json().boxed()),
            ],
        )
    };
    let call = object(
        "",
        vec![
            ("id", string().boxed()),
            ("type", string().boxed()),
            ("function", function().boxed()),
            ("new", any_json().boxed()),
        ],
    );
    let custom = object(
        "\"type\":\"custom\"",
        vec![
            ("id", string().boxed()),
            (
                "custom",
                object("", vec![("name", string().boxed()), ("input", string().boxed())]).boxed(),
            ),
        ],
    );
    let calls = array(prop_oneof![call, custom], 3);
    let message = object(
        "\"role\":\"assistant\"",
        vec![
            ("content", or_null(string())),
            ("refusal", or_null(string())),
            ("reasoning_content", or_null(string())),
            ("reasoning", or_null(string())),
            ("tool_calls", or_null(calls)),
            ("function_call", or_null(function())),
            (
                "audio",
                or_null(object(
                    "\"data\":\"AQID\"",
                    vec![("id", string().boxed()), ("transcript", string().boxed())],
                )),
            ),
            ("annotations", or_null(array(any_json(), 2))),
            ("new", any_json().boxed()),
        ],
    );
    let choice = (
        message,
        members(vec![
            ("logprobs", or_null(logprobs())),
            ("finish_reason", or_null(string())),
            ("new", any_json().boxed()),
        ]),
    );
    let choices = prop::collection::vec(choice, 1..4).prop_map(|choices| {
        let choices: Vec<_> = choices
            .into_iter()
            .enumerate()
            .map(|(at, (message, mut members))| {
                members.push(format!("\"message\":{message}"));
                members.push(format!("\"index\":{at}"));
                format!("{{{}}}", members.join(","))
            })
            .collect();
        choices.join(",")
    });
    (choices, top()).prop_map(|(choices, top)| {
        format!(r#"{{"choices":[{choices}],"object":"chat.completion",{top}}}"#)
    })
}

fn top() -> impl Strategy<Value = String> {
    members(vec![
        ("id", string().boxed()),
        ("created", scalar().boxed()),
        ("model", string().boxed()),
        ("system_fingerprint", or_null(string())),
        ("service_tier", or_null(string())),
        ("new", any_json().boxed()),
    ])
    .prop_map(|mut members| {
        members.push(r#""usage":{"total_tokens":1e0,"details":{"a":[]}}"#.to_owned());
        members.join(",")
    })
}

fn completion() -> impl Strategy<Value = String> {
    let arrays = object(
        "",
        vec![
            ("tokens", array(string(), 3).boxed()),
            ("token_logprobs", or_null(array(scalar(), 3))),
            ("top_logprobs", or_null(array(any_json(), 2))),
            ("text_offset", array(scalar(), 3).boxed()),
        ],
    );
    let choice = (
        string(),
        members(vec![
            ("logprobs", or_null(arrays)),
            ("finish_reason", or_null(string())),
            ("new", any_json().boxed()),
        ]),
    );
    (prop::collection::vec(choice, 1..3), top()).prop_map(|(choices, top)| {
        let choices: Vec<_> = choices
            .into_iter()
            .enumerate()
            .map(|(at, (text, mut members))| {
                members.push(format!("\"text\":{text}"));
                members.push(format!("\"index\":{at}"));
                format!("{{{}}}", members.join(","))
            })
            .collect();
        format!(r#"{{"choices":[{}],"object":"text_completion",{top}}}"#, choices.join(","))
    })
}

fn message() -> impl Strategy<Value = String> {
    let input = || object("", vec![("a", any_json().boxed()), ("b\\n", any_json().boxed())]);
    let block = prop_oneof![
        object(
            "\"type\":\"text\"",
            vec![
                ("text", string().boxed()),
                ("citations", or_null(array(any_json(), 2))),
                ("new", any_json().boxed())
            ]
        ),
        object(
            "\"type\":\"thinking\"",
            vec![("thinking", string().boxed()), ("signature", string().boxed())]
        ),
        object(
            "\"type\":\"tool_use\"",
            vec![("id", string().boxed()), ("name", string().boxed()), ("input", input().boxed())]
        ),
        object(
            "\"type\":\"server_tool_use\"",
            vec![("id", string().boxed()), ("input", input().boxed())]
        ),
        object(
            "\"type\":\"never_heard_of\"",
            vec![("new", any_json().boxed()), ("input", any_json().boxed())]
        ),
    ];
    let usage = object(
        "",
        vec![
            ("input_tokens", scalar().boxed()),
            ("output_tokens", scalar().boxed()),
            ("cache_creation", or_null(input())),
        ],
    );
    (
        array(block, 4),
        usage,
        members(vec![
            ("id", string().boxed()),
            ("model", string().boxed()),
            ("role", string().boxed()),
            ("stop_reason", or_null(string())),
            ("stop_sequence", or_null(string())),
            ("new", any_json().boxed()),
        ]),
    )
        .prop_map(|(content, usage, mut members)| {
            members.push(format!(r#""type":"message","content":{content},"usage":{usage}"#));
            format!("{{{}}}", members.join(","))
        })
}

fn response() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        object(
            "\"type\":\"output_text\"",
            vec![
                ("text", string().boxed()),
                ("annotations", array(any_json(), 2).boxed()),
                ("logprobs", or_null(array(any_json(), 2)))
            ]
        ),
        object("\"type\":\"refusal\"", vec![("refusal", string().boxed())]),
        object("\"type\":\"never_heard_of\"", vec![("text", any_json().boxed())]),
    ];
    let item = prop_oneof![
        object(
            "\"type\":\"message\"",
            vec![
                ("id", string().boxed()),
                ("status", string().boxed()),
                ("content", array(part.clone(), 3).boxed())
            ]
        ),
        object(
            "\"type\":\"reasoning\"",
            vec![
                ("id", string().boxed()),
                ("summary", array(part.clone(), 2).boxed()),
                ("content", or_null(array(part, 2)))
            ]
        ),
        object(
            "\"type\":\"function_call\"",
            vec![
                ("id", string().boxed()),
                ("name", string().boxed()),
                ("arguments", string().boxed())
            ]
        ),
        object(
            "\"type\":\"custom_tool_call\"",
            vec![("id", string().boxed()), ("input", string().boxed())]
        ),
        object("\"type\":\"never_heard_of\"", vec![("new", any_json().boxed())]),
    ];
    (
        array(item, 4),
        members(vec![
            ("id", string().boxed()),
            ("usage", or_null(any_json())),
            ("error", Just("null".to_owned()).boxed()),
            ("new", any_json().boxed()),
        ]),
    )
        .prop_map(|(output, mut members)| {
            members.push(format!(r#""status":"completed","output":{output}"#));
            format!("{{{}}}", members.join(","))
        })
}

fn answers() -> impl Strategy<Value = (AnswerKind, String)> {
    prop_oneof![
        chat().prop_map(|plain| (AnswerKind::Chat, plain)),
        completion().prop_map(|plain| (AnswerKind::Completions, plain)),
        message().prop_map(|plain| (AnswerKind::Messages, plain)),
        response().prop_map(|plain| (AnswerKind::Responses, plain)),
    ]
}

proptest! {
    /// A50: plain to stream and back is the same answer, whatever it holds and however it is cut;
    /// and so is the stream of that.
    #[test]
    fn plain_to_stream_to_plain((kind, plain) in answers(), one in 1..20_usize, two in 1..20_usize) {
        let stream = streamed(kind, &plain, one);
        let again = to_plain(kind, &stream);
        let again = again.unwrap_or_else(|error| panic!("{error}: {plain}"));
        prop_assert_eq!(value(&again), value(&plain));
        let text = std::str::from_utf8(&again).unwrap();
        let once_more = to_plain(kind, &streamed(kind, text, two)).unwrap();
        prop_assert_eq!(value(&once_more), value(&plain));
    }

    /// Lines of a stream may end in three ways; its bytes may come in any pieces, cut inside of
    /// characters and line ends; comments and a byte order mark say nothing.
    #[test]
    fn the_way_does_not_matter(
        (kind, plain) in answers(),
        end in select(&["\n", "\r\n", "\r"][..]),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let stream = String::from_utf8(streamed(kind, &plain, 3).to_vec()).unwrap();
        let stream = format!("\u{feff}: hello\n\n{stream}").replace('\n', end);
        prop_assert_eq!(value(to_plain(kind, stream.as_bytes()).unwrap()), value(&plain));
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts
            .windows(2)
            .map(|cut| Bytes::copy_from_slice(&stream.as_bytes()[cut[0]..cut[1]]))
            .collect();
        let asked = Asked {
            kind,
            transport: Transport::Stream,
            stream: USAGE,
            token_limit: false,
            results: None,
        };
        let policy = ResponsePolicy::default().store_refusals(true);
        let judged = policy.judge(&asked, stream.as_bytes());
        prop_assert_eq!(policy.judge_recorded(&asked, &pieces).map(drop), judged);
    }

    /// Text comes out whole wherever a server cut it, even between the halves of a surrogate pair,
    /// and so do the arguments of calls that come interleaved.
    #[test]
    fn text_may_be_cut_anywhere(
        units in prop::collection::vec(select(&UNITS[..]), 1..30),
        seed in any::<u64>(),
    ) {
        let text = units.concat();
        // Escapes are six or two bytes; no server cuts one, but a pair is two of them.
        let mut rest = &text[..];
        let mut pieces = Vec::new();
        let mut random = seed;
        let mut piece = String::new();
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '\\' if rest.as_bytes()[1] == b'u' => 6,
                '\\' => 2,
                other => other.len_utf8(),
            };
            piece.push_str(&rest[..length]);
            rest = &rest[length..];
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if random >> 62 == 0 || rest.is_empty() {
                pieces.push(std::mem::take(&mut piece));
            }
        }
        let mut stream = String::new();
        for piece in &pieces {
            stream += &format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{piece}\"}}}}]}}\n\n");
            for call in [1, 0] {
                stream += &format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":{call},\"id\":\"{call}\",\"function\":{{\"arguments\":\"{piece}\"}}}}]}}}}]}}\n\n");
            }
        }
        stream += "data: {\"choices\":[],\"usage\":{}}\n\ndata: [DONE]\n\n";
        let plain = to_plain(AnswerKind::Chat, stream.as_bytes()).unwrap();
        let expected = format!(
            r#"{{"choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","tool_calls":[
                {{"id":"0","function":{{"arguments":"{text}"}}}},{{"id":"1","function":{{"arguments":"{text}"}}}}]}}}}],"usage":{{}}}}"#
        );
        prop_assert_eq!(value(plain), value(expected));
    }

    /// No bytes make it panic, and none that are no whole answer are taken for one.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), (kind, plain) in answers(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for kind in KINDS {
            prop_assert!(to_plain(kind, &bytes).is_err());
            let _ = to_stream(kind, &bytes, USAGE, NonZeroUsize::MIN);
        }
        // One byte of a good one changed.
        let mut stream = streamed(kind, &plain, 4).to_vec();
        let at = at.index(stream.len());
        stream[at] = byte;
        let _ = to_plain(kind, &stream);
    }
}

const KINDS: [AnswerKind; 5] = [
    AnswerKind::Chat,
    AnswerKind::Completions,
    AnswerKind::Responses,
    AnswerKind::Messages,
    AnswerKind::Embeddings,
];

fn chat_stream(deltas: &[&str]) -> String {
    let mut stream = String::new();
    for delta in deltas {
        stream += &format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{delta}}}],\"usage\":{{}}}}\n\n"
        );
    }
    stream + "data: [DONE]\n\n"
}

/// Where parts could be joined in more than one way, or what they add is not known, there is no
/// answer but a reason.
#[test]
fn no_guesses() {
    use NotTranscodable::{Ambiguous, Error, NoUsage, NotJson, Unexpected, UnknownEvent};
    let call = |members: &str| format!(r#"{{"tool_calls":[{{{members}}}]}}"#);
    let (nameless, named) =
        (call(r#""function":{"arguments":"1"}"#), call(r#""index":0,"id":"a""#));
    let other = call(r#""index":0,"id":"b""#);
    let cases: [(&[&str], NotTranscodable); 11] = [
        (&[&nameless, &nameless], Ambiguous),
        (&[&named, &nameless], Ambiguous),
        (&[&named, &other], Ambiguous),
        (&[r#"{"role":"assistant"}"#, r#"{"role":"tool"}"#], Ambiguous),
        // A constant, or two fragments that are alike?
        (&[r#"{"new":"ha"}"#, r#"{"new":"ha"}"#], Ambiguous),
        (&[r#"{"new":[1]}"#, r#"{"new":[1]}"#], Ambiguous),
        (&[r#"{"new":1}"#, r#"{"new":2}"#], Ambiguous),
        (&[r#"{"content":"a"}"#, r#"{"content":["b"]}"#], Ambiguous),
        (&[r#"{"audio":{"data":"AQ=="}}"#, r#"{"audio":{"data":"AQ=="}}"#], Ambiguous),
        (&["1"], Unexpected),
        (&[r#"{"content":"a","content":"b"}"#], NotJson),
    ];
    for (deltas, reason) in cases {
        let plain = to_plain(AnswerKind::Chat, chat_stream(deltas).as_bytes());
        assert_eq!(plain, Err(reason), "{deltas:?}");
    }
    let good = [
        &[&*named, &named][..], // the same again
        &[r#"{"new":1}"#, r#"{"new":1}"#],
        &[r#"{"new":{"a":"x"}}"#, r#"{"new":{"b":"x"}}"#],
        &[r#"{"new":""}"#, r#"{"new":"a"}"#, r#"{"new":null}"#],
    ];
    for deltas in good {
        let stream = chat_stream(deltas);
        assert!(to_plain(AnswerKind::Chat, stream.as_bytes()).is_ok(), "{deltas:?}");
    }
    let without_usage = chat_stream(&["{}"]).replace(",\"usage\":{}", "");
    assert_eq!(to_plain(AnswerKind::Chat, without_usage.as_bytes()), Err(NoUsage));

    let unknown = "data: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\n\ndata: {\"type\":\"new\"}\n\n";
    assert_eq!(to_plain(AnswerKind::Messages, unknown.as_bytes()), Err(UnknownEvent));
    let short = "data: {\"type\":\"response.output_item.done\"}\n\ndata: {\"type\":\"response.completed\",\"response\":{\"output\":[]}}\n\n";
    assert_eq!(to_plain(AnswerKind::Responses, short.as_bytes()), Err(Ambiguous));
    for (kind, plain, reason) in [
        (AnswerKind::Chat, r#"{"choices":[],"usage":{}}"#, Unexpected),
        (AnswerKind::Chat, r#"{"error":{}}"#, Error),
        (
            AnswerKind::Chat,
            r#"{"choices":[{"message":{}},{"index":0,"message":{}}],"usage":{}}"#,
            Ambiguous,
        ),
        (
            AnswerKind::Chat,
            r#"{"choices":[{"message":{"tool_calls":[{"index":7}]}}],"usage":{}}"#,
            Ambiguous,
        ),
        (AnswerKind::Chat, r#"{"choices":[{"message":{}}]}"#, NoUsage),
        (AnswerKind::Responses, r#"{"status":"queued","output":[]}"#, Unexpected),
        (AnswerKind::Responses, r#"{"status":"failed","output":[],"error":{}}"#, Error),
        (AnswerKind::Messages, r#"{"type":"error"}"#, Unexpected),
        (AnswerKind::Embeddings, "{}", NotTranscodable::Kind),
    ] {
        let stream = to_stream(kind, plain.as_bytes(), USAGE, NonZeroUsize::MIN);
        assert_eq!(stream, Err(reason), "{plain}");
    }
}

/// A stream of chat chunks with an end and a usage.
fn chat_of(chunks: &[String]) -> String {
    let end = [
        r#"{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}],"usage":{}}"#,
        "[DONE]",
    ];
    let all = chunks.iter().map(String::as_str).chain(end);
    all.map(|data| format!("data: {data}\n\n")).collect::<Vec<_>>().concat()
}

/// Two items of one index cannot be joined without a guess, whatever stood in their place before.
#[test]
fn items_of_one_index_are_ambiguous() {
    let delta =
        |details: &str| format!(r#"{{"choices":[{{"delta":{{"reasoning_details":{details}}}}}]}}"#);
    let twice = delta(r#"[{"index":0,"text":"a"},{"index":0,"id":"x"}]"#);
    for before in ["null", "\"\""] {
        let stream = chat_of(&[delta(before), twice.clone(), twice.replace("\"a\"", "\"b\"")]);
        let plain = to_plain(AnswerKind::Chat, stream.as_bytes());
        assert_eq!(plain, Err(NotTranscodable::Ambiguous), "{before}");
    }
}

/// What is put together of parts has few members and items: from its first part on, so that one that comes
/// twice is bounded as one that comes once. The time that hostile streams take grows with their length.
#[test]
fn what_is_put_together_is_bounded() {
    let members =
        |count: usize| (0..count).map(|n| format!("\"m{n}\":0,")).collect::<Vec<_>>().concat();
    let items = |count: usize| {
        let items: Vec<_> = (0..count).map(|n| format!(r#"{{"index":{n}}}"#)).collect();
        items.join(",")
    };
    let kinds: [&dyn Fn(usize) -> String; 4] = [
        &|count| format!(r#"{{{}"choices":[{{"delta":{{"content":"T"}}}}]}}"#, members(count - 1)),
        &|count| format!(r#"{{"choices":[{{{}"delta":{{"content":"T"}}}}]}}"#, members(count)),
        &|count| {
            format!(
                r#"{{"choices":[{{"delta":{{"content":"T","tool_calls":[{}]}}}}]}}"#,
                items(count)
            )
        },
        &|count| {
            format!(
                r#"{{"choices":[{{"delta":{{"content":"T"}}}}],"o":{{{}"z":0}}}}"#,
                members(count)
            )
        },
    ];
    for (at, kind) in kinds.iter().enumerate() {
        for times in [1, 2, 3] {
            let of = |count: usize| chat_of(&vec![kind(count); times]);
            assert!(to_plain(AnswerKind::Chat, of(1_000).as_bytes()).is_ok(), "{at} {times}");
            let refused = to_plain(AnswerKind::Chat, of(1_100).as_bytes());
            assert_eq!(refused, Err(NotTranscodable::Unexpected), "{at} {times}");
        }
    }
    let call = format!(
        r#"{{"choices":[{{"delta":{{"tool_calls":[{{{}"index":0,"function":{{"arguments":"{{}}"}}}}]}}}}]}}"#,
        members(100_000)
    );
    let more =
        r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"function":{"arguments":" "}}]}}]}"#;
    let mut chunks = vec![call];
    chunks.extend(vec![more.to_owned(); 4_000]);
    let start = std::time::Instant::now();
    assert!(to_plain(AnswerKind::Chat, chat_of(&chunks).as_bytes()).is_err());
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
}

/// The place that the choices get in an answer counts, and an `index` is looked for at the begin of an item.
#[test]
fn bounds_hold_at_their_edge() {
    let members =
        |count: usize| (0..count).map(|n| format!("\"m{n}\":0,")).collect::<Vec<_>>().concat();
    let plain = |count: usize, times: usize| {
        let choice = r#"{"delta":{"content":"T"},"finish_reason":"stop"}"#;
        let chunk = format!(r#"data: {{{}"usage":{{}},"choices":[{choice}]}}"#, members(count));
        let stream = format!("{chunk}\n\n").repeat(times) + "data: [DONE]\n\n";
        to_plain(AnswerKind::Chat, stream.as_bytes()).map(drop)
    };
    for times in [1, 2] {
        assert_eq!(plain(1_022, times), Ok(()));
        assert_eq!(plain(1_023, times), Err(NotTranscodable::Unexpected));
    }
    let twice = |before: usize| {
        let call = format!(r#"{{{}"index":0,"function":{{"arguments":"1"}}}}"#, members(before));
        let chunk = format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{call}]}}}}]}}"#);
        to_plain(AnswerKind::Chat, chat_of(&[chunk.clone(), chunk]).as_bytes()).map(drop)
    };
    assert_eq!(twice(7), Ok(()));
    assert_eq!(twice(8), Err(NotTranscodable::Ambiguous));
}

/// Padding against those who look at lengths is no part of an answer, by either of its names.
#[test]
fn padding_is_left_out() {
    for name in ["obfuscation", "p"] {
        let chunk = |text: &str, noise: &str| {
            format!(
                r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}}}}],"{name}":"{noise}"}}"#
            )
        };
        let stream = chat_of(&[chunk("a", "12"), chunk("b", "123"), chunk("c", "")]);
        let plain = to_plain(AnswerKind::Chat, stream.as_bytes()).unwrap();
        let plain = std::str::from_utf8(&plain).unwrap();
        assert!(plain.contains(r#""content":"abcx""#) && !plain.contains("12"), "{plain}");
    }
}
