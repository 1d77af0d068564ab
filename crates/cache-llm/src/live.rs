//! [`Live`]: one upstream body shared by any number of readers while it arrives.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use cache_core::BoxError;
use futures_util::future::{Either, select};
use futures_util::stream::{BoxStream, Stream, StreamExt, unfold};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

/// A body that is arriving, for as many readers as like to have it.
///
/// A task reads the upstream into a log; every [`Reader`] goes through the log from the start at
/// its own pace. Who joins late gets at once what has passed, then shares the rest.
///
/// * Up to `max_bytes` of the body are kept, for late joiners and for the recording, and up to
///   there no reader slows another. Beyond that, nobody can join any more, nothing is recorded,
///   what all readers have is dropped, and the upstream is read only as fast as the slowest
///   reader: at most `max_bytes` and one chunk are held.
/// * When the last reader goes, the upstream is dropped; or, with [`start_lingering`](Self::start_lingering),
///   read on for a while, to be recorded or joined again.
/// * When the upstream fails, every reader gets what came before and then the error: never a
///   silent truncation.
///
/// This is a handle: it does not keep the upstream going. Cloning it is cheap.
#[derive(Clone)]
pub struct Live(Arc<Shared>);

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

/// As long as that is as good as without end, and can be added to any time.
const FOR_EVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

struct Shared {
    max_bytes: usize,
    /// How long the upstream is read on when nobody is left.
    linger: Duration,
    log: Mutex<Log>,
    /// Told whenever the log has grown or ended.
    grown: watch::Sender<()>,
    /// Told whenever readers have made room, or the last one is gone.
    drained: Notify,
}

#[derive(Default)]
struct Log {
    chunks: VecDeque<Bytes>,
    /// How many chunks came before the first one kept.
    dropped: u64,
    /// Bytes of the chunks kept.
    kept: usize,
    /// More came than is kept: no joining, no recording, and the readers set the pace.
    overflowed: bool,
    /// How many readers are about to read which chunk. The first key is the slowest.
    readers: BTreeMap<u64, usize>,
    /// The last reader is gone and the upstream is, or is being, dropped.
    abandoned: bool,
    /// Nobody is left: until when to read on all the same.
    deserted_until: Option<Instant>,
    /// The upstream is through, so the end of the readers ends nothing else.
    upstream_done: bool,
    end: Option<Result<(), LiveError>>,
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
        let live = Self(Arc::new(Shared {
            max_bytes,
            linger,
            log: Mutex::default(),
            grown: watch::Sender::new(()),
            drained: Notify::new(),
        }));
        let reader = live.join().expect("a new stream has room for its first reader");
        tokio::spawn(pump(EndGuard::new(Arc::clone(&live.0)), upstream, on_end));
        (live, reader)
    }

    /// One more reader, from the first byte on; `None` if the first bytes are no longer there, or
    /// if the body is known to be broken.
    pub fn join(&self) -> Option<Reader> {
        let mut log = self.0.log.lock();
        if log.overflowed || log.abandoned || matches!(log.end, Some(Err(_))) {
            return None;
        }
        log.enter(0);
        drop(log);
        Some(Reader {
            grown: self.0.grown.subscribe(),
            shared: Arc::clone(&self.0),
            position: 0,
            finished: false,
        })
    }

    /// How many bytes are held now.
    pub fn held_bytes(&self) -> usize {
        self.0.log.lock().kept
    }

    /// How many readers there are now.
    pub fn readers(&self) -> usize {
        self.0.log.lock().readers.values().sum()
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = self.0.log.lock();
        f.debug_struct("Live")
            .field("held_bytes", &log.kept)
            .field("readers", &log.readers.values().sum::<usize>())
            .field("end", &log.end)
            .finish_non_exhaustive()
    }
}

/// Reads the upstream to its end, or until nobody listens.
async fn pump<S, F, Fut>(mut guard: EndGuard, upstream: S, on_end: F)
where
    S: Stream<Item = Result<Bytes, BoxError>> + Send,
    F: FnOnce(Recording) -> Fut,
    Fut: Future<Output = ()>,
{
    let shared = Arc::clone(&guard.shared);
    let recording = {
        let mut upstream = pin!(upstream);
        loop {
            let deserted_until = match shared.room().await {
                Ok(deserted_until) => deserted_until,
                Err(recording) => break recording,
            };
            let changed = pin!(shared.changed(deserted_until));
            match select(upstream.next(), changed).await {
                Either::Left((Some(Ok(chunk)), _)) => shared.append(chunk),
                Either::Left((Some(Err(error)), _)) => {
                    guard.end = Err(LiveError::Upstream(Arc::from(error)));
                    shared.finish(guard.end.clone());
                    break Recording::Broken;
                }
                Either::Left((None, _)) => {
                    guard.end = Ok(());
                    break shared.recorded();
                }
                Either::Right(_) => {} // `room` looks what it was
            }
        }
        // The upstream is dropped here: its connection is free before anything is stored.
    };
    let mut storing = pin!(on_end(recording));
    let first = poll_fn(|context| Poll::Ready(storing.as_mut().poll(context))).await;
    shared.finish(guard.end.clone());
    if first.is_pending() {
        storing.await;
    }
}

impl Shared {
    /// Waits until the next chunk may be read, and tells until when if nobody is there to read it.
    /// `Err` if it is not to be read.
    async fn room(&self) -> Result<Option<Instant>, Recording> {
        loop {
            {
                let mut log = self.log.lock();
                if log.deserted_until.is_some_and(|until| log.overflowed || Instant::now() >= until)
                {
                    log.abandoned = true;
                }
                if log.abandoned {
                    log.upstream_done = true;
                    return Err(if log.overflowed {
                        Recording::TooLarge
                    } else {
                        Recording::Abandoned(log.chunks.iter().cloned().collect())
                    });
                }
                if !log.overflowed || log.kept <= self.max_bytes {
                    return Ok(log.deserted_until);
                }
            }
            self.drained.notified().await;
        }
    }

    /// Waits until readers have made room or are gone, or the time to read without them is over.
    async fn changed(&self, deserted_until: Option<Instant>) {
        let drained = pin!(self.drained.notified());
        match deserted_until {
            None => drained.await,
            Some(until) => {
                select(drained, pin!(sleep_until(until))).await;
            }
        }
    }

    fn append(&self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        {
            let mut log = self.log.lock();
            log.kept += chunk.len();
            log.chunks.push_back(chunk);
            if !log.overflowed && log.kept > self.max_bytes {
                log.overflowed = true;
                log.drop_read();
            }
        }
        self.grown.send_replace(());
    }

    /// The upstream ended by itself: what there is of it.
    fn recorded(&self) -> Recording {
        let mut log = self.log.lock();
        log.upstream_done = true;
        if log.overflowed {
            Recording::TooLarge
        } else {
            Recording::Ended(log.chunks.iter().cloned().collect())
        }
    }

    /// Tells the readers how it ended; the first call counts.
    fn finish(&self, end: Result<(), LiveError>) {
        {
            let mut log = self.log.lock();
            log.upstream_done = true;
            log.end.get_or_insert(end);
        }
        self.grown.send_replace(());
    }
}

impl Log {
    fn enter(&mut self, position: u64) {
        self.deserted_until = None;
        *self.readers.entry(position).or_default() += 1;
    }

    fn leave(&mut self, position: u64) {
        if let Some(count) = self.readers.get_mut(&position) {
            *count -= 1;
            if *count == 0 {
                self.readers.remove(&position);
            }
        }
    }

    /// Drops what every reader has.
    fn drop_read(&mut self) {
        let Some((&slowest, _)) = self.readers.first_key_value() else {
            return;
        };
        while self.dropped < slowest {
            let Some(chunk) = self.chunks.pop_front() else {
                return;
            };
            self.dropped += 1;
            self.kept -= chunk.len();
        }
    }

    fn chunk(&self, position: u64) -> Option<&Bytes> {
        self.chunks.get(usize::try_from(position - self.dropped).ok()?)
    }
}

/// Sees to it that the readers learn of an end, even if the task panics or is cancelled.
struct EndGuard {
    shared: Arc<Shared>,
    end: Result<(), LiveError>,
}

impl EndGuard {
    fn new(shared: Arc<Shared>) -> Self {
        Self { shared, end: Err(LiveError::Lost) }
    }
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.shared.finish(self.end.clone());
    }
}

/// One reader of a [`Live`] body. Dropping it leaves; the last one to leave ends the upstream.
pub struct Reader {
    shared: Arc<Shared>,
    grown: watch::Receiver<()>,
    position: u64,
    finished: bool,
}

impl Reader {
    /// The next chunk; `None` after the last one. Cancel safe.
    ///
    /// # Errors
    ///
    /// Once, in place of a clean end, if the upstream broke off.
    pub async fn next(&mut self) -> Option<Result<Bytes, LiveError>> {
        loop {
            if self.finished {
                return None;
            }
            self.grown.mark_unchanged(); // before looking, so that what comes after wakes us
            match self.look() {
                Found::Chunk(chunk) => return Some(Ok(chunk)),
                Found::End(end) => {
                    self.finished = true;
                    return end.err().map(Err);
                }
                // The sender lives as long as `shared`, so this returns only when told.
                Found::Nothing => drop(self.grown.changed().await),
            }
        }
    }

    /// The rest as a stream of its own.
    pub fn into_stream(self) -> BoxStream<'static, Result<Bytes, LiveError>> {
        unfold(self, |mut reader| async move { reader.next().await.map(|item| (item, reader)) })
            .boxed()
    }

    fn look(&mut self) -> Found {
        let mut log = self.shared.log.lock();
        let Some(chunk) = log.chunk(self.position).cloned() else {
            return log.end.clone().map_or(Found::Nothing, Found::End);
        };
        log.leave(self.position);
        self.position += 1;
        log.enter(self.position);
        if log.overflowed {
            log.drop_read();
            drop(log);
            self.shared.drained.notify_one();
        }
        Found::Chunk(chunk)
    }
}

/// What a reader finds at its position.
enum Found {
    Chunk(Bytes),
    End(Result<(), LiveError>),
    Nothing,
}

impl Drop for Reader {
    fn drop(&mut self) {
        {
            let mut log = self.shared.log.lock();
            log.leave(self.position);
            if log.readers.is_empty() && !log.upstream_done {
                // The upstream is given up by who reads it: whoever joins before that has it.
                log.deserted_until = Some(Instant::now() + self.shared.linger.min(FOR_EVER));
            }
            if log.overflowed {
                log.drop_read();
            }
        }
        self.shared.drained.notify_one();
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("position", &self.position).finish_non_exhaustive()
    }
}
