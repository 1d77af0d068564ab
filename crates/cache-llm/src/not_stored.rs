//! [`NotStored`]: why an answer was passed on and not kept.

use crate::dialect::NotTranscodable;
use crate::request::Bypass;

/// Why an answer is not stored.
///
/// Answers that are not stored still go to their callers unchanged. Messages hold no text of
/// requests or answers, apart from the provider's finish reason; [`NotStored::label`] is for
/// metrics.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotStored {
    /// It is a dry run, which serves nothing.
    #[error("it is a dry run")]
    DryRun,
    /// The caller asked that the cache be left out.
    #[error("the caller asked for no cache")]
    Bypassed,
    /// The request is none of the cache's business, and went past it: see
    /// [`LlmCache::serve`](crate::LlmCache::serve).
    #[error(transparent)]
    Request(#[from] Bypass),
    /// The status is not 200.
    #[error("the status is {0}, not 200")]
    Status(u16),
    /// A stream came where a plain answer was asked for, or the reverse.
    #[error("the answer is not in the transport that was asked for")]
    Transport,
    /// The body is compressed or otherwise encoded, so it could not be looked at.
    #[error("the body has a content encoding")]
    Encoded,
    /// The answer is larger than answers may be.
    #[error("the answer has more than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The answer, or one event of it, is not JSON.
    #[error("the answer is not valid JSON")]
    NotJson,
    /// It is JSON, but not of the shape that such answers have.
    #[error("the answer does not have the expected shape")]
    Unexpected,
    /// The provider sent an error object or an error event, whatever the status said.
    #[error("the answer holds an error")]
    ErrorObject,
    /// There are fewer choices or embeddings than were asked for, or more.
    #[error("the answer holds {got} results where {asked} were asked for")]
    Results {
        /// How many were asked for.
        asked: u64,
        /// How many came.
        got: u64,
    },
    /// A choice has no finish reason.
    #[error("a choice has no finish reason")]
    Unfinished,
    /// A choice was cut at a length that the request had not set itself.
    #[error("a choice was cut at a length that the request did not set")]
    Truncated,
    /// A choice ended for a reason that is not known to be good, e.g. `content_filter`.
    #[error("a choice ended with finish reason {0:?}")]
    FinishReason(Box<str>),
    /// A choice says nothing and calls nothing.
    #[error("a choice is empty")]
    Empty,
    /// A choice is a refusal.
    #[error("a choice is a refusal")]
    Refusal,
    /// The arguments of a tool call are not JSON.
    #[error("the arguments of a tool call are not valid JSON")]
    ToolArguments,
    /// Another model answered than was asked for, by this name: a fallback.
    #[error("the answer is by another model than was asked for")]
    OtherModel(Box<str>),
    /// It cost less than answers have to cost.
    #[error("the answer cost less than answers have to")]
    TooCheap,
    /// The stream ended without its terminal event.
    #[error("the stream ended without its terminal event")]
    Cut,
    /// The body broke off with an error.
    #[error("the body ended with an error")]
    Broken,
    /// Its key was invalidated or written while it was fetched.
    #[error("the key was invalidated or written meanwhile")]
    Fenced,
    /// It is heavier than the memory tier may be; it is in the remote tier at most.
    #[error("the answer is heavier than the memory tier may be")]
    TooHeavy,
    /// Its time to live is over already.
    #[error("the answer has no time to live")]
    Expired,
}

/// Of a stream that had to be understood to be judged.
impl From<NotTranscodable> for NotStored {
    fn from(reason: NotTranscodable) -> Self {
        match reason {
            NotTranscodable::NotJson => Self::NotJson,
            NotTranscodable::Error => Self::ErrorObject,
            NotTranscodable::Cut => Self::Cut,
            _ => Self::Unexpected,
        }
    }
}

impl NotStored {
    /// The reason as one of a fixed set of words.
    ///
    /// ```
    /// # use cache_llm::NotStored;
    /// assert_eq!(NotStored::Status(503).label(), "status");
    /// ```
    pub const fn label(&self) -> &'static str {
        match self {
            Self::DryRun => "dry_run",
            Self::Bypassed => "bypassed",
            Self::Request(_) => "request",
            Self::Status(_) => "status",
            Self::Transport => "transport",
            Self::Encoded => "encoded",
            Self::TooLarge { .. } => "too_large",
            Self::NotJson => "not_json",
            Self::Unexpected => "unexpected",
            Self::ErrorObject => "error_object",
            Self::Results { .. } => "results",
            Self::Unfinished => "unfinished",
            Self::Truncated => "truncated",
            Self::FinishReason(_) => "finish_reason",
            Self::Empty => "empty",
            Self::Refusal => "refusal",
            Self::ToolArguments => "tool_arguments",
            Self::OtherModel(_) => "other_model",
            Self::TooCheap => "too_cheap",
            Self::Cut => "cut",
            Self::Broken => "broken",
            Self::Fenced => "fenced",
            Self::TooHeavy => "too_heavy",
            Self::Expired => "expired",
        }
    }
}
