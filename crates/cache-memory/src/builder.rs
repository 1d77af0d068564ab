//! [`MemoryBuilder`]: what a cache can be told, checked once.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use cache_core::{Clock, Timestamp};

use crate::cache::{ENTRY_OVERHEAD, MemoryCache, Shared};
use crate::events::{Event, Listener};
use crate::policy::Policy;
use crate::preset::Preset;

pub(crate) type Weigher<K, V> = Arc<dyn Fn(&K, &V) -> u64 + Send + Sync>;
pub(crate) type Expiry<K, V> = Arc<dyn Fn(&K, &V) -> Timestamp + Send + Sync>;

/// Options of a [`MemoryCache`]. At least one bound is needed.
#[must_use = "nothing is built until `build` is called"]
pub struct MemoryBuilder<K, V, S = RandomState> {
    pub(crate) max_entries: Option<u64>,
    pub(crate) max_weight: Option<u64>,
    pub(crate) expected_entries: Option<u64>,
    pub(crate) policy: Policy,
    pub(crate) default_ttl: Option<Duration>,
    pub(crate) time_to_idle: Option<Duration>,
    pub(crate) count_lookups: bool,
    /// With it, whether it wants to hear of lookups.
    pub(crate) listener: Option<(Listener<K, V>, bool)>,
    pub(crate) weigher: Option<Weigher<K, V>>,
    pub(crate) expiry: Option<Expiry<K, V>>,
    pub(crate) hasher: S,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) types: PhantomData<fn() -> (K, V)>,
}

impl<K, V, S> MemoryBuilder<K, V, S> {
    pub(crate) fn new(hasher: S) -> Self {
        Self {
            max_entries: None,
            max_weight: None,
            expected_entries: None,
            policy: Policy::default(),
            default_ttl: None,
            time_to_idle: None,
            count_lookups: false,
            listener: None,
            weigher: None,
            expiry: None,
            hasher,
            clock: None,
            types: PhantomData,
        }
    }

    /// Bounds and times that go together; what is set afterwards replaces them.
    pub fn preset(mut self, preset: Preset) -> Self {
        let settings = preset.settings();
        self.max_entries = Some(settings.max_entries);
        self.max_weight = Some(settings.max_weight);
        self.default_ttl = Some(settings.time_to_live);
        self.time_to_idle = settings.time_to_idle;
        self
    }

    /// Upper bound on the number of entries. Default: none.
    pub fn max_entries(mut self, entries: u64) -> Self {
        self.max_entries = Some(entries);
        self
    }

    /// Upper bound on the summed weight of the entries, in bytes (see
    /// [`weigher`](Self::weigher)). Default: none.
    pub fn max_weight(mut self, bytes: u64) -> Self {
        self.max_weight = Some(bytes);
        self
    }

    /// About how many entries there will be when the cache is full: what the number of shards and the
    /// scale of [`Policy::TinyLfu`] are chosen by. Worth saying where entries are few and heavy.
    /// Default: the bound on entries, and on weight with an LLM's answer of 2 KiB an entry.
    pub fn expected_entries(mut self, entries: u64) -> Self {
        self.expected_entries = Some(entries);
        self
    }

    /// Who leaves when space is needed. Default: [`Policy::TinyLfu`].
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// How long entries live for which nothing else is said. Default: for ever.
    pub fn default_ttl(mut self, ttl: Duration) -> Self {
        self.default_ttl = Some(ttl);
        self
    }

    /// How long entries live that are not used. Each [`get`](MemoryCache::get) gives them that long
    /// again, but never more than their time to live. Default: for ever.
    ///
    /// To the millisecond below a second. Above, on Linux, a use is dated by the kernel's last tick:
    /// an idle entry may leave up to ten milliseconds early, and never late.
    pub fn time_to_idle(mut self, idle: Duration) -> Self {
        self.time_to_idle = Some(idle);
        self
    }

    /// Whether [`stats`](MemoryCache::stats) counts hits and misses. Costs a lookup a few
    /// nanoseconds, and each thread that makes one 128 bytes. Default: no, since what stands on a
    /// cache mostly counts them anyway.
    pub fn count_lookups(mut self, count: bool) -> Self {
        self.count_lookups = count;
        self
    }

    /// Who is told of values stored and of values that left, and why, in the order in which it
    /// happened to each key.
    ///
    /// Called when nothing is locked, by the thread that made the event or by one that is at it
    /// already, one call at a time; it may call the cache, but
    /// if it makes more events than it hears of, delivery never ends. A panic is contained and
    /// [counted](MemoryCache::listener_panics). Costs a write one more lock and whatever the
    /// listener does; a slow one slows writers down when a thousand events wait.
    pub fn listener(mut self, listener: impl Fn(&Event<K, V>) + Send + Sync + 'static) -> Self {
        self.listener = Some((Arc::new(listener), false));
        self
    }

    /// A [`listener`](Self::listener) that is told of hits and misses too. Each then costs two more
    /// locks. A miss may be told late, after a value that was stored meanwhile.
    pub fn lookup_listener(
        mut self,
        listener: impl Fn(&Event<K, V>) + Send + Sync + 'static,
    ) -> Self {
        self.listener = Some((Arc::new(listener), true));
        self
    }

    /// What an entry weighs, in bytes; 0 counts as 1.
    ///
    /// Called once an insert, when nothing is locked. Default: the size of `K` and `V` themselves
    /// and [`ENTRY_OVERHEAD`], which misses the heap memory that they own.
    pub fn weigher(mut self, weigh: impl Fn(&K, &V) -> u64 + Send + Sync + 'static) -> Self {
        self.weigher = Some(Arc::new(weigh));
        self
    }

    /// When an entry ends, if its value knows. An end that the call itself names wins only if it
    /// is earlier.
    ///
    /// Called once an insert, when nothing is locked. Default: values do not know.
    pub fn expires_at(mut self, end: impl Fn(&K, &V) -> Timestamp + Send + Sync + 'static) -> Self {
        self.expiry = Some(Arc::new(end));
        self
    }

    /// How keys are hashed. For keys that strangers choose it must be keyed, as the default is,
    /// unless the keys are digests already (then [`BuildKeyHasher`](cache_core::BuildKeyHasher)): keys
    /// of one hash are kept apart, but each costs every other a comparison.
    pub fn hasher<T>(self, hasher: T) -> MemoryBuilder<K, V, T> {
        MemoryBuilder {
            max_entries: self.max_entries,
            max_weight: self.max_weight,
            expected_entries: self.expected_entries,
            policy: self.policy,
            default_ttl: self.default_ttl,
            time_to_idle: self.time_to_idle,
            count_lookups: self.count_lookups,
            listener: self.listener,
            weigher: self.weigher,
            expiry: self.expiry,
            hasher,
            clock: self.clock,
            types: PhantomData,
        }
    }

    /// What tells the time; it must not call the cache. Default:
    /// [`SystemClock`](cache_core::SystemClock).
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Builds the cache.
    ///
    /// # Errors
    ///
    /// If no bound is given, or a bound or a time is zero.
    pub fn build(self) -> Result<MemoryCache<K, V, S>, BuildError>
    where
        K: Eq + Hash,
        S: BuildHasher,
    {
        if self.max_entries.is_none() && self.max_weight.is_none() {
            return Err(BuildError::Unbounded);
        }
        if self.max_entries == Some(0) {
            return Err(BuildError::ZeroEntries);
        }
        if self.max_weight == Some(0) {
            return Err(BuildError::ZeroWeight);
        }
        if self.default_ttl == Some(Duration::ZERO) {
            return Err(BuildError::ZeroTtl);
        }
        if self.time_to_idle == Some(Duration::ZERO) {
            return Err(BuildError::ZeroIdle);
        }
        Ok(MemoryCache::with(Shared::new(self)))
    }

    /// How many entries there will be when the cache is full. An entry of unknown weight is taken to
    /// be an LLM's answer.
    pub(crate) fn full_at(&self) -> usize {
        const WEIGHT_OF_AN_ANSWER: u64 = 2048 + ENTRY_OVERHEAD;
        let by_weight = self.max_weight.unwrap_or(u64::MAX) / WEIGHT_OF_AN_ANSWER;
        let entries = self.max_entries.unwrap_or(u64::MAX);
        let entries = entries.min(self.expected_entries.unwrap_or(by_weight)).max(1);
        usize::try_from(entries).unwrap_or(usize::MAX)
    }
}

impl<K, V, S> fmt::Debug for MemoryBuilder<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBuilder")
            .field("max_entries", &self.max_entries)
            .field("max_weight", &self.max_weight)
            .field("policy", &self.policy)
            .field("default_ttl", &self.default_ttl)
            .field("time_to_idle", &self.time_to_idle)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

/// Why the options make no cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Neither `max_entries` nor `max_weight` is set: it would grow until memory ends.
    #[error("cache has no bound: set max_entries, max_weight or both")]
    Unbounded,
    /// `max_entries` is 0.
    #[error("max_entries is 0, so nothing could be stored")]
    ZeroEntries,
    /// `max_weight` is 0.
    #[error("max_weight is 0, so nothing could be stored")]
    ZeroWeight,
    /// `default_ttl` is zero.
    #[error("default_ttl is zero, so everything would be expired when stored")]
    ZeroTtl,
    /// `time_to_idle` is zero.
    #[error("time_to_idle is zero, so everything would be expired when stored")]
    ZeroIdle,
}
