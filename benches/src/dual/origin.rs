//! What is fetched from when no tier has the value.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Gives one value after a time, and keeps a log.
#[derive(Clone)]
pub(super) struct Origin<V> {
    value: V,
    log: Arc<Log>,
}

#[derive(Default)]
pub(super) struct Log {
    takes: Duration,
    fetches: AtomicUsize,
    first: OnceLock<Instant>,
}

impl<V> Origin<V> {
    pub(super) fn new(value: V, takes: Duration) -> Self {
        Self { value, log: Arc::new(Log { takes, ..Log::default() }) }
    }

    /// One that answers at once.
    pub(super) fn immediate(value: V) -> Self {
        Self::new(value, Duration::ZERO)
    }

    pub(super) async fn fetch(self) -> V {
        self.log.fetches.fetch_add(1, Ordering::Relaxed);
        if !self.log.takes.is_zero() {
            tokio::time::sleep(self.log.takes).await;
            self.log.first.get_or_init(Instant::now);
        }
        self.value
    }

    /// How often it was asked.
    pub(super) fn fetches(&self) -> usize {
        self.log.fetches.load(Ordering::Relaxed)
    }

    /// When it first answered.
    pub(super) fn answered(&self) -> Option<Instant> {
        self.log.first.get().copied()
    }
}
