//! [`Replay`]: a recorded stream, given out again event by event; and how fast, and in what pieces.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt, iter, unfold};
use memchr::memchr2;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

use crate::dialect::NotTranscodable;
use crate::sse::{Event, SseParser};

/// How stored answers are given out as streams.
///
/// ```
/// use cache_llm::{Chunking, ReplayOptions};
///
/// let slow: ReplayOptions = serde_json::from_str(
///     r#"{"chunking": {"characters": 8}, "tokens_per_second": 50}"#
/// )?;
/// assert_eq!(slow.chunking, Chunking::Characters(8.try_into()?));
/// assert_eq!(ReplayOptions::default().chunking, Chunking::Recorded);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplayOptions {
    /// Where events begin and end. Default: as they were recorded.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::chunking"))]
    pub chunking: Chunking,
    /// How fast events follow each other, for clients that show them as they come: an event counts
    /// as one token if it was recorded so, else as one for each four characters that events have.
    /// Default: at once.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::tokens_per_second"))]
    pub tokens_per_second: Option<NonZeroU32>,
}

/// Where the events of a replayed stream begin and end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chunking {
    /// As they were recorded; of an answer that was recorded plain, every 16 characters of text.
    #[default]
    Recorded,
    /// After so many characters of text. A recorded stream that cannot be cut anew without a guess
    /// keeps its events.
    Characters(NonZeroUsize),
}

impl Chunking {
    /// How many characters of text an event of a plain answer has.
    pub(crate) fn piece(self) -> NonZeroUsize {
        match self {
            Self::Recorded => NonZeroUsize::new(16).expect("it is not zero"),
            Self::Characters(characters) => characters,
        }
    }
}

impl ReplayOptions {
    /// The time between two events.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let tokens = match self.chunking {
            Chunking::Recorded => 1,
            Chunking::Characters(characters) => {
                u32::try_from(characters.get().div_ceil(4)).unwrap_or(u32::MAX)
            }
        };
        let rate = self.tokens_per_second?.get();
        Some(Duration::from_secs_f64(f64::from(tokens) / f64::from(rate)))
    }
}

/// Gives out the events of `recorded` with `pause` between two of them, the first at once.
pub(crate) fn paced(recorded: Bytes, pause: Option<Duration>) -> BoxStream<'static, Bytes> {
    match pause {
        None => iter(Replay::new(recorded)).boxed(),
        Some(pause) => with_pauses(recorded, pause).boxed(),
    }
}

fn with_pauses(recorded: Bytes, pause: Duration) -> impl Stream<Item = Bytes> + Send {
    unfold((Replay::new(recorded), None), move |(mut replay, due)| async move {
        let event = replay.next()?;
        // Counted from when the last one was due, not sent: timers are late, and it adds up.
        let due = due.unwrap_or_else(Instant::now);
        sleep_until(due).await;
        Some((event, (replay, Some(due + pause))))
    })
}

/// Cuts a recorded event stream at its event bounds, without copying.
///
/// The pieces together are exactly the recorded bytes; each ends with the blank line that ends an
/// event, the last one with whatever came after it.
///
/// ```
/// use cache_llm::Replay;
///
/// let pieces: Vec<_> = Replay::new("data: 1\n\ndata: 2\n\n".into()).collect();
/// assert_eq!(pieces, ["data: 1\n\n", "data: 2\n\n"]);
/// ```
#[derive(Clone, Debug)]
pub struct Replay {
    rest: Bytes,
}

impl Replay {
    /// Replays `recorded` from its start.
    pub fn new(recorded: Bytes) -> Self {
        Self { rest: recorded }
    }
}

/// The stream `recorded` with its events as `edit` writes them; it is given each with the bytes that it
/// came in. What is between them, such as comments, stays.
///
/// # Errors
///
/// The first of `edit`.
pub(crate) fn rewrite(
    recorded: Bytes,
    mut edit: impl FnMut(Event<'_>, &[u8], &mut Vec<u8>) -> Result<(), NotTranscodable>,
) -> Result<Vec<u8>, NotTranscodable> {
    let mut out = Vec::with_capacity(recorded.len());
    for (at, piece) in Replay::new(recorded).enumerate() {
        let limit = piece.len();
        let mut parser = if at == 0 { SseParser::new(limit) } else { SseParser::inside(limit) };
        let mut result = Ok(());
        let mut seen = false;
        parser.push(&piece, |event| {
            seen = true;
            result = match event {
                Ok(event) => edit(event, &piece, &mut out),
                Err(_) => Err(NotTranscodable::Unexpected),
            };
        });
        result?;
        if !seen {
            out.extend_from_slice(&piece);
        }
    }
    Ok(out)
}

impl Iterator for Replay {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.rest.is_empty() {
            return None;
        }
        let end = first_event_end(&self.rest);
        Some(self.rest.split_to(end))
    }
}

/// Where the first blank line that follows another line ends; the length if there is none.
fn first_event_end(bytes: &[u8]) -> usize {
    let mut at = 0;
    let mut in_event = false;
    while let Some(length) = memchr2(b'\n', b'\r', &bytes[at..]) {
        let line_end = at + length;
        at = line_end + 1;
        if bytes[line_end] == b'\r' && bytes.get(at) == Some(&b'\n') {
            at += 1;
        }
        if length > 0 {
            in_event = true;
        } else if in_event {
            return at;
        }
    }
    bytes.len()
}
