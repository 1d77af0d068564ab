//! Answers of the Anthropic Messages API.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::choice::cut;
use super::value::{Said, Text};
use crate::not_stored::NotStored;
use crate::response::{Asked, ResponsePolicy};

#[derive(Debug, Deserialize)]
struct Message<'a> {
    error: Option<IgnoredAny>,
    #[serde(rename = "type", borrow)]
    kind: Option<Text<'a>>,
    content: Option<Vec<Block<'a>>>,
    stop_reason: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Block<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    text: Said<'a>,
}

/// Whether `body` is a whole message.
pub(crate) fn message(
    body: &[u8],
    policy: &ResponsePolicy,
    asked: &Asked,
) -> Result<(), NotStored> {
    let Message { error, kind, content, stop_reason } = super::parse(body)?;
    let kind = kind.as_ref().map(|kind| &*kind.0);
    if error.is_some() || kind == Some("error") {
        return Err(NotStored::ErrorObject);
    }
    let (Some("message"), Some(blocks)) = (kind, content) else {
        return Err(NotStored::Unexpected);
    };
    let mut refuses = false;
    match stop_reason.as_ref().map(|reason| &*reason.0) {
        None => return Err(NotStored::Unfinished),
        Some("end_turn" | "stop_sequence" | "tool_use") => {}
        // Every request of this API sets a limit; that of the model is another reason.
        Some("max_tokens") if asked.token_limit || policy.stores_truncated() => {}
        Some("model_context_window_exceeded") if policy.stores_truncated() => {}
        Some("max_tokens" | "model_context_window_exceeded") => return Err(NotStored::Truncated),
        Some("refusal") if policy.stores_refusals() => refuses = true,
        Some("refusal") => return Err(NotStored::Refusal),
        Some(reason) if policy.also_accepts(reason) => {}
        Some(reason) => return Err(NotStored::FinishReason(cut(reason))),
    }
    let says_something = blocks.iter().any(|block| match &*block.kind.0 {
        "text" => block.text.is_something(),
        "thinking" | "redacted_thinking" => false,
        _ => true, // calls of tools, and what they brought
    });
    if says_something || refuses { Ok(()) } else { Err(NotStored::Empty) }
}
