//! [`Live`]: one upstream body shared by any number of readers while it arrives.

mod log;
mod pump;
mod reader;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache_core::BoxError;
use futures_util::stream::Stream;
use parking_lot::Mutex;

use self::log::Log;
use self::pump::pump;
pub use self::reader::Reader;

/// A body that is arriving, for as many readers as like to have it.
///
/// A task reads the upstream into a log; every [`Reader`] goes through the log from the start at
/// its own pace. Who joins late gets at once what has passed, then shares the rest.
///
/// * Up to `max_bytes` of the body are kept, for late joiners and for the recording, and up to
///   there no reader slows another. (A chunk counts as 16 bytes at least, since it takes room of its
///   own.) Beyond that, nobody can join any more, nothing is recorded, what all readers have is
///   dropped, and the upstream is read only as fast as the slowest reader: at most `max_bytes` and
///   one chunk are held.
/// * When the last reader goes, the upstream is dropped; or, with
///   [`start_lingering`](Self::start_lingering), read on for a while, to be recorded or joined again.
/// * When the upstream fails, every reader gets what came before and then the error: never a
///   silent truncation.
///
/// This is a handle: it does not keep the upstream going. Cloning it is cheap.
#[derive(Clone)]
pub struct Live(Arc<Mutex<Log>>);

/// What was recorded when a body ended.
#[derive(Clone, Debug)]
pub enum Recording {
    /// The upstream ended by itself, and this is all of it.
    Ended(Vec<Bytes>),
    /// The last reader went before the upstream ended; this came until then. A client that hangs
    /// up right after the terminal event leaves a whole answer here.
    Abandoned(Vec<Bytes>),
    /// It had more bytes than are kept.
    TooLarge,
    /// The upstream failed on the way.
    Broken,
}

/// Why a shared body did not end well.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// The upstream failed.
    #[error("the upstream broke off")]
    Upstream(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The task that reads the upstream panicked, or its runtime was shut down.
    #[error("the task that reads the upstream is gone")]
    Lost,
}

impl Live {
    /// Starts to read `upstream`; `on_end` gets what was recorded.
    ///
    /// The future of `on_end` is polled once before the readers learn of a clean end, so what it
    /// does up to its first wait is done for whoever saw that end; the rest holds nobody up. It is
    /// dropped unpolled if the runtime shuts down.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start<S, F, Fut>(upstream: S, max_bytes: usize, on_end: F) -> (Self, Reader)
    where
        S: Stream<Item = Result<Bytes, BoxError>> + Send + 'static,
        F: FnOnce(Recording) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self::start_lingering(upstream, max_bytes, Duration::ZERO, on_end)
    }

    /// The same, reading on for as long as `linger` says once the last reader has gone. Who joins in
    /// that time keeps it going. What is more than `max_bytes` is not read on: nobody could have it.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime; unless `linger` is zero, in one without a timer.
    pub fn start_lingering<S, F, Fut>(
        upstream: S,
        max_bytes: usize,
        linger: Duration,
        on_end: F,
    ) -> (Self, Reader)
    where
        S: Stream<Item = Result<Bytes, BoxError>> + Send + 'static,
        F: FnOnce(Recording) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let live = Self(Arc::new(Mutex::new(Log::new(max_bytes, linger))));
        let reader = live.join().expect("a new stream has room for its first reader");
        tokio::spawn(pump(Arc::clone(&live.0), upstream, on_end));
        (live, reader)
    }

    /// One more reader, from the first byte on; `None` if the first bytes are no longer there, or
    /// if the body is known to be broken.
    pub fn join(&self) -> Option<Reader> {
        Reader::new(&self.0)
    }

    /// How many bytes are held now; of a chunk at least 16.
    pub fn held_bytes(&self) -> usize {
        self.0.lock().kept()
    }

    /// How many readers there are now.
    pub fn readers(&self) -> usize {
        self.0.lock().readers()
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = self.0.lock();
        f.debug_struct("Live")
            .field("held_bytes", &log.kept())
            .field("readers", &log.readers())
            .field("end", &log.end())
            .finish_non_exhaustive()
    }
}
