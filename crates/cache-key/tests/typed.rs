//! Typed requests have the key of their JSON.
#![cfg(feature = "serde")]

mod common;

use std::collections::BTreeMap;

use cache_key::{EndpointKind, KeyScope, NotCanonical, Tenant, TypedError, key_of};
use common::{Choices, Json, body, key, spell};
use proptest::prelude::*;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

#[derive(Serialize)]
struct Chat {
    stream: bool,
    model: &'static str,
    messages: Vec<Message>,
    temperature: f32,
    top_p: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u8>,
    seed: Option<i64>,
    logit_bias: BTreeMap<u32, i8>,
}

#[derive(Serialize)]
#[serde(tag = "role", rename_all = "lowercase")]
enum Message {
    System { content: &'static str },
    User { content: Vec<Part> },
}

#[derive(Serialize)]
#[serde(tag = "type", content = "text", rename_all = "lowercase")]
enum Part {
    Text(&'static str),
}

fn chat() -> Chat {
    Chat {
        stream: false,
        model: "m",
        messages: vec![
            Message::System { content: "\u{1}é\"" },
            Message::User { content: vec![Part::Text("hi")] },
        ],
        temperature: 0.7,
        top_p: 1.0,
        n: None,
        seed: Some(i64::MIN),
        logit_bias: BTreeMap::from([(50_256, -100)]),
    }
}

fn typed(kind: EndpointKind, request: &impl Serialize) -> Result<cache_core::CacheKey, TypedError> {
    key_of(kind, request, &KeyScope::new(Tenant::Shared))
}

/// A1: a typed request and the text that a client would send share a key.
#[test]
fn a_typed_request_has_the_key_of_its_text() {
    let text = r#"{"model":"m","temperature":0.70,"top_p":1,"seed":-9223372036854775808,
        "logit_bias":{"50256":-100},
        "messages":[{"role":"system","content":"\u0001\u00e9\""},{"role":"user","content":"hi"}]}"#;
    let chat = typed(EndpointKind::ChatCompletions, &chat()).expect("a key");
    assert_eq!(chat, key(EndpointKind::ChatCompletions, text));
}

/// A3: NaN and infinities are null in JSON: absence where a member is optional, null elsewhere.
#[test]
fn a3_not_a_number_is_null() {
    let key_of = |value| {
        let chat = Chat { temperature: value, ..chat() };
        typed(EndpointKind::ChatCompletions, &chat).expect("a key")
    };
    assert_eq!(key_of(f32::NAN), key_of(f32::INFINITY));
    assert_ne!(key_of(f32::NAN), key_of(0.7));
    let absent = r#"{"model":"m","top_p":1,"seed":-9223372036854775808,"logit_bias":{"50256":-100},
        "messages":[{"role":"system","content":"\u0001\u00e9\""},{"role":"user","content":"hi"}]}"#;
    assert_eq!(key_of(f32::NEG_INFINITY), key(EndpointKind::ChatCompletions, absent));
}

/// Serializes two members of one name.
struct Twice;
impl Serialize for Twice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("a", &1)?;
        map.serialize_entry("a", &2)?;
        map.end()
    }
}

/// A6: what cannot be serialized, or is ambiguous once it is, has a reason instead of a key.
#[test]
fn a6_reasons() {
    let no_text_key = BTreeMap::from([(vec![1], 1)]);
    let error = typed(EndpointKind::Generic, &no_text_key).expect_err("a list is no name");
    assert!(matches!(error, TypedError::Serialize(_)));

    let error = typed(EndpointKind::Generic, &Twice).expect_err("two members of one name");
    let TypedError::NotCanonical(reason) = error else { panic!("{error}") };
    assert!(matches!(reason, NotCanonical::DuplicateMember { .. }));
}

/// Serializes what it can of the model: numbers that are doubles or integers.
struct Typed<'j>(&'j Json);

impl Serialize for Typed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Json::Null => serializer.serialize_unit(),
            Json::Bool(value) => serializer.serialize_bool(*value),
            Json::Number(number) => match small(number) {
                Some(value) => serializer.serialize_i64(value),
                None => serializer.serialize_str("not small"),
            },
            Json::String(string) => serializer.serialize_str(string),
            Json::Array(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| seq.serialize_element(&Typed(item)))?;
                seq.end()
            }
            Json::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members.iter().rev() {
                    map.serialize_entry(name, &Typed(value))?;
                }
                map.end()
            }
        }
    }
}

fn small(number: &common::Number) -> Option<i64> {
    let digits: i64 = format!("0{}", number.digits).parse().ok()?;
    let scale = 10_i64.checked_pow(u32::try_from(number.exponent).ok()?)?;
    digits.checked_mul(scale).map(|value| if number.negative { -value } else { value })
}

/// The same model with what [`Typed`] writes.
fn as_typed(json: &Json) -> Json {
    match json {
        Json::Number(number) if small(number).is_none() => Json::String("not small".to_owned()),
        Json::Array(items) => Json::Array(items.iter().map(as_typed).collect()),
        Json::Object(members) => Json::Object(
            members.iter().map(|(name, value)| (name.clone(), as_typed(value))).collect(),
        ),
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(common::config())]

    /// Any value, serialized, has the key of any of its texts.
    #[test]
    fn typed_values_have_the_keys_of_their_texts(body in body(), seed: u64) {
        let text = spell(&as_typed(&body), &mut Choices(seed));
        for kind in [EndpointKind::ChatCompletions, EndpointKind::Generic] {
            prop_assert_eq!(typed(kind, &Typed(&body)).expect("a key"), key(kind, &text));
        }
    }

    /// Doubles count by the decimal that `serde_json` writes: the shortest that gives them back and,
    /// of two equally near, the even one, which Rust's own formatting does not promise.
    #[test]
    fn doubles_count_by_value(value: f64) {
        prop_assume!(value.is_finite());
        let decimal = serde_json::Value::from(value).to_string();
        prop_assert_eq!(decimal.parse(), Ok(value));
        let text = format!(r#"{{"v":{decimal}}}"#);
        let typed = typed(EndpointKind::Generic, &BTreeMap::from([("v", value)])).expect("a key");
        prop_assert_eq!(typed, key(EndpointKind::Generic, &text));
    }
}
