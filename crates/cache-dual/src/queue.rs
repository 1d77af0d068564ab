//! [`Queue`]: writes to the remote tier that no caller waits for.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::{CacheKey, Entry, LocalTier};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use crate::fence::{Ticket, Token};
use crate::inner::Inner;
use crate::repairs::Debt;

/// Keys share lanes; each lane makes one write at a time, in order.
const LANES: usize = 8;

/// Writes that wait to be made, and the tasks that make them.
pub(crate) struct Queue<V> {
    lanes: Mutex<Lanes<V>>,
    capacity: usize,
    backlog: Arc<Backlog>,
}

/// A write that is to be made unless its key is invalidated before.
pub(crate) enum Write<V> {
    /// Of what was fetched: not over what another process stored meanwhile.
    Fetched(Ticket, Entry<V>, Lease),
    /// Of what the caller gave: over anything.
    Given {
        key: CacheKey,
        token: Token,
        entry: Entry<V>,
        /// Whether memory has it too.
        in_memory: bool,
    },
}

#[derive(Debug, Default)]
struct Backlog {
    /// Writes that are queued or being made.
    waiting: AtomicUsize,
    /// Told when there are none.
    drained: Notify,
}

/// One of those that wait, until it is dropped.
struct Waiting {
    backlog: Arc<Backlog>,
    /// What is to be done if it is dropped before it was made, as with its runtime.
    lost: Option<Box<dyn FnOnce() + Send + Sync>>,
}

/// Given back once the write is made.
type Lease = Option<Box<dyn Any + Send + Sync>>;

type Job<V> = (Write<V>, Waiting);

enum Lanes<V> {
    /// Nothing was written yet, or the runtime of the tasks has gone.
    Idle,
    Running(Vec<mpsc::UnboundedSender<Job<V>>>),
    Closed,
}

impl<V> Write<V> {
    fn key(&self) -> &CacheKey {
        match self {
            Self::Fetched(ticket, ..) => &ticket.key,
            Self::Given { key, .. } => key,
        }
    }

    /// Whether the remote tier may have an older value.
    fn replaces(&self) -> bool {
        match self {
            Self::Fetched(ticket, ..) => ticket.replaces,
            Self::Given { .. } => true,
        }
    }
}

impl Backlog {
    fn enter(self: &Arc<Self>, capacity: usize) -> Option<Waiting> {
        let one_more = |waiting| (waiting < capacity).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok()?;
        Some(Waiting { backlog: Arc::clone(self), lost: None })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(lost) = self.lost.take() {
            lost();
        }
        if self.backlog.waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.backlog.drained.notify_waiters();
        }
    }
}

impl<V> Queue<V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { lanes: Mutex::new(Lanes::Idle), capacity, backlog: Arc::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.backlog.waiting.load(Ordering::Acquire)
    }

    /// Takes no more, and waits until all is written or `limit` has passed; how many were not.
    pub(crate) async fn close(&self, limit: Duration) -> usize {
        // The lanes go on until they are empty.
        *self.lanes.lock() = Lanes::Closed;
        let drained = async {
            loop {
                let told = self.backlog.drained.notified();
                if self.len() == 0 {
                    return;
                }
                told.await;
            }
        };
        let _ = tokio::time::timeout(limit, drained).await;
        self.len()
    }
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> Inner<V, L> {
    /// Has a write made later. If there is no room for it, it is dropped and counted.
    pub(crate) fn enqueue(self: &Arc<Self>, queue: &Queue<V>, write: Write<V>) {
        let (key, replaces) = (*write.key(), write.replaces());
        let Some(mut waiting) = queue.backlog.enter(queue.capacity) else {
            return self.lose(&key, replaces);
        };
        let owner = Arc::downgrade(self);
        waiting.lost = Some(Box::new(move || {
            if let Some(inner) = owner.upgrade() {
                inner.lose(&key, replaces);
            }
        }));
        #[allow(clippy::cast_possible_truncation, reason = "the low bits are all that is wanted")]
        let lane = write.key().prefix() as usize % LANES;
        self.counters.queued.set(queue.len());
        let mut job = (write, waiting);
        let mut lanes = queue.lanes.lock();
        // Twice: the tasks of an earlier runtime may have gone with it.
        for _ in 0..2 {
            if let Lanes::Idle = *lanes {
                *lanes = Lanes::Running((0..LANES).map(|_| self.lane()).collect());
            }
            let Lanes::Running(senders) = &*lanes else { break };
            match senders[lane].send(job) {
                Ok(()) => return,
                Err(unsent) => job = unsent.0,
            }
            *lanes = Lanes::Idle;
        }
    }

    /// A queued write will not be made: what it was to replace is not to stay.
    fn lose(self: &Arc<Self>, key: &CacheKey, replaces: bool) {
        self.counters.queue_dropped.add_one();
        if replaces {
            self.owe_write(key, Debt { to_remote: true, to_bus: self.peers.is_some() });
        }
    }

    /// Starts a lane. It holds the cache only while it writes.
    fn lane(self: &Arc<Self>) -> mpsc::UnboundedSender<Job<V>> {
        let (sender, mut jobs) = mpsc::unbounded_channel::<Job<V>>();
        let owner = Arc::downgrade(self);
        tokio::spawn(async move {
            while let Some((write, mut waiting)) = jobs.recv().await {
                let Some(inner) = owner.upgrade() else { return };
                inner.make(write).await;
                waiting.lost = None;
                drop(waiting);
                inner.counters.queued.set(inner.queue.as_ref().map_or(0, Queue::len));
            }
        });
        sender
    }

    async fn make(self: &Arc<Self>, write: Write<V>) {
        let _turn = self.writers.turn(write.key()).await;
        match write {
            Write::Fetched(ticket, entry, _lease) => {
                let _counted = self.store_remotely(&ticket, entry).await;
            }
            Write::Given { key, token, entry, in_memory } => {
                let stored_at = entry.stored_at;
                if self.fences.holds(&key, token) {
                    self.give(&key, entry).await;
                }
                // Before, or while it was written.
                if !self.fences.holds(&key, token) {
                    // Invalidated, or only a key that shares its fence. What is there is older.
                    self.counters.fenced.add_one();
                    self.withhold(&key).await;
                }
                // What was read from the remote tier before, and copied into memory since.
                self.stores.raise(&key);
                self.l1.remove_if(&key, |entry| {
                    entry.stored_at < stored_at || (!in_memory && entry.stored_at == stored_at)
                });
            }
        }
    }
}
