//! [`LocalHarness`]: a tier in memory to be tested, with its time and its bound.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache_core::{Clock, Entry, Lifetime, LocalTier, ManualClock, SystemClock, Timestamp};

/// A tier in memory to be tested: with the time that it lives in, and what it is bounded by.
///
/// ```
/// use std::sync::Arc;
///
/// use cache_conformance::{Bound, LocalHarness};
/// use cache_core::ManualClock;
/// # use cache_core::{CacheKey, Entry, Inserted, LocalStats, LocalTier};
/// # #[derive(Debug)]
/// # struct Mine;
/// # impl Mine { fn new(_entries: u64, _clock: Arc<ManualClock>) -> Self { Self } }
/// # impl<V> LocalTier<V> for Mine {
/// #     fn get(&self, _: &CacheKey) -> Option<Entry<V>> { None }
/// #     fn insert_if(&self, _: CacheKey, _: Entry<V>, _: impl FnOnce() -> bool) -> Inserted { Inserted::Declined }
/// #     fn remove(&self, _: &CacheKey) -> bool { false }
/// #     fn remove_if(&self, _: &CacheKey, _: impl Fn(&Entry<V>) -> bool) -> bool { false }
/// #     fn clear(&self) {}
/// #     fn len(&self) -> usize { 0 }
/// #     fn weight(&self) -> u64 { 0 }
/// #     fn stats(&self) -> LocalStats { LocalStats::default() }
/// # }
///
/// let clock = Arc::new(ManualClock::default());
/// let tier = Mine::new(1_000, clock.clone());
/// let harness = LocalHarness::with_clock(tier, Bound::Entries(1_000), clock);
/// # drop(harness);
/// ```
#[derive(Debug)]
pub struct LocalHarness<T> {
    tier: T,
    bound: Bound,
    clock: Option<Arc<ManualClock>>,
}

/// What a tier in memory is bounded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// So many entries: 100 or more.
    Entries(u64),
    /// So many bytes: 64 KiB or more.
    Weight(u64),
}

impl<T: LocalTier<Bytes>> LocalHarness<T> {
    /// For a tier that tells the time by `clock`.
    pub fn with_clock(tier: T, bound: Bound, clock: Arc<ManualClock>) -> Self {
        Self { tier, bound, clock: Some(clock) }
    }

    /// For a tier that tells the time by itself: the cases wait for short lives to end.
    pub fn with_own_clock(tier: T, bound: Bound) -> Self {
        Self { tier, bound, clock: None }
    }

    /// The tier.
    pub fn tier(&self) -> &T {
        &self.tier
    }

    /// What it is bounded by.
    pub fn bound(&self) -> Bound {
        self.bound
    }

    /// Now, by the tier's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.as_ref().map_or_else(|| SystemClock.now(), Clock::now)
    }

    /// Lets `time` pass.
    pub fn pass(&self, time: Duration) {
        match &self.clock {
            Some(clock) => clock.advance(time),
            None => std::thread::sleep(time),
        }
    }

    /// A life that can be waited for, in four steps or more.
    pub fn short(&self) -> Duration {
        match self.clock {
            Some(_) => Duration::from_secs(60),
            None => Duration::from_millis(240),
        }
    }

    /// An entry stored now that lives for `ttl`.
    pub fn entry(&self, value: impl Into<Bytes>, ttl: Duration) -> Entry<Bytes> {
        let value = value.into();
        let weight = u64::try_from(value.len()).unwrap_or(u64::MAX);
        Entry::new(value, self.now(), Lifetime::new(ttl)).with_weight(weight)
    }

    /// An entry that lives for longer than any case takes.
    pub fn lasting(&self, value: impl Into<Bytes>) -> Entry<Bytes> {
        self.entry(value, Duration::from_secs(3_600))
    }
}
