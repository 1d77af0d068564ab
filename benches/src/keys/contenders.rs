//! What is timed: from the raw body to a key, by ours and by others, and two floors.

use std::hint::black_box;

use cache_key::{EndpointKind, KeyScope, Request, Tenant};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The first bytes of a key, enough to tell keys apart.
pub(crate) type Answer = u128;

/// From a body to a key.
type Run = Box<dyn Fn(&[u8]) -> Answer>;

/// Something that reads a body.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) run: Run,
}

/// What a contender is here for.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Role {
    Ours,
    Rival,
    Floor,
}

/// Everyone, in the order of the report.
pub(crate) fn contenders() -> Vec<Contender> {
    let scope = KeyScope::new(Tenant::named("acme")).provider("openai");
    let ours = move |body: &[u8]| {
        let request = Request::parse(EndpointKind::ChatCompletions, body).expect("a valid body");
        first_bytes(request.key(&scope).as_bytes())
    };
    let contender = |name, role, run| Contender { name, role, run };
    vec![
        contender("cache-key", Role::Ours, Box::new(ours) as Run),
        contender("llmix-rs 2.1.0", Role::Rival, Box::new(llmix)),
        contender("llm-edge-cache 0.1.0", Role::Rival, Box::new(llm_edge_cache)),
        contender("RFC 8785 text + SHA-256", Role::Rival, Box::new(jcs_sha256)),
        contender("RFC 8785 text + BLAKE3", Role::Rival, Box::new(jcs_blake3)),
        contender("floor: sonic-rs to Value", Role::Floor, Box::new(sonic)),
        contender("floor: BLAKE3 of the body", Role::Floor, Box::new(blake3)),
    ]
}

fn first_bytes(bytes: &[u8]) -> Answer {
    u128::from_le_bytes(*bytes.first_chunk().expect("a digest has 32 bytes"))
}

/// As a gateway on it would: its parameters out of the body, the rest as provider options.
fn llmix(body: &[u8]) -> Answer {
    let mut body: serde_json::Map<String, Value> = serde_json::from_slice(body).expect("JSON");
    let text = |value: Option<Value>| value.and_then(|v| v.as_str().map(str::to_owned));
    let number = |value: Option<Value>| value.and_then(|v| v.as_f64());
    let Some(Value::Array(messages)) = body.remove("messages") else { unreachable!() };
    let params = llmix_rs::CacheKeyParams {
        provider: "openai".to_owned(),
        model: text(body.remove("model")).expect("a model"),
        messages,
        base_url: None,
        enable_thinking: None,
        temperature: number(body.remove("temperature")),
        max_output_tokens: body.remove("max_tokens").and_then(|v| v.as_u64()),
        response_format: body.remove("response_format"),
        seed: body.remove("seed").and_then(|v| v.as_i64()),
        top_p: number(body.remove("top_p")),
        top_k: None,
        presence_penalty: number(body.remove("presence_penalty")),
        frequency_penalty: number(body.remove("frequency_penalty")),
        stop_sequences: body.remove("stop").map(|v| serde_json::from_value(v).expect("strings")),
        provider_options: Some(Value::Object(body)),
    };
    hex_digest(&llmix_rs::generate_cache_key(&params).expect("a key"))
}

/// As its own proxy does: one prompt text, the rest as parameters.
#[allow(clippy::cast_possible_truncation, reason = "its fields are that narrow")]
fn llm_edge_cache(body: &[u8]) -> Answer {
    let mut body: serde_json::Map<String, Value> = serde_json::from_slice(body).expect("JSON");
    let request = llm_edge_cache::key::CacheableRequest {
        model: body.remove("model").and_then(|v| v.as_str().map(str::to_owned)).expect("a model"),
        prompt: body.remove("messages").expect("messages").to_string(),
        temperature: body.remove("temperature").and_then(|v| v.as_f64()).map(|v| v as f32),
        max_tokens: body.remove("max_tokens").and_then(|v| v.as_u64()).map(|v| v as u32),
        parameters: body.into_iter().collect(),
    };
    hex_digest(&llm_edge_cache::key::generate_cache_key(&request))
}

/// The first half of a hex digest behind an optional prefix.
fn hex_digest(text: &str) -> Answer {
    let digest = text.rsplit(':').next().expect("there is a last part");
    u128::from_str_radix(&digest[..32], 16).expect("hex")
}

fn jcs(body: &[u8]) -> Vec<u8> {
    let value: Value = serde_json::from_slice(body).expect("JSON");
    serde_json_canonicalizer::to_vec(&value).expect("canonical")
}

fn jcs_sha256(body: &[u8]) -> Answer {
    first_bytes(&Sha256::digest(jcs(body)))
}

fn jcs_blake3(body: &[u8]) -> Answer {
    first_bytes(blake3::hash(&jcs(body)).as_bytes())
}

/// Reads the body, makes no key: the answer only shows that it was read.
fn sonic(body: &[u8]) -> Answer {
    let value: sonic_rs::Value = sonic_rs::from_slice(body).expect("JSON");
    black_box(&value);
    0
}

/// Knows no JSON: every spelling is another text.
fn blake3(body: &[u8]) -> Answer {
    first_bytes(blake3::hash(body).as_bytes())
}
