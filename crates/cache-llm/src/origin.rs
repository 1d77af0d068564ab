//! [`Origin`]: one call to the provider, however it is made.

use std::error::Error;
use std::fmt;
use std::future::Future;

use bytes::Bytes;
use cache_core::BoxError;
use futures_util::stream::{BoxStream, Stream, StreamExt, once};

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
///
/// The call and its future are `Send`, so what they refer to is `Sync`:
///
/// ```
/// # use std::io;
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// use cache_llm::{Origin, OriginAnswer};
///
/// fn takes(origin: impl Origin<Head = (), Error = io::Error>) {}
///
/// let calls = AtomicU32::new(0);
/// takes(|| async {
///     calls.fetch_add(1, Ordering::Relaxed);
///     Ok(OriginAnswer::whole(200, (), "{}"))
/// });
/// ```
///
/// A `Cell` is not:
///
/// ```compile_fail,E0277
/// # use std::io;
/// # use std::cell::Cell;
/// # use cache_llm::{Origin, OriginAnswer};
/// # fn takes(origin: impl Origin<Head = (), Error = io::Error>) {}
/// let calls = Cell::new(0);
/// takes(|| async {
///     calls.set(calls.get() + 1);
///     Ok(OriginAnswer::whole(200, (), "{}"))
/// });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a call to the provider that this cache takes",
    note = "an `async` closure that returns `Result<OriginAnswer<H>, E>` is one, for the `H` and `E` of \
            this `LlmCache<H, E>`, where `H` is `Clone + Send + Sync` and `E: std::error::Error`",
    note = "`anyhow::Error` and `Box<dyn Error>` are no `std::error::Error`: wrap them in a type of your own",
    note = "it and its future have to be `Send`: they hold no `Rc` and no guard of a `std::sync::Mutex` across \
            an `.await`, and refer to nothing that is not `Sync`, such as a `Cell`; a type parameter needs \
            the bound"
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

/// An origin that can send any body: the caller's, or another one in its place.
///
/// ```
/// # use std::io;
/// # use bytes::Bytes;
/// # use cache_llm::{OriginAnswer, WithBody};
/// # async fn post(body: Bytes) -> io::Result<OriginAnswer<()>> {
/// #     Err(io::Error::other(format!("there is no network for {} bytes here", body.len())))
/// # }
/// let request = r#"{"model":"m","input":["sand","water"]}"#;
/// let origin = WithBody::new(request, |body| post(body)); // this one, or one with "water" only
/// # let _ = origin;
/// ```
#[derive(Clone)]
pub struct WithBody<F> {
    body: Bytes,
    send: F,
}

impl<F> WithBody<F> {
    /// The call that sends the body it is given: `body`, the caller's own, or what is missing of it.
    pub fn new<Fut>(body: impl Into<Bytes>, send: F) -> Self
    where
        F: FnMut(Bytes) -> Fut,
    {
        Self { body: body.into(), send }
    }
}

/// Leaves the body out: nobody should read a request in a log.
impl<F> fmt::Debug for WithBody<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithBody").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

impl<F, Fut, H, E> Origin for WithBody<F>
where
    F: FnMut(Bytes) -> Fut + Send,
    Fut: Future<Output = Result<OriginAnswer<H>, E>> + Send,
    H: Clone + Send + Sync + 'static,
    E: Error + Send + Sync + 'static,
{
    type Head = H;
    type Error = E;

    fn call(mut self) -> impl Future<Output = Result<OriginAnswer<H>, E>> + Send {
        (self.send)(self.body)
    }

    fn resend(
        &mut self,
        body: Bytes,
    ) -> Option<impl Future<Output = Result<OriginAnswer<H>, E>> + Send> {
        Some((self.send)(body))
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
///
/// Made by [`whole`](Self::whole) or [`events`](Self::events). Who relays an HTTP response, and takes from
/// its headers what its body is, fills in the fields.
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

impl<H> OriginAnswer<H> {
    /// A plain answer in one piece, such as JSON.
    ///
    /// ```
    /// # use cache_llm::OriginAnswer;
    /// let answer = OriginAnswer::whole(503, (), r#"{"error":{"message":"overloaded"}}"#);
    /// assert!(!answer.is_event_stream);
    /// ```
    pub fn whole(status: u16, head: H, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let body = once(async { Ok(body) }).boxed();
        Self { status, head, is_event_stream: false, content_encoded: false, body }
    }

    /// An event stream, in whatever pieces it comes.
    ///
    /// ```
    /// # use std::io;
    /// # use cache_llm::OriginAnswer;
    /// # use futures_util::stream;
    /// let events = ["data: {}\n\n", "data: [DONE]\n\n"].map(io::Result::Ok); // your client's
    /// let answer = OriginAnswer::events(200, (), stream::iter(events));
    /// assert!(answer.is_event_stream);
    /// ```
    pub fn events<B, E>(
        status: u16,
        head: H,
        body: impl Stream<Item = Result<B, E>> + Send + 'static,
    ) -> Self
    where
        B: Into<Bytes>,
        E: Into<BoxError>,
    {
        let body = body.map(|piece| piece.map(Into::into).map_err(Into::into)).boxed();
        Self { status, head, is_event_stream: true, content_encoded: false, body }
    }
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
