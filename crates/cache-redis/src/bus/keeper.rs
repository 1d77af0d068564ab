//! The task behind one bus that listens: connects, watches, connects again.
//!
//! It holds the bus only weakly and is ended by it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Shared;
use super::inbox::Inbox;
use super::line::{self, Line};
use super::senders::PATIENCE;
use crate::backoff::{Backoff, FIRST_PAUSE};
use crate::errors::connect_timed_out;
use crate::random::Random;

/// Listens for as long as `owner` lives.
pub(super) async fn keep(owner: Weak<Shared>) {
    let mut backoff = Backoff::default();
    while let Some(needs) = Needs::of(&owner) {
        let Some(line) = owner.upgrade().map(|owner| owner.inbox.next_line()) else { return };
        match needs.listen(line).await {
            Ok(connection) => {
                if !announce(&owner, backoff.reset()) {
                    return;
                }
                let again = Instant::now() + FIRST_PAUSE;
                watch(&owner, &needs, line, &connection).await;
                drop(connection);
                // A server that accepts and then hangs up would make it a loop without a pause.
                sleep_until(again).await;
            }
            Err(error) => {
                report(&owner, line, error);
                sleep(backoff.pause(&needs.random)).await;
            }
        }
    }
}

/// What an attempt needs of the bus, without keeping the bus alive.
struct Needs {
    line: Line,
    inbox: Weak<Inbox>,
    ended: Arc<Notify>,
    limit: Duration,
    heartbeat: Duration,
    random: Arc<Random>,
}

impl Needs {
    fn of(owner: &Weak<Shared>) -> Option<Self> {
        let owner = owner.upgrade()?;
        let voice = owner.outbox.voice();
        Some(Self {
            line: voice.line.clone(),
            inbox: Arc::downgrade(&owner.inbox),
            ended: Arc::clone(&owner.inbox.ended),
            limit: owner.connect_limit,
            heartbeat: voice.heartbeat,
            random: Arc::clone(&owner.random),
        })
    }

    async fn listen(&self, line: u64) -> RedisResult<MultiplexedConnection> {
        let inbox = self.inbox.clone();
        let attempt = self.line.listen(move |heard| {
            if let Some(inbox) = inbox.upgrade() {
                inbox.hear(line, heard);
            }
        });
        timeout(self.limit, attempt).await.unwrap_or_else(|_| Err(connect_timed_out(self.limit)))
    }
}

/// Says that we listen; whether there is still anybody to listen for.
fn announce(owner: &Weak<Shared>, has_failed: bool) -> bool {
    let Some(owner) = owner.upgrade() else { return false };
    if has_failed {
        tracing::info!(bus = ?owner, "listening on the bus again");
    }
    // The others hear of us at once, and we learn the delay.
    owner.outbox.voice().beat.notify_one();
    true
}

/// Returns when `line` brings nothing any more: it ended, does not answer, or does not bring what we
/// know to be on the channel.
async fn watch(owner: &Weak<Shared>, needs: &Needs, line: u64, connection: &MultiplexedConnection) {
    loop {
        // Timing out is as good a reason to look as being told.
        let _ = timeout(needs.heartbeat, needs.ended.notified()).await;
        match needs.inbox.upgrade() {
            Some(inbox) if inbox.hears(line) => {}
            _ => return,
        }
        // With the wait before, it is given up after the intervals that anyone is given.
        let answer = timeout(needs.heartbeat * (PATIENCE - 1), line::ping(connection)).await;
        let Some(owner) = owner.upgrade() else { return };
        if !matches!(answer, Ok(Ok(()))) || owner.outbox.voice().echo.missing() >= PATIENCE {
            tracing::warn!(bus = ?*owner, "the bus is silent");
            owner.inbox.give_up(line, None);
            return;
        }
        owner.inbox.look_for_silence();
    }
}

/// Lets subscribers fail at once from now on. Said once, not at each attempt.
fn report(owner: &Weak<Shared>, line: u64, error: RedisError) {
    let Some(owner) = owner.upgrade() else { return };
    if !owner.inbox.has_failed() {
        tracing::warn!(bus = ?*owner, %error, "the bus cannot be reached");
    }
    owner.inbox.give_up(line, Some(error));
}
