//! [`FaultyTier`]: a tier that misbehaves when told to.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cache_core::{
    CacheKey, Capabilities, Error, Fence, Lookup, PutFenced, RemoteTier, Result, StoredEntry,
};
use tokio::sync::watch;

/// Wraps a tier and makes its calls fail, hang or take their time, and counts them.
///
/// Faults can be switched while calls are under way.
///
/// ```
/// # use std::sync::Arc;
/// # use cache_conformance::{FaultyTier, MemoryRemote};
/// # use cache_core::{CacheKey, ManualClock, RemoteTier};
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
/// let tier = FaultyTier::new(MemoryRemote::new(Arc::new(ManualClock::default())));
/// tier.fail(true);
/// assert!(tier.get(&CacheKey::from_text("k")).await.unwrap_err().is_transient());
/// tier.fail(false);
/// assert!(tier.get(&CacheKey::from_text("k")).await.is_ok());
/// assert_eq!(tier.calls(), 2);
/// # });
/// ```
#[derive(Debug)]
pub struct FaultyTier<T> {
    inner: T,
    fails: AtomicBool,
    hangs: watch::Sender<bool>,
    delay_micros: AtomicU64,
    calls: AtomicU64,
}

impl<T: RemoteTier> FaultyTier<T> {
    /// Wraps `inner`, without faults yet.
    pub fn new(inner: T) -> Self {
        Self {
            inner,
            fails: AtomicBool::new(false),
            hangs: watch::Sender::new(false),
            delay_micros: AtomicU64::new(0),
            calls: AtomicU64::new(0),
        }
    }

    /// Whether calls end in [`Error::Unavailable`] without reaching the tier.
    pub fn fail(&self, on: bool) {
        self.fails.store(on, Ordering::Release);
    }

    /// Whether calls wait, before they reach the tier, until this is off again.
    pub fn hang(&self, on: bool) {
        self.hangs.send_replace(on);
    }

    /// How long calls wait before they reach the tier.
    pub fn delay(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.delay_micros.store(micros, Ordering::Release);
    }

    /// How many calls were begun, pings included.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Acquire)
    }

    /// The tier behind the faults.
    pub fn inner(&self) -> &T {
        &self.inner
    }

    /// What every call goes through first.
    async fn gate(&self) -> Result<()> {
        self.calls.fetch_add(1, Ordering::AcqRel);
        let hung = self.hangs.subscribe().wait_for(|hangs| !hangs).await.map(drop);
        hung.expect("the sender is in `self`");
        let delay = self.delay_micros.load(Ordering::Acquire);
        if delay > 0 {
            tokio::time::sleep(Duration::from_micros(delay)).await;
        }
        if self.fails.load(Ordering::Acquire) {
            return Err(Error::Unavailable {
                tier: self.inner.capabilities().name,
                source: "told to fail".into(),
            });
        }
        Ok(())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: RemoteTier> RemoteTier for FaultyTier<T> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn get(&self, key: &CacheKey) -> Result<Lookup> {
        self.gate().await?;
        self.inner.get(key).await
    }

    async fn get_many(&self, keys: &[CacheKey]) -> Result<Vec<Lookup>> {
        self.gate().await?;
        self.inner.get_many(keys).await
    }

    async fn put(&self, key: &CacheKey, entry: &StoredEntry) -> Result<()> {
        self.gate().await?;
        self.inner.put(key, entry).await
    }

    async fn put_many(&self, entries: &[(CacheKey, StoredEntry)]) -> Result<()> {
        self.gate().await?;
        self.inner.put_many(entries).await
    }

    async fn put_fenced(
        &self,
        key: &CacheKey,
        entry: &StoredEntry,
        fence: Fence,
    ) -> Result<PutFenced> {
        self.gate().await?;
        self.inner.put_fenced(key, entry, fence).await
    }

    async fn remove(&self, key: &CacheKey) -> Result<bool> {
        self.gate().await?;
        self.inner.remove(key).await
    }

    async fn remove_many(&self, keys: &[CacheKey]) -> Result<u64> {
        self.gate().await?;
        self.inner.remove_many(keys).await
    }

    async fn remove_if_equals(&self, key: &CacheKey, fence: Fence) -> Result<bool> {
        self.gate().await?;
        self.inner.remove_if_equals(key, fence).await
    }

    async fn ttl(&self, key: &CacheKey) -> Result<Option<Duration>> {
        self.gate().await?;
        self.inner.ttl(key).await
    }

    async fn purge(&self) -> Result<u64> {
        self.gate().await?;
        self.inner.purge().await
    }

    async fn ping(&self) -> Result<()> {
        self.gate().await?;
        self.inner.ping().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cache_core::ManualClock;
    use tokio::time::{Instant, timeout};

    use super::*;
    use crate::MemoryRemote;

    fn tier() -> FaultyTier<MemoryRemote> {
        FaultyTier::new(MemoryRemote::new(Arc::new(ManualClock::default())))
    }

    #[tokio::test(start_paused = true)]
    async fn a_hung_call_goes_on_when_hanging_ends() {
        let tier = Arc::new(tier());
        tier.hang(true);
        assert!(timeout(Duration::from_secs(9), tier.ping()).await.is_err());
        let waiting = tokio::spawn({
            let tier = Arc::clone(&tier);
            async move { tier.ping().await }
        });
        tokio::task::yield_now().await;
        tier.hang(false);
        waiting.await.unwrap().unwrap();
        assert_eq!(tier.calls(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_delayed_call_takes_as_long_as_told() {
        let tier = tier();
        tier.delay(Duration::from_millis(70));
        let start = Instant::now();
        tier.ping().await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_millis(70));
    }
}
