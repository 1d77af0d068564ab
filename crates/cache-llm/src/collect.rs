//! Reads a body whole, up to a limit, and gives it back as a stream where it goes over it.

use bytes::Bytes;
use cache_core::BoxError;
use futures_util::stream::{StreamExt, iter};

use crate::origin::BodyStream;

/// A body that was read as far as the limit allowed.
pub(crate) enum Collected {
    /// All of it.
    Whole(Bytes),
    /// It has more than the limit: what was read and what was not, as one stream again.
    TooLarge(BodyStream),
}

/// Reads `body` up to `limit` bytes.
///
/// A whole body is always copied, also one that came in one piece: the piece is often a slice of a
/// much larger read buffer, which a stored answer would keep alive.
pub(crate) async fn collect(mut body: BodyStream, limit: usize) -> Result<Collected, BoxError> {
    let mut pieces = Vec::new();
    let mut length = 0_usize;
    while let Some(piece) = body.next().await {
        let piece = piece?;
        length += piece.len();
        pieces.push(piece);
        if length > limit {
            return Ok(Collected::TooLarge(iter(pieces.into_iter().map(Ok)).chain(body).boxed()));
        }
    }
    Ok(Collected::Whole(pieces.concat().into()))
}
