//! The parser takes what RFC 8259 allows and nothing else; `serde_json` is the second opinion.

mod common;

use cache_key::{EndpointKind, NotCanonical, ParseLimits, Request, Value};
use common::{Choices, json, spell};
use proptest::prelude::*;

fn parse(body: &[u8]) -> Result<Request<'_>, NotCanonical> {
    // `serde_json` allows 127 levels.
    Request::parse_with(EndpointKind::Generic, body, &ParseLimits::default().max_depth(127))
}

/// Compares the two parsers on `{"v": text}`.
fn agree(text: &[u8]) {
    let body = [br#"{"v":"#, text, b"}"].concat();
    let theirs = serde_json::from_slice::<serde_json::Value>(&body);
    let shown = String::from_utf8_lossy(&body);
    match (parse(&body), theirs) {
        (Ok(ours), Ok(theirs)) => assert!(same(ours.body(), &theirs), "{shown}"),
        // A number that is too large for a double is still a number.
        (Ok(_), Err(error)) => {
            assert!(error.to_string().contains("out of range"), "{error}: {shown}");
        }
        // Theirs takes the last of two members, and 1e-9…9 for 0.
        (Err(NotCanonical::DuplicateMember { .. } | NotCanonical::NumberOutOfRange { .. }), _) => {}
        (Err(error), theirs) => assert!(theirs.is_err(), "{error}: {shown}"),
    }
}

/// Whether the two parsers read the same.
fn same(ours: Value<'_>, theirs: &serde_json::Value) -> bool {
    match theirs {
        serde_json::Value::Null => ours.is_null(),
        serde_json::Value::Bool(value) => ours.as_bool() == Some(*value),
        serde_json::Value::Number(number) => {
            let near = |a: f64, b: f64| (a - b).abs() <= a.abs() * 1e-15; // theirs rounds roughly
            let float = ours.as_f64().zip(number.as_f64());
            float.is_some_and(|(a, b)| near(a, b))
                && number.as_u64().is_none_or(|value| ours.as_u64() == Some(value))
        }
        serde_json::Value::String(string) => ours.as_str() == Some(string),
        serde_json::Value::Array(items) => {
            ours.is_array()
                && ours.len() == items.len()
                && ours.items().zip(items).all(|(ours, theirs)| same(ours, theirs))
        }
        serde_json::Value::Object(members) => {
            ours.is_object()
                && ours.len() == members.len()
                && members
                    .iter()
                    .all(|(name, value)| ours.get(name).is_some_and(|ours| same(ours, value)))
                && ours.members().all(|(name, _)| members.contains_key(name))
        }
    }
}

proptest! {
    #![proptest_config(common::config())]

    #[test]
    fn on_random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
        agree(&bytes);
    }

    #[test]
    fn on_the_alphabet_of_json(text in r#"[\[\]{}",:\\0-9.eE+\-truefalsn\tu ]{0,10}"#) {
        agree(text.as_bytes());
    }

    #[test]
    fn on_strings(text in r#""([a-c/\\"\u{0}-\u{21}é🙂]|\\u[0-9a-fA-FdD]{3,4}|\\[a-z"/\\]){0,6}""#) {
        agree(text.as_bytes());
    }

    #[test]
    fn on_numbers(text in r"-?[0-9]{0,3}\.?[0-9]{0,3}([eE][+-]?[0-9]{0,4})?") {
        agree(text.as_bytes());
    }

    #[test]
    fn on_json_with_one_byte_changed(json in json(), seed: u64, byte: u8) {
        let mut choices = Choices(seed);
        let mut text = spell(&json, &mut choices).into_bytes();
        agree(&text);
        let at = choices.below(text.len());
        text[at] = byte;
        agree(&text);
        text.truncate(at);
        agree(&text);
    }
}

/// Cases in the manner of JSONTestSuite (Nicolas Seriot, "Parsing JSON is a Minefield").
#[test]
fn accepted() {
    let accepted: &[&str] = &[
        "null",
        "true",
        "false",
        "[]",
        "{}",
        "[[]]",
        "[ ]",
        "{ }",
        " [1 , 2] ",
        "\t\n\r1",
        "0",
        "-0",
        "0.0",
        "1e5",
        "1E5",
        "1e+5",
        "1e-5",
        "1.5e005",
        "123456789012345678901234567890",
        r#""""#,
        r#""\"\\\/\b\f\n\r\t""#,
        r#""\u0000""#,
        r#""\uD834\uDD1E""#,
        r#""\u00E9""#,
        "\"\u{7f}\"",
        "\"\u{2028}\u{2029}\"",
        "\"\u{feff}\"",
        r#"{"":0}"#,
        r#"{"\u0000":0}"#,
        r#"{"a":1,"A":2}"#,
        r#"{"a":{"a":{"a":0}}}"#,
        "{\"e\u{301}\":0,\"\u{e9}\":1}", // one letter, spelt two ways: two names
    ];
    for text in accepted {
        agree(text.as_bytes());
        let body = format!(r#"{{"v":{text}}}"#);
        assert!(parse(body.as_bytes()).is_ok(), "{text}");
    }
}

#[test]
fn refused() {
    let refused: &[&[u8]] = &[
        b"",
        b" ",
        b"nul",
        b"nulll",
        b"True",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"undefined",
        b"[",
        b"]",
        b"[1",
        b"[1,",
        b"[1,]",
        b"[,1]",
        b"[1 2]",
        b"[1,,2]",
        b"{",
        b"{\"a\"",
        b"{\"a\":",
        b"{\"a\":1",
        b"{\"a\":1,}",
        b"{,}",
        b"{a:1}",
        b"{'a':1}",
        b"{1:1}",
        b"{\"a\" 1}",
        b"{\"a\":1 \"b\":2}",
        b"[1}",
        b"{\"a\":1]",
        b"01",
        b"-01",
        b"+1",
        b"1.",
        b".1",
        b"-",
        b"1e",
        b"1e+",
        b"0x1",
        b"1_0",
        b"1.e1",
        b"\"",
        b"\"a",
        b"\"\\\"",
        b"\"\\x\"",
        b"\"\\u12\"",
        b"\"\\u12g4\"",
        b"\"\\U0041\"",
        b"\"\t\"",
        b"\"\n\"",
        b"\"\0\"",
        b"\"\\ud800\"",
        b"\"\\udc00\"",
        b"\"\\ud800\\ud800\"",
        b"\"\\ud800x\"",
        b"\"\\ud800\\n\"",
        b"\"\xff\"",
        b"\"\xc0\xaf\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xf4\x90\x80\x80\"",
        b"\"\xe2\x82\"",
        b"\xa0",
        b"// c\n1",
        b"/**/1",
        b"1//",
        b"\x0c1",
        b"\xc2\xa01",
        b"\xef\xbb\xbf1",
        b"1 2",
        b"1}",
        b"\"a\"\"b\"",
    ];
    for text in refused {
        agree(text);
        let body = [br#"{"v":"#, *text, b"}"].concat();
        assert!(parse(&body).is_err(), "{}", String::from_utf8_lossy(&body));
    }
}

/// A6: each reason, with where it is.
#[test]
fn reasons() {
    let reason = |body: &[u8]| Request::parse(EndpointKind::Generic, body).map(|_| ()).unwrap_err();
    let syntax = |offset, expected| NotCanonical::Syntax { offset, expected };
    assert_eq!(reason(b""), syntax(0, "a value"));
    assert_eq!(reason(b"\xef\xbb\xbf{}"), syntax(0, "a value"));
    assert_eq!(reason(br#"{"a" 1}"#), syntax(5, "`:`"));
    assert_eq!(reason(br#"{"a":1"#), syntax(6, "`,` or `}`"));
    assert_eq!(reason(br#"{"a":[1}"#), syntax(7, "`,` or `]`"));
    assert_eq!(reason(br#"{"a":1,}"#), syntax(7, "a member name"));
    assert_eq!(reason(br#"{"a":"x"#), syntax(7, "the end of the string"));
    assert_eq!(reason(b"{\"a\":\"\n\"}"), syntax(6, "no control character"));
    assert_eq!(reason(b"{\"a\":\"\xff\"}"), NotCanonical::InvalidUtf8 { offset: 6 });
    assert_eq!(reason(b"{} {}"), NotCanonical::TrailingData { offset: 3 });
    assert_eq!(reason(br#"{"a":"\ud800"}"#), NotCanonical::LoneSurrogate { offset: 6 });
    assert_eq!(
        reason(br#"{"a":1e99999999999999999999}"#),
        NotCanonical::NumberOutOfRange { offset: 5 }
    );
    for other in ["null", "[]", "1", r#""{}""#] {
        assert_eq!(reason(other.as_bytes()), NotCanonical::NotAnObject);
    }
}

/// Names are compared without their escapes, at any depth, among few members and many.
#[test]
fn duplicate_members_are_refused() {
    let offset = |body: &str| match Request::parse(EndpointKind::Generic, body.as_bytes()) {
        Err(NotCanonical::DuplicateMember { offset }) => offset,
        other => panic!("{other:?}: {body}"),
    };
    assert_eq!(offset(r#"{"a":1,"a":1}"#), 8);
    assert_eq!(offset(r#"{"a":1,"\u0061":1}"#), 8);
    assert_eq!(offset(r#"{"\u0061":1,"a":1}"#), 13);
    assert_eq!(offset(r#"{"x":[{"":0,"b":0,"":0}]}"#), 19);
    let many: Vec<_> = (0..100).map(|i| format!(r#""member number {i}":0,"#)).collect();
    let many = many.concat();
    assert_eq!(offset(&format!(r#"{{{many}"member number 57":0}}"#)), many.len() + 2);
    assert!(parse(format!(r#"{{{many}"member number 100":0}}"#).as_bytes()).is_ok());
}

/// Depth is bounded by the limit alone: neither parsing nor hashing recurses.
#[test]
fn nesting_is_limited_and_never_overflows_the_stack() {
    let nested =
        |levels: usize| format!("{}1{}", r#"{"a":["#.repeat(levels / 2), "]}".repeat(levels / 2));
    assert!(Request::parse(EndpointKind::Generic, nested(128).as_bytes()).is_ok());
    let too_deep = NotCanonical::TooDeep { offset: 64 * 6, limit: 128 };
    assert_eq!(
        Request::parse(EndpointKind::Generic, nested(130).as_bytes()).map(|_| ()),
        Err(too_deep)
    );

    let deep = nested(1_000_000);
    let limits = ParseLimits::default().max_depth(usize::MAX);
    let one =
        Request::parse_with(EndpointKind::Generic, deep.as_bytes(), &limits).expect("no limit");
    let spaced = deep.replace('1', " 1.0 ");
    let two =
        Request::parse_with(EndpointKind::Generic, spaced.as_bytes(), &limits).expect("no limit");
    assert_eq!(one.body().digest(), two.body().digest());
}
