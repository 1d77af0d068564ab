//! [`Outbox`]: sends what is published, in order, and makes the bus heard while there is nothing.
//!
//! One task sends, one batch at a time: what is published meanwhile is the next batch. So numbers
//! go out in the order that they were given in, whatever connection they take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cache_core::{CacheKey, Error, Invalidation, Result};
use redis::Value;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::echo::Echo;
use super::line::Line;
use super::message::{self, Message, Sender, Subject};
use crate::connections::{Call, Connections};
use crate::errors;

/// Messages that may wait to be sent before publishers wait as well.
const QUEUE: usize = 1_024;
/// Messages that are sent at once.
const BATCH: usize = 128;

/// The sending half of a bus. The task behind it ends with the last handle, after a farewell.
#[derive(Debug)]
pub(super) struct Outbox {
    voice: Arc<Voice>,
    /// To the task, once there is one.
    queue: Mutex<Option<mpsc::Sender<Job>>>,
}

/// What the task needs, without keeping the bus alive.
#[derive(Debug)]
pub(super) struct Voice {
    pub(super) me: Sender,
    pub(super) line: Line,
    pub(super) connections: Arc<Connections>,
    pub(super) limit: Duration,
    pub(super) heartbeat: Duration,
    pub(super) echo: Arc<Echo>,
    pub(super) numbers: Mutex<Numbers>,
    pub(super) published: AtomicU64,
    /// Asks for a heartbeat now.
    pub(super) beat: Notify,
}

/// The last number that was used, and when, in microseconds since the bus began.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    last: u64,
    used: u64,
}

/// Something to publish, and who waits for it.
pub(super) struct Job {
    message: Invalidation,
    number: Number,
    reply: oneshot::Sender<Result<()>>,
}

/// A number that will be used, whatever happens: if nothing is published under it, the others find
/// it missing, and are told of a gap.
struct Number(Option<Arc<Voice>>);

impl Number {
    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        if let Some(voice) = self.0.take() {
            voice.skip_number();
        }
    }
}

impl Outbox {
    pub(super) fn new(voice: Voice) -> Self {
        Self { voice: Arc::new(voice), queue: Mutex::new(None) }
    }

    pub(super) fn voice(&self) -> &Arc<Voice> {
        &self.voice
    }

    /// Publishes `message` within the time limit.
    pub(super) async fn publish(&self, message: Invalidation) -> Result<()> {
        if !message::can_say(message) {
            let source = "this version of the bus has no words for it".into();
            return Err(Error::Unencodable { source });
        }
        let queue = self.start();
        let number = Number(Some(Arc::clone(&self.voice)));
        let sent = async {
            let (reply, answer) = oneshot::channel();
            queue.send(Job { message, number, reply }).await.map_err(|_| interrupted())?;
            answer.await.map_err(|_| interrupted())?
        };
        let limit = self.voice.limit;
        timeout(limit, sent).await.unwrap_or_else(|_| Err(errors::timed_out(limit)))
    }

    /// Sees to it that the task runs: it may never have, or on a runtime that was shut down.
    pub(super) fn start(&self) -> mpsc::Sender<Job> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match &*queue {
            Some(open) if !open.is_closed() => open.clone(),
            _ => {
                let (sender, jobs) = mpsc::channel(QUEUE);
                tokio::spawn(run(Arc::clone(&self.voice), jobs));
                queue.insert(sender).clone()
            }
        }
    }
}

/// Sends until the last handle is gone.
async fn run(voice: Arc<Voice>, mut jobs: mpsc::Receiver<Job>) {
    let mut beats = interval(voice.heartbeat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            taken = jobs.recv_many(&mut batch, BATCH) => match taken {
                0 => break,
                _ => voice.send(&mut batch).await,
            },
            _ = beats.tick() => voice.announce(Subject::Heartbeat).await,
            () = voice.beat.notified() => voice.announce(Subject::Heartbeat).await,
        }
    }
    voice.announce(Subject::Farewell).await;
}

impl Voice {
    async fn send(&self, batch: &mut Vec<Job>) {
        let mut bytes = Vec::with_capacity(batch.len());
        let mut waiting = Vec::with_capacity(batch.len());
        for Job { message, number, reply } in batch.drain(..) {
            number.forget(); // `encode_next` uses it
            bytes.push(self.encode_next(message));
            waiting.push(reply);
        }
        // Who does not wait any more makes no difference: an error means just that.
        match self.exchange(&bytes).await {
            Ok(replies) => {
                for (reply, outcome) in waiting.into_iter().zip(replies) {
                    let outcome = taken(outcome);
                    self.published.fetch_add(u64::from(outcome.is_ok()), Ordering::Relaxed);
                    let _ = reply.send(outcome);
                }
            }
            Err(error) => {
                for reply in waiting {
                    let _ = reply.send(Err(same(&error)));
                }
            }
        }
    }

    /// Says up to which number everything was sent. If that fails, the next one says it too.
    async fn announce(&self, subject: Subject) {
        let bytes = self.encode_last(subject);
        if let Ok(replies) = self.exchange(&[bytes]).await
            && replies.into_iter().all(|reply| taken(reply).is_ok())
        {
            self.echo.expect();
        }
    }

    async fn exchange(&self, messages: &[Vec<u8>]) -> Result<Vec<Value>> {
        let pipeline = self.line.publish(messages.iter().map(Vec::as_slice));
        // Always over the same connection, while that lasts, so that a batch which timed out is
        // not overtaken. Sent again when that broke: what comes twice is taken once.
        let call = Call::new(self.limit).about(&self.lane());
        self.connections.send(&pipeline, call).await
    }

    fn lane(&self) -> CacheKey {
        let mut digest = [0; 32];
        digest[..16].copy_from_slice(&self.me.0);
        CacheKey::from_digest(digest)
    }

    /// An invalidation, under a number of its own.
    fn encode_next(&self, message: Invalidation) -> Vec<u8> {
        let mut numbers = self.numbers();
        let sent = self.echo.now();
        let idle = sent - numbers.used;
        *numbers = Numbers { last: numbers.last + 1, used: sent };
        self.encode(numbers.last, sent, idle, Subject::Invalidation(message))
    }

    /// What has no number of its own.
    fn encode_last(&self, subject: Subject) -> Vec<u8> {
        let numbers = self.numbers();
        let sent = self.echo.now();
        self.encode(numbers.last, sent, sent - numbers.used, subject)
    }

    fn encode(&self, number: u64, sent: u64, idle: u64, subject: Subject) -> Vec<u8> {
        let (sender, interval) = (self.me, self.heartbeat);
        let idle = Duration::from_micros(idle);
        Message { sender, number, sent, interval, idle, subject }.encode()
    }

    /// Uses a number for nothing.
    fn skip_number(&self) {
        let mut numbers = self.numbers();
        *numbers = Numbers { last: numbers.last + 1, used: self.echo.now() };
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the server took a message. How many it gave it to says nothing: there may be nobody.
fn taken(reply: Value) -> Result<()> {
    match reply {
        Value::Int(_) => Ok(()),
        Value::ServerError(error) => Err(errors::from_server(error)),
        other => Err(errors::unexpected(&other)),
    }
}

/// One error for each of many.
fn same(error: &Error) -> Error {
    match error {
        Error::TimedOut { tier, limit } => Error::TimedOut { tier, limit: *limit },
        Error::Refused { tier, source } => {
            Error::Refused { tier, source: source.to_string().into() }
        }
        Error::Unavailable { tier, source } => {
            Error::Unavailable { tier, source: source.to_string().into() }
        }
        other => Error::Unavailable { tier: errors::TIER, source: other.to_string().into() },
    }
}

/// The runtime that the task ran on was shut down.
fn interrupted() -> Error {
    Error::Unavailable { tier: errors::TIER, source: "the runtime was shut down".into() }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use tokio::task::unconstrained;

    use super::*;
    use crate::{RedisBus, RedisTier};

    /// More than have a place in the queue.
    const CROWD: usize = QUEUE + 10;

    fn bus() -> RedisBus {
        RedisTier::builder("redis://127.0.0.1:1/").unwrap().build().unwrap().bus()
    }

    fn used(bus: &RedisBus) -> usize {
        usize::try_from(bus.shared.outbox.voice.numbers().last).unwrap()
    }

    /// A crowd of publishers, each as far as it comes before the task runs.
    fn crowd(bus: &RedisBus) -> Vec<Pin<Box<impl Future<Output = Result<()>>>>> {
        let outbox = &bus.shared.outbox;
        // The runtime would have them take turns, and the task run between.
        let publish = || Box::pin(unconstrained(outbox.publish(Invalidation::All)));
        let mut crowd: Vec<_> = (0..CROWD).map(|_| publish()).collect();
        for publishing in &mut crowd {
            let mut unheard = Context::from_waker(Waker::noop());
            assert!(publishing.as_mut().poll(&mut unheard).is_pending());
        }
        crowd
    }

    /// Whoever gives up publishing uses a number up: in the queue or not even there, it is missing.
    #[tokio::test]
    async fn giving_up_uses_a_number() {
        let bus = bus();
        let crowd = crowd(&bus);
        assert_eq!(used(&bus), 0);
        drop(crowd);
        assert_eq!(used(&bus), 10, "those without a place");
        while used(&bus) < CROWD {
            tokio::task::yield_now().await;
        }
        assert!(bus.shared.outbox.publish(Invalidation::All).await.is_err(), "there is no server");
        assert_eq!(used(&bus), CROWD + 1, "failing does, and only once");
    }

    /// So does what was in the queue when the runtime ended.
    #[test]
    fn ending_the_runtime_uses_numbers() {
        let bus = bus();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let crowd = runtime.block_on(async { crowd(&bus) });
        drop(runtime);
        assert_eq!(used(&bus), QUEUE);
        drop(crowd);
        assert_eq!(used(&bus), CROWD);
    }
}
