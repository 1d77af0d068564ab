//! Why a typed call has no answer.

use cache_core::BoxError;

use crate::reply::AnswerError;

/// Why a call to a typed provider brought nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError<E> {
    /// The provider's own error.
    #[error(transparent)]
    Provider(E),
    /// Its answer could not be serialized.
    #[error("the answer could not be serialized")]
    Encode(#[source] serde_json::Error),
}

/// Why a cached typed call has no answer. Nothing of it is stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CachedError<E: std::error::Error + 'static> {
    /// There is no answer; all who waited for the same call share the error.
    #[error(transparent)]
    Answer(AnswerError<CallError<E>>),
    /// The request could not be serialized, so it has no key.
    #[error("the request could not be serialized")]
    Request(#[source] serde_json::Error),
    /// The stored answer, or an event of it, is not of the type that is wanted.
    #[error("the answer is not of the expected type")]
    Decode(#[source] serde_json::Error),
    /// The stream broke off.
    #[error("the stream broke off")]
    Stream(#[source] BoxError),
}

impl<E: std::error::Error + 'static> CachedError<E> {
    /// The provider's own error, if that is what it is.
    pub fn provider(&self) -> Option<&E> {
        match self {
            Self::Answer(AnswerError::Origin(error)) => match &**error {
                CallError::Provider(error) => Some(error),
                CallError::Encode(_) => None,
            },
            _ => None,
        }
    }
}
