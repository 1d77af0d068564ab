//! What every endpoint reads from a request before it answers.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::http::HeaderMap;
use serde_json::Value;

use super::error::ApiError;
use super::fault::Fault;
use super::server::MODELS;

/// A request that names a model we have.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) json: Value,
    pub(super) model: String,
    pub(super) fault: Option<Fault>,
    /// Equal for requests that mean the same: answers are drawn from it.
    pub(super) seed: u64,
}

impl Parsed {
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, ApiError> {
        let json: Value = serde_json::from_slice(body).map_err(|_| ApiError::unparsable())?;
        if !json.is_object() {
            return Err(ApiError::unparsable());
        }
        let model = match &json["model"] {
            Value::String(model) => model.clone(),
            Value::Null => return Err(ApiError::missing("model")),
            _ => return Err(ApiError::invalid("model", "a string")),
        };
        let by_model = Fault::of_model(&model);
        if by_model.is_none() && !MODELS.contains(&model.as_str()) {
            return Err(ApiError::unknown_model(&model));
        }
        let fault = by_model.or_else(|| Fault::of_headers(headers));
        match fault {
            Some(Fault::RateLimit) => Err(ApiError::rate_limit()),
            Some(Fault::ServerError) => Err(ApiError::server_error()),
            _ => Ok(Self { seed: seed_of(&json), json, model, fault }),
        }
    }
}

/// A digest of the request's meaning: member order, white space and how the answer is transported do
/// not count.
fn seed_of(request: &Value) -> u64 {
    let mut request = request.clone();
    if let Some(members) = request.as_object_mut() {
        members.remove("stream");
        members.remove("stream_options");
        members.remove("encoding_format");
    }
    let mut hasher = DefaultHasher::new();
    hash(&request, &mut hasher);
    hasher.finish()
}

fn hash(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        Value::Null => 0_u8.hash(hasher),
        Value::Bool(flag) => (1_u8, flag).hash(hasher),
        Value::Number(number) => (2_u8, number.as_f64().map(f64::to_bits)).hash(hasher),
        Value::String(text) => (3_u8, text).hash(hasher),
        Value::Array(items) => {
            (4_u8, items.len()).hash(hasher);
            for item in items {
                hash(item, hasher);
            }
        }
        Value::Object(members) => {
            (5_u8, members.len()).hash(hasher);
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            for (name, member) in members {
                name.hash(hasher);
                hash(member, hasher);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_seed_depends_on_meaning_alone() {
        let seed = seed_of(&json!({"model": "m", "n": 1, "stream": true}));
        assert_eq!(seed, seed_of(&json!({"n": 1.0, "model": "m"})));
        assert_ne!(seed, seed_of(&json!({"n": 2, "model": "m"})));
        assert_ne!(seed_of(&json!({"a": [1, 2]})), seed_of(&json!({"a": [2, 1]})));
    }
}
