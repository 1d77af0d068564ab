//! Chat completions and legacy ones: a plain answer and one chunk of a stream have the same frame.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::value::{Arguments, Said, Text};
use crate::usage::Lenient;

/// A `chat.completion` or a `chat.completion.chunk`.
#[derive(Debug, Deserialize)]
pub(crate) struct Frame<'a> {
    pub(crate) error: Option<IgnoredAny>,
    #[serde(borrow)]
    pub(crate) choices: Option<Vec<Choice<'a>>>,
    // Nothing is refused for these, whatever they are.
    #[serde(borrow, default)]
    pub(crate) model: Lenient<Option<Text<'a>>>,
    #[serde(borrow)]
    pub(crate) usage: Option<&'a RawValue>,
    /// Noise of varying length, against who guesses texts by the size of packets.
    #[serde(borrow, default)]
    obfuscation: Said<'a>,
}

impl<'a> Frame<'a> {
    /// If this is a chunk that adds text, and would add nothing but text if it came twice in a row: all text in
    /// it that may be another one each time, between its quotes. None of it is empty that counts.
    pub(crate) fn texts(&self) -> Option<impl Iterator<Item = &'a str>> {
        let choices = self.choices.as_deref()?;
        let adds_text = |choice: &Choice<'_>| {
            let delta = choice.delta.as_ref();
            let calls = delta
                .is_some_and(|delta| delta.tool_calls.is_some() || delta.function_call.is_some());
            let content = delta.map_or(Said::default(), |delta| delta.content);
            !calls && (content.is_something() || choice.text.is_something())
        };
        let all = choices.iter().flat_map(|choice| {
            let content = choice.delta.as_ref().map_or(Said::default(), |delta| delta.content);
            [content, choice.text]
        });
        let all: Vec<_> = all.chain([self.obfuscation]).filter_map(Said::as_text).collect();
        (!choices.is_empty() && choices.iter().all(adds_text)).then(|| all.into_iter())
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Choice<'a> {
    pub(crate) index: Option<u64>,
    /// What a legacy completion says.
    #[serde(borrow, default)]
    pub(crate) text: Said<'a>,
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
    #[serde(borrow, default)]
    pub(crate) content: Said<'a>,
    #[serde(borrow, default)]
    pub(crate) refusal: Said<'a>,
    #[serde(borrow, default)]
    pub(crate) audio: Said<'a>,
    #[serde(borrow, default)]
    pub(crate) images: Said<'a>,
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
