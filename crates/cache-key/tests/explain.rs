//! `explain` says what a key was made of, `diff` why two differ.

mod common;

use cache_key::{
    Change, EndpointKind, Equivalence, KeyOptions, KeyScope, Request, Rule, Section, Tenant, diff,
};
use common::{Choices, Json, body, spell};
use proptest::prelude::*;

const CHAT: EndpointKind = EndpointKind::ChatCompletions;

fn parse(body: &str) -> Request<'_> {
    Request::parse(CHAT, body.as_bytes()).expect("a valid body")
}

const BODY: &str = r#"{
    "model": "m", "stream": true, "stream_options": {"include_usage": true}, "n": null, "seed": 1,
    "tools": [{"type": "function"}], "user": "u",
    "extra_body": {"request_id": "r", "a/b": 1},
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "name": null, "content": [{"type": "text", "text": "hi"}]}
    ]
}"#;

#[test]
fn explanation_of_a_request() {
    let options = KeyOptions::new().leave_out(CHAT, "user");
    let explanation = parse(BODY).explain(&options);
    let entered: Vec<_> =
        explanation.entered.iter().map(|it| (it.pointer.as_str(), it.section)).collect();
    assert_eq!(
        entered,
        [
            ("/extra_body", Section::Parameters),
            ("/messages", Section::Messages),
            ("/model", Section::Model),
            ("/seed", Section::Parameters),
            ("/tools", Section::Tools),
        ]
    );
    let left_out: Vec<_> =
        explanation.left_out.iter().map(|it| (it.pointer.as_str(), it.rule)).collect();
    assert_eq!(
        left_out,
        [
            ("/extra_body/request_id", Rule::Equivalence(Equivalence::RequestId)),
            ("/messages/1/name", Rule::Equivalence(Equivalence::NullIsAbsent)),
            ("/n", Rule::Equivalence(Equivalence::NullIsAbsent)),
            ("/stream", Rule::Equivalence(Equivalence::Stream)),
            ("/stream_options", Rule::Equivalence(Equivalence::StreamOptions)),
            ("/user", Rule::Option),
        ]
    );
    let rewritten = &explanation.rewritten[0];
    assert_eq!(rewritten.pointer, "/messages/1/content");
    assert_eq!(rewritten.equivalence, Equivalence::OneTextPart);
    let sections: Vec<_> = explanation.sections.iter().map(|(section, _)| *section).collect();
    assert_eq!(
        sections,
        [Section::Model, Section::Tools, Section::System, Section::Messages, Section::Parameters]
    );
    let shown = format!("{explanation:?}");
    assert!(!shown.contains("\"hi\"") && !shown.contains("\"u\""), "it shows values: {shown}");
}

/// A change shows in the digest of its section, and in no other.
#[test]
fn sections_are_apart() {
    let options = KeyOptions::new();
    let sections = |body: &str| parse(body).explain(&options).sections;
    let original = sections(BODY);
    for (from, to, section) in [
        (r#""model": "m""#, r#""model": "n""#, Section::Model),
        (r#""function""#, r#""custom""#, Section::Tools),
        (r#""content": "s""#, r#""content": "t""#, Section::System),
        (r#""text": "hi""#, r#""text": "ho""#, Section::Messages),
        (r#""seed": 1"#, r#""seed": 2"#, Section::Parameters),
        (r#""a/b": 1"#, r#""a/b": 2"#, Section::Parameters),
    ] {
        for ((name, one), (_, two)) in original.iter().zip(sections(&BODY.replace(from, to))) {
            assert_eq!(*one != two, *name == section, "{to}: {name}");
        }
    }
    // What does not count shows nowhere.
    assert_eq!(original, sections(&BODY.replace("true", "false").replace("\"r\"", "\"s\"")));
}

#[test]
fn differences_have_pointers() {
    for (from, to, pointer, change) in [
        (r#""a/b": 1"#, r#""a/b": 2"#, "/extra_body/a~1b", Change::Changed),
        (r#""text": "hi""#, r#""text": "ho""#, "/messages/1/content", Change::Changed),
        (r#", "seed": 1"#, "", "/seed", Change::Removed),
        (r#""seed""#, r#""top_k": 1, "seed""#, "/top_k", Change::Added),
        (r#"{"type": "function"}"#, "", "/tools/0", Change::Removed),
        (r#"{"role": "system""#, r#"{"x": null, "role": "system""#, "/messages/0/x", Change::Added),
        (r#""role": "user""#, r#""role": ["user"]"#, "/messages/1/role", Change::Changed),
    ] {
        let changed = BODY.replacen(from, to, 1);
        let found = diff(&parse(BODY), &parse(&changed), &KeyOptions::new());
        let found: Vec<_> = found.iter().map(|it| (it.pointer.as_str(), it.change)).collect();
        assert_eq!(found, [(pointer, change)], "{to}");
    }
    // What does not count is no difference, nor is a text part its text.
    let same =
        BODY.replace("true", "false").replace(r#"[{"type": "text", "text": "hi"}]"#, "\"hi\"");
    assert_eq!(diff(&parse(BODY), &parse(&same), &KeyOptions::new()), []);
    // Another kind is another request.
    let generic = Request::parse(EndpointKind::Generic, BODY.as_bytes()).expect("a valid body");
    assert_eq!(diff(&parse(BODY), &generic, &KeyOptions::new())[0].pointer, "");
    // Order is one where it counts.
    let ordered = KeyOptions::new().without(Equivalence::MemberOrder);
    let found = diff(&parse(r#"{"a":{"b":1,"c":2}}"#), &parse(r#"{"a":{"c":2,"b":1}}"#), &ordered);
    assert_eq!((found[0].pointer.as_str(), found[0].change), ("/a", Change::Reordered));
    assert_eq!(found.len(), 1);
}

/// Nesting costs no stack.
#[test]
fn deep_nesting_is_compared() {
    let deep = |leaf: &str| format!("{}{leaf}{}", r#"{"a":["#.repeat(20_000), "]}".repeat(20_000));
    let limits = cache_key::ParseLimits::default().max_depth(100_000);
    let (one, two) = (deep("1"), deep("2"));
    let parse = |body| Request::parse_with(CHAT, body, &limits).expect("a valid body");
    let found = diff(&parse(one.as_bytes()), &parse(two.as_bytes()), &KeyOptions::new());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].pointer, "/a/0".repeat(20_000));
}

/// Options out of a seed.
fn options(choices: &mut Choices) -> KeyOptions {
    let all = [
        Equivalence::Stream,
        Equivalence::StreamOptions,
        Equivalence::RequestId,
        Equivalence::NullIsAbsent,
        Equivalence::OneTextPart,
        Equivalence::NumberSpelling,
        Equivalence::MemberOrder,
    ];
    let mut options = KeyOptions::new();
    for equivalence in all {
        if choices.below(4) == 0 {
            options = options.without(equivalence);
        }
    }
    if choices.coin() { options.leave_out(CHAT, "user") } else { options }
}

/// One of `json`'s members is replaced by one of `other`'s, or nothing is.
fn mix(json: &Json, other: &Json, choices: &mut Choices) -> Json {
    let (Json::Object(members), Json::Object(others)) = (json, other) else { return json.clone() };
    let mut members = members.clone();
    if let Some((name, value)) = others.iter().nth(choices.below(others.len().max(1)))
        && choices.coin()
    {
        members.insert(name.clone(), value.clone());
    }
    Json::Object(members)
}

proptest! {
    #![proptest_config(common::config())]

    /// `diff` finds nothing exactly where keys are equal, and the same goes for sections.
    #[test]
    fn diff_finds_what_keys_find(one in body(), other in body(), seed: u64) {
        let mut choices = Choices(seed);
        let options = options(&mut choices);
        let two = mix(&one, &other, &mut choices);
        let texts = [spell(&one, &mut choices), spell(&two, &mut choices)];
        let [one, two] = [parse(&texts[0]), parse(&texts[1])];
        let scope = KeyScope::new(Tenant::Shared).options(options.clone());
        let found = diff(&one, &two, &options);
        prop_assert_eq!(found.is_empty(), one.key(&scope) == two.key(&scope), "{:?} {:?}", texts, found);
        let back = diff(&two, &one, &options);
        prop_assert_eq!(back.len(), found.len());
        let sections = one.explain(&options).sections == two.explain(&options).sections;
        // Sections know no order of members of the body.
        if sections != found.is_empty() {
            prop_assert!(found.iter().all(|it| it.change == Change::Reordered), "{:?} {:?}", texts, found);
        }
    }
}
