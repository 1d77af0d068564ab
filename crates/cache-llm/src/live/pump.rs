//! The task that reads the upstream.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use cache_core::BoxError;
use futures_util::stream::Stream;
use parking_lot::Mutex;
use tokio::time::{Sleep, sleep_until};

use super::log::{Log, Turn, wake};
use super::{LiveError, Recording};

/// Reads the upstream to its end, or until nobody listens.
pub(super) async fn pump<S, F, Fut>(log: Arc<Mutex<Log>>, upstream: S, on_end: F)
where
    S: Stream<Item = Result<Bytes, BoxError>> + Send,
    F: FnOnce(Recording) -> Fut,
    Fut: Future<Output = ()>,
{
    let mut guard = EndGuard { log, end: Err(LiveError::Lost), woken: Vec::new() };
    let recording = {
        let mut upstream = pin!(upstream);
        let mut deserted = None;
        poll_fn(|context| guard.poll(upstream.as_mut(), &mut deserted, context)).await
        // The upstream is dropped here: its connection is free before anything is stored.
    };
    if matches!(recording, Recording::Broken) {
        guard.finish();
    }
    let mut storing = pin!(on_end(recording));
    let first = poll_fn(|context| Poll::Ready(storing.as_mut().poll(context))).await;
    guard.finish();
    if first.is_pending() {
        storing.await;
    }
}

/// Sees to it that the readers learn of an end, even if the task panics or is cancelled.
struct EndGuard {
    log: Arc<Mutex<Log>>,
    /// How the body ends, as far as is known.
    end: Result<(), LiveError>,
    /// Room for those to wake, from chunk to chunk.
    woken: Vec<Waker>,
}

impl EndGuard {
    /// Reads on until there is nothing to read any more. `deserted` is the time until which to read on
    /// although nobody is there.
    fn poll<S>(
        &mut self,
        mut upstream: Pin<&mut S>,
        deserted: &mut Option<Pin<Box<Sleep>>>,
        context: &mut Context<'_>,
    ) -> Poll<Recording>
    where
        S: Stream<Item = Result<Bytes, BoxError>>,
    {
        loop {
            let turn = self.log.lock().turn(context);
            match turn {
                Turn::Leave(recording) => return Poll::Ready(recording),
                Turn::Wait => return Poll::Pending,
                Turn::Read(None) => {}
                Turn::Read(Some(until)) => {
                    let sleep = deserted.get_or_insert_with(|| Box::pin(sleep_until(until)));
                    if sleep.deadline() != until {
                        sleep.as_mut().reset(until);
                    }
                    if sleep.as_mut().poll(context).is_ready() {
                        continue; // it is over, or somebody has come at the last moment
                    }
                }
            }
            match ready!(upstream.as_mut().poll_next(context)) {
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(chunk)) => {
                    self.log.lock().append(chunk, &mut self.woken);
                    wake(&mut self.woken);
                }
                Some(Err(error)) => {
                    self.end = Err(LiveError::Upstream(Arc::from(error)));
                    return Poll::Ready(Recording::Broken);
                }
                None => {
                    self.end = Ok(());
                    return Poll::Ready(self.log.lock().recorded());
                }
            }
        }
    }

    fn finish(&mut self) {
        self.log.lock().finish(self.end.clone(), &mut self.woken);
        wake(&mut self.woken);
    }
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.finish();
    }
}
