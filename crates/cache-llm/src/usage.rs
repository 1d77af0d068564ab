//! [`Usage`]: what an answer cost in tokens, read once from each answer that is stored.

use std::collections::BTreeSet;

use serde::de::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::not_stored::NotStored;
use crate::response::{AnswerKind, Transport};
use crate::sse::SseParser;
use crate::wire::{self, Frame, Text};

/// The tokens of one answer, in one convention for all dialects. `None`: the provider did not say.
///
/// ```
/// use cache_llm::{AnswerKind, Transport, Usage};
///
/// let answer = br#"{"usage":{"input_tokens":10,"cache_read_input_tokens":90,"output_tokens":5}}"#;
/// let usage = Usage::of(AnswerKind::Messages, Transport::Plain, answer);
/// assert_eq!((usage.input, usage.cached_input, usage.output), (Some(100), Some(90), Some(5)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct Usage {
    /// What the model read, all of it: also what the provider had in its own cache.
    pub input: Option<u64>,
    /// That part of the input that came from the provider's own cache.
    pub cached_input: Option<u64>,
    /// That part of the input that the provider wrote to its own cache, where it says so.
    pub cache_write: Option<u64>,
    /// What the model wrote, reasoning included.
    pub output: Option<u64>,
    /// That part of the output that is reasoning.
    pub reasoning: Option<u64>,
}

impl Usage {
    /// The usage that an answer tells of; nothing where it tells none.
    pub fn of(kind: AnswerKind, transport: Transport, body: &[u8]) -> Self {
        Summary::of(kind, transport, &[body]).usage
    }

    /// Input and output together, as far as they are known.
    pub fn total(&self) -> u64 {
        self.input.unwrap_or(0).saturating_add(self.output.unwrap_or(0))
    }

    pub(crate) const fn as_array(self) -> [Option<u64>; 5] {
        [self.input, self.cached_input, self.cache_write, self.output, self.reasoning]
    }

    pub(crate) const fn from_array(counts: [Option<u64>; 5]) -> Self {
        let [input, cached_input, cache_write, output, reasoning] = counts;
        Self { input, cached_input, cache_write, output, reasoning }
    }
}

/// What a hit tells of an answer beside its body.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) usage: Usage,
    /// The model that answered.
    pub(crate) model: Option<String>,
    /// Those that answered with it, where a gateway changed to others in mid-stream.
    pub(crate) other_models: BTreeSet<String>,
    /// Why the first choice ended.
    pub(crate) finish_reason: Option<String>,
}

impl Summary {
    /// Reads an answer that was found good. Members that are not as they should be are as good as
    /// absent: they are no reason not to store the answer.
    pub(crate) fn of(kind: AnswerKind, transport: Transport, body: &[impl AsRef<[u8]>]) -> Self {
        let mut tally = Tally::default();
        let mut add = |document: &[u8]| match kind {
            AnswerKind::Responses | AnswerKind::Messages if transport == Transport::Stream => {
                tally.add_event(document);
            }
            _ => {
                if let Ok(answer) = serde_json::from_slice(document) {
                    tally.add_answer(answer);
                }
            }
        };
        match transport {
            Transport::Plain => body.iter().for_each(|document| add(document.as_ref())),
            Transport::Stream => {
                let length = body.iter().map(|piece| piece.as_ref().len()).sum();
                let mut parser = SseParser::new(length);
                for piece in body {
                    parser.push(piece.as_ref(), |event| {
                        if let Ok(event) = event {
                            add(event.data);
                        }
                    });
                }
            }
        }
        tally.summary(kind)
    }

    /// Reads a plain answer.
    ///
    /// # Errors
    ///
    /// If a member that counts comes twice, so that readers may differ, e.g. on the model.
    pub(crate) fn of_plain(kind: AnswerKind, body: &[u8]) -> Result<Self, NotStored> {
        let mut tally = Tally::default();
        tally.add_answer(wire::parse(body)?);
        Ok(tally.summary(kind))
    }
}

/// The [`Summary`] of what was read so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    summary: Summary,
    /// As the dialect counts them.
    counted: Usage,
}

impl Tally {
    /// Adds a plain answer of completions, or a chunk of its stream.
    pub(crate) fn add_frame(&mut self, frame: &Frame<'_>) {
        let first = frame.choices.as_ref().and_then(|choices| choices.first());
        let reason = first.and_then(|choice| choice.finish_reason.as_ref());
        self.add(frame.model.0.as_ref(), frame.usage, reason);
    }

    /// Adds the data of an event of a response or a message, some of which hold an answer.
    pub(crate) fn add_event(&mut self, data: &[u8]) {
        let Ok(event) = serde_json::from_slice::<Answer<'_>>(data) else { return };
        // One level down and no further: answers do not hold others, so depth needs no bound.
        let inner = [event.response, event.message];
        self.add_answer(event);
        for inner in inner.into_iter().flatten() {
            if let Ok(answer) = serde_json::from_str(inner.get()) {
                self.add_answer(answer);
            }
        }
    }

    fn add_answer(&mut self, answer: Answer<'_>) {
        let Answer { model, usage, choices, stop_reason, status, delta, .. } = answer;
        let of_choice = choices.0.into_iter().next().and_then(|choice| choice.finish_reason.0);
        let of_delta = delta.0.and_then(|delta| delta.stop_reason.0);
        let reason = of_choice.or(stop_reason.0).or(of_delta).or(status.0);
        self.add(model.0.as_ref(), usage, reason.as_ref());
    }

    fn add(
        &mut self,
        model: Option<&Text<'_>>,
        usage: Option<&RawValue>,
        finish_reason: Option<&Text<'_>>,
    ) {
        let Summary { model: first, other_models, finish_reason: last, .. } = &mut self.summary;
        if let Some(Text(model)) = model
            && !model.is_empty()
        {
            match first {
                None => *first = Some(model.to_string()),
                Some(first) if first == model => {}
                Some(_) if other_models.contains(&**model) => {}
                Some(_) => drop(other_models.insert(model.to_string())),
            }
        }
        if let Some(Text(reason)) = finish_reason
            && !reason.is_empty()
        {
            *last = Some(reason.to_string());
        }
        let counts = usage.and_then(|usage| serde_json::from_str::<Counts>(usage.get()).ok());
        if let Some(later) = counts.map(|counts| counts.usage().as_array()) {
            let mut counted = self.counted.as_array();
            for (count, later) in counted.iter_mut().zip(later) {
                *count = later.or(*count); // what comes again is a total
            }
            self.counted = Usage::from_array(counted);
        }
    }

    pub(crate) fn summary(self, kind: AnswerKind) -> Summary {
        let mut usage = self.counted;
        if kind == AnswerKind::Messages {
            // Anthropic counts only what no cache had to do with.
            let others = [usage.cached_input, usage.cache_write].into_iter().flatten();
            let others = others.fold(0, u64::saturating_add);
            usage.input = usage.input.map(|fresh| fresh.saturating_add(others));
        }
        Summary { usage, ..self.summary }
    }
}

/// A plain answer or an event of a stream, in any dialect.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Answer<'a> {
    #[serde(borrow)]
    model: Lenient<Option<Text<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Lenient<Vec<Choice<'a>>>,
    /// Of a message.
    #[serde(borrow)]
    stop_reason: Lenient<Option<Text<'a>>>,
    /// Of a response.
    #[serde(borrow)]
    status: Lenient<Option<Text<'a>>>,
    /// Of the end of a message's stream.
    #[serde(borrow)]
    delta: Lenient<Option<Delta<'a>>>,
    /// An answer within the events of a response.
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    /// The same within the first event of a message.
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

#[derive(Debug, serde::Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    finish_reason: Lenient<Option<Text<'a>>>,
}

#[derive(Debug, serde::Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    stop_reason: Lenient<Option<Text<'a>>>,
}

/// The counts by the names that the dialects have for them. Some gateways give both.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Counts {
    input_tokens: Lenient<Option<u64>>,
    prompt_tokens: Lenient<Option<u64>>,
    output_tokens: Lenient<Option<u64>>,
    completion_tokens: Lenient<Option<u64>>,
    cache_read_input_tokens: Lenient<Option<u64>>,
    cache_creation_input_tokens: Lenient<Option<u64>>,
    input_tokens_details: Lenient<Details>,
    prompt_tokens_details: Lenient<Details>,
    output_tokens_details: Lenient<Details>,
    completion_tokens_details: Lenient<Details>,
}

#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Lenient<Option<u64>>,
    reasoning_tokens: Lenient<Option<u64>>,
}

impl Counts {
    fn usage(self) -> Usage {
        let Lenient(read) = self.input_tokens_details;
        let Lenient(read_too) = self.prompt_tokens_details;
        let Lenient(wrote) = self.output_tokens_details;
        let Lenient(wrote_too) = self.completion_tokens_details;
        let cached = read.cached_tokens.0.or(read_too.cached_tokens.0);
        Usage {
            input: self.input_tokens.0.or(self.prompt_tokens.0),
            cached_input: cached.or(self.cache_read_input_tokens.0),
            cache_write: self.cache_creation_input_tokens.0,
            output: self.output_tokens.0.or(self.completion_tokens.0),
            reasoning: wrote.reasoning_tokens.0.or(wrote_too.reasoning_tokens.0),
        }
    }
}

/// A value, or the default where it has another type.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lenient<T>(pub(crate) T);

impl<'de, T: Default + Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&'de RawValue>::deserialize(deserializer)?.get();
        Ok(Self(serde_json::from_str(text).unwrap_or_default()))
    }
}
