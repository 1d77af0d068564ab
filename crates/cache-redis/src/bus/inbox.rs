//! [`Inbox`]: takes what comes over the line and hands it to the streams, with every gap.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use cache_core::{Invalidation, InvalidationStream};
use redis::{RedisError, RedisResult};
use tokio::sync::Notify;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::Instant;

use super::echo::Echo;
use super::line::Heard;
use super::message::{Message, Sender, Subject};
use super::senders::{Order, Senders};

/// Messages that a stream may be behind before it has a gap. Takes some 60 KB for each bus.
const QUEUE: usize = 1_024;

/// What one bus handle has heard.
#[derive(Debug)]
pub(super) struct Inbox {
    me: Sender,
    echo: Arc<Echo>,
    state: Mutex<State>,
    /// Told whenever listening begins or fails.
    changed: Notify,
    /// Tells the keeper that its line has ended.
    pub(super) ended: Arc<Notify>,
    pub(super) received: AtomicU64,
    pub(super) gaps: AtomicU64,
    pub(super) reconnects: AtomicU64,
    pub(super) unreadable: AtomicU64,
}

/// Changed, and told to the streams, under one lock: so all see the same in the same order.
#[derive(Debug)]
struct State {
    streams: broadcast::Sender<Invalidation>,
    /// The number of the line that is listened to; what others bring is not heard.
    line: u64,
    listening: Listening,
    /// When it began for the first time.
    since: Option<Instant>,
    senders: Senders,
}

#[derive(Debug)]
enum Listening {
    /// An attempt is under way, and those before it had no time to fail.
    NotYet,
    Now,
    Failed(RedisError),
}

impl Inbox {
    pub(super) fn new(me: Sender, echo: Arc<Echo>) -> Self {
        let state = State {
            streams: broadcast::Sender::new(QUEUE),
            line: 0,
            listening: Listening::NotYet,
            since: None,
            senders: Senders::default(),
        };
        Self {
            me,
            echo,
            state: Mutex::new(state),
            changed: Notify::new(),
            ended: Arc::default(),
            received: AtomicU64::new(0),
            gaps: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
        }
    }

    /// A stream of what is heard from now on, once the server has confirmed that we listen.
    pub(super) async fn stream(self: &Arc<Self>) -> RedisResult<Stream> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed; what changed before is seen by looking.
            changed.as_mut().enable();
            {
                let state = self.state();
                match &state.listening {
                    Listening::Now => {
                        let inbox = Arc::downgrade(self);
                        return Ok(Stream { receiver: state.streams.subscribe(), inbox });
                    }
                    Listening::Failed(error) => return Err(error.clone()),
                    Listening::NotYet => {}
                }
            }
            changed.await;
        }
    }

    /// The number for another line. Whatever the one before still brings is not heard any more.
    pub(super) fn next_line(&self) -> u64 {
        let mut state = self.state();
        state.line += 1;
        state.line
    }

    /// Takes what came over `line`.
    pub(super) fn hear(&self, line: u64, heard: Heard) {
        let mut state = self.state();
        if state.line != line {
            return;
        }
        match heard {
            Heard::Subscribed => self.begin(&mut state),
            Heard::Message(bytes) => match Message::decode(&bytes) {
                Ok(message) if message.sender == self.me => self.echo.came(message.sent),
                Ok(message) => self.take(&mut state, &message),
                Err(reason) => {
                    tracing::debug!(%reason, "message on the bus is not readable");
                    self.unreadable(&state);
                }
            },
            Heard::Nonsense => self.unreadable(&state),
            Heard::Ended => self.end(&mut state, Listening::NotYet),
        }
    }

    /// Gives `line` up, because of `error` or in the middle of listening.
    pub(super) fn give_up(&self, line: u64, error: Option<RedisError>) {
        let mut state = self.state();
        if state.line == line {
            self.end(&mut state, error.map_or(Listening::NotYet, Listening::Failed));
            state.line += 1; // its connection may still be confirmed while it is being dropped
        }
    }

    /// Gives up whatever line there is: who kept it is gone, with the runtime that it ran on.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        self.end(&mut state, Listening::NotYet);
        state.line += 1;
    }

    /// Whether `line` brings what is published.
    pub(super) fn hears(&self, line: u64) -> bool {
        let state = self.state();
        state.line == line && matches!(state.listening, Listening::Now)
    }

    /// Whether the last attempt to listen failed.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.state().listening, Listening::Failed(_))
    }

    /// Whether anything is heard at all.
    pub(super) fn is_listening(&self) -> bool {
        matches!(self.state().listening, Listening::Now)
    }

    /// Looks for senders that have fallen silent.
    pub(super) fn look_for_silence(&self) {
        let mut state = self.state();
        if state.senders.forget_silent(Instant::now()) {
            self.tell_gap(&state);
        }
    }

    fn begin(&self, state: &mut State) {
        let now = Instant::now();
        if state.since.is_some() {
            // Whatever was published since the line before broke was not heard.
            self.tell_gap(state);
            self.reconnects.fetch_add(1, Ordering::Relaxed);
        }
        state.since.get_or_insert(now);
        state.senders.excuse(now);
        state.listening = Listening::Now;
        self.echo.begin();
        self.changed.notify_waiters();
    }

    fn end(&self, state: &mut State, next: Listening) {
        if matches!(state.listening, Listening::Now) {
            // Told now, and once more when listening begins again: nobody knows how long that is.
            self.tell_gap(state);
        }
        state.listening = next;
        self.changed.notify_waiters();
        self.ended.notify_one();
    }

    fn take(&self, state: &mut State, message: &Message) {
        let now = Instant::now();
        let since = state.since.unwrap_or(now);
        match state.senders.note(message, now, since) {
            Order::Next => {}
            Order::AfterGap => {
                tracing::debug!(sender = ?message.sender, "messages on the bus were missed");
                self.tell_gap(state);
            }
            Order::Old => return,
        }
        if let Subject::Invalidation(invalidation) = message.subject {
            self.received.fetch_add(1, Ordering::Relaxed);
            Self::tell(state, invalidation);
        }
    }

    /// It may have been an invalidation, of another version or damaged: nobody knows of what.
    fn unreadable(&self, state: &State) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
        self.tell_gap(state);
    }

    fn tell_gap(&self, state: &State) {
        self.gaps.fetch_add(1, Ordering::Relaxed);
        Self::tell(state, Invalidation::Gap);
    }

    fn tell(state: &State, message: Invalidation) {
        // An error means that there is no stream.
        let _ = state.streams.send(message);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One subscription. It keeps nothing alive: when the last handle of its bus is gone, it ends.
#[derive(Debug)]
pub(super) struct Stream {
    receiver: broadcast::Receiver<Invalidation>,
    inbox: Weak<Inbox>,
}

#[async_trait::async_trait]
impl InvalidationStream for Stream {
    async fn next(&mut self) -> Option<Invalidation> {
        match self.receiver.recv().await {
            Ok(message) => Some(message),
            Err(RecvError::Lagged(_)) => {
                if let Some(inbox) = self.inbox.upgrade() {
                    inbox.gaps.fetch_add(1, Ordering::Relaxed);
                }
                Some(Invalidation::Gap)
            }
            Err(RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(1);

    fn inbox() -> Arc<Inbox> {
        Arc::new(Inbox::new(Sender([0; 16]), Arc::new(Echo::new())))
    }

    fn message(sender: u8, number: u64) -> Heard {
        let subject = Subject::Invalidation(Invalidation::All);
        let sender = Sender([sender; 16]);
        let idle = Duration::from_secs(60);
        let message = Message { sender, number, sent: 0, interval: INTERVAL, idle, subject };
        Heard::Message(message.encode())
    }

    /// What comes next, if anything does: the clock is paused, so that waiting takes no time.
    async fn next(stream: &mut Stream) -> Option<Invalidation> {
        timeout(INTERVAL, stream.next()).await.expect("nothing came")
    }

    async fn listening(inbox: &Arc<Inbox>) -> (u64, Stream) {
        let line = inbox.next_line();
        inbox.hear(line, Heard::Subscribed);
        (line, inbox.stream().await.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_fresh_stream_begins_without_a_gap() {
        let inbox = inbox();
        let (line, mut stream) = listening(&inbox).await;
        inbox.hear(line, message(1, 7));
        inbox.hear(line, message(1, 8));
        assert_eq!(next(&mut stream).await, Some(Invalidation::All));
        assert_eq!(next(&mut stream).await, Some(Invalidation::All));
        assert_eq!(inbox.gaps.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn gaps_come_when_the_line_ends_and_before_anything_newer() {
        let inbox = inbox();
        let (line, mut stream) = listening(&inbox).await;
        inbox.hear(line, message(1, 1));
        inbox.hear(line, Heard::Ended);
        assert!(!inbox.hears(line) && !inbox.is_listening());
        inbox.hear(line, Heard::Ended);
        let (newer, mut fresh) = listening(&inbox).await;
        inbox.hear(line, message(1, 99)); // the old line, late
        inbox.hear(newer, message(1, 2));
        for expected in [Invalidation::All, Invalidation::Gap, Invalidation::Gap, Invalidation::All]
        {
            assert_eq!(next(&mut stream).await, Some(expected));
        }
        assert_eq!(next(&mut fresh).await, Some(Invalidation::All), "it missed nothing");
    }

    /// Who could not be heard was not silent.
    #[tokio::test(start_paused = true)]
    async fn silence_while_nobody_listened_is_excused() {
        let inbox = inbox();
        let (line, _stream) = listening(&inbox).await;
        inbox.hear(line, message(1, 1));
        inbox.hear(line, Heard::Ended);
        tokio::time::advance(10 * INTERVAL).await;
        let (line, mut fresh) = listening(&inbox).await;
        inbox.look_for_silence();
        inbox.hear(line, message(1, 2));
        assert_eq!(next(&mut fresh).await, Some(Invalidation::All));
        tokio::time::advance(4 * INTERVAL).await;
        inbox.look_for_silence();
        assert_eq!(next(&mut fresh).await, Some(Invalidation::Gap));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_understood_is_a_gap() {
        let inbox = inbox();
        let (line, mut stream) = listening(&inbox).await;
        for heard in [Heard::Message(b"{}".to_vec()), Heard::Nonsense] {
            inbox.hear(line, heard);
            assert_eq!(next(&mut stream).await, Some(Invalidation::Gap));
        }
        assert_eq!(inbox.unreadable.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_behind_is_told_and_nobody_waits_for_it() {
        let inbox = inbox();
        let (line, mut slow) = listening(&inbox).await;
        let mut quick = inbox.stream().await.unwrap();
        for number in 1..=2 * QUEUE as u64 {
            inbox.hear(line, message(1, number));
            assert_eq!(next(&mut quick).await, Some(Invalidation::All));
        }
        assert_eq!(next(&mut slow).await, Some(Invalidation::Gap));
        for _ in 0..QUEUE {
            assert_eq!(next(&mut slow).await, Some(Invalidation::All));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn echoes_are_not_told() {
        let inbox = inbox();
        let (line, mut stream) = listening(&inbox).await;
        inbox.echo.expect();
        inbox.hear(line, message(0, 1));
        assert_eq!(inbox.echo.missing(), 0);
        inbox.hear(line, message(1, 1));
        assert_eq!(next(&mut stream).await, Some(Invalidation::All));
        drop(inbox);
        assert_eq!(next(&mut stream).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_told_of_success_and_of_failure() {
        let inbox = inbox();
        let line = inbox.next_line();
        let waiting = tokio::spawn({
            let inbox = Arc::clone(&inbox);
            async move { inbox.stream().await.map(drop) }
        });
        tokio::task::yield_now().await;
        inbox.give_up(line, Some(std::io::Error::other("no").into()));
        assert!(waiting.await.unwrap().is_err());
        inbox.hear(line, Heard::Subscribed); // of an attempt that was given up
        assert!(inbox.stream().await.is_err(), "at once, while attempts fail");
        listening(&inbox).await;
    }
}
