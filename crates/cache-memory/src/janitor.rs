//! [`Janitor`]: reclaims what expired in a cache that is no longer written to.

use std::hash::{BuildHasher, Hash};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::cache::MemoryCache;

/// A thread that calls [`MemoryCache::remove_expired`] at intervals, until it is dropped or the
/// cache is: it does not keep the cache alive.
///
/// ```
/// use cache_memory::{Janitor, MemoryCache};
/// use std::time::Duration;
///
/// let cache: MemoryCache<u64, String> = MemoryCache::builder().max_entries(1_000).build()?;
/// let janitor = Janitor::start(&cache, Duration::from_secs(10)).expect("a thread");
/// # drop(janitor);
/// # Ok::<(), cache_memory::BuildError>(())
/// ```
#[derive(Debug)]
#[must_use = "a janitor that is dropped stops"]
pub struct Janitor {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Janitor {
    /// Starts one for `cache`, which looks after it every `interval` (a millisecond at least).
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub fn start<K, V, S>(cache: &MemoryCache<K, V, S>, interval: Duration) -> std::io::Result<Self>
    where
        K: Eq + Hash + Send + Sync + 'static,
        V: Send + Sync + 'static,
        S: BuildHasher + Send + Sync + 'static,
    {
        let cache = cache.downgrade();
        let interval = interval.max(Duration::from_millis(1));
        let (stop, stopped) = mpsc::channel();
        let rounds = move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                let Some(cache) = cache.upgrade() else { return };
                cache.remove_expired();
            }
        };
        let thread = std::thread::Builder::new().name("cache janitor".to_owned()).spawn(rounds)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Whether it is at work still: not once the cache is gone.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Janitor {
    /// Stops it. Does not wait: it may be in a listener that drops this.
    fn drop(&mut self) {
        drop(self.stop.take());
        drop(self.thread.take());
    }
}
