//! Chat completions and legacy ones: a plain answer and one chunk of a stream have the same frame.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::value::{Arguments, Presence, Text};

/// A `chat.completion` or a `chat.completion.chunk`.
#[derive(Debug, Deserialize)]
pub(crate) struct Frame<'a> {
    pub(crate) error: Option<IgnoredAny>,
    #[serde(borrow)]
    pub(crate) choices: Option<Vec<Choice<'a>>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Choice<'a> {
    pub(crate) index: Option<u64>,
    /// What a legacy completion says.
    #[serde(default)]
    pub(crate) text: Presence,
    /// What a plain answer says.
    #[serde(borrow)]
    pub(crate) message: Option<Message<'a>>,
    /// What a chunk adds.
    pub(crate) delta: Option<Message<'a>>,
    pub(crate) finish_reason: Option<Text<'a>>,
    /// Some gateways report a failure per choice.
    pub(crate) error: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Message<'a> {
    #[serde(default)]
    pub(crate) content: Presence,
    #[serde(default)]
    pub(crate) refusal: Presence,
    #[serde(default)]
    pub(crate) audio: Presence,
    #[serde(default)]
    pub(crate) images: Presence,
    #[serde(borrow)]
    pub(crate) tool_calls: Option<Vec<ToolCall<'a>>>,
    /// The older spelling of one tool call.
    pub(crate) function_call: Option<Function<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ToolCall<'a> {
    pub(crate) index: Option<u64>,
    #[serde(borrow)]
    pub(crate) function: Option<Function<'a>>,
    /// A custom tool: its input is free text.
    pub(crate) custom: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Function<'a> {
    #[serde(borrow)]
    pub(crate) arguments: Option<Arguments<'a>>,
}
