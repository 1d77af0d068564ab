//! [`FetchError`]: why `get_or_fetch` has no value.

use std::sync::Arc;
use std::time::Duration;

/// Why [`DualCache::get_or_fetch`](crate::DualCache::get_or_fetch) has no value. It is never stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError<E> {
    /// The origin failed. All callers that waited for the same fetch share the error.
    #[error(transparent)]
    Origin(Arc<E>),
    /// The origin did not answer in time, and there is no stale value.
    #[error("the origin did not answer within {limit:?}")]
    TimedOut {
        /// The hard timeout that it did not keep.
        limit: Duration,
    },
    /// The remote tier is out, as many fetches are under way as are allowed then, and there is no
    /// stale value.
    #[error("the cache's remote tier is out, and the origin is spared")]
    Shed,
    /// The caller that fetched panicked; the panic went on in its own task.
    #[error("the caller that was fetching this value panicked")]
    Panicked,
}

impl<E> Clone for FetchError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Origin(error) => Self::Origin(Arc::clone(error)),
            Self::TimedOut { limit } => Self::TimedOut { limit: *limit },
            Self::Shed => Self::Shed,
            Self::Panicked => Self::Panicked,
        }
    }
}
