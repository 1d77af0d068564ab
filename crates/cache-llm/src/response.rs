//! [`ResponsePolicy`]: which answers are kept.

use std::fmt;
use std::time::Duration;

use crate::request::PolicyError;

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

    pub(crate) const fn stores_fallbacks(&self) -> bool {
        self.fallbacks
    }

    pub(crate) const fn least_cost(&self) -> Option<f64> {
        self.min_cost
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
