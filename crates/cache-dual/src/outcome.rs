//! What goes in and what comes out: outcomes, lookups, options of an insert.

use std::time::Duration;

use cache_core::{Entry, Timestamp};

use crate::fence::Ticket;

/// A value with where it came from and how long it is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<V> {
    /// The value.
    pub value: V,
    /// Where it came from.
    pub source: Source,
    /// Whether it is past its fresh time.
    pub freshness: Freshness,
    /// When it was fetched or given.
    pub stored_at: Timestamp,
    /// When its time is up.
    pub expires_at: Timestamp,
}

impl<V> Outcome<V> {
    #[inline]
    pub(crate) fn new(entry: Entry<V>, source: Source, freshness: Freshness) -> Self {
        let Entry { value, stored_at, expires_at, .. } = entry;
        Self { value, source, freshness, stored_at, expires_at }
    }

    /// The same of an entry that stays where it is.
    #[inline]
    pub(crate) fn of(entry: &Entry<V>, source: Source, freshness: Freshness) -> Self
    where
        V: Clone,
    {
        let Entry { value, stored_at, expires_at, .. } = entry;
        let (stored_at, expires_at) = (*stored_at, *expires_at);
        Self { value: value.clone(), source, freshness, stored_at, expires_at }
    }

    /// Whether it is past its fresh time, and served because there is nothing better.
    pub const fn is_stale(&self) -> bool {
        matches!(self.freshness, Freshness::Stale)
    }

    /// How old it is at `now` (see [`DualCache::now`](crate::DualCache::now)).
    pub fn age(&self, now: Timestamp) -> Duration {
        now.saturating_since(self.stored_at)
    }

    /// How long it has left at `now`.
    pub fn remaining(&self, now: Timestamp) -> Duration {
        self.expires_at.saturating_since(now)
    }
}

/// Whether a value is within its fresh time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Freshness {
    /// It is.
    Fresh,
    /// It is past that, within its grace time.
    Stale,
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// This process's memory.
    L1,
    /// The remote tier.
    L2,
    /// The origin, asked by this call.
    Origin,
    /// The origin, asked by another caller at the same time.
    Collapsed,
}

impl Source {
    /// Whether a tier answered.
    pub const fn is_hit(self) -> bool {
        matches!(self, Self::L1 | Self::L2)
    }
}

/// What [`DualCache::lookup`](crate::DualCache::lookup) found.
#[derive(Debug)]
#[must_use]
pub enum Lookup<V> {
    /// A live value.
    Hit(Outcome<V>),
    /// Nothing; whoever fetches the value hands it in with this ticket.
    Miss(Ticket),
}

/// How one value is to be stored. What is not set falls back to the cache's own options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct InsertOptions {
    pub(crate) ttl: Option<Duration>,
    pub(crate) grace: Option<Duration>,
    pub(crate) weight: Option<u64>,
    pub(crate) tiers: Tiers,
}

/// Which tiers a value goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tiers {
    /// All there are.
    #[default]
    All,
    /// This process's memory only.
    Memory,
    /// The remote tier only.
    Remote,
}

impl InsertOptions {
    /// Nothing set.
    pub const fn new() -> Self {
        Self { ttl: None, grace: None, weight: None, tiers: Tiers::All }
    }

    /// How long the value is kept beyond that, stale.
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// Which tiers it goes to. Default: all there are.
    pub const fn tiers(mut self, tiers: Tiers) -> Self {
        self.tiers = tiers;
        self
    }

    /// How long the value is fresh. Zero stores nothing.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// What the value weighs, in bytes, in place of what the weigher would say.
    pub const fn weight(mut self, bytes: u64) -> Self {
        self.weight = Some(bytes);
        self
    }
}

/// A fetched value with how it is to be stored. A plain value becomes one by `into`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Fetched<V> {
    pub(crate) value: V,
    pub(crate) options: InsertOptions,
}

impl<V> Fetched<V> {
    /// Stored with the cache's own options.
    pub const fn new(value: V) -> Self {
        Self { value, options: InsertOptions::new() }
    }

    /// Stored with these options.
    pub const fn options(mut self, options: InsertOptions) -> Self {
        self.options = options;
        self
    }
}

impl<V> From<V> for Fetched<V> {
    fn from(value: V) -> Self {
        Self::new(value)
    }
}

/// What became of a value handed in with a [`Ticket`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Fulfilled {
    /// It is stored: in memory, and in the remote tier unless that failed, which is counted.
    Stored,
    /// The key was invalidated or written since the ticket was taken, so it is not stored.
    Fenced,
    /// It is heavier than the memory tier may be; it is stored in the remote tier at most.
    TooHeavy,
    /// Its time to live is zero.
    Expired,
}
