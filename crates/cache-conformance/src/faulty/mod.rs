//! [`FaultyTier`]: a tier that misbehaves when told to.

mod late;
mod plan;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use cache_core::{
    CacheKey, Capabilities, Error, Fence, Lookup, PutFenced, RemoteTier, Result, StoredEntry,
};
use tokio::sync::watch;

use late::{Late, Write};
pub use plan::{Fault, FaultPlan};

/// Wraps a tier and makes its calls fail, hang or take their time, and counts them.
///
/// Faults can be switched while calls are under way, or be drawn by a [`FaultPlan`], which also has
/// tiers that lie: values cut short or damaged, writes that arrive late.
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
    plan: RwLock<Option<FaultPlan>>,
    late: Late,
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
            plan: RwLock::new(None),
            late: Late::default(),
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

    /// Draws faults by `plan` from now on, by the number of the call; `None` for no more.
    pub fn follow(&self, plan: impl Into<Option<FaultPlan>>) {
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = plan.into();
    }

    /// How many calls were begun, pings included.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Acquire)
    }

    /// The tier behind the faults.
    pub fn inner(&self) -> &T {
        &self.inner
    }

    /// What every call goes through first. What is left to do with its reply.
    async fn gate(&self) -> Result<Drawn> {
        self.enter(None).await
    }

    /// The same of a write, which may be late.
    async fn enter(&self, write: Option<Write>) -> Result<Drawn> {
        let call = self.calls.fetch_add(1, Ordering::AcqRel);
        let hung = self.hangs.subscribe().wait_for(|hangs| !hangs).await.map(drop);
        hung.expect("the sender is in `self`");
        let delay = self.delay_micros.load(Ordering::Acquire);
        if delay > 0 {
            tokio::time::sleep(Duration::from_micros(delay)).await;
        }
        if self.fails.load(Ordering::Acquire) {
            return Err(self.failure("told to fail"));
        }
        self.late.arrive(call, &self.inner).await;
        let plan = self.plan.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(plan) = plan else { return Ok(Drawn::nothing()) };
        let fault = plan.fault_of(call);
        match fault {
            Fault::Fail => return Err(self.failure("drawn to fail")),
            Fault::Delay => tokio::time::sleep(plan.delay_of(call)).await,
            Fault::Hang => std::future::pending().await,
            Fault::Late => {
                if let Some(write) = write {
                    self.late.add(call, write);
                }
                let Capabilities { name: tier, deadline: limit, .. } = self.inner.capabilities();
                return Err(Error::TimedOut { tier, limit });
            }
            Fault::None | Fault::LoseReply | Fault::Truncate | Fault::Corrupt => {}
        }
        Ok(Drawn { fault, call, plan: Some(plan) })
    }

    /// What the caller hears of a reply.
    fn reply<R>(&self, drawn: &Drawn, reply: Result<R>) -> Result<R> {
        match drawn.fault {
            Fault::LoseReply => Err(self.failure("its reply was drawn to be lost")),
            _ => reply,
        }
    }

    fn failure(&self, why: &str) -> Error {
        Error::Unavailable { tier: self.inner.capabilities().name, source: why.into() }
    }
}

/// What was drawn for a call.
struct Drawn {
    fault: Fault,
    call: u64,
    plan: Option<FaultPlan>,
}

impl Drawn {
    fn nothing() -> Self {
        Self { fault: Fault::None, call: 0, plan: None }
    }

    /// Cuts or damages the value that was read, if that was drawn.
    fn spoil(&self, mut lookup: Lookup) -> Lookup {
        if let (Some(entry), Some(plan)) = (&mut lookup.entry, &self.plan)
            && !entry.value.bytes.is_empty()
        {
            let mut bytes = entry.value.bytes.to_vec();
            let at = plan.pick(self.call, bytes.len());
            match self.fault {
                Fault::Truncate => bytes.truncate(at),
                Fault::Corrupt => bytes[at] ^= 1 << (at % 8),
                _ => return lookup,
            }
            entry.value.bytes = bytes.into();
        }
        lookup
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: RemoteTier> RemoteTier for FaultyTier<T> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn get(&self, key: &CacheKey) -> Result<Lookup> {
        let drawn = self.gate().await?;
        let found = self.inner.get(key).await;
        self.reply(&drawn, found).map(|lookup| drawn.spoil(lookup))
    }

    async fn get_many(&self, keys: &[CacheKey]) -> Result<Vec<Lookup>> {
        let drawn = self.gate().await?;
        let found = self.inner.get_many(keys).await;
        let found = self.reply(&drawn, found)?;
        Ok(found.into_iter().map(|lookup| drawn.spoil(lookup)).collect())
    }

    async fn put(&self, key: &CacheKey, entry: &StoredEntry) -> Result<()> {
        let drawn = self.enter(Some(Write::Put(vec![(*key, entry.clone())]))).await?;
        let done = self.inner.put(key, entry).await;
        self.reply(&drawn, done)
    }

    async fn put_many(&self, entries: &[(CacheKey, StoredEntry)]) -> Result<()> {
        let drawn = self.enter(Some(Write::Put(entries.to_vec()))).await?;
        let done = self.inner.put_many(entries).await;
        self.reply(&drawn, done)
    }

    async fn put_fenced(
        &self,
        key: &CacheKey,
        entry: &StoredEntry,
        fence: Fence,
    ) -> Result<PutFenced> {
        let drawn = self.enter(Some(Write::PutFenced(*key, entry.clone(), fence))).await?;
        let done = self.inner.put_fenced(key, entry, fence).await;
        self.reply(&drawn, done)
    }

    async fn remove(&self, key: &CacheKey) -> Result<bool> {
        let drawn = self.enter(Some(Write::Remove(vec![*key]))).await?;
        let done = self.inner.remove(key).await;
        self.reply(&drawn, done)
    }

    async fn remove_many(&self, keys: &[CacheKey]) -> Result<u64> {
        let drawn = self.enter(Some(Write::Remove(keys.to_vec()))).await?;
        let done = self.inner.remove_many(keys).await;
        self.reply(&drawn, done)
    }

    async fn remove_if_equals(&self, key: &CacheKey, fence: Fence) -> Result<bool> {
        let drawn = self.enter(Some(Write::RemoveIfEquals(*key, fence))).await?;
        let done = self.inner.remove_if_equals(key, fence).await;
        self.reply(&drawn, done)
    }

    async fn ttl(&self, key: &CacheKey) -> Result<Option<Duration>> {
        let drawn = self.gate().await?;
        let left = self.inner.ttl(key).await;
        self.reply(&drawn, left)
    }

    async fn purge(&self) -> Result<u64> {
        let drawn = self.gate().await?;
        let removed = self.inner.purge().await;
        self.reply(&drawn, removed)
    }

    async fn ping(&self) -> Result<()> {
        let drawn = self.gate().await?;
        let answered = self.inner.ping().await;
        self.reply(&drawn, answered)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cache_core::{Clock as _, CodecId, Entry, Lifetime, ManualClock, Payload};
    use tokio::time::{Instant, timeout};

    use super::*;
    use crate::MemoryRemote;

    fn tier() -> FaultyTier<MemoryRemote> {
        FaultyTier::new(MemoryRemote::new(Arc::new(ManualClock::default())))
    }

    fn entry(value: &'static str) -> StoredEntry {
        let payload = Payload { codec: CodecId::RAW, bytes: value.into() };
        Entry::new(payload, ManualClock::default().now(), Lifetime::new(Duration::from_secs(9)))
    }

    async fn value(tier: &impl RemoteTier, key: &CacheKey) -> Option<Vec<u8>> {
        let found = tier.get(key).await.expect("no fault is drawn that fails");
        found.entry.map(|entry| entry.value.bytes.to_vec())
    }

    /// The same plan, the same faults, whoever asks when.
    #[tokio::test(start_paused = true)]
    async fn plans_repeat() {
        let key = CacheKey::from_text("k");
        let plan = FaultPlan::new(3)
            .fail(0.2)
            .lose_replies(0.1)
            .delay(0.2, Duration::from_secs(1))
            .reorder(0.2);
        let mut runs = Vec::new();
        for _ in 0..2 {
            let tier = tier();
            tier.follow(plan.clone());
            let mut outcomes = Vec::new();
            for _ in 0..100 {
                let start = Instant::now();
                let outcome = tier.get(&key).await.map_err(|error| error.to_string());
                outcomes.push((outcome, start.elapsed()));
            }
            runs.push(outcomes);
        }
        assert_eq!(runs[0], runs[1]);
        assert!(runs[0].iter().any(|(outcome, _)| outcome.is_err()));
        assert!(runs[0].iter().any(|(_, took)| *took > Duration::ZERO));
    }

    #[tokio::test]
    async fn values_are_cut_and_damaged_on_the_way() {
        let (tier, key) = (tier(), CacheKey::from_text("k"));
        tier.put(&key, &entry("a long value")).await.unwrap();
        tier.follow(FaultPlan::new(1).truncate(1.0));
        let cut = value(&tier, &key).await.unwrap();
        assert!(cut.len() < 12 && b"a long value".starts_with(&cut));
        tier.follow(FaultPlan::new(1).corrupt(1.0));
        let damaged = value(&tier, &key).await.unwrap();
        let differing = damaged.iter().zip(b"a long value").filter(|(a, b)| a != b).count();
        assert_eq!((damaged.len(), differing), (12, 1));
        tier.follow(None);
        assert_eq!(value(&tier, &key).await.unwrap(), b"a long value");
    }

    #[tokio::test]
    async fn a_lost_reply_and_a_late_write_take_effect() {
        let (tier, key) = (tier(), CacheKey::from_text("k"));
        tier.follow(FaultPlan::new(1).lose_replies(1.0));
        assert!(tier.put(&key, &entry("lost")).await.unwrap_err().is_transient());
        tier.follow(None);
        assert_eq!(value(&tier, &key).await.unwrap(), b"lost");

        tier.follow(FaultPlan::new(1).reorder(1.0));
        let late = tier.put(&key, &entry("late")).await;
        assert!(matches!(late, Err(Error::TimedOut { .. })));
        tier.follow(None);
        assert_eq!(value(&tier, &key).await.unwrap(), b"lost", "not yet");
        assert_eq!(value(&tier, &key).await.unwrap(), b"late");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_drawn_to_hang_never_ends() {
        let tier = tier();
        tier.follow(FaultPlan::new(1).hang(1.0));
        assert!(timeout(Duration::from_secs(3_600), tier.ping()).await.is_err());
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
