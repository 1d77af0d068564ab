//! [`RedisBus`]: invalidations between instances, over Pub/Sub.
//!
//! [`outbox`] sends and [`inbox`] receives; [`keeper`] is the task that keeps a [`mod@line`] to listen
//! on; [`senders`] finds what is missing, and [`echo`] learns from what comes back; [`message`] is
//! the format (`docs/bus-format.md`).

mod echo;
mod inbox;
mod keeper;
mod line;
mod message;
mod outbox;
mod senders;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cache_core::{Invalidation, InvalidationBus, InvalidationStream, Result};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use self::echo::Echo;
use self::inbox::Inbox;
pub(crate) use self::line::Line;
use self::message::Sender;
use self::outbox::{Outbox, Voice};
use crate::connections::Connections;
use crate::errors;
use crate::random::Random;

/// Tells the other instances that share a Redis what is no longer true. Made by
/// [`RedisTier::bus`](crate::RedisTier::bus).
///
/// Clones are the same instance: they do not hear each other. The bus connects when it is first
/// used, on the tokio runtime of that call, and again by itself; see
/// [the crate's documentation](crate#invalidation-between-instances) for what it promises.
///
/// A stream ends (`None`) when the last clone of its bus is dropped: keep one.
///
/// ```no_run
/// use cache_core::{CacheKey, Invalidation, InvalidationBus, InvalidationStream};
/// use cache_redis::RedisTier;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tier = RedisTier::builder("redis://127.0.0.1/")?.prefix("answers").build()?;
/// let bus = tier.bus();
/// let mut heard = bus.subscribe().await?;
/// bus.publish(Invalidation::Key(CacheKey::from_text("greeting"))).await?; // the others hear it
/// while let Some(message) = heard.next().await {
///     match message {
///         Invalidation::Gap => println!("something was missed: check before you trust"),
///         other => println!("no longer true: {other:?}"),
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RedisBus {
    shared: Arc<Shared>,
}

struct Shared {
    outbox: Outbox,
    inbox: Arc<Inbox>,
    connect_limit: Duration,
    random: Arc<Random>,
    keeper: Mutex<Option<AbortHandle>>,
}

/// What a bus is told by the options of its tier.
#[derive(Clone, Debug)]
pub(crate) struct BusOptions {
    pub(crate) line: Line,
    pub(crate) heartbeat: Duration,
    pub(crate) connect_limit: Duration,
}

impl RedisBus {
    pub(crate) fn new(
        options: &BusOptions,
        connections: Arc<Connections>,
        random: Arc<Random>,
        limit: Duration,
    ) -> Self {
        let me = Sender(random.fence().0);
        let echo = Arc::new(Echo::new());
        let inbox = Arc::new(Inbox::new(me, Arc::clone(&echo)));
        let voice = Voice {
            me,
            line: options.line.clone(),
            connections,
            limit,
            heartbeat: options.heartbeat.min(message::LONGEST_INTERVAL),
            echo,
            numbers: Mutex::default(),
            published: AtomicU64::new(0),
            beat: Notify::new(),
        };
        let shared = Shared {
            outbox: Outbox::new(voice),
            inbox,
            connect_limit: options.connect_limit,
            random,
            keeper: Mutex::new(None),
        };
        Self { shared: Arc::new(shared) }
    }

    /// How long a message takes from [`publish`](InvalidationBus::publish) to a subscriber, lately:
    /// measured on this handle's own messages and heartbeats, which the server sends back, so no
    /// two clocks are compared. `None` until some have come back, and always on a handle that was
    /// never subscribed to.
    ///
    /// ```no_run
    /// # use cache_core::InvalidationBus;
    /// # async fn example(tier: cache_redis::RedisTier) -> cache_core::Result<()> {
    /// let bus = tier.bus();
    /// let heard = bus.subscribe().await?;
    /// // a moment later
    /// println!("{:?}", bus.delay());
    /// # Ok(()) }
    /// ```
    pub fn delay(&self) -> Option<Duration> {
        self.shared.outbox.voice().echo.delay()
    }

    /// What this handle and its clones have done so far.
    ///
    /// ```
    /// # let tier = cache_redis::RedisTier::builder("redis://127.0.0.1/")?.build()?;
    /// let bus = tier.bus();
    /// assert_eq!(bus.stats().published, 0);
    /// # Ok::<(), cache_redis::ConfigError>(())
    /// ```
    pub fn stats(&self) -> BusStats {
        let inbox = &self.shared.inbox;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        BusStats {
            published: read(&self.shared.outbox.voice().published),
            received: read(&inbox.received),
            gaps: read(&inbox.gaps),
            reconnects: read(&inbox.reconnects),
            unreadable: read(&inbox.unreadable),
        }
    }

    /// Whether what the others publish is heard now. `false` before the first subscription, and
    /// while the server cannot be reached.
    ///
    /// ```
    /// # let tier = cache_redis::RedisTier::builder("redis://127.0.0.1/")?.build()?;
    /// assert!(!tier.bus().is_listening());
    /// # Ok::<(), cache_redis::ConfigError>(())
    /// ```
    pub fn is_listening(&self) -> bool {
        self.shared.inbox.is_listening()
    }
}

/// What one [`RedisBus`] has done so far.
///
/// ```
/// # use cache_redis::BusStats;
/// fn is_calm(before: BusStats, now: BusStats) -> bool {
///     now.gaps == before.gaps
/// }
/// assert!(is_calm(BusStats::default(), BusStats::default()));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BusStats {
    /// Invalidations that the server has taken from us. Heartbeats do not count.
    pub published: u64,
    /// Invalidations of others that were handed to our subscribers: once each, however many
    /// subscribers there are, and each once that was counted as missing before is left out.
    pub received: u64,
    /// How often something may have been missed, and subscribers were told so: for whatever reason,
    /// and once more for each subscriber that fell behind on its own.
    pub gaps: u64,
    /// How often listening began again after it had ended.
    pub reconnects: u64,
    /// Things on the channel that were no message of this version. Each was a gap too.
    pub unreadable: u64,
}

/// Where it is and how it stands, without credentials.
impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let voice = self.outbox.voice();
        f.debug_struct("RedisBus")
            .field("me", &voice.me)
            .field("address", &voice.connections.address())
            .field("line", &voice.line)
            .field("is_listening", &self.inbox.is_listening())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl InvalidationBus for RedisBus {
    async fn publish(&self, message: Invalidation) -> Result<()> {
        self.shared.outbox.publish(message).await
    }

    async fn subscribe(&self) -> Result<Box<dyn InvalidationStream>> {
        let limit = self.shared.outbox.voice().limit;
        self.shared.outbox.start();
        self.shared.ensure_keeper();
        match timeout(limit, self.shared.inbox.stream()).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(errors::from_driver(error)),
            Err(_) => Err(errors::timed_out(limit)),
        }
    }
}

impl Shared {
    /// Sees to it that there is a keeper: there may never have been one, or only on a runtime that
    /// was shut down.
    fn ensure_keeper(self: &Arc<Self>) {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if keeper.as_ref().is_none_or(AbortHandle::is_finished) {
            self.inbox.abandon();
            let task = keeper::keep(Arc::downgrade(self));
            *keeper = Some(tokio::spawn(task).abort_handle());
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let keeper = self.keeper.get_mut();
        if let Some(keeper) = keeper.unwrap_or_else(PoisonError::into_inner) {
            keeper.abort();
        }
    }
}
