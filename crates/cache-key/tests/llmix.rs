//! The llmix contract, reproduced.
#![cfg(feature = "llmix")]

use cache_key::{LLMIX_PREFIX, LlmixError, NotCanonical, llmix_key};
use serde_json::Value;

/// A12: every vector of the contract reproduces.
#[test]
fn a12_vectors_reproduce() {
    let file: Value =
        serde_json::from_str(include_str!("vectors/llmix-resp-v2.json")).expect("JSON");
    let vectors = file["vectors"].as_array().expect("vectors");
    assert_eq!(vectors.len(), 13, "a vector was added or lost");
    for vector in vectors {
        let mut request = file["base"].as_object().expect("an object").clone();
        request.extend(vector["delta"].as_object().expect("an object").clone());
        let key = llmix_key(Value::from(request).to_string().as_bytes());
        let expected = format!("{LLMIX_PREFIX}{}", vector["sha256"].as_str().expect("hex"));
        assert_eq!(key, Ok(expected), "{}", vector["name"]);
    }
}

/// A3, A4: spelling and order do not matter, unknown members do not count, values do.
#[test]
fn what_counts() {
    let key = |more: &str| {
        let body = format!(r#"{{"provider":"p","model":"m","messages":[]{more}}}"#);
        llmix_key(body.as_bytes())
    };
    assert_eq!(key(r#","temperature":1,"seed":null"#), key(r#","temperature":1.0"#));
    assert_eq!(key(r#","temperature":-0.0"#), key(r#","temperature":0"#));
    assert_eq!(key(r#","invented":1"#), key(""));
    assert_ne!(key(r#","temperature":0.7"#), key(r#","temperature":0.700001"#));
    assert_ne!(
        key(r#","seed":9007199254740993"#),
        key(r#","seed":9007199254740992"#),
        "integers stay exact"
    );
}

#[test]
fn what_has_no_key() {
    for (body, error) in [
        ("{}", LlmixError::Missing("messages")),
        (r#"{"messages":[],"model":"m"}"#, LlmixError::Missing("provider")),
        (r#"{"provider":"p","model":1,"messages":[]}"#, LlmixError::WrongType("model")),
        (r#"{"provider":"p","model":"m","messages":[],"seed":1.5}"#, LlmixError::WrongType("seed")),
        ("[]", LlmixError::NotCanonical(NotCanonical::NotAnObject)),
        (
            r#"{"provider":"p","model":"m","messages":[],"topP":1e999}"#,
            LlmixError::NotCanonical(NotCanonical::NumberOutOfRange { offset: 49 }),
        ),
    ] {
        assert_eq!(llmix_key(body.as_bytes()), Err(error), "{body}");
    }
}
