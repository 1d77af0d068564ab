//! The key of the llmix response-cache contract, for deployments that share a store with it.

use sha2::{Digest, Sha256};

use crate::error::NotCanonical;
use crate::jcs::{self, Numbers};
use crate::limits::ParseLimits;
use crate::parser;
use crate::tape::{Node, Tape};

/// What every key of the contract begins with.
pub const LLMIX_PREFIX: &str = "llmix:resp:v2:";

/// The members that count, in the order in which they are written, and what they may be.
const FIELDS: [(&str, Kind); 15] = [
    ("baseUrl", Kind::Text),
    ("enableThinking", Kind::Bool),
    ("frequencyPenalty", Kind::Number),
    ("maxOutputTokens", Kind::Integer),
    ("messages", Kind::Array),
    ("model", Kind::Text),
    ("presencePenalty", Kind::Number),
    ("provider", Kind::Text),
    ("providerOptions", Kind::Any),
    ("responseFormat", Kind::Any),
    ("seed", Kind::Integer),
    ("stopSequences", Kind::Array),
    ("temperature", Kind::Number),
    ("topK", Kind::Integer),
    ("topP", Kind::Number),
];

/// The fields without which there is no key.
const REQUIRED: [&str; 3] = ["provider", "model", "messages"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Bool,
    Number,
    Integer,
    Array,
    Any,
}

/// Why a request has no key of the llmix contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LlmixError {
    /// It has no canonical form.
    #[error(transparent)]
    NotCanonical(#[from] NotCanonical),
    /// A field that the contract requires is not there.
    #[error("there is no `{0}`")]
    Missing(&'static str),
    /// A field has a value that the contract does not know.
    #[error("`{0}` has a value of another type than the contract gives it")]
    WrongType(&'static str),
}

/// The key of a request under the llmix contract, version 2: its 15 fields as JSON with sorted members
/// and no white space, hashed with SHA-256. Other members do not count, null is absence.
///
/// ```
/// let request = br#"{"provider":"openai","model":"gpt-4.1","messages":[{"role":"user","content":"Hello"}],
///     "temperature":0.7,"maxOutputTokens":1000}"#;
/// assert_eq!(
///     cache_key::llmix_key(request)?,
///     "llmix:resp:v2:0a2c8273415b22d0336da4413f872cfa3fb5d0e4b228b084eb0bf5cc5cd8f019",
/// );
/// # Ok::<(), cache_key::LlmixError>(())
/// ```
///
/// The contract has neither tenants nor a secret, and merges what differs in other members: this is for
/// sharing a store with its other implementations, not for new ones. Those differ from each other on
/// numbers within `messages`, `responseFormat` and `providerOptions` that have a fraction of zero
/// (`1.0`); here they are written as ECMAScript does (`1`), integers as they stand.
///
/// # Errors
///
/// See [`LlmixError`].
pub fn llmix_key(request: &[u8]) -> Result<String, LlmixError> {
    let tape = parser::parse(request, ParseLimits::default().max_depth)?;
    if !matches!(tape.node(0), Node::Object { .. }) {
        return Err(NotCanonical::NotAnObject.into());
    }
    let mut text = String::with_capacity(request.len());
    for (name, kind) in FIELDS {
        let value = tape.member(0, name).filter(|&value| !matches!(tape.node(value), Node::Null));
        let Some(value) = value else {
            if let Some(missing) = REQUIRED.into_iter().find(|required| *required == name) {
                return Err(LlmixError::Missing(missing));
            }
            continue;
        };
        if !fits(&tape, value, kind) {
            return Err(LlmixError::WrongType(name));
        }
        text.push(if text.is_empty() { '{' } else { ',' });
        jcs::string(name, &mut text);
        text.push(':');
        jcs::write(&tape, value, Numbers::IntegersAsWritten, &mut text)?;
    }
    text.push('}');
    let digest = Sha256::digest(text.as_bytes());
    let hex = |digit: u8| char::from(b"0123456789abcdef"[usize::from(digit)]);
    let mut key = String::from(LLMIX_PREFIX);
    key.extend(digest.iter().flat_map(|&byte| [hex(byte >> 4), hex(byte & 15)]));
    Ok(key)
}

fn fits(tape: &Tape<'_>, value: u32, kind: Kind) -> bool {
    match kind {
        Kind::Any => true,
        Kind::Text => tape.is_string(value),
        Kind::Bool => matches!(tape.node(value), Node::True | Node::False),
        Kind::Array => matches!(tape.node(value), Node::Array { .. }),
        Kind::Number => tape.literal(value).is_some(),
        Kind::Integer => tape
            .literal(value)
            .is_some_and(|literal| literal.bytes().all(|b| b == b'-' || b.is_ascii_digit())),
    }
}
