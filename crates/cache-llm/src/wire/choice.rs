//! [`Choices`]: what the choices of an answer amount to, gathered from one frame or from many.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;

use super::completion::{Choice, Frame, Function, Message};
use super::value::Arguments;
use crate::json::unescape;
use crate::not_stored::NotStored;
use crate::response::{Asked, ResponsePolicy};

/// All choices seen so far, by index.
#[derive(Debug, Default)]
pub(crate) struct Choices {
    failed: bool,
    by_index: BTreeMap<u64, Gathered>,
}

/// What one choice has said so far.
#[derive(Debug, Default)]
struct Gathered {
    failed: bool,
    end: End,
    says_something: bool,
    refuses: bool,
    calls: BTreeMap<u64, Call>,
    function_call: Option<Call>,
}

/// Why a choice ended.
#[derive(Debug, Default)]
enum End {
    #[default]
    None,
    For(Box<str>),
    /// For reasons that differ.
    ForMany,
}

#[derive(Debug, Default)]
struct Call {
    /// The argument text, joined from its fragments, escapes as they came.
    text: String,
    /// The arguments need not be JSON text: they came as JSON already, or are free text.
    unchecked: bool,
}

impl Choices {
    /// Adds a whole answer.
    ///
    /// # Errors
    ///
    /// If it is not a chat completion, or has two choices of one index.
    pub(crate) fn add_answer(&mut self, frame: Frame<'_>) -> Result<(), NotStored> {
        self.failed |= frame.error.is_some();
        let choices = match frame.choices {
            Some(choices) if !choices.is_empty() => choices,
            _ if self.failed => return Ok(()), // said by the verdict
            _ => return Err(NotStored::Unexpected),
        };
        for (position, choice) in (0..).zip(choices) {
            let index = choice.index.unwrap_or(position);
            if self.by_index.contains_key(&index) {
                return Err(NotStored::Unexpected);
            }
            self.by_index.entry(index).or_default().add(choice, |choice| choice.message.take());
        }
        Ok(())
    }

    /// Adds one chunk of a stream.
    pub(crate) fn add_chunk(&mut self, frame: Frame<'_>) {
        self.failed |= frame.error.is_some();
        for (position, choice) in (0..).zip(frame.choices.into_iter().flatten()) {
            let index = choice.index.unwrap_or(position);
            self.by_index.entry(index).or_default().add(choice, |choice| choice.delta.take());
        }
    }

    /// Adds a fragment to the arguments of a call, the `call.1`th of choice `call.0`.
    pub(crate) fn add_arguments(&mut self, call: (u64, u64), fragment: &str) {
        let choice = self.by_index.entry(call.0).or_default();
        choice.calls.entry(call.1).or_default().text.push_str(fragment);
    }

    /// Whether all of this may be stored.
    ///
    /// # Errors
    ///
    /// The first reason why not.
    pub(crate) fn verdict(&self, policy: &ResponsePolicy, asked: &Asked) -> Result<(), NotStored> {
        if self.failed || self.by_index.values().any(|choice| choice.failed) {
            return Err(NotStored::ErrorObject);
        }
        let got = self.by_index.len() as u64;
        match asked.results {
            Some(asked) if asked != got => return Err(NotStored::Results { asked, got }),
            _ if got == 0 => return Err(NotStored::Unexpected),
            _ => {}
        }
        self.by_index.values().try_for_each(|choice| choice.verdict(policy, asked))
    }
}

impl Gathered {
    fn add<'a>(
        &mut self,
        mut choice: Choice<'a>,
        message: impl FnOnce(&mut Choice<'a>) -> Option<Message<'a>>,
    ) {
        self.failed |= choice.error.is_some();
        self.says_something |= choice.text.is_something();
        if let Some(message) = message(&mut choice) {
            self.add_message(message);
        }
        if let Some(reason) = choice.finish_reason
            && !reason.0.is_empty()
        {
            let reason = cut(&reason.0);
            self.end = match std::mem::take(&mut self.end) {
                End::None => End::For(reason),
                End::For(known) if known == reason => End::For(known),
                _ => End::ForMany,
            };
        }
    }

    fn add_message(&mut self, message: Message<'_>) {
        self.says_something |=
            [message.content, message.audio, message.images].iter().any(|said| said.is_something());
        self.refuses |= message.refusal.is_something();
        for (position, part) in (0..).zip(message.tool_calls.into_iter().flatten()) {
            let call = self.calls.entry(part.index.unwrap_or(position)).or_default();
            call.unchecked |= part.custom.is_some();
            if let Some(function) = part.function {
                call.add(&function);
            }
        }
        if let Some(function) = message.function_call {
            self.function_call.get_or_insert_default().add(&function);
        }
    }

    fn verdict(&self, policy: &ResponsePolicy, asked: &Asked) -> Result<(), NotStored> {
        let reason = match &self.end {
            End::None => return Err(NotStored::Unfinished),
            End::For(reason) => &**reason,
            End::ForMany => return Err(NotStored::Unexpected),
        };
        match reason {
            "length" if asked.token_limit || policy.stores_truncated() => {}
            "length" => return Err(NotStored::Truncated),
            reason if policy.accepts(reason) => {}
            reason => return Err(NotStored::FinishReason(reason.into())),
        }
        if self.refuses && !policy.stores_refusals() {
            return Err(NotStored::Refusal);
        }
        let mut calls = self.calls.values().chain(&self.function_call).peekable();
        if calls.peek().is_none() && !self.says_something && !self.refuses {
            return Err(NotStored::Empty);
        }
        if calls.all(Call::is_json) { Ok(()) } else { Err(NotStored::ToolArguments) }
    }
}

impl Call {
    fn add(&mut self, function: &Function<'_>) {
        match function.arguments {
            Some(Arguments::Text(fragment)) => self.text.push_str(fragment),
            Some(Arguments::Object) => self.unchecked = true,
            None => {}
        }
    }

    fn is_json(&self) -> bool {
        let is_json = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
        self.unchecked || unescape(&self.text).is_some_and(|text| is_json(&text))
    }
}

/// So much of a finish reason as is shown: providers may say anything.
pub(super) fn cut(reason: &str) -> Box<str> {
    reason.chars().take(256).collect()
}
