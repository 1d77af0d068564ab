//! [`Reader`]: one reader of a body.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt};
use parking_lot::Mutex;

use super::LiveError;
use super::log::{Found, Log, Place};

/// One reader of a [`Live`](super::Live) body, which is a stream of its chunks. Dropping it leaves; the
/// last one to leave ends the upstream.
///
/// An upstream that breaks off is one error in place of a clean end.
pub struct Reader {
    log: Arc<Mutex<Log>>,
    place: Place,
    finished: bool,
}

impl Reader {
    pub(super) fn new(log: &Arc<Mutex<Log>>) -> Option<Self> {
        let place = log.lock().enter()?;
        Some(Self { log: Arc::clone(log), place, finished: false })
    }

    /// The next chunk; `None` after the last one. Cancel safe.
    ///
    /// # Errors
    ///
    /// Once, in place of a clean end, if the upstream broke off.
    pub async fn next(&mut self) -> Option<Result<Bytes, LiveError>> {
        StreamExt::next(self).await
    }

    /// The rest as a stream of no type of its own.
    pub fn into_stream(self) -> BoxStream<'static, Result<Bytes, LiveError>> {
        self.boxed()
    }
}

impl Stream for Reader {
    type Item = Result<Bytes, LiveError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { log, place, finished } = self.get_mut();
        if *finished {
            return Poll::Ready(None);
        }
        let found = log.lock().read(place, context);
        match found {
            Found::Chunk(chunk, task) => {
                if let Some(task) = task {
                    task.wake();
                }
                Poll::Ready(Some(Ok(chunk)))
            }
            Found::End(end) => {
                *finished = true;
                Poll::Ready(end.err().map(Err))
            }
            Found::Nothing => Poll::Pending,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let task = self.log.lock().leave(&self.place);
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("finished", &self.finished).finish_non_exhaustive()
    }
}
