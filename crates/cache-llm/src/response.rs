//! [`ResponsePolicy`]: which answers are kept.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::dialect;
use crate::models::is_same;
use crate::not_stored::NotStored;
use crate::price::{Dollars, PriceTable};
use crate::request::PolicyError;
use crate::sse::{Event, EventTooLarge, SseParser};
use crate::usage::Summary;
use crate::wire::{self, Choices, Frame};

/// How an answer travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One JSON document.
    Plain,
    /// Server-Sent Events, up to the terminal event of the API: `[DONE]`, `message_stop`,
    /// `response.completed`.
    Stream,
}

/// What kind of answer is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum AnswerKind {
    /// A chat completion.
    Chat,
    /// A legacy completion.
    Completions,
    /// An answer of the `OpenAI` Responses API.
    Responses,
    /// A message of the Anthropic Messages API.
    Messages,
    /// Embeddings.
    Embeddings,
}

impl AnswerKind {
    /// The kind as one word, as in configuration: `chat`, `completions`, `responses`, `messages` or
    /// `embeddings`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Embeddings => "embeddings",
        }
    }
}

/// As its [`label`](Self::label).
impl fmt::Display for AnswerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// What a request for a stream says about the stream.
///
/// `Default` is what a request has that says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StreamOptions {
    /// `include_usage`: whether the usage is to come, in a chunk of its own.
    pub include_usage: bool,
    /// `include_obfuscation`, where the request says it.
    pub include_obfuscation: Option<bool>,
}

/// What the request says about the answer that it expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What kind of answer.
    pub kind: AnswerKind,
    /// How it is to travel.
    pub transport: Transport,
    /// If it is to be a stream, what of it.
    pub stream: StreamOptions,
    /// Whether the request itself limits the length, so that `length` is an answer as asked for.
    pub token_limit: bool,
    /// How many choices or embeddings there must be, where the request says so.
    pub results: Option<u64>,
}

/// Which answers are kept.
///
/// An answer is stored when it is what was asked for, whole, and not a failure in disguise:
/// status 200, no error object or error event, every choice finished for a good reason, none empty,
/// tool-call arguments that are JSON; for streams also the terminal event at the end. What is stored
/// is then the raw bytes.
///
/// | rule | default | changed with |
/// |---|---|---|
/// | largest answer | 4 MiB | [`max_answer`](Self::max_answer) |
/// | good finish reasons | `stop`, `tool_calls`, `function_call`; `end_turn`, `stop_sequence`, `tool_use`; status `completed` | [`also_accept`](Self::also_accept) |
/// | `length` | only if the request set a token limit | [`store_truncated`](Self::store_truncated) |
/// | refusals | not stored | [`store_refusals`](Self::store_refusals) |
/// | answers of another model than was asked for | not stored | [`store_fallbacks`](Self::store_fallbacks) |
/// | least cost | none | [`min_cost`](Self::min_cost) |
/// | streams that everyone has left | end | [`linger`](Self::linger) |
///
/// With feature `serde` it can be read from configuration: members that are left out have their
/// defaults, unknown ones are refused, and `linger` is a text such as `30s`.
///
/// ```
/// use cache_llm::{AnswerKind, Asked, NotStored, ResponsePolicy, StreamOptions, Transport};
///
/// let asked = Asked {
///     kind: AnswerKind::Chat,
///     transport: Transport::Plain,
///     stream: StreamOptions::default(),
///     token_limit: false,
///     results: None,
/// };
/// let cut = br#"{"choices":[{"message":{"content":"Par"},"finish_reason":"length"}]}"#;
/// assert_eq!(ResponsePolicy::default().judge(&asked, cut), Err(NotStored::Truncated));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, default))]
#[must_use]
pub struct ResponsePolicy {
    #[cfg_attr(
        feature = "serde",
        serde(rename = "max_answer", with = "crate::settings::max_answer")
    )]
    max_bytes: usize,
    #[cfg_attr(
        feature = "serde",
        serde(rename = "also_accept", with = "crate::settings::also_accept")
    )]
    also_accepted: Vec<Box<str>>,
    #[cfg_attr(
        feature = "serde",
        serde(rename = "store_truncated", with = "crate::settings::store_truncated")
    )]
    truncated: bool,
    #[cfg_attr(
        feature = "serde",
        serde(rename = "store_refusals", with = "crate::settings::store_refusals")
    )]
    refusals: bool,
    #[cfg_attr(
        feature = "serde",
        serde(rename = "store_fallbacks", with = "crate::settings::store_fallbacks")
    )]
    fallbacks: bool,
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::min_cost"))]
    min_cost: Option<f64>,
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::linger"))]
    linger: Duration,
}

impl Default for ResponsePolicy {
    fn default() -> Self {
        Self {
            max_bytes: 4 << 20,
            also_accepted: Vec::new(),
            truncated: false,
            refusals: false,
            fallbacks: false,
            min_cost: None,
            linger: Duration::ZERO,
        }
    }
}

impl ResponsePolicy {
    /// The largest answer that is kept, in bytes; also the most that is held of one answer on its
    /// way. Default: 4 MiB.
    pub fn max_answer(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// For how long a stream that its last reader has left is read on, to be stored, or joined again.
    /// What is larger than [`max_answer`](Self::max_answer) ends at once all the same, as does a call
    /// whose answer has not begun: that one belongs to its caller. A dry run reads nothing on. Default:
    /// zero, it ends with its last reader.
    pub fn linger(mut self, limit: Duration) -> Self {
        self.linger = limit;
        self
    }

    /// One more finish reason that a good answer may have, e.g. `eos`. `length` has a rule of its
    /// own: [`store_truncated`](Self::store_truncated).
    pub fn also_accept(mut self, finish_reason: impl Into<Box<str>>) -> Self {
        self.also_accepted.push(finish_reason.into());
        self
    }

    /// Whether answers that were cut at the provider's own limit are kept. Default: no.
    pub fn store_truncated(mut self, yes: bool) -> Self {
        self.truncated = yes;
        self
    }

    /// Whether refusals are kept. Default: no.
    pub fn store_refusals(mut self, yes: bool) -> Self {
        self.refusals = yes;
        self
    }

    /// Whether answers are kept that name another model than the request: those of a fallback, which
    /// would go on to be served when the model that was asked for is back. Default: no.
    ///
    /// An alias is no other model than the dated name that it stands for (`gpt-4o` and
    /// `gpt-4o-2024-08-06`, `x-latest` and `x-20250101`), and neither is a name with the provider's
    /// in front. Deployments with names of their own (Azure) need `true`.
    pub fn store_fallbacks(mut self, yes: bool) -> Self {
        self.fallbacks = yes;
        self
    }

    /// Answers that cost less than this are not kept, in dollars by the cache's
    /// [`PriceTable`](crate::PriceTable); those whose cost is not known are. Default: none.
    pub fn min_cost(mut self, dollars: impl Into<Option<f64>>) -> Self {
        self.min_cost = dollars.into();
        self
    }

    /// Whether an answer that was found good is worth its place.
    pub(crate) fn judge_summary(
        &self,
        asked: &str,
        summary: &Summary,
        prices: &PriceTable,
    ) -> Result<(), NotStored> {
        let answered = summary.model.as_deref().unwrap_or(asked);
        for answered in [Some(answered), summary.other_model.as_deref()].into_iter().flatten() {
            if !self.fallbacks && !is_same(asked, answered) {
                return Err(NotStored::OtherModel(answered.chars().take(256).collect()));
            }
        }
        if let Some(least) = self.min_cost
            && let Some(cost) = prices.cost(answered, &summary.usage)
            && cost < Dollars::from_f64(least)
        {
            return Err(NotStored::TooCheap);
        }
        Ok(())
    }

    /// What can be said before the body is there.
    ///
    /// # Errors
    ///
    /// Why the answer is not to be stored, whatever its body.
    pub fn judge_head(
        &self,
        asked: &Asked,
        status: u16,
        is_event_stream: bool,
        content_encoded: bool,
    ) -> Result<(), NotStored> {
        if status != 200 {
            return Err(NotStored::Status(status));
        }
        if content_encoded {
            return Err(NotStored::Encoded);
        }
        if is_event_stream != (asked.transport == Transport::Stream) {
            return Err(NotStored::Transport);
        }
        Ok(())
    }

    /// Whether this body, all of it, is to be stored.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn judge(&self, asked: &Asked, body: &[u8]) -> Result<(), NotStored> {
        if body.len() > self.max_bytes {
            return Err(NotStored::TooLarge { limit: self.max_bytes });
        }
        match asked.transport {
            Transport::Stream => self.judge_stream(asked, &[body]),
            Transport::Plain => self.judge_plain(asked, body),
        }
    }

    fn judge_plain(&self, asked: &Asked, body: &[u8]) -> Result<(), NotStored> {
        if body.first() == Some(&b':') {
            return Err(NotStored::NotJson); // would be read as a stored stream
        }
        match asked.kind {
            AnswerKind::Chat | AnswerKind::Completions => {
                let mut choices = Choices::default();
                choices.add_answer(wire::parse(body)?)?;
                choices.verdict(self, asked)
            }
            AnswerKind::Responses => wire::response(body, self, asked),
            AnswerKind::Messages => wire::message(body, self, asked),
            AnswerKind::Embeddings => wire::embeddings(body, asked),
        }
    }

    /// Judges a stream recorded in pieces and, if it is good, joins them.
    ///
    /// # Errors
    ///
    /// Why it is not to be stored.
    pub fn judge_recorded(&self, asked: &Asked, pieces: &[Bytes]) -> Result<Bytes, NotStored> {
        self.judge_pieces(asked, pieces)?;
        Ok(pieces.concat().into())
    }

    pub(crate) fn judge_pieces(&self, asked: &Asked, pieces: &[Bytes]) -> Result<(), NotStored> {
        let length = pieces.iter().map(Bytes::len).sum::<usize>();
        if length > self.max_bytes {
            return Err(NotStored::TooLarge { limit: self.max_bytes });
        }
        self.judge_stream(asked, pieces)
    }

    fn judge_stream(&self, asked: &Asked, pieces: &[impl AsRef<[u8]>]) -> Result<(), NotStored> {
        match asked.kind {
            AnswerKind::Chat | AnswerKind::Completions => {
                let mut parser = SseParser::new(self.max_bytes);
                let mut stream = StreamJudge::default();
                for piece in pieces {
                    parser.push(piece.as_ref(), |event| stream.add(event));
                }
                stream.verdict(self, asked)
            }
            // These are judged by the plain answer that they are a stream of.
            AnswerKind::Responses | AnswerKind::Messages => {
                let whole: Vec<u8> = pieces.iter().flat_map(AsRef::as_ref).copied().collect();
                let plain = dialect::to_plain(asked.kind, &whole)?;
                self.judge_plain(asked, plain.as_bytes())
            }
            AnswerKind::Embeddings => Err(NotStored::Transport),
        }
    }

    pub(crate) fn check(&self) -> Result<(), PolicyError> {
        match self.min_cost {
            _ if self.max_bytes == 0 => Err(PolicyError::ZeroMaxAnswer),
            Some(cost) if !cost.is_finite() || cost < 0.0 => Err(PolicyError::MinCost(cost)),
            _ => Ok(()),
        }
    }

    pub(crate) const fn largest(&self) -> usize {
        self.max_bytes
    }

    pub(crate) const fn lingers(&self) -> Duration {
        self.linger
    }

    pub(crate) const fn stores_truncated(&self) -> bool {
        self.truncated
    }

    pub(crate) const fn stores_refusals(&self) -> bool {
        self.refusals
    }

    /// Whether an answer may end for this reason.
    pub(crate) fn accepts(&self, finish_reason: &str) -> bool {
        matches!(finish_reason, "stop" | "tool_calls" | "function_call")
            || self.also_accepts(finish_reason)
    }

    pub(crate) fn also_accepts(&self, finish_reason: &str) -> bool {
        self.also_accepted.iter().any(|accepted| **accepted == *finish_reason)
    }
}

/// What the events of a stream amount to.
#[derive(Debug, Default)]
struct StreamJudge {
    choices: Choices,
    done: bool,
    flaw: Option<NotStored>,
}

impl StreamJudge {
    fn add(&mut self, event: Result<Event<'_>, EventTooLarge>) {
        if let Err(flaw) = self.try_add(event) {
            self.flaw.get_or_insert(flaw);
        }
    }

    fn try_add(&mut self, event: Result<Event<'_>, EventTooLarge>) -> Result<(), NotStored> {
        let event = event.map_err(|EventTooLarge { limit }| NotStored::TooLarge { limit })?;
        if event.name == b"error" {
            return Err(NotStored::ErrorObject);
        }
        if self.done {
            return Err(NotStored::Unexpected); // clients would not see it
        }
        if event.data == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        self.choices.add_chunk(wire::parse::<Frame<'_>>(event.data)?);
        Ok(())
    }

    fn verdict(self, policy: &ResponsePolicy, asked: &Asked) -> Result<(), NotStored> {
        match self.flaw {
            Some(flaw) => Err(flaw),
            None if !self.done => Err(NotStored::Cut),
            None => self.choices.verdict(policy, asked),
        }
    }
}
