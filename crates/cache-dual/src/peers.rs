//! [`Peers`]: the other instances that share a remote tier, by way of an invalidation bus.

use std::sync::{Arc, Weak};
use std::time::Duration;

use cache_core::{CacheKey, Error, Invalidation, InvalidationBus, LocalTier, Tag};
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use crate::counters::Counters;
use crate::events::{Event, EventKind};
use crate::inner::Inner;

/// Pauses between attempts to subscribe grow from the first to the second of these.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Tells them what was removed or replaced here. A task of its own hears what they did; it holds the
/// cache only weakly and ends with it.
#[derive(Debug)]
pub(crate) struct Peers {
    bus: Arc<dyn InvalidationBus>,
    counters: Arc<Counters>,
    task: Mutex<Task>,
}

#[derive(Debug)]
enum Task {
    NotStarted,
    Started(AbortHandle),
    Closed,
}

impl Peers {
    pub(crate) fn new(bus: Arc<dyn InvalidationBus>, counters: Arc<Counters>) -> Self {
        Self { bus, counters, task: Mutex::new(Task::NotStarted) }
    }

    /// Tells them that what they hold under `key` is no longer true.
    pub(crate) async fn tell_key(&self, key: &CacheKey) -> Result<(), Error> {
        self.tell(Invalidation::Key(*key)).await
    }

    /// Tells them that what they hold under `tag` is no longer true.
    pub(crate) async fn tell_tag(&self, tag: Tag) -> Result<(), Error> {
        self.tell(Invalidation::Tag(tag)).await
    }

    async fn tell(&self, message: Invalidation) -> Result<(), Error> {
        let told = self.bus.publish(message).await;
        if let Err(error) = &told {
            self.counters.bus_failures.increment(1);
            let error: &dyn std::error::Error = error;
            tracing::debug!(error, "other instances could not be told");
        }
        told
    }

    /// Hears no more.
    pub(crate) fn close(&self) {
        if let Task::Started(task) = std::mem::replace(&mut *self.task.lock(), Task::Closed) {
            task.abort();
        }
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.close();
    }
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> Inner<V, L> {
    /// Sees to it that somebody listens before anything is put in memory. The first call that does
    /// so starts the task, and so does one after the runtime that it ran on was shut down.
    pub(crate) fn listen(self: &Arc<Self>) {
        let Some(peers) = &self.peers else { return };
        let mut task = peers.task.lock();
        match &*task {
            Task::Closed => return,
            Task::Started(task) if !task.is_finished() => return,
            Task::Started(_) | Task::NotStarted => {}
        }
        let listening = listen(Arc::downgrade(self), Arc::clone(&peers.bus));
        *task = Task::Started(tokio::spawn(listening).abort_handle());
    }

    /// Does in memory what another instance says that it did.
    fn heed(self: &Arc<Self>, message: Invalidation) {
        match message {
            Invalidation::Gap => {
                self.counters.bus_gaps.increment(1);
                self.doubt_all();
                return;
            }
            Invalidation::Key(key) => {
                self.forget_in_memory(&key);
                self.events.emit(EventKind::Delete, &key);
            }
            Invalidation::Tag(tag) if tag == self.stamps.root() => {
                self.changed_elsewhere(tag);
                self.forget_all();
                self.events.tell(&Event::Clear);
            }
            Invalidation::Tag(tag) => {
                self.changed_elsewhere(tag);
                self.tagged.detach_all();
                self.events.tell(&Event::Invalidate { tag });
            }
            // What cannot be understood may be about anything.
            _ => self.doubt_all(),
        }
        self.counters.bus_messages.increment(1);
    }

    fn changed_elsewhere(self: &Arc<Self>, tag: Tag) {
        // A stamp of our own that is not in the remote tier yet would be believed, and would take the
        // place of the other's there. What it was given to until now is no longer true.
        if self.repairs.owed_stamp(&tag).is_some() {
            self.restamp(tag);
        } else {
            self.stamps.forget(&tag, &self.epochs);
        }
    }

    /// Something may have been missed. Whatever is in memory has to be confirmed by the remote tier
    /// before it is served again, one entry at a time, as it is asked for.
    ///
    /// What is being fetched is stored all the same: doubtful in memory, and under its fence in the remote
    /// tier. Only that nobody who comes later joins it.
    fn doubt_all(&self) {
        if self.l2.is_none() {
            return self.forget_all();
        }
        self.epochs.suspect();
        self.flights.detach_all();
        self.tagged.detach_all();
    }
}

async fn listen<V, L>(owner: Weak<Inner<V, L>>, bus: Arc<dyn InvalidationBus>)
where
    V: Clone + Send + Sync + 'static,
    L: LocalTier<V>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        match bus.subscribe().await {
            Ok(mut stream) => {
                let Some(inner) = owner.upgrade() else { return };
                // Whatever is in memory by now was put there while nobody listened.
                inner.doubt_all();
                drop(inner);
                pause = FIRST_PAUSE;
                while let Some(message) = stream.next().await {
                    let Some(inner) = owner.upgrade() else { return };
                    inner.heed(message);
                }
            }
            Err(error) => {
                if owner.strong_count() == 0 {
                    return;
                }
                tracing::debug!(%error, "other instances cannot be heard");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}
