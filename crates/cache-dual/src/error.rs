//! [`FetchError`]: why `get_or_fetch` has no value.

use std::sync::Arc;

/// Why [`DualCache::get_or_fetch`](crate::DualCache::get_or_fetch) has no value. It is never stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError<E> {
    /// The origin failed. All callers that waited for the same fetch share the error.
    #[error(transparent)]
    Origin(Arc<E>),
    /// The caller that fetched panicked; the panic went on in its own task.
    #[error("the caller that was fetching this value panicked")]
    Panicked,
}

impl<E> Clone for FetchError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Origin(error) => Self::Origin(Arc::clone(error)),
            Self::Panicked => Self::Panicked,
        }
    }
}
