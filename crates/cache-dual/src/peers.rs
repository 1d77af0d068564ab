//! [`Peers`]: the other instances that share a remote tier, by way of an invalidation bus.

use std::sync::{Arc, Weak};
use std::time::Duration;

use cache_core::{CacheKey, Error, Invalidation, InvalidationBus, LocalTier};
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use crate::counters::Counters;
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
    task: Mutex<Option<AbortHandle>>,
}

impl Peers {
    pub(crate) fn new(bus: Arc<dyn InvalidationBus>, counters: Arc<Counters>) -> Self {
        Self { bus, counters, task: Mutex::new(None) }
    }

    /// Tells them that what they hold under `key` is no longer true.
    pub(crate) async fn tell(&self, key: &CacheKey) -> Result<(), Error> {
        let told = self.bus.publish(Invalidation::Key(*key)).await;
        if let Err(error) = &told {
            self.counters.bus_failures.increment(1);
            tracing::debug!(key = %key.short(), %error, "other instances could not be told");
        }
        told
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut() {
            task.abort();
        }
    }
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> Inner<V, L> {
    /// Sees to it that somebody listens before anything is put in memory. The first call that does
    /// so starts the task, and so does one after the runtime that it ran on was shut down.
    pub(crate) fn listen(self: &Arc<Self>) {
        let Some(peers) = &self.peers else { return };
        let mut task = peers.task.lock();
        if task.as_ref().is_none_or(AbortHandle::is_finished) {
            let listening = listen(Arc::downgrade(self), Arc::clone(&peers.bus));
            *task = Some(tokio::spawn(listening).abort_handle());
        }
    }

    /// Does in memory what another instance says that it did.
    fn heed(&self, message: Invalidation) {
        let counters = &self.counters;
        match message {
            Invalidation::Key(key) => {
                counters.bus_messages.increment(1);
                self.forget_in_memory(&key);
            }
            Invalidation::Gap => {
                counters.bus_gaps.increment(1);
                self.forget_all();
            }
            // Tags are not known here, so whatever is told of them may be about anything.
            _ => {
                counters.bus_messages.increment(1);
                self.forget_all();
            }
        }
    }

    /// First the fence, so that no store can slip in behind the removal.
    pub(crate) fn forget_in_memory(&self, key: &CacheKey) -> bool {
        self.fences.raise(key);
        self.flights.detach(key);
        self.l1.remove(key)
    }

    /// The same of all keys. What is in the remote tier stays, and is what lookups find next.
    fn forget_all(&self) {
        self.fences.raise_all();
        self.flights.detach_all();
        self.l1.clear();
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
                inner.forget_all();
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
