//! Options that say which requests count as equal.

use cache_core::CacheKey;
use cache_key::{EndpointKind, Equivalence, KeyOptions, KeyScope, Request, Tenant};

const CHAT: EndpointKind = EndpointKind::ChatCompletions;

fn key(kind: EndpointKind, body: &str, options: &KeyOptions) -> CacheKey {
    let scope = KeyScope::new(Tenant::Shared).options(options.clone());
    Request::parse(kind, body.as_bytes()).expect("a valid body").key(&scope)
}

/// A7: each declared equivalence merges a pair of requests, and does not once it is switched off.
#[test]
fn each_equivalence_has_a_switch() {
    for (equivalence, one, two) in [
        (Equivalence::Stream, r#"{"stream":true}"#, r#"{"stream":false}"#),
        (Equivalence::StreamOptions, r#"{"stream_options":{}}"#, "{}"),
        (Equivalence::RequestId, r#"{"request_id":"a"}"#, r#"{"request_id":"b"}"#),
        (Equivalence::RequestId, r#"{"extra_body":{"request_id":"a"}}"#, r#"{"extra_body":{}}"#),
        (Equivalence::NullIsAbsent, r#"{"n":null}"#, "{}"),
        (
            Equivalence::NullIsAbsent,
            r#"{"messages":[{"role":"user","name":null}]}"#,
            r#"{"messages":[{"role":"user"}]}"#,
        ),
        (
            Equivalence::OneTextPart,
            r#"{"messages":[{"content":[{"type":"text","text":"a"}]}]}"#,
            r#"{"messages":[{"content":"a"}]}"#,
        ),
        (Equivalence::NumberSpelling, r#"{"n":1}"#, r#"{"n":1.0}"#),
        (Equivalence::NumberSpelling, r#"{"tools":[{"a":-0}]}"#, r#"{"tools":[{"a":0}]}"#),
        (Equivalence::MemberOrder, r#"{"n":1,"user":"a"}"#, r#"{"user":"a","n":1}"#),
        (Equivalence::MemberOrder, r#"{"tools":[{"a":1,"b":2}]}"#, r#"{"tools":[{"b":2,"a":1}]}"#),
        (
            Equivalence::MemberOrder,
            r#"{"messages":[{"role":"a","content":"b"}]}"#,
            r#"{"messages":[{"content":"b","role":"a"}]}"#,
        ),
    ] {
        let default = KeyOptions::new();
        assert_eq!(key(CHAT, one, &default), key(CHAT, two, &default), "{one} {two}");
        let off = KeyOptions::new().without(equivalence);
        assert_ne!(key(CHAT, one, &off), key(CHAT, two, &off), "{one} {two} {equivalence:?}");
        assert_ne!(key(CHAT, one, &off), key(CHAT, one, &default), "rules never meet: {one}");
    }
}

/// A7: a further member can be left out, of one kind, at the top level only.
#[test]
fn further_members_can_be_left_out() {
    let options = KeyOptions::new().leave_out(CHAT, "user");
    let same = |one, two| key(CHAT, one, &options) == key(CHAT, two, &options);
    assert!(same(r#"{"user":"a"}"#, r#"{"user":["b"]}"#));
    assert!(same(r#"{"user":"a"}"#, "{}"));
    assert!(!same(r#"{"n":1}"#, "{}"));
    assert!(!same(r#"{"tools":[{"user":"a"}]}"#, r#"{"tools":[{}]}"#));
    assert!(!same(r#"{"extra_body":{"user":"a"}}"#, r#"{"extra_body":{}}"#));

    let others = EndpointKind::Embeddings;
    assert_ne!(
        key(others, r#"{"user":"a"}"#, &options),
        key(others, "{}", &options),
        "of another kind it counts"
    );
}

/// A9, A10: the rules are part of the key, framed; what changes nothing is not.
#[test]
fn rules_are_part_of_the_key_where_they_matter() {
    let default = KeyOptions::new();
    let body = r#"{"model":"m"}"#;
    let rules = [
        KeyOptions::new(),
        KeyOptions::new().leave_out(CHAT, "a"),
        KeyOptions::new().leave_out(CHAT, "ab"),
        KeyOptions::new().leave_out(CHAT, "a").leave_out(CHAT, "b"),
        KeyOptions::new().leave_out(CHAT, ""),
        KeyOptions::new().without(Equivalence::Stream),
        KeyOptions::new().without(Equivalence::MemberOrder),
        KeyOptions::new().without(Equivalence::Stream).without(Equivalence::MemberOrder),
        KeyOptions::new().without(Equivalence::Stream).leave_out(CHAT, "a"),
    ];
    for (i, one) in rules.iter().enumerate() {
        for two in &rules[..i] {
            assert_ne!(key(CHAT, body, one), key(CHAT, body, two), "{one:?} {two:?}");
        }
    }

    let ordered = KeyOptions::new().leave_out(CHAT, "b").leave_out(CHAT, "a").leave_out(CHAT, "b");
    assert_eq!(key(CHAT, body, &rules[3]), key(CHAT, body, &ordered), "order and repetition");
    // What does not exist for a kind can be switched off without losing its entries.
    for (kind, options) in [
        (EndpointKind::Generic, KeyOptions::new().without(Equivalence::Stream)),
        (EndpointKind::Embeddings, KeyOptions::new().without(Equivalence::OneTextPart)),
        (EndpointKind::Embeddings, KeyOptions::new().leave_out(CHAT, "user")),
    ] {
        assert_eq!(key(kind, body, &options), key(kind, body, &default), "{kind} {options:?}");
    }
}

/// The bytes of the form without an equivalence, as `docs/key-format.md` gives them.
#[test]
fn forms_without_equivalences_are_pinned() {
    let request = Request::parse(CHAT, br#"{"n":1.50,"a":{}}"#).expect("a valid body");
    let options =
        KeyOptions::new().without(Equivalence::NumberSpelling).without(Equivalence::MemberOrder);
    let expected = b"\x07\x02n\x261.50\x02a\x07\0\0";
    assert_eq!(request.canonical_form_with(&options), expected);
    // Empty namespace, shared by all, empty provider and base URL, no headers, no parts.
    let scope = blake3::hash(b"cachekey\x01\0\0\0\0\0\0");
    let of_request = |preimage: &[u8]| blake3::keyed_hash(scope.as_bytes(), preimage).to_string();
    let keyed = |options: KeyOptions| key(CHAT, r#"{"n":1}"#, &options).to_string();
    assert_eq!(keyed(KeyOptions::new()), of_request(b"\x01\x05\x02n\x091\0\0"));
    assert_eq!(
        keyed(KeyOptions::new().leave_out(CHAT, "user")),
        of_request(b"\0\0\x01\x04user\x01\x05\x02n\x091\0\0")
    );
    assert_eq!(
        keyed(KeyOptions::new().without(Equivalence::Stream)),
        of_request(b"\0\x01\0\x01\x05\x02n\x091\0\0")
    );
}

/// Any one of many members can be left out.
#[test]
fn many_members() {
    let members: Vec<String> = (0..200).map(|i| format!(r#""m{i:03}":{i}"#)).collect();
    let body = format!("{{{}}}", members.join(","));
    let without = |skipped: usize| {
        let left: Vec<_> = members.iter().enumerate().filter(|(i, _)| *i != skipped).collect();
        let left: Vec<&str> = left.into_iter().map(|(_, member)| member.as_str()).collect();
        format!("{{{}}}", left.join(","))
    };
    for skipped in [0, 62, 63, 64, 65, 127, 128, 199] {
        let options = KeyOptions::new().leave_out(CHAT, &format!("m{skipped:03}"));
        assert_eq!(key(CHAT, &body, &options), key(CHAT, &without(skipped), &options), "{skipped}");
        let form = |body: &str| {
            let request = Request::parse(CHAT, body.as_bytes()).expect("a valid body");
            request.canonical_form_with(&options)
        };
        assert_eq!(form(&body), form(&without(skipped)), "{skipped}");
    }
}
