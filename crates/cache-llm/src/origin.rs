//! [`Origin`]: one call to the provider, however it is made.

use std::error::Error;
use std::fmt;
use std::future::Future;

use bytes::Bytes;
use cache_core::BoxError;
use futures_util::stream::BoxStream;

/// The chunks of a body as they come.
pub type BodyStream = BoxStream<'static, Result<Bytes, BoxError>>;

/// One call to the provider, made at most once ([`resend`](Origin::resend) aside) and only if the cache has no answer.
///
/// Any `FnOnce() -> Future<Output = Result<OriginAnswer<Head>, Error>>` is one, whose error is an
/// [`Error`]. `anyhow::Error` is none: it goes into a type of one's own.
///
/// ```
/// #[derive(Debug, thiserror::Error)]
/// #[error(transparent)]
/// struct Failed(#[from] Box<dyn std::error::Error + Send + Sync>); // or anyhow::Error
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a call to the provider that this cache takes",
    note = "an `async` closure that returns `Result<OriginAnswer<H>, E>` is one, for the `H` and `E` of \
            this `LlmCache<H, E>`, where `H` is `Clone + Send + Sync` and `E: std::error::Error`",
    note = "`anyhow::Error` and `Box<dyn Error>` are no `std::error::Error`: wrap them in a type of your own"
)]
pub trait Origin: Send {
    /// What comes with an answer and is handed to all who share it, such as the parts of an HTTP
    /// response. The cache does not look into it and does not store it.
    type Head: Clone + Send + Sync + 'static;
    /// Why there is no answer.
    type Error: Error + Send + Sync + 'static;

    /// Asks the provider, and returns as soon as the body begins.
    ///
    /// # Errors
    ///
    /// If there is no answer. An answer with an error status is an answer.
    fn call(self) -> impl Future<Output = Result<OriginAnswer<Self::Head>, Self::Error>> + Send;

    /// Asks the provider with another body than the caller's: of a request for embeddings, what is
    /// missing. `None` if this origin cannot; then [`call`](Self::call) is made, for all of it.
    ///
    /// May be called more than once, and `call` after it.
    fn resend(
        &mut self,
        body: Bytes,
    ) -> Option<impl Future<Output = Result<OriginAnswer<Self::Head>, Self::Error>> + Send> {
        drop(body);
        None::<std::future::Ready<_>>
    }
}

/// An origin that can send any body: the caller's (`None`), or another one in its place.
///
/// ```
/// # use std::io;
/// # use bytes::Bytes;
/// # use cache_llm::{OriginAnswer, WithBody};
/// # async fn post(body: Bytes) -> io::Result<OriginAnswer<()>> {
/// #     Err(io::Error::other(format!("there is no network for {} bytes here", body.len())))
/// # }
/// # let request = Bytes::from("{}");
/// let origin = WithBody(move |other: Option<Bytes>| post(other.unwrap_or(request.clone())));
/// # let _ = origin;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WithBody<F>(pub F);

impl<F, Fut, H, E> Origin for WithBody<F>
where
    F: FnMut(Option<Bytes>) -> Fut + Send,
    Fut: Future<Output = Result<OriginAnswer<H>, E>> + Send,
    H: Clone + Send + Sync + 'static,
    E: Error + Send + Sync + 'static,
{
    type Head = H;
    type Error = E;

    fn call(mut self) -> impl Future<Output = Result<OriginAnswer<H>, E>> + Send {
        (self.0)(None)
    }

    fn resend(
        &mut self,
        body: Bytes,
    ) -> Option<impl Future<Output = Result<OriginAnswer<H>, E>> + Send> {
        Some((self.0)(Some(body)))
    }
}

impl<F, Fut, H, E> Origin for F
where
    F: FnOnce() -> Fut + Send,
    Fut: Future<Output = Result<OriginAnswer<H>, E>> + Send,
    H: Clone + Send + Sync + 'static,
    E: Error + Send + Sync + 'static,
{
    type Head = H;
    type Error = E;

    fn call(self) -> impl Future<Output = Result<OriginAnswer<H>, E>> + Send {
        self()
    }
}

/// What the provider answered.
pub struct OriginAnswer<H> {
    /// The HTTP status.
    pub status: u16,
    /// What else comes with it; see [`Origin::Head`].
    pub head: H,
    /// Whether the body is `text/event-stream`.
    pub is_event_stream: bool,
    /// Whether the body is compressed or otherwise encoded, which makes it opaque to the cache:
    /// better not to ask for it.
    pub content_encoded: bool,
    /// The body.
    pub body: BodyStream,
}

/// Leaves the body out: nobody should read an answer in a log.
impl<H> fmt::Debug for OriginAnswer<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OriginAnswer")
            .field("status", &self.status)
            .field("is_event_stream", &self.is_event_stream)
            .field("content_encoded", &self.content_encoded)
            .finish_non_exhaustive()
    }
}
