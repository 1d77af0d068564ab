//! [`MemoryCache`]: the type a user holds.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::time::Duration;

use cache_core::{Clock, Inserted, LocalStats, Timestamp};

use crate::budget::Budget;
use crate::builder::{Expiry, MemoryBuilder, Weigher};
use crate::policy::Policy;
use crate::store::{New, Read, Slot, Store};

/// What an [`Entry`](cache_core::Entry) under a [`CacheKey`](cache_core::CacheKey) costs beside its
/// value and whatever that owns, in bytes.
///
/// Key, times, tags, weight and marks are 112 bytes in a table that is two thirds full on average,
/// and its places in line 48: rounded up.
pub const ENTRY_OVERHEAD: u64 = 256;

/// A bounded cache in memory, for any number of threads.
///
/// Cloning it is cheap and gives a second handle on the same cache.
///
/// Values are handed out as clones, made while a part of the map is locked for reading. So they
/// should be cheap to clone, an [`Arc`] or [`Bytes`](https://docs.rs/bytes), and their `Clone`, as
/// `Hash` and `Eq` of keys, must not call the cache. Everything else may: weighers, predicates and
/// `Drop` of keys and values run when nothing is locked.
pub struct MemoryCache<K, V, S = RandomState> {
    shared: Arc<Shared<K, V, S>>,
}

pub(crate) struct Shared<K, V, S> {
    store: Store<K, V, S>,
    clock: Arc<dyn Clock>,
    weigher: Option<Weigher<K, V>>,
    expiry: Option<Expiry<K, V>>,
    default_ttl: Option<Duration>,
    policy: Policy,
}

impl<K, V> MemoryCache<K, V> {
    /// Options for a cache; see [`local`](MemoryCache::local) for one that serves as a tier.
    pub fn builder() -> MemoryBuilder<K, V> {
        MemoryBuilder::new(RandomState::new())
    }
}

impl<K: Eq + Hash, V, S: BuildHasher + Clone> MemoryCache<K, V, S> {
    pub(crate) fn with(shared: Shared<K, V, S>) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// The live value of `key`. Counts as a use for the eviction policy.
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let Shared { store, clock, .. } = &*self.shared;
        store.read(key, &**clock, Read::Use, |slot| slot.value().clone())
    }

    /// The live value of `key`, without counting as a use.
    pub fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let Shared { store, clock, .. } = &*self.shared;
        store.read(key, &**clock, Read::Look, |slot| slot.value().clone())
    }

    /// Whether `key` has a live value. Does not count as a use.
    pub fn contains<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let Shared { store, clock, .. } = &*self.shared;
        store.read(key, &**clock, Read::Look, |_| ()).is_some()
    }

    /// How long the live value of `key` has left: [`Duration::MAX`] if it never expires, `None` if
    /// there is none.
    pub fn ttl<Q>(&self, key: &Q) -> Option<Duration>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let Shared { store, clock, .. } = &*self.shared;
        let end = store.read(key, &**clock, Read::Look, Slot::expires_at)?;
        if end == Timestamp::MAX {
            return Some(Duration::MAX);
        }
        // Asked after the entry was seen, so the answer is never more than it was given.
        Some(end.saturating_since(clock.now())).filter(|left| !left.is_zero())
    }

    /// Stores `value` in place of any other under `key`. It lives as long as the value itself
    /// ([`MemoryBuilder::expires_at`]) or else the default time to live says.
    pub fn insert(&self, key: K, value: V) -> Inserted {
        self.insert_if(key, value, || true)
    }

    /// Stores `value` for `ttl`; part milliseconds count as whole ones. A `ttl` of zero stores
    /// nothing and removes what was there ([`Inserted::Expired`]).
    pub fn insert_with_ttl(&self, key: K, value: V, ttl: Duration) -> Inserted {
        let now = self.shared.clock.now();
        self.shared.insert(key, value, Some(now.saturating_add(ttl)), None, now, || true)
    }

    /// Stores `value` until `end`. If that has passed, nothing is stored and what was there is
    /// removed ([`Inserted::Expired`]).
    pub fn insert_until(&self, key: K, value: V, end: Timestamp) -> Inserted {
        let now = self.shared.clock.now();
        self.shared.insert(key, value, Some(end), None, now, || true)
    }

    /// Stores `value` as [`insert`](Self::insert) does, if `condition` holds at that moment.
    ///
    /// `condition` is asked while the place of the key is locked, so whoever removes `key` after
    /// it answered yes removes this value. It must be short and must not touch the cache.
    pub fn insert_if(&self, key: K, value: V, condition: impl FnOnce() -> bool) -> Inserted {
        let now = self.shared.clock.now();
        self.shared.insert(key, value, None, None, now, condition)
    }

    /// As [`insert_if`](Self::insert_if), for a value that brings its own end, and its weight for
    /// the case that no weigher is set.
    pub(crate) fn insert_measured(
        &self,
        key: K,
        value: V,
        end: Timestamp,
        weight: u64,
        condition: impl FnOnce() -> bool,
    ) -> Inserted {
        let now = self.shared.clock.now();
        self.shared.insert(key, value, Some(end), Some(weight), now, condition)
    }

    /// Removes `key`; its value if it was live.
    pub fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let Shared { store, clock, .. } = &*self.shared;
        store.remove(key, clock.now(), |_| true)
    }

    /// Removes `key` if its live value satisfies `matches`; that value.
    ///
    /// Exactly the value that `matches` saw is removed. If another takes its place meanwhile,
    /// `matches` is asked again about that one.
    pub fn remove_if<Q>(&self, key: &Q, matches: impl Fn(&V) -> bool) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let Shared { store, clock, .. } = &*self.shared;
        loop {
            // Asked on a clone, so that the predicate runs under no lock.
            let (value, seen) = store.read_with_ticket(key, &**clock)?;
            if !matches(&value) {
                return None;
            }
            if let Some(value) = store.remove(key, clock.now(), |ticket| ticket == seen) {
                return Some(value);
            }
        }
    }

    /// Removes everything that was stored before the call.
    pub fn clear(&self) {
        self.shared.store.clear();
    }

    /// Reclaims at once all entries whose time is up; how many there were.
    ///
    /// There is no need to call it: such entries are absent for every method, leave before any
    /// other when space is needed, and each write reclaims a few. It serves caches that are no
    /// longer written to.
    pub fn remove_expired(&self) -> u64 {
        let Shared { store, clock, .. } = &*self.shared;
        store.remove_expired(clock.now())
    }

    /// How many entries are held, expired ones that are not reclaimed yet included. Reads one
    /// counter.
    pub fn len(&self) -> usize {
        usize::try_from(self.shared.store.entries()).unwrap_or(usize::MAX)
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The summed weight of the entries held, in bytes. Reads one counter.
    pub fn weight(&self) -> u64 {
        self.shared.store.weight()
    }

    /// Who leaves when space is needed.
    pub fn policy(&self) -> Policy {
        self.shared.policy
    }

    /// What it holds and has counted. Hits and misses are not counted here: a counter that every
    /// hit writes would cost more than the hit.
    pub fn stats(&self) -> LocalStats {
        self.shared.store.stats()
    }
}

impl<K: Eq + Hash, V, S: BuildHasher + Clone> Shared<K, V, S> {
    pub(crate) fn new(options: MemoryBuilder<K, V, S>) -> Self {
        let budget = Budget::new(
            options.max_entries.unwrap_or(u64::MAX),
            options.max_weight.unwrap_or(u64::MAX),
        );
        let shards = options.shards();
        Self {
            store: Store::new(options.hasher, options.policy.ranking(), budget, shards),
            clock: options.clock,
            weigher: options.weigher,
            expiry: options.expiry,
            default_ttl: options.default_ttl,
            policy: options.policy,
        }
    }

    fn insert(
        &self,
        key: K,
        value: V,
        end: Option<Timestamp>,
        weight: Option<u64>,
        now: Timestamp,
        condition: impl FnOnce() -> bool,
    ) -> Inserted {
        let own_end = self.expiry.as_ref().map(|ask| ask(&key, &value));
        let expires_at = end.into_iter().chain(own_end).min().unwrap_or_else(|| {
            self.default_ttl.map_or(Timestamp::MAX, |ttl| now.saturating_add(ttl))
        });
        let weight = match &self.weigher {
            Some(weigh) => weigh(&key, &value),
            None => weight.unwrap_or((size_of::<K>() + size_of::<V>()) as u64 + ENTRY_OVERHEAD),
        };
        let new = New { key, value, weight: weight.max(1), expires_at };
        self.store.insert(new, now, condition)
    }
}

impl<K, V, S> Clone for MemoryCache<K, V, S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K: Eq + Hash, V, S: BuildHasher + Clone> fmt::Debug for MemoryCache<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCache")
            .field("policy", &self.policy())
            .field("len", &self.len())
            .field("weight", &self.weight())
            .finish_non_exhaustive()
    }
}
