//! [`EndpointKind`]: whose rules a body is read by.

use std::fmt;
use std::str::FromStr;

/// Which API a request body belongs to. It decides which equivalences hold, and it is part of the
/// key: the same bytes sent to two endpoints are two requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndpointKind {
    /// `OpenAI` chat completions, `/v1/chat/completions`.
    ChatCompletions,
    /// `OpenAI` legacy completions, `/v1/completions`.
    Completions,
    /// `OpenAI` responses, `/v1/responses`.
    Responses,
    /// Anthropic messages, `/v1/messages`.
    Messages,
    /// `OpenAI` embeddings, `/v1/embeddings`.
    Embeddings,
    /// Rerank as of Cohere and Jina, `/v1/rerank`.
    Rerank,
    /// Any other JSON API: every member counts as it stands.
    Generic,
}

impl EndpointKind {
    /// Its name, e.g. for a metric label: `chat.completions`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat.completions",
            Self::Completions => "completions",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Embeddings => "embeddings",
            Self::Rerank => "rerank",
            Self::Generic => "generic",
        }
    }

    /// What stands for it in the preimage. A number is never reused.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::ChatCompletions => 1,
            Self::Completions => 2,
            Self::Responses => 3,
            Self::Messages => 4,
            Self::Embeddings => 5,
            Self::Rerank => 6,
            Self::Generic => 7,
        }
    }
}

/// From its name.
impl FromStr for EndpointKind {
    type Err = UnknownEndpointKind;

    fn from_str(name: &str) -> Result<Self, UnknownEndpointKind> {
        let kinds = [
            Self::ChatCompletions,
            Self::Completions,
            Self::Responses,
            Self::Messages,
            Self::Embeddings,
            Self::Rerank,
            Self::Generic,
        ];
        kinds.into_iter().find(|kind| kind.as_str() == name).ok_or(UnknownEndpointKind)
    }
}

/// There is no [`EndpointKind`] of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no such endpoint kind: there are chat.completions, completions, responses, messages, \
     embeddings, rerank and generic"
)]
pub struct UnknownEndpointKind;

/// As [`EndpointKind::as_str`].
impl fmt::Display for EndpointKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
