//! Embeddings: unit vectors drawn from the text, so that equal texts have equal vectors.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::error::ApiError;
use super::request::Parsed;
use super::text::tokens;
use crate::random::Random;

/// The vectors of one request.
#[derive(Debug)]
pub(super) struct Embedded {
    pub(super) json: Value,
    pub(super) prompt_tokens: u32,
}

/// Embeds the request's input: a text, texts, a token array or token arrays.
pub(super) fn embed(request: &Parsed) -> Result<Embedded, ApiError> {
    let json = &request.json;
    let inputs = inputs(&json["input"])?;
    let in_base64 = match json["encoding_format"].as_str() {
        None if json["encoding_format"].is_null() => false,
        Some("float") => false,
        Some("base64") => true,
        _ => return Err(ApiError::invalid("encoding_format", "'float' or 'base64'")),
    };
    let full = if request.model.ends_with("-large") { 3072 } else { 1536 };
    let dimensions = match &json["dimensions"] {
        Value::Null => full,
        value => value
            .as_u64()
            .and_then(|value| usize::try_from(value).ok())
            .filter(|value| (1..=full).contains(value))
            .ok_or_else(|| ApiError::invalid("dimensions", "a number the model supports"))?,
    };
    let data = inputs.iter().enumerate().map(|(index, input)| {
        let vector = vector(&request.model, input, dimensions);
        let embedding = if in_base64 { base64_of(&vector) } else { numbers_of(&vector) };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    });
    let prompt_tokens = inputs.iter().map(|input| input_tokens(input)).sum();
    Ok(Embedded {
        json: json!({
            "object": "list",
            "data": data.collect::<Vec<_>>(),
            "model": request.model,
            "usage": {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens},
        }),
        prompt_tokens,
    })
}

fn inputs(input: &Value) -> Result<Vec<&Value>, ApiError> {
    let is_tokens = |value: &Value| {
        let items = value.as_array().filter(|items| !items.is_empty());
        items.is_some_and(|items| items.iter().all(Value::is_u64))
    };
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    match input {
        Value::Null => Err(ApiError::missing("input")),
        one if is_text(one) || is_tokens(one) => Ok(vec![one]),
        Value::Array(many)
            if !many.is_empty() && (many.iter().all(is_text) || many.iter().all(is_tokens)) =>
        {
            Ok(many.iter().collect())
        }
        _ => Err(ApiError::invalid("input", "a text, texts, a token array or token arrays")),
    }
}

fn input_tokens(input: &Value) -> u32 {
    match input {
        Value::String(text) => tokens(text),
        Value::Array(ids) => u32::try_from(ids.len()).unwrap_or(u32::MAX),
        _ => 0,
    }
}

fn vector(model: &str, input: &Value, dimensions: usize) -> Vec<f32> {
    let mut hasher = DefaultHasher::new();
    (model, input.to_string()).hash(&mut hasher);
    let mut random = Random::new(hasher.finish());
    let raw: Vec<f64> = (0..dimensions).map(|_| random.unit() - 0.5).collect();
    let length = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
    #[expect(clippy::cast_possible_truncation, reason = "embeddings are 32-bit floats")]
    raw.iter().map(|x| (x / length) as f32).collect()
}

/// Little-endian 32-bit floats: what the `openai` client asks for by default.
fn base64_of(vector: &[f32]) -> Value {
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    Value::String(STANDARD.encode(bytes))
}

fn numbers_of(vector: &[f32]) -> Value {
    // Through text: the shortest digits that give the same 32-bit float, as OpenAI prints them.
    let shortest = |x: &f32| x.to_string().parse::<f64>().expect("a float prints as a float");
    vector.iter().map(shortest).collect()
}
