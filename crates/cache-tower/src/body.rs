//! Bodies: read up to a limit, and given back whole where they go over it.

use bytes::{Bytes, BytesMut};
use cache_core::BoxError;
use futures_util::{StreamExt, stream};
use http_body::{Body as HttpBody, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};

/// The body of requests that the layer hands on and of responses that it returns.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// Why a [`Body`] broke off, whatever kind of body it was.
#[derive(Debug, thiserror::Error)]
#[error("the body broke off")]
pub struct BodyError(#[source] BoxError);

impl BodyError {
    /// Wraps the error of any body.
    pub fn new(source: impl Into<BoxError>) -> Self {
        Self(source.into())
    }
}

/// A body of these bytes.
pub(crate) fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// Any body as [`Body`].
pub(crate) fn boxed<B>(body: B) -> Body
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    body.map_err(BodyError::new).boxed_unsync()
}

/// A body that was read as far as the limit allowed.
#[derive(Debug)]
pub(crate) enum Collected {
    /// All of it.
    Whole(Bytes),
    /// More than the limit: what was read and what was not, as one body again.
    TooLarge(Body),
}

/// Reads `body` up to `limit` bytes. Trailers of a whole body are left out.
///
/// A body that comes in one piece is returned as it came; the pieces of any other are copied
/// together once.
pub(crate) async fn collect(mut body: Body, limit: usize) -> Result<Collected, BodyError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Ok(Collected::TooLarge(body));
    }
    let mut first = Bytes::new();
    let mut read = BytesMut::new(); // stays empty while `first` is all there is
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame?.into_data() else { continue };
        if first.is_empty() {
            first = chunk;
        } else {
            if read.is_empty() {
                read.reserve(announced.max(first.len() + chunk.len()));
                read.extend_from_slice(&first);
            }
            read.extend_from_slice(&chunk);
        }
        if first.len().max(read.len()) > limit {
            return Ok(Collected::TooLarge(prepend(whole(first, read), body)));
        }
    }
    Ok(Collected::Whole(whole(first, read)))
}

fn whole(first: Bytes, read: BytesMut) -> Bytes {
    if read.is_empty() { first } else { read.freeze() }
}

fn prepend(read: Bytes, rest: Body) -> Body {
    let read = stream::iter([Ok(Frame::data(read))]);
    let rest = stream::unfold(rest, |mut rest| async {
        let frame = rest.frame().await?;
        Some((frame, rest))
    });
    StreamBody::new(read.chain(rest)).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunked(chunks: &[&'static str]) -> Body {
        let frames: Vec<_> = chunks
            .iter()
            .map(|c| Ok::<_, BodyError>(Frame::data(Bytes::from_static(c.as_bytes()))))
            .collect();
        StreamBody::new(stream::iter(frames)).boxed_unsync()
    }

    #[tokio::test]
    async fn within_the_limit_it_is_whole() {
        let Collected::Whole(bytes) = collect(chunked(&["ab", "", "cd"]), 4).await.unwrap() else {
            panic!("over the limit");
        };
        assert_eq!(bytes, "abcd");
    }

    /// A110: over the limit nothing is lost.
    #[tokio::test]
    async fn over_the_limit_it_is_given_back() {
        for body in [chunked(&["ab", "cd", "ef"]), full(Bytes::from_static(b"abcdef"))] {
            let Collected::TooLarge(body) = collect(body, 3).await.unwrap() else {
                panic!("within the limit");
            };
            assert_eq!(body.collect().await.unwrap().to_bytes(), "abcdef");
        }
    }
}
