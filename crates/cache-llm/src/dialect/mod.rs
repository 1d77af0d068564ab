//! Dialects: what a plain answer and a stream of it look like in each API, and how one is made of
//! the other.

mod chat;
mod choices;
mod completions;
mod merge;
mod messages;
mod responses;

use std::num::NonZeroUsize;

use crate::json::{Json, MAX_DEPTH, NotJson};
use crate::response::{AnswerKind, StreamOptions};
use crate::sse::{Event, SseParser};

/// Why an answer cannot be given in the other transport without a doubt. It then serves only the
/// transport that it was recorded in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotTranscodable {
    /// Answers of this kind are never streamed.
    #[error("answers of this kind are never streamed")]
    Kind,
    /// The answer, or one event of it, is not JSON, or a name comes twice in one object.
    #[error("the answer is not JSON, or ambiguous")]
    NotJson,
    /// It does not have the shape that such answers have.
    #[error("the answer does not have the expected shape")]
    Unexpected,
    /// It holds an error.
    #[error("the answer holds an error")]
    Error,
    /// The stream has no terminal event.
    #[error("the stream has no terminal event")]
    Cut,
    /// The usage is not in it, since the stream was not asked for it.
    #[error("the stream was recorded without usage")]
    NoUsage,
    /// The stream is wanted with obfuscation, which only the provider adds.
    #[error("the answer was recorded without obfuscation")]
    NoObfuscation,
    /// The stream has an event that is not known, so what it adds is not known either.
    #[error("the stream has an event of an unknown type")]
    UnknownEvent,
    /// Two parts of the answer say different things and nothing tells how they belong together.
    #[error("parts of the answer cannot be joined without a guess")]
    Ambiguous,
}

impl From<NotJson> for NotTranscodable {
    fn from(NotJson: NotJson) -> Self {
        Self::NotJson
    }
}

/// How a plain answer is made into a stream.
#[derive(Clone, Copy)]
pub(crate) struct Streaming {
    /// Whether to send the usage, where that is an option.
    pub(crate) usage: bool,
    /// How many characters of text an event has.
    pub(crate) piece: NonZeroUsize,
}

/// The plain answer that `stream` is a stream of.
pub(crate) fn to_plain(kind: AnswerKind, stream: &[u8]) -> Result<String, NotTranscodable> {
    gather(kind, &[stream], |_| {})
}

/// The same of a stream in pieces. `note` is called with the data of its events, save those that
/// [add more of the same](Added::More).
pub(crate) fn gather(
    kind: AnswerKind,
    pieces: &[impl AsRef<[u8]>],
    note: impl FnMut(&[u8]),
) -> Result<String, NotTranscodable> {
    match kind {
        AnswerKind::Chat => gather_in(choices::Gathered::new(&chat::SHAPE), pieces, note),
        AnswerKind::Completions => {
            gather_in(choices::Gathered::new(&completions::SHAPE), pieces, note)
        }
        AnswerKind::Responses => gather_in(responses::Gathered::default(), pieces, note),
        AnswerKind::Messages => gather_in(messages::Gathered::default(), pieces, note),
        AnswerKind::Embeddings => Err(NotTranscodable::Kind),
    }
}

/// The events of a stream so far, put together.
trait Gather {
    /// Adds the data of the next event.
    fn add(&mut self, data: &[u8]) -> Result<Added, NotTranscodable>;

    /// The plain answer.
    fn finish(self) -> Result<String, NotTranscodable>;
}

/// What an event has added.
enum Added {
    /// What has to be looked at.
    News,
    /// Another piece of what the event before has added one to. But for that, both are the same.
    More,
}

fn gather_in(
    mut gathered: impl Gather,
    pieces: &[impl AsRef<[u8]>],
    mut note: impl FnMut(&[u8]),
) -> Result<String, NotTranscodable> {
    let mut add = |event: Event<'_>| {
        if event.name == b"error" {
            return Err(NotTranscodable::Error);
        }
        if let Added::News = gathered.add(event.data)? {
            note(event.data);
        }
        Ok(())
    };
    let mut parser = SseParser::new(pieces.iter().map(|piece| piece.as_ref().len()).sum());
    let mut result = Ok(());
    for piece in pieces {
        parser.push(piece.as_ref(), |event| {
            if result.is_ok() {
                result = event.map_err(|_| NotTranscodable::Unexpected).and_then(&mut add);
            }
        });
    }
    result?;
    gathered.finish()
}

/// A stream of the plain answer `plain`.
pub(crate) fn to_stream(
    kind: AnswerKind,
    plain: &[u8],
    streaming: Streaming,
) -> Result<String, NotTranscodable> {
    // Events wrap what they carry, and are to be as readable.
    let plain = Json::parse_within(plain, MAX_DEPTH - 4)?;
    let plain = plain.into_object().ok_or(NotTranscodable::Unexpected)?;
    match kind {
        AnswerKind::Chat => choices::to_stream(&chat::SHAPE, &plain, streaming),
        AnswerKind::Completions => choices::to_stream(&completions::SHAPE, &plain, streaming),
        AnswerKind::Responses => responses::to_stream(&plain, streaming),
        AnswerKind::Messages => messages::to_stream(plain, streaming),
        AnswerKind::Embeddings => Err(NotTranscodable::Kind),
    }
}

/// The stream recorded under the options `from` as it is under `to`; `None` if it is the same.
pub(crate) fn reshape(
    kind: AnswerKind,
    stream: &[u8],
    from: StreamOptions,
    to: StreamOptions,
) -> Result<Option<Vec<u8>>, NotTranscodable> {
    if from == to
        || !matches!(kind, AnswerKind::Chat | AnswerKind::Completions | AnswerKind::Responses)
    {
        return Ok(None);
    }
    if to.include_usage && !from.include_usage {
        return Err(NotTranscodable::NoUsage);
    }
    if to.include_obfuscation == Some(true) && from.include_obfuscation == Some(false) {
        return Err(NotTranscodable::NoObfuscation);
    }
    let without = choices::Without {
        usage: from.include_usage && !to.include_usage,
        obfuscation: to.include_obfuscation == Some(false)
            && from.include_obfuscation != Some(false),
    };
    if without.usage || without.obfuscation {
        choices::strip(stream, without).map(Some)
    } else {
        Ok(None)
    }
}

/// Whether a plain answer can be made of any good stream of this kind that was asked for so.
pub(crate) const fn carries_all(kind: AnswerKind, options: StreamOptions) -> bool {
    match kind {
        AnswerKind::Chat | AnswerKind::Completions => options.include_usage,
        AnswerKind::Responses | AnswerKind::Messages => true,
        AnswerKind::Embeddings => false,
    }
}
