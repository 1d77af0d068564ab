//! [`Harness`]: a tier to be tested, with its time.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache_core::{
    CacheKey, Clock, CodecId, Entry, Lifetime, ManualClock, Payload, RemoteTier, StoredEntry,
    SystemClock, Timestamp,
};

/// Puts bytes under a key behind the tier's back.
type Planter =
    Box<dyn Fn(CacheKey, Bytes) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A tier to be tested, with the time that it lives in.
pub struct Harness<T> {
    tier: Arc<T>,
    time: Time,
    planter: Option<Planter>,
    /// Dropped with the harness: the server behind the tier, for instance.
    kept: Vec<Box<dyn Any + Send + Sync>>,
}

/// Whose time it is.
enum Time {
    /// The tier's clock is in our hands.
    Injected(Arc<ManualClock>),
    /// The tier, or the server behind it, has its own.
    Own,
}

impl<T: RemoteTier> Harness<T> {
    /// For a tier that tells the time by `clock`.
    pub fn with_clock(tier: T, clock: Arc<ManualClock>) -> Self {
        Self::new(tier, Time::Injected(clock))
    }

    /// For a tier that tells the time by itself: the cases wait for short lives to end.
    pub fn with_own_clock(tier: T) -> Self {
        Self::new(tier, Time::Own)
    }

    fn new(tier: T, time: Time) -> Self {
        Self { tier: Arc::new(tier), time, planter: None, kept: Vec::new() }
    }

    /// Keeps `guard` for as long as the case runs.
    #[must_use]
    pub fn keeping(mut self, guard: impl Any + Send + Sync) -> Self {
        self.kept.push(Box::new(guard));
        self
    }

    /// Tells how bytes come under a key of the tier without the tier, for
    /// [`foreign_bytes_suite!`](crate::foreign_bytes_suite).
    #[must_use]
    pub fn plant_with<F>(
        mut self,
        plant: impl Fn(CacheKey, Bytes) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.planter = Some(Box::new(move |key, bytes| Box::pin(plant(key, bytes))));
        self
    }

    /// The tier, to share between tasks.
    pub fn tier(&self) -> &Arc<T> {
        &self.tier
    }

    /// Now, by the clock that callers of the tier have.
    pub fn now(&self) -> Timestamp {
        match &self.time {
            Time::Injected(clock) => clock.now(),
            Time::Own => SystemClock.now(),
        }
    }

    /// Lets `time` pass.
    pub async fn pass(&self, time: Duration) {
        match &self.time {
            Time::Injected(clock) => clock.advance(time),
            Time::Own => tokio::time::sleep(time).await,
        }
    }

    /// A life that can be waited for, in four steps or more.
    pub fn short(&self) -> Duration {
        match self.time {
            Time::Injected(_) => Duration::from_secs(60),
            Time::Own => Duration::from_millis(240),
        }
    }

    /// How far the tier's clock and ours may differ: an injected clock not at all; two clocks that
    /// were compared over a connection a little.
    pub fn tolerance(&self) -> Duration {
        match self.time {
            Time::Injected(_) => Duration::ZERO,
            Time::Own => Duration::from_millis(20),
        }
    }

    /// An entry stored now that lives for `ttl`, with `value` as its payload.
    pub fn entry(&self, value: impl Into<Bytes>, ttl: Duration) -> StoredEntry {
        let bytes = value.into();
        let weight = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let payload = Payload { codec: CodecId::RAW, bytes };
        Entry::new(payload, self.now(), Lifetime::new(ttl)).with_weight(weight)
    }

    /// An entry that lives for longer than any case takes.
    pub fn lasting(&self, value: impl Into<Bytes>) -> StoredEntry {
        self.entry(value, Duration::from_secs(3_600))
    }

    /// Puts `bytes` under `key` behind the tier's back.
    ///
    /// # Panics
    ///
    /// If the harness was not told how.
    pub async fn plant(&self, key: CacheKey, bytes: impl Into<Bytes>) {
        let plant =
            self.planter.as_ref().expect("foreign_bytes_suite! needs a harness with `plant_with`");
        plant(key, bytes.into()).await;
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Harness<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Harness").field("tier", &self.tier).finish_non_exhaustive()
    }
}

/// What the suites' macros take: a harness, or perhaps one.
pub trait IntoHarness {
    /// [`Harness`] for a tier, [`BusHarness`](crate::BusHarness) for a bus.
    type Harness;

    /// The harness, unless what is to be tested is not available here.
    fn into_harness(self) -> Option<Self::Harness>;
}

impl<T: RemoteTier> IntoHarness for Harness<T> {
    type Harness = Self;

    fn into_harness(self) -> Option<Self> {
        Some(self)
    }
}

impl<T: RemoteTier> IntoHarness for Option<Harness<T>> {
    type Harness = Harness<T>;

    fn into_harness(self) -> Self {
        self
    }
}
