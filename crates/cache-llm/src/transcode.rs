//! One answer in both transports: a plain answer out of a stream, and a stream out of a plain answer.
//!
//! ```
//! use cache_llm::transcode::{to_plain, to_stream};
//! use cache_llm::{AnswerKind, StreamOptions};
//!
//! let plain = br#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":
//!     {"role":"assistant","content":"Paris."},"finish_reason":"stop"}],"usage":{"total_tokens":9}}"#;
//! let with_usage = StreamOptions { include_usage: true, ..StreamOptions::default() };
//! let stream = to_stream(AnswerKind::Chat, plain, with_usage, 4.try_into()?)?;
//! assert!(stream.ends_with(b"data: [DONE]\n\n"));
//!
//! let again = to_plain(AnswerKind::Chat, &stream)?;
//! let value = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json);
//! assert_eq!(value(&again)?, value(plain)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is kept
//!
//! Everything but the transport: ids, usage, finish reasons, tool calls, reasoning with its
//! signatures, log probabilities, refusals, audio, annotations, and members that nobody has heard
//! of. Numbers and strings keep their source text: no number goes through a double, and half a
//! surrogate pair at the end of a chunk finds its other half.
//!
//! A plain answer made into a stream (with its usage) and back is the same JSON value, but for:
//!
//! * the order of members, and white space;
//! * an `index` of a choice and a `role` of a message, which are added where they are missing;
//! * an `index` of a tool call, which plain answers of some servers have, and which is dropped where
//!   it is the call's place.
//!
//! # When it cannot be done
//!
//! Where parts of a stream could be joined in more than one way, there is no plain answer of it but
//! a reason ([`NotTranscodable`]): two values of a member that has one, an unknown text that comes in
//! more than one part, parts of tool calls without an index, base64 with padding in its middle. So
//! is a stream without usage, which a plain answer always has.
//!
//! Log probabilities, audio and unknown members of a plain answer come in one event of its stream,
//! not one a token. A stream made of a plain answer has no obfuscation.

use std::num::NonZeroUsize;

use bytes::Bytes;

pub use crate::dialect::NotTranscodable;
use crate::dialect::{self, Streaming};
use crate::response::{AnswerKind, StreamOptions};

/// The plain answer that `stream`, all of it, is a stream of.
///
/// # Errors
///
/// Why there is none, or none without a guess.
pub fn to_plain(kind: AnswerKind, stream: &[u8]) -> Result<Bytes, NotTranscodable> {
    dialect::to_plain(kind, stream).map(Bytes::from)
}

/// A stream of the plain answer `plain`, with about `piece` characters of text an event.
///
/// # Errors
///
/// Why there is none, or not one that is as the options want it.
pub fn to_stream(
    kind: AnswerKind,
    plain: &[u8],
    options: StreamOptions,
    piece: NonZeroUsize,
) -> Result<Bytes, NotTranscodable> {
    if options.include_obfuscation == Some(true) {
        return Err(NotTranscodable::NoObfuscation);
    }
    let streaming = Streaming { usage: options.include_usage, piece };
    dialect::to_stream(kind, plain, streaming).map(Bytes::from)
}
