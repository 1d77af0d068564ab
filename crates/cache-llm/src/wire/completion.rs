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
    /// The same of Mistral.
    #[serde(borrow, default)]
    p: Said<'a>,
}

impl<'a> Frame<'a> {
    /// What of this chunk may be another text each time, if nothing depends on it whether the chunk comes
    /// once or more often in a row, but for the fragment of a call's arguments.
    pub(crate) fn gaps(&self) -> Option<Gaps<'a>> {
        let mut gaps = Gaps { fragment: None, texts: Vec::new() };
        // What counts is whether these say something: they may say something else if they do.
        let something = |said: Said<'a>| said.as_text().filter(|_| said.is_something());
        for (position, choice) in (0..).zip(self.choices.iter().flatten()) {
            gaps.texts.extend(something(choice.text));
            let Some(delta) = &choice.delta else { continue };
            if delta.function_call.is_some() {
                return None;
            }
            gaps.texts.extend([delta.content, delta.refusal].into_iter().filter_map(something));
            let thoughts = [delta.reasoning_content, delta.reasoning, delta.thinking];
            let details = delta.reasoning_details.0.iter();
            let details = details.flat_map(|detail| [detail.text, detail.summary]);
            gaps.texts.extend(thoughts.into_iter().chain(details).filter_map(Said::as_text));
            for (at, call) in (0..).zip(delta.tool_calls.iter().flatten()) {
                let function = call.function.as_ref();
                if let Some(Arguments::Text(text)) =
                    function.and_then(|call| call.arguments.as_ref())
                    && let place = (choice.index.unwrap_or(position), call.index.unwrap_or(at))
                    && gaps.fragment.replace((place, *text)).is_some()
                {
                    return None; // fragments of two calls
                }
            }
        }
        gaps.texts.extend([self.obfuscation, self.p].into_iter().filter_map(Said::as_text));
        Some(gaps)
    }
}

/// What may be another text in the next chunk, as it stands between its quotes.
pub(crate) struct Gaps<'a> {
    /// A part of the arguments of a call: of which choice, of which of its calls.
    pub(crate) fragment: Option<((u64, u64), &'a str)>,
    pub(crate) texts: Vec<&'a str>,
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
    // What it thought, by any of the names for it. Nothing depends on that.
    #[serde(borrow, default)]
    reasoning_content: Said<'a>,
    #[serde(borrow, default)]
    reasoning: Said<'a>,
    #[serde(borrow, default)]
    thinking: Said<'a>,
    #[serde(borrow, default)]
    reasoning_details: Lenient<Vec<Detail<'a>>>,
    #[serde(borrow)]
    pub(crate) tool_calls: Option<Vec<ToolCall<'a>>>,
    /// The older spelling of one tool call.
    pub(crate) function_call: Option<Function<'a>>,
}

/// A part of a thought.
#[derive(Debug, Deserialize)]
struct Detail<'a> {
    #[serde(borrow, default)]
    text: Said<'a>,
    #[serde(borrow, default)]
    summary: Said<'a>,
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
