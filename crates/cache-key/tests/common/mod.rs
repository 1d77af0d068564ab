//! A model of JSON values by meaning, random ones, and random texts for one value.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;

use cache_key::{EndpointKind, KeyScope, Request, Tenant};
use proptest::prelude::*;

/// Four times `PROPTEST_CASES`, which is 256 if it is not set, of each property. Failures are printed, not filed.
pub(crate) fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.saturating_mul(4), failure_persistence: None, ..default }
}

/// The key of `body` for everyone.
pub(crate) fn key(kind: EndpointKind, body: &str) -> cache_core::CacheKey {
    let request = Request::parse(kind, body.as_bytes());
    request.unwrap_or_else(|error| panic!("{error}: {body}")).key(&KeyScope::new(Tenant::Shared))
}

/// A JSON value by its meaning: two are equal when every reader must take them for the same.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

/// `±digits · 10^exponent`; digits neither begin nor end with 0, zero has none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Number {
    pub(crate) negative: bool,
    pub(crate) digits: String,
    pub(crate) exponent: i64,
}

impl Number {
    pub(crate) fn new(negative: bool, digits: &str, exponent: i64) -> Self {
        let digits = digits.trim_start_matches('0');
        let trimmed = digits.trim_end_matches('0');
        if trimmed.is_empty() {
            return Self { negative: false, digits: String::new(), exponent: 0 };
        }
        let zeros = i64::try_from(digits.len() - trimmed.len()).expect("it is small");
        Self { negative, digits: trimmed.to_owned(), exponent: exponent + zeros }
    }
}

/// Names that have a meaning somewhere, so that rules are met where they must not apply.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-c]{0,2}",
        1 => any::<String>(),
        1 => prop::sample::select(vec![
            "stream", "stream_options", "request_id", "messages", "content", "type", "text",
            "extra_body", "user", "temperature", "longer_than_eight", "longer_than_eight_too",
        ]).prop_map(str::to_owned),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ab|=;:\u{0}\n\"\\\\/é漢🙂]{0,6}",
        Just("text".to_owned()),
        "[a-z]{30,70}",
    ]
}

fn number() -> impl Strategy<Value = Number> {
    let exponent =
        prop_oneof![4 => -4..4_i64, 1 => -400..400_i64, 1 => any::<i32>().prop_map(i64::from)];
    (any::<bool>(), "[0-9]{1,25}", exponent)
        .prop_map(|(negative, digits, exponent)| Number::new(negative, &digits, exponent))
}

pub(crate) fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        number().prop_map(Json::Number),
        text().prop_map(Json::String),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
            prop::collection::btree_map(name(), inner, 0..6).prop_map(Json::Object),
        ]
    })
}

/// The body of a request: an object, sometimes with more members than a short sort takes.
pub(crate) fn body() -> impl Strategy<Value = Json> {
    let many = prop::collection::btree_map("[a-f]{1,9}", json(), 20..40);
    let few = prop::collection::btree_map(name(), json(), 0..6);
    prop_oneof![1 => many, 5 => few].prop_map(Json::Object)
}

/// Choices out of a seed (`SplitMix64`, Steele et al. 2014): proptest picks the seed.
pub(crate) struct Choices(pub(crate) u64);

impl Choices {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).expect("it is small")
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}

/// One of the many texts of `json`.
pub(crate) fn spell(json: &Json, choices: &mut Choices) -> String {
    let mut out = String::new();
    spell_into(json, choices, &mut out);
    out
}

fn spell_into(json: &Json, choices: &mut Choices, out: &mut String) {
    space(choices, out);
    match json {
        Json::Null => out.push_str("null"),
        Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Json::Number(number) => spell_number(number, choices, out),
        Json::String(string) => spell_string(string, choices, out),
        Json::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                spell_into(item, choices, out);
            }
            space(choices, out);
            out.push(']');
        }
        Json::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            for i in (1..members.len()).rev() {
                members.swap(i, choices.below(i + 1));
            }
            out.push('{');
            for (i, (name, value)) in members.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                space(choices, out);
                spell_string(name, choices, out);
                space(choices, out);
                out.push(':');
                spell_into(value, choices, out);
            }
            space(choices, out);
            out.push('}');
        }
    }
    space(choices, out);
}

fn space(choices: &mut Choices, out: &mut String) {
    while choices.below(4) == 0 {
        out.push([' ', '\n', '\r', '\t'][choices.below(4)]);
    }
}

fn spell_string(string: &str, choices: &mut Choices, out: &mut String) {
    use std::fmt::Write;
    out.push('"');
    for character in string.chars() {
        let short = match character {
            '"' => Some(r#"\""#),
            '\\' => Some(r"\\"),
            '/' => Some(r"\/"),
            '\u{8}' => Some(r"\b"),
            '\u{c}' => Some(r"\f"),
            '\n' => Some(r"\n"),
            '\r' => Some(r"\r"),
            '\t' => Some(r"\t"),
            _ => None,
        };
        let must = character < ' ' || matches!(character, '"' | '\\');
        match short {
            Some(escape) if choices.coin() => out.push_str(escape),
            _ if must || choices.below(8) == 0 => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    if choices.coin() {
                        write!(out, "\\u{unit:04x}").expect("strings take everything");
                    } else {
                        write!(out, "\\u{unit:04X}").expect("strings take everything");
                    }
                }
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

fn spell_number(number: &Number, choices: &mut Choices, out: &mut String) {
    use std::fmt::Write;
    if number.digits.is_empty() {
        out.push_str(["0", "-0", "0.0", "-0.000", "0e7", "-0.0E-12", "0E+00"][choices.below(7)]);
        return;
    }
    if number.negative {
        out.push('-');
    }
    // Zeros behind, then a point anywhere: the exponent makes up for both.
    let zeros = choices.below(4);
    let digits = format!("{}{}", number.digits, "0".repeat(zeros));
    let point = choices.below(digits.len() + 1);
    let (whole, fraction) = digits.split_at(point);
    let exponent = number.exponent - i64::try_from(zeros).expect("it is small")
        + i64::try_from(fraction.len()).expect("it is small");
    out.push_str(if whole.is_empty() { "0" } else { whole });
    if !fraction.is_empty() {
        write!(out, ".{fraction}").expect("strings take everything");
    } else if choices.coin() {
        out.push_str(".00");
    }
    if exponent != 0 || choices.coin() {
        let e = ["e", "E"][choices.below(2)];
        let padding = "0".repeat(choices.below(3));
        let sign = match (exponent < 0, choices.coin()) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        write!(out, "{e}{sign}{padding}{}", exponent.unsigned_abs())
            .expect("strings take everything");
    }
}
