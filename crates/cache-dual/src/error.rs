//! [`FetchError`]: why `get_or_fetch` has no value, and what an origin may fail with.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// Why [`DualCache::get_or_fetch`](crate::DualCache::get_or_fetch) has no value. It is never stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError<E> {
    /// The origin failed. All callers that waited for the same fetch share the error.
    #[error(transparent)]
    Origin(OriginError<E>),
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
            Self::Origin(error) => Self::Origin(error.clone()),
            Self::TimedOut { limit } => Self::TimedOut { limit: *limit },
            Self::Shed => Self::Shed,
            Self::Panicked => Self::Panicked,
        }
    }
}

/// What a fetch failed with, shared by all who waited for it. It derefs to the `E` that was returned,
/// and as an error it shows that one's text and causes.
///
/// ```
/// use cache_dual::{CacheKey, DualCache, FetchError};
///
/// #[derive(Debug, thiserror::Error)]
/// #[error("the provider answered {status}")]
/// struct Refused {
///     status: u16,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), cache_dual::BuildError> {
/// let cache: DualCache<String> = DualCache::builder().build()?;
/// let key = CacheKey::from_text("capital of France");
///
/// let refused = || async { Err::<String, _>(Refused { status: 429 }) };
/// match cache.get_or_fetch(&key, refused).await {
///     Err(FetchError::Origin(error)) => assert_eq!(error.status, 429),
///     other => panic!("{other:?}"),
/// }
///
/// // Types that hold any error are as good: `anyhow::Error`, or this one.
/// let boxed = || async { Err::<String, Box<dyn std::error::Error + Send + Sync>>("no".into()) };
/// let failed = cache.get_or_fetch(&key, boxed).await.expect_err("it fails");
/// assert_eq!(failed.to_string(), "no");
/// # Ok(())
/// # }
/// ```
pub struct OriginError<E>(Arc<Shared<E>>);

/// An error, and how to see one in it.
struct Shared<E> {
    error: E,
    as_error: fn(&E) -> &(dyn StdError + 'static),
}

impl<E> OriginError<E> {
    /// Shares `error`.
    pub fn new<K>(error: E) -> Self
    where
        E: FetchFailure<K>,
    {
        Self(Arc::new(Shared { error, as_error: E::as_error }))
    }

    /// For boards that callers with other errors read too.
    pub(crate) fn erased(&self) -> AnyError
    where
        E: Send + Sync + 'static,
    {
        Arc::clone(&self.0) as AnyError
    }

    /// The error of a board, if it is of this type.
    pub(crate) fn of(erased: AnyError) -> Option<Self>
    where
        E: Send + Sync + 'static,
    {
        erased.downcast().ok().map(Self)
    }

    fn as_error(&self) -> &(dyn StdError + 'static) {
        (self.0.as_error)(&self.0.error)
    }
}

/// The [`OriginError`] of a caller whose error type is not known here.
pub(crate) type AnyError = Arc<dyn Any + Send + Sync>;

impl<E> Deref for OriginError<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.0.error
    }
}

impl<E> Clone for OriginError<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E> fmt::Debug for OriginError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_error(), f)
    }
}

impl<E> fmt::Display for OriginError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_error(), f)
    }
}

impl<E> StdError for OriginError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.as_error().source()
    }
}

/// What an origin returned, with its error as those who wait can share it.
pub(crate) fn shared<T, E: FetchFailure<K>, K>(result: Result<T, E>) -> Result<T, OriginError<E>> {
    result.map_err(OriginError::new)
}

/// What a fetch may fail with: any error type, and any type that holds errors of all kinds, such as
/// `Box<dyn Error + Send + Sync>`, `anyhow::Error` and `eyre::Report`, which are none themselves.
///
/// There is nothing to implement: it holds for all of these. `Kind` tells the two apart and is always
/// inferred (decision 0020).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an error that callers on several threads can share",
    note = "a fetch fails with a type that is `Error + Send + Sync + 'static`, or with one that holds such \
            errors: `Box<dyn Error + Send + Sync>`, `anyhow::Error`"
)]
pub trait FetchFailure<Kind>: Send + Sync + 'static {
    /// The error in it.
    #[doc(hidden)]
    fn as_error(&self) -> &(dyn StdError + 'static);
}

/// Tells the kinds of [`FetchFailure`] apart. Both may hold of no type.
#[doc(hidden)]
pub mod kind {
    /// It is an error.
    #[derive(Debug)]
    pub enum Is {}
    /// It holds one.
    #[derive(Debug)]
    pub enum Holds {}
}

impl<E: StdError + Send + Sync + 'static> FetchFailure<kind::Is> for E {
    fn as_error(&self) -> &(dyn StdError + 'static) {
        self
    }
}

impl<E> FetchFailure<kind::Holds> for E
where
    E: AsRef<dyn StdError + Send + Sync> + Send + Sync + 'static,
{
    fn as_error(&self) -> &(dyn StdError + 'static) {
        self.as_ref()
    }
}
