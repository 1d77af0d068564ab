//! Answers of the `OpenAI` Responses API.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::choice::cut;
use super::value::{Said, Text};
use crate::not_stored::NotStored;
use crate::response::{Asked, ResponsePolicy};

#[derive(Debug, Deserialize)]
struct Response<'a> {
    error: Option<IgnoredAny>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    incomplete_details: Option<Incomplete<'a>>,
    output: Option<Vec<Item<'a>>>,
}

#[derive(Debug, Deserialize)]
struct Incomplete<'a> {
    #[serde(borrow)]
    reason: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Item<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    content: Option<Vec<Part<'a>>>,
    arguments: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Part<'a> {
    #[serde(borrow, default)]
    text: Said<'a>,
    #[serde(borrow, default)]
    refusal: Said<'a>,
}

/// Whether `body` is a whole answer.
pub(crate) fn response(
    body: &[u8],
    policy: &ResponsePolicy,
    asked: &Asked,
) -> Result<(), NotStored> {
    let Response { error, status, incomplete_details, output } = super::parse(body)?;
    if error.is_some() {
        return Err(NotStored::ErrorObject);
    }
    let status = status.ok_or(NotStored::Unexpected)?.0;
    let reason = incomplete_details.and_then(|details| details.reason);
    match (&*status, reason.as_ref().map(|reason| &*reason.0)) {
        ("completed", _) => {}
        ("incomplete", Some("max_output_tokens"))
            if asked.token_limit || policy.stores_truncated() => {}
        ("incomplete", Some("max_output_tokens")) => return Err(NotStored::Truncated),
        ("incomplete", Some(reason)) if policy.also_accepts(reason) => {}
        ("incomplete", Some(reason)) => return Err(NotStored::FinishReason(cut(reason))),
        ("failed", _) => return Err(NotStored::ErrorObject),
        _ => return Err(NotStored::Unfinished),
    }
    let items = output.ok_or(NotStored::Unexpected)?;
    let (mut says_something, mut refuses, mut flawed) = (false, false, false);
    for item in &items {
        match &*item.kind.0 {
            "message" => {
                let parts = item.content.as_deref().unwrap_or_default();
                says_something |= parts.iter().any(|part| part.text.is_something());
                refuses |= parts.iter().any(|part| part.refusal.is_something());
            }
            "reasoning" => {}
            "function_call" => {
                says_something = true;
                let arguments = item.arguments.as_ref().map_or("", |arguments| &*arguments.0);
                flawed |= serde_json::from_str::<IgnoredAny>(arguments).is_err();
            }
            _ => says_something = true, // calls of other tools, images, compactions
        }
    }
    if refuses && !policy.stores_refusals() {
        return Err(NotStored::Refusal);
    }
    if !says_something && !refuses {
        return Err(NotStored::Empty);
    }
    if flawed { Err(NotStored::ToolArguments) } else { Ok(()) }
}
