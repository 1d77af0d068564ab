//! [`DualCache`]: the type a gateway holds.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cache_core::{CacheKey, CacheStats, Clock, Error, Inserted, LocalTier, Timestamp};
use cache_memory::LocalCache;

use crate::builder::{DualBuilder, Weigher};
use crate::counters::Counters;
use crate::error::FetchError;
use crate::fence::{Fences, Ticket};
use crate::fetch::FetchCount;
use crate::flight::Flights;
use crate::forget::Forget;
use crate::health::Health;
use crate::inner::Inner;
use crate::order::WriteOrder;
use crate::outcome::{Fetched, Fulfilled, InsertOptions, Lookup, Outcome};
use crate::peers::Peers;
use crate::remote::Remote;

/// Memory in front, a remote tier behind, one fetch a key. Clones share everything.
///
/// See the [crate documentation](crate) for what it guarantees. Values are cloned on every hit, so
/// `V` is best something cheap to clone: `Bytes`, an `Arc`.
pub struct DualCache<V, L = LocalCache<V>> {
    inner: Arc<Inner<V, L>>,
}

impl<V: Clone + Send + Sync + 'static> DualCache<V> {
    /// Starts with the default options: 10,000 entries in memory, no remote tier, 1 hour to live.
    pub fn builder() -> DualBuilder<V> {
        DualBuilder::new()
    }
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> DualCache<V, L> {
    pub(crate) fn from_parts(
        l1: L,
        l2: Option<Remote<V>>,
        peers: Option<Peers>,
        ttl: Duration,
        weigher: Weigher<V>,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
    ) -> Self {
        let (fences, flights, writers) = (Fences::new(), Flights::new(), WriteOrder::new());
        let inner =
            Inner { l1, l2, peers, fences, flights, writers, ttl, weigher, clock, counters };
        Self { inner: Arc::new(inner) }
    }

    /// The value of `key`, from memory or else from the remote tier.
    ///
    /// A hit in memory never awaits.
    pub async fn get(&self, key: &CacheKey) -> Option<Outcome<V>> {
        match self.lookup(key).await {
            Lookup::Hit(outcome) => Some(outcome),
            Lookup::Miss(_) => None,
        }
    }

    /// As [`get`](Self::get); a miss comes with the [`Ticket`] that the value can be handed in
    /// with, for callers who cannot wait for it inside
    /// [`get_or_fetch`](Self::get_or_fetch), such as those who pass on a stream.
    pub async fn lookup(&self, key: &CacheKey) -> Lookup<V> {
        let inner = &*self.inner;
        if let Some(outcome) = inner.hit(key) {
            return Lookup::Hit(outcome);
        }
        self.inner.listen();
        let lookup = inner.behind_memory(key).await;
        match &lookup {
            Lookup::Hit(_) => inner.counters.l2_hits.add_one(),
            Lookup::Miss(_) => inner.counters.misses.add_one(),
        }
        lookup
    }

    /// A ticket to replace whatever is stored under `key`, taken before the new value is fetched.
    /// Not counted as a lookup.
    ///
    /// Unlike [`insert`](Self::insert), which is always the last word, what is handed in with it
    /// gives way to an invalidation in between.
    pub async fn ticket(&self, key: &CacheKey) -> Ticket {
        let inner = &*self.inner;
        self.inner.listen();
        let mut ticket = inner.take_ticket(key);
        ticket.replaces = true;
        if let Some(l2) = &inner.l2 {
            ticket.fence = l2.version(key).await;
        }
        ticket
    }

    /// The value of `key` if it is in memory. Not counted as a lookup.
    pub fn peek(&self, key: &CacheKey) -> Option<Outcome<V>> {
        self.inner.in_memory(key)
    }

    /// The value of `key`; if no tier has it, the one that `fetch` returns, which is then stored
    /// with the cache's own options.
    ///
    /// Concurrent calls for one key make one fetch: the first caller's. If that caller's future is
    /// dropped, another's takes over. Dropped, a call leaves nothing behind but, at most, a value
    /// that is in memory and not in the remote tier.
    ///
    /// # Errors
    ///
    /// What `fetch` returned, shared by all who waited for it. Errors are not stored.
    pub async fn get_or_fetch<F, Fut, E>(
        &self,
        key: &CacheKey,
        fetch: F,
    ) -> Result<Outcome<V>, FetchError<E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>>,
        E: StdError + Send + Sync + 'static,
    {
        self.get_or_fetch_with(key, || async { fetch().await.map(Fetched::new) }).await
    }

    /// As [`get_or_fetch`](Self::get_or_fetch), where `fetch` also says how its value is to be
    /// stored.
    ///
    /// # Errors
    ///
    /// What `fetch` returned, shared by all who waited for it. Errors are not stored.
    pub async fn get_or_fetch_with<F, Fut, E>(
        &self,
        key: &CacheKey,
        fetch: F,
    ) -> Result<Outcome<V>, FetchError<E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Fetched<V>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        if let Some(outcome) = self.inner.hit(key) {
            return Ok(outcome);
        }
        self.inner.listen();
        self.inner.get_or_fetch(key, fetch).await
    }

    /// Stores a value under the key of a `ticket`, in both tiers, unless the key was invalidated or
    /// written since the ticket was taken.
    ///
    /// Dropped, it leaves the value in neither tier, in memory only, or in both.
    pub async fn fulfil(&self, ticket: Ticket, value: V, options: InsertOptions) -> Fulfilled {
        let entry = self.inner.entry(value, options);
        let local = self.inner.publish(&ticket, &entry);
        self.inner.publish_remotely(&ticket, local, entry).await
    }

    /// Stores `value` in both tiers, in place of whatever is there.
    ///
    /// Fetches of the key that are under way no longer store theirs. Concurrent inserts of one key
    /// leave both tiers equal. If the remote tier does not confirm, which is counted, it may go on
    /// holding an older value. If the bus does not take the message, which is counted too, or the call
    /// is dropped before it was asked, other instances' memory keeps an older value until its time is
    /// up. Dropped, a call leaves memory without the key, and the remote tier with the old value or the
    /// new one.
    pub async fn insert(&self, key: CacheKey, value: V, options: InsertOptions) -> Inserted {
        let inner = &*self.inner;
        self.inner.listen();
        let entry = inner.entry(value, options);
        let _turn = inner.writers.turn(&key).await;
        let mut forget = Forget::begin(inner, &key);
        // L2 before L1: between the two a reader may fill L1 with the old value from L2, and the
        // last word has to be the new one. `forget` voids the fills that are still under way.
        if let Some(l2) = &inner.l2 {
            l2.put(&key, entry.clone()).await;
        }
        if let Some(peers) = &inner.peers {
            let _counted = peers.tell(&key).await;
        }
        forget.end();
        let inserted = inner.l1.insert(key, entry);
        inner.report();
        inserted
    }

    /// Removes `key` from both tiers; whether one of them had it.
    ///
    /// Once this returns, nothing that was read or fetched before it began is stored or handed to
    /// later callers, whether or not it returned an error. Dropped, a call leaves memory without
    /// the key, and the remote tier with it or without; other instances may not have been told.
    ///
    /// # Errors
    ///
    /// If the remote tier did not confirm: it may go on holding the value; or if the bus did not take
    /// the message: other instances may. Callers have to try again. Memory is rid of it, and so are
    /// fetches under way.
    pub async fn remove(&self, key: &CacheKey) -> Result<bool, Error> {
        let inner = &*self.inner;
        let _turn = inner.writers.turn(key).await;
        let mut forget = Forget::begin(inner, key);
        let remote = match &inner.l2 {
            Some(l2) => l2.remove(key).await,
            None => Ok(false),
        };
        // Told even if the remote tier did not confirm: it may have done it.
        let told = match &inner.peers {
            Some(peers) => peers.tell(key).await,
            None => Ok(()),
        };
        forget.end();
        inner.report();
        let removed = remote? | forget.was_in_memory;
        told.map(|()| removed)
    }

    /// Counts a call to the origin that is made outside of [`get_or_fetch`](Self::get_or_fetch),
    /// with a [`Ticket`].
    pub fn count_fetch(&self) -> FetchCount {
        FetchCount::begin(&self.inner.counters)
    }

    /// Counts a miss that another caller's fetch outside of
    /// [`get_or_fetch`](Self::get_or_fetch) answers.
    pub fn count_collapsed(&self) {
        self.inner.counters.collapsed.add_one();
    }

    /// Everything counted so far.
    pub fn stats(&self) -> CacheStats {
        self.inner.counters.snapshot(self.inner.l1.stats())
    }

    /// How both tiers are.
    ///
    /// Asks the remote tier, breaker or not, within the remote deadline.
    pub async fn health(&self) -> Health {
        let remote = match &self.inner.l2 {
            Some(l2) => Some((l2.state(), l2.ping().await)),
            None => None,
        };
        Health { remote }
    }

    /// The time by the cache's clock.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// How many fetches are under way.
    pub fn in_flight(&self) -> usize {
        self.inner.flights.len()
    }
}

impl<V, L> Clone for DualCache<V, L> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<V, L: fmt::Debug> fmt::Debug for DualCache<V, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DualCache")
            .field("l1", &self.inner.l1)
            .field("remote", &self.inner.l2.is_some())
            .field("ttl", &self.inner.ttl)
            .finish_non_exhaustive()
    }
}
