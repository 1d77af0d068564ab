//! A stored answer as one request wants it.

use bytes::Bytes;
use cache_core::Timestamp;

use crate::dialect::{self, NotTranscodable, Streaming};
use crate::edit::HitOptions;
use crate::replay::{Chunking, ReplayOptions};
use crate::response::{Asked, Transport};
use crate::stored::{self, About, Stored};

/// What of an entry a request gets.
pub(crate) struct View {
    pub(crate) body: Bytes,
    /// It was recorded in the other transport.
    pub(crate) transcoded: bool,
    pub(crate) about: About,
}

/// The answer in `entry` as the request behind `asked` wants it.
///
/// # Errors
///
/// Why it cannot be had of this entry. It is as good as a miss, except that the new answer takes the
/// entry's place.
pub(crate) fn view(
    entry: &Bytes,
    asked: &Asked,
    replay: &ReplayOptions,
    options: HitOptions,
    now: impl FnOnce() -> Timestamp,
) -> Result<View, NotTranscodable> {
    let Stored { transport, options: recorded, about, body } =
        stored::read(entry).ok_or(NotTranscodable::Unexpected)?;
    let streaming = Streaming { usage: asked.stream.include_usage, piece: replay.chunking.piece() };
    let transcoded = transport != asked.transport;
    let mut body = match (transport, asked.transport) {
        (Transport::Plain, Transport::Plain) => body,
        (Transport::Stream, Transport::Plain) => dialect::to_plain(asked.kind, &body)?.into(),
        (Transport::Plain, Transport::Stream) => {
            if asked.stream.include_obfuscation == Some(true) {
                return Err(NotTranscodable::NoObfuscation);
            }
            dialect::to_stream(asked.kind, &body, streaming)?.into()
        }
        (Transport::Stream, Transport::Stream) => {
            let body = match dialect::reshape(asked.kind, &body, recorded, asked.stream)? {
                Some(reshaped) => reshaped.into(),
                None => body,
            };
            match replay.chunking {
                // What is cut anew has no obfuscation.
                Chunking::Characters(_) if asked.stream.include_obfuscation != Some(true) => {
                    dialect::to_plain(asked.kind, &body)
                        .and_then(|plain| {
                            dialect::to_stream(asked.kind, plain.as_bytes(), streaming)
                        })
                        .map_or(body, Bytes::from)
                }
                _ => body,
            }
        }
    };
    if options != HitOptions::default() {
        let seconds = now().as_unix_millis() / 1000; // a clock that most hits need not read
        body = options.apply(asked.kind, asked.transport, body, seconds)?;
    }
    Ok(View { body, transcoded, about })
}
