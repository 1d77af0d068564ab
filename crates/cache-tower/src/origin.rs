//! The inner service as the origin of a cache.

use std::convert::Infallible;
use std::future::{Future, poll_fn};

use bytes::Bytes;
use cache_core::BoxError;
use cache_llm::{Origin, OriginAnswer};
use futures_util::{StreamExt, TryStreamExt};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Request, Response, request, response};
use http_body::Body as HttpBody;
use http_body_util::BodyStream;
use tower_service::Service;

use crate::body::{Body, boxed, full};

/// The inner service, for one request.
pub(crate) struct Inner<S>(pub(crate) S);

impl<S> Inner<S> {
    /// Sends a request as it is.
    pub(crate) async fn call<R>(mut self, request: Request<Body>) -> Response<Body>
    where
        S: Service<Request<Body>, Response = Response<R>, Error = Infallible>,
        R: HttpBody<Data = Bytes> + Send + 'static,
        R::Error: Into<BoxError>,
    {
        let Ok(()) = poll_fn(|context| self.0.poll_ready(context)).await;
        let Ok(answer) = self.0.call(request).await;
        answer.map(boxed)
    }

    /// The call that the cache makes if it has no answer.
    pub(crate) fn origin(self, mut parts: request::Parts, body: Bytes) -> ServiceOrigin<S> {
        // The answer is kept for callers who may not understand the encoding of this one.
        parts.headers.remove(ACCEPT_ENCODING);
        ServiceOrigin { inner: self, parts, body }
    }
}

/// One request to the inner service that an answer may be stored of.
pub(crate) struct ServiceOrigin<S> {
    inner: Inner<S>,
    parts: request::Parts,
    body: Bytes,
}

impl<S, R> Origin for ServiceOrigin<S>
where
    S: Service<Request<Body>, Response = Response<R>, Error = Infallible> + Clone + Send,
    S::Future: Send,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Head = response::Parts;
    type Error = Infallible;

    async fn call(self) -> Result<OriginAnswer<response::Parts>, Infallible> {
        Ok(answer(self.inner, Request::from_parts(self.parts, full(self.body))).await)
    }

    fn resend(
        &mut self,
        body: Bytes,
    ) -> Option<impl Future<Output = Result<OriginAnswer<response::Parts>, Infallible>> + Send>
    {
        let (inner, mut parts) = (Inner(self.inner.0.clone()), self.parts.clone());
        if body != self.body {
            // What is said of the caller's body does not hold for this one. Whoever sends it knows its
            // length.
            for name in [CONTENT_LENGTH, CONTENT_DIGEST, DIGEST, CONTENT_MD5] {
                parts.headers.remove(name);
            }
        }
        Some(async move { Ok(answer(inner, Request::from_parts(parts, full(body))).await) })
    }
}

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const DIGEST: HeaderName = HeaderName::from_static("digest");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// What the inner service answers, as the cache takes it.
async fn answer<S, R>(inner: Inner<S>, request: Request<Body>) -> OriginAnswer<response::Parts>
where
    S: Service<Request<Body>, Response = Response<R>, Error = Infallible>,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let (head, body) = inner.call(request).await.into_parts();
    // Trailers say something about a transfer that the cache does not repeat.
    let data = BodyStream::new(body)
        .map_err(BoxError::from)
        .try_filter_map(async |frame| Ok(frame.into_data().ok()));
    OriginAnswer {
        status: head.status.as_u16(),
        is_event_stream: is_event_stream(&head.headers),
        content_encoded: head.headers.contains_key(CONTENT_ENCODING),
        head,
        body: data.boxed(),
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let media_type = media_type.and_then(|value| value.split(|&byte| byte == b';').next());
    media_type.is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_streams_are_known_by_their_media_type() {
        let is = |value| {
            is_event_stream(
                &[(CONTENT_TYPE, HeaderValue::from_static(value))].into_iter().collect(),
            )
        };
        assert!(is("text/event-stream") && is("Text/Event-Stream; charset=utf-8"));
        assert!(!is("application/json") && !is("text/event-streams"));
        assert!(!is_event_stream(&HeaderMap::new()));
    }
}
