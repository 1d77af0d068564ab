//! [`MemoryCache`]: the type a user holds.

mod bulk;
mod compute;
mod load;

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Weak};
use std::time::Duration;

use cache_core::{Inserted, LocalStats, Timestamp};
pub use compute::{Compute, Computed};

use crate::budget::Budget;
use crate::builder::{BuildError, Expiry, MemoryBuilder, Weigher};
use crate::events::Events;
use crate::loads::Loads;
use crate::lookups::Lookups;
use crate::options::InsertOptions;
use crate::policy::Policy;
use crate::record::{Handle, Record};
use crate::store::{Fresh, New, Read, Spot, Store};
use crate::times::Times;

/// What an [`Entry`](cache_core::Entry) under a [`CacheKey`](cache_core::CacheKey) costs beside its
/// value and whatever that owns, in bytes.
///
/// Key, times, tags and weight are 96 bytes, and what the cache adds at most 112 (see
/// [memory](crate#memory)): rounded up.
pub const ENTRY_OVERHEAD: u64 = 208;

/// A bounded cache in memory, for any number of threads.
///
/// Cloning it is cheap and gives a second handle on the same cache.
///
/// All user code, which is `Hash`, `Eq` and `Drop` of keys, `Clone` and `Drop` of values, weighers,
/// predicates, initialisers and listeners, runs while nothing is locked and may call the cache. The
/// one exception is the condition of [`insert_if`](Self::insert_if), which is there to be asked
/// under the lock.
pub struct MemoryCache<K, V, S = RandomState> {
    shared: Arc<Shared<K, V, S>>,
}

pub(crate) struct Shared<K, V, S> {
    store: Store<K, V, S>,
    loads: Loads,
    weigher: Option<Weigher<K, V>>,
    expiry: Option<Expiry<K, V>>,
    default_ttl: Option<Duration>,
}

impl<K, V> MemoryCache<K, V> {
    /// Options for a cache; see [`local`](MemoryCache::local) for one that serves as a tier.
    pub fn builder() -> MemoryBuilder<K, V> {
        MemoryBuilder::new(RandomState::new())
    }
}

impl<K: Eq + Hash, V, S: BuildHasher> MemoryCache<K, V, S> {
    pub(crate) fn with(shared: Shared<K, V, S>) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// The live value of `key`. Counts as a use for the eviction policy, and against the time that
    /// entries may stand idle.
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<Handle<K, V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.shared.store.read(key, Read::Use)
    }

    /// The live value of `key`, without counting as a use or as a lookup.
    pub fn peek<Q>(&self, key: &Q) -> Option<Handle<K, V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.shared.store.read(key, Read::Look)
    }

    /// Whether `key` has a live value. Does not count as a use or as a lookup.
    pub fn contains<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.peek(key).is_some()
    }

    /// How long the live value of `key` has left if it is not used again: [`Duration::MAX`] if it
    /// never expires, `None` if there is none.
    pub fn ttl<Q>(&self, key: &Q) -> Option<Duration>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.shared.store.left(key)
    }

    /// Stores `value` in place of any other under `key`. It lives as long as the value itself
    /// ([`MemoryBuilder::expires_at`]) or else the default time to live says.
    pub fn insert(&self, key: K, value: V) -> Inserted {
        self.insert_with(key, value, InsertOptions::new())
    }

    /// Stores `value` as the options say: a [`Duration`] alone is a time to live, a [`Timestamp`] an
    /// end. An end that has passed, or a time to live of zero, stores nothing and removes what was
    /// there ([`Inserted::Expired`]).
    pub fn insert_with(&self, key: K, value: V, options: impl Into<InsertOptions>) -> Inserted {
        self.insert_with_if(key, value, options, || true)
    }

    /// Stores `value` as [`insert`](Self::insert) does, if `condition` holds at that moment.
    ///
    /// `condition` is asked while the place of the key is locked, so whoever removes `key` after
    /// it answered yes removes this value. It must be short and must not touch the cache.
    pub fn insert_if(&self, key: K, value: V, condition: impl FnOnce() -> bool) -> Inserted {
        self.insert_with_if(key, value, InsertOptions::new(), condition)
    }

    /// [`insert_with`](Self::insert_with) under the condition of [`insert_if`](Self::insert_if).
    pub fn insert_with_if(
        &self,
        key: K,
        value: V,
        options: impl Into<InsertOptions>,
        condition: impl FnOnce() -> bool,
    ) -> Inserted {
        let spot = self.shared.store.spot(&key);
        let new = self.shared.new_entry(spot, key, value, options.into());
        // Under the lock, so that a load either sees this value or is void.
        self.shared.store.insert(new, |_| condition() && self.shared.loads.void_locked(spot))
    }

    /// Removes `key`; its value if it was live.
    pub fn remove<Q>(&self, key: &Q) -> Option<Handle<K, V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let spot = self.shared.store.spot(key);
        self.shared.loads.void(spot);
        self.shared.store.remove(spot, |k| k.borrow() == key)
    }

    /// Removes `key` if its live value satisfies `matches`; that value.
    ///
    /// Exactly the value that `matches` saw is removed. If another takes its place meanwhile,
    /// `matches` is asked again about that one.
    pub fn remove_if<Q>(&self, key: &Q, matches: impl Fn(&V) -> bool) -> Option<Handle<K, V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        loop {
            let seen = self.peek(key).filter(|value| matches(value))?;
            if self.remove_this(&seen) {
                return Some(seen);
            }
        }
    }

    /// Removes this very value, if it is still there and live.
    pub fn remove_this(&self, seen: &Handle<K, V>) -> bool {
        let spot = self.shared.store.spot(seen.key());
        self.shared.loads.void(spot);
        self.shared.store.remove_this(spot, seen) == Some(true)
    }

    /// Removes everything that was stored before the call.
    pub fn clear(&self) {
        self.shared.loads.void_all();
        self.shared.store.clear();
    }

    /// Reclaims at once all entries whose time is up; how many there were.
    ///
    /// There is no need to call it: such entries are absent for every method, leave before any
    /// other when space is needed, and each write reclaims a few. It serves caches that are no
    /// longer written to; a [`Janitor`](crate::Janitor) calls it now and then.
    pub fn remove_expired(&self) -> u64 {
        self.shared.store.remove_expired()
    }

    /// How many entries are held, expired ones that are not reclaimed yet included. Reads one
    /// counter.
    pub fn len(&self) -> usize {
        usize::try_from(self.shared.store.budget.entries()).unwrap_or(usize::MAX)
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The summed weight of the entries held, in bytes. Reads one counter.
    pub fn weight(&self) -> u64 {
        self.shared.store.budget.weight()
    }

    /// How many entries it may hold; `u64::MAX` if that is not bounded.
    pub fn max_entries(&self) -> u64 {
        self.shared.store.budget.max_entries()
    }

    /// How many bytes its entries may weigh together; `u64::MAX` if that is not bounded.
    pub fn max_weight(&self) -> u64 {
        self.shared.store.budget.max_weight()
    }

    /// Sets another bound on the number of entries, evicting what is over it before this returns.
    ///
    /// # Errors
    ///
    /// If it is zero.
    pub fn set_max_entries(&self, entries: u64) -> Result<(), BuildError> {
        if entries == 0 {
            return Err(BuildError::ZeroEntries);
        }
        self.shared.store.budget.set_max_entries(entries);
        self.shared.store.shrink();
        Ok(())
    }

    /// Sets another bound on the weight, in bytes, evicting what is over it before this returns.
    ///
    /// # Errors
    ///
    /// If it is zero.
    pub fn set_max_weight(&self, bytes: u64) -> Result<(), BuildError> {
        if bytes == 0 {
            return Err(BuildError::ZeroWeight);
        }
        self.shared.store.budget.set_max_weight(bytes);
        self.shared.store.shrink();
        Ok(())
    }

    /// Who leaves when space is needed.
    pub fn policy(&self) -> Policy {
        self.shared.store.policy()
    }

    /// What it holds and has counted. Hits and misses are zero unless
    /// [`count_lookups`](MemoryBuilder::count_lookups) is on.
    pub fn stats(&self) -> LocalStats {
        self.shared.store.stats()
    }

    /// How often a listener panicked. It is told of the next event all the same.
    pub fn listener_panics(&self) -> u64 {
        self.shared.store.listener_panics()
    }

    /// The name under which [`Event::Missed`](crate::Event::Missed) speaks of `key`.
    pub fn key_hash<Q>(&self, key: &Q) -> u64
    where
        K: Borrow<Q>,
        Q: Hash + ?Sized,
    {
        self.shared.store.spot(key).name()
    }

    pub(crate) fn downgrade(&self) -> Weak<Shared<K, V, S>> {
        Arc::downgrade(&self.shared)
    }
}

impl<K: Eq + Hash, V, S: BuildHasher> Shared<K, V, S> {
    pub(crate) fn new(options: MemoryBuilder<K, V, S>) -> Self {
        let budget = Budget::new(
            options.max_entries.unwrap_or(u64::MAX),
            options.max_weight.unwrap_or(u64::MAX),
        );
        let entries = options.full_at();
        let times = Times::new(options.clock, options.time_to_idle);
        let events = options.listener.map(|(listener, lookups)| Events::new(listener, lookups));
        let lookups = options.count_lookups.then(Lookups::default);
        let store =
            Store::new(options.hasher, options.policy, budget, times, entries, events, lookups);
        Self {
            store,
            loads: Loads::default(),
            weigher: options.weigher,
            expiry: options.expiry,
            default_ttl: options.default_ttl,
        }
    }

    pub(crate) fn remove_expired(&self) -> u64 {
        self.store.remove_expired()
    }

    /// Asks everything that has to be known of an entry to be stored.
    fn new_entry(&self, spot: Spot, key: K, value: V, options: InsertOptions) -> New<K, V> {
        let own_end = self.expiry.as_ref().map_or(Timestamp::MAX, |ask| ask(&key, &value));
        let mut expires_at = options.until.map_or(own_end, |until| own_end.min(until));
        let unsaid = options.until.is_none() && self.expiry.is_none();
        let ttl = options.ttl.or(if unsaid { self.default_ttl } else { None });
        // The clock is read only if it matters.
        let now = ttl.map(|ttl| {
            let now = self.store.times.timestamp();
            expires_at = expires_at.min(now.saturating_add(ttl));
            self.store.times.moment(now)
        });
        let weight = options.weight.unwrap_or_else(|| match &self.weigher {
            Some(weigh) => weigh(&key, &value),
            None => (size_of::<K>() + size_of::<V>()) as u64 + ENTRY_OVERHEAD,
        });
        let record = Fresh::Plain(Record::new(key, value, spot.hash, expires_at));
        New { spot, record, weight: weight.max(1), now }
    }
}

impl<K, V, S> Clone for MemoryCache<K, V, S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<K: Eq + Hash, V, S: BuildHasher> fmt::Debug for MemoryCache<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCache")
            .field("policy", &self.policy())
            .field("len", &self.len())
            .field("weight", &self.weight())
            .finish_non_exhaustive()
    }
}
