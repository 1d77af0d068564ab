//! [`Reply`]: what a caller gets.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache_core::BoxError;
use cache_dual::Source;
use futures_util::stream::{StreamExt, TryStreamExt, once};
use tokio::sync::watch;

use crate::not_stored::NotStored;
use crate::origin::BodyStream;
use crate::price::Dollars;
use crate::replay::paced;
use crate::request::Bypass;
use crate::response::{AnswerKind, Transport};
use crate::stored::About;
use crate::usage::Usage;

/// What a caller gets: a stored answer, or the provider's.
#[derive(Debug)]
#[must_use]
#[allow(clippy::large_enum_variant, reason = "hits are what is to be fast, and are not boxed")]
pub enum Reply<H> {
    /// An answer from the cache, or one that another caller fetched at the same time.
    Hit(Hit),
    /// The provider's answer, on its way through.
    Passed(Passed<H>),
}

/// An answer that is whole: status 200, and the provider's bytes or the same in the transport asked
/// for.
#[derive(Clone)]
pub struct Hit {
    /// The provider's body as it came; see [`transcoded`](Self::transcoded).
    pub body: Bytes,
    /// What the body is.
    pub transport: Transport,
    /// Whether it was recorded in the other transport or put together of embeddings that were kept item
    /// by item, so that its bytes are not the provider's.
    pub transcoded: bool,
    /// Where it came from. [`Source::Collapsed`]: another caller's fetch, just now.
    pub source: Source,
    /// How old it is.
    pub age: Duration,
    /// How long it has left.
    pub remaining: Duration,
    /// Whether it is past its fresh time, and served because the provider failed.
    pub stale: bool,
    /// What the answer cost in tokens when it was fetched.
    pub usage: Usage,
    /// What it would cost now, where its price is known.
    pub saved: Option<Dollars>,
    pub(crate) about: About,
    pub(crate) pause: Option<Duration>,
}

/// An answer of the provider.
#[derive(Debug)]
pub struct Passed<H> {
    /// Its status.
    pub status: u16,
    /// What came with it.
    pub head: H,
    /// Its body.
    pub body: Body,
    /// Whether it is stored.
    pub storage: Storage,
    /// Whether another caller's call brought it.
    pub collapsed: bool,
}

/// The body of an answer on its way through.
pub enum Body {
    /// All of it.
    Whole(Bytes),
    /// As it comes.
    Stream(BodyStream),
}

/// Whether an answer is stored.
#[derive(Clone, Debug)]
#[must_use]
pub enum Storage {
    /// It was found good and handed to the cache.
    Stored,
    /// It is being recorded; whether it is good is known when it has ended.
    Recording(Recorded),
    /// It is not stored, and why.
    NotStored(NotStored),
}

/// How the recording of a stream turns out.
#[derive(Clone)]
pub struct Recorded(pub(crate) watch::Receiver<Option<Result<(), NotStored>>>);

impl Recorded {
    /// Waits until the stream is stored, or known not to be.
    ///
    /// # Errors
    ///
    /// Why it is not stored.
    pub async fn outcome(mut self) -> Result<(), NotStored> {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Err(NotStored::Broken)),
            // The recording task is gone without a word: it panicked, or the runtime shut down.
            Err(_) => Err(NotStored::Broken),
        }
    }
}

/// Shows how it turned out, where that is known.
impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0.borrow() {
            // Nobody is left to say it, as `outcome` has it.
            None if self.0.has_changed().is_err() => {
                write!(f, "Recorded({:?})", NotStored::Broken)
            }
            None => f.write_str("Recorded(under way)"),
            Some(Ok(())) => f.write_str("Recorded(stored)"),
            Some(Err(reason)) => write!(f, "Recorded({reason:?})"),
        }
    }
}

impl Hit {
    /// The model that answered, where the answer names it.
    pub fn model(&self) -> Option<&str> {
        self.about.model()
    }

    /// Why the first choice ended: the finish reason, the stop reason or the status.
    pub fn finish_reason(&self) -> Option<&str> {
        self.about.finish_reason()
    }

    /// The body as a stream: event by event if it is one, as the cache's
    /// [`ReplayOptions`](crate::ReplayOptions) say, else in one piece.
    pub fn into_stream(self) -> BodyStream {
        match self.transport {
            Transport::Plain => Body::Whole(self.body).into_stream(),
            Transport::Stream => paced(self.body, self.pause).map(Ok).boxed(),
        }
    }
}

impl<H> Reply<H> {
    /// Its status: 200 of a hit.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Hit(_) => 200,
            Self::Passed(passed) => passed.status,
        }
    }

    /// Its body, whoever gave it.
    ///
    /// ```
    /// # use cache_llm::Reply;
    /// async fn read<H>(reply: Reply<H>) -> Result<(u16, bytes::Bytes), Box<dyn std::error::Error>> {
    ///     Ok((reply.status(), reply.into_body().bytes().await?))
    /// }
    /// ```
    pub fn into_body(self) -> Body {
        match self {
            Self::Hit(hit) if hit.transport == Transport::Plain => Body::Whole(hit.body),
            Self::Hit(hit) => Body::Stream(hit.into_stream()),
            Self::Passed(passed) => passed.body,
        }
    }
}

/// The body of an answer broke off before its end. Its source says why.
#[derive(Debug, thiserror::Error)]
#[error("the body of the answer broke off")]
pub struct BodyError(#[source] pub(crate) BoxError);

impl Body {
    /// All of it.
    ///
    /// # Errors
    ///
    /// If it breaks off.
    pub async fn bytes(self) -> Result<Bytes, BodyError> {
        match self {
            Self::Whole(bytes) => Ok(bytes),
            Self::Stream(stream) => {
                let pieces: Vec<_> = stream.try_collect().await.map_err(BodyError)?;
                Ok(pieces.concat().into())
            }
        }
    }

    /// The body as a stream.
    pub fn into_stream(self) -> BodyStream {
        match self {
            Self::Whole(bytes) => once(async { Ok::<_, BoxError>(bytes) }).boxed(),
            Self::Stream(stream) => stream,
        }
    }
}

/// Shows lengths, never answers.
impl fmt::Debug for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hit")
            .field("bytes", &self.body.len())
            .field("transport", &self.transport)
            .field("transcoded", &self.transcoded)
            .field("source", &self.source)
            .field("age", &self.age)
            .field("remaining", &self.remaining)
            .field("stale", &self.stale)
            .field("usage", &self.usage)
            .finish()
    }
}

/// Shows lengths, never answers.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// How a request wants the cache to be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CacheMode {
    /// Read and write.
    #[default]
    Use,
    /// Do not read, but store the new answer in place of the old one: `Cache-Control: no-cache`.
    Refresh,
    /// Neither read nor write: `Cache-Control: no-store`.
    Bypass,
}

/// Why there is no answer. Nothing of it is stored, and all who waited for the same call get it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError<E> {
    /// The call to the provider failed.
    #[error(transparent)]
    Origin(Arc<E>),
    /// The provider began to answer, and its body broke off before anything of it was passed on.
    #[error("the body of the answer broke off")]
    Body(#[source] Arc<dyn Error + Send + Sync>),
    /// The provider did not answer in time, and there is no stale answer.
    #[error("the origin did not answer within {limit:?}")]
    TimedOut {
        /// The hard timeout of the cache underneath.
        limit: Duration,
    },
    /// The cache's remote tier is out, as many calls are under way as are allowed then, and there is
    /// no stale answer.
    #[error("the cache's remote tier is out, and the origin is spared")]
    Shed,
    /// The caller that made the call panicked.
    #[error("the caller that was asking the origin panicked")]
    Panicked,
    /// Answers come from a [`Cassette`](crate::Cassette), and this one is not on it.
    #[error("no answer of {model:?} ({kind:?}) is recorded under key {key}")]
    NotRecorded {
        /// The beginning of the key, as [`CacheKey::short`](crate::CacheKey::short) gives it.
        key: String,
        /// What kind of answer was asked for.
        kind: AnswerKind,
        /// The model that the request names.
        model: String,
    },
    /// Answers come from a [`Cassette`](crate::Cassette), and those to such a request are never on one.
    /// Without a cassette, the provider would have been asked.
    #[error("a cassette is played, and answers to such a request are never recorded")]
    NotRecordable(#[source] Bypass),
}

/// Why an answer could not be removed by its request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// There is no key for such a request.
    #[error("answers to such a request are never stored")]
    Request(#[from] Bypass),
    /// The remote tier did not confirm.
    #[error(transparent)]
    Tier(#[from] cache_core::Error),
}

impl<E> Clone for AnswerError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Origin(error) => Self::Origin(Arc::clone(error)),
            Self::Body(error) => Self::Body(Arc::clone(error)),
            Self::TimedOut { limit } => Self::TimedOut { limit: *limit },
            Self::Shed => Self::Shed,
            Self::Panicked => Self::Panicked,
            Self::NotRecorded { key, kind, model } => {
                Self::NotRecorded { key: key.clone(), kind: *kind, model: model.clone() }
            }
            Self::NotRecordable(reason) => Self::NotRecordable(reason.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a log shows of a recording is how it turned out, and nothing of how that is told.
    #[test]
    fn recordings_show_how_they_turned_out() {
        let show = |outcome| {
            let (sender, receiver) = watch::channel(None);
            let storage = Storage::Recording(Recorded(receiver));
            let before = format!("{storage:?}");
            assert_eq!(before, "Recording(Recorded(under way))");
            sender.send_replace(outcome);
            drop(sender);
            format!("{storage:?}")
        };
        assert_eq!(show(Some(Ok(()))), "Recording(Recorded(stored))");
        assert_eq!(show(Some(Err(NotStored::Unfinished))), "Recording(Recorded(Unfinished))");
        assert_eq!(show(None), "Recording(Recorded(Broken))", "nobody is left to say it");
    }
}
