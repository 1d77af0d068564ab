//! [`DualCache`]: the type a gateway holds.

mod batch;
mod export;
mod query;
mod warm;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cache_core::{CacheKey, CacheStats, Error, Inserted, LocalTier, Tag, Timestamp};
use cache_memory::LocalCache;
pub use export::{ExportError, Imported};
pub use query::Query;
pub use warm::Warmed;

use crate::builder::DualBuilder;
use crate::detached_options::DetachedOptions;
use crate::error::{FetchError, FetchFailure, shared};
use crate::fence::Ticket;
use crate::fetch::FetchCount;
use crate::health::Health;
use crate::inner::Inner;
use crate::outcome::{Fetched, Freshness, Fulfilled, InsertOptions, Lookup, Outcome, Source};
use crate::read::Near;
use crate::strategy::Strategy;

/// Memory in front, a remote tier behind, one fetch a key. Clones share everything.
///
/// See the [crate documentation](crate) for what it guarantees. Values are cloned on every hit, so
/// `V` is best something cheap to clone: `Bytes`, an `Arc`.
///
/// Each operation has the cache's own options; [`query`](Self::query) gives one call others.
pub struct DualCache<V, L = LocalCache<V>> {
    pub(crate) inner: Arc<Inner<V, L>>,
}

impl<V: Clone + Send + Sync + 'static> DualCache<V> {
    /// Starts with the default options: 10,000 entries in memory, no remote tier, 1 hour to live.
    pub fn builder() -> DualBuilder<V> {
        DualBuilder::new()
    }
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> DualCache<V, L> {
    /// The value of `key`, from memory or else from the remote tier, if it is fresh.
    ///
    /// A hit in memory never awaits.
    pub async fn get(&self, key: &CacheKey) -> Option<Outcome<V>> {
        if let Some(outcome) = self.inner.hit(key) {
            return Some(outcome);
        }
        // Boxed, so that the future of a hit is small.
        Box::pin(self.query(key).get()).await
    }

    /// As [`get`](Self::get); a miss comes with the [`Ticket`] that the value can be handed in
    /// with, for callers who cannot wait for it inside
    /// [`get_or_fetch`](Self::get_or_fetch), such as those who pass on a stream.
    pub async fn lookup(&self, key: &CacheKey) -> Lookup<V> {
        self.query(key).lookup().await
    }

    /// A ticket to replace whatever is stored under `key`, taken before the new value is fetched.
    /// Not counted as a lookup.
    ///
    /// Unlike [`insert`](Self::insert), which is always the last word, what is handed in with it
    /// gives way to an invalidation in between.
    pub async fn ticket(&self, key: &CacheKey) -> Ticket {
        self.query(key).ticket().await
    }

    /// The value of `key` if it is in memory and known to hold; it may be stale. Not counted as a
    /// lookup.
    pub fn peek(&self, key: &CacheKey) -> Option<Outcome<V>> {
        match self.inner.near(key) {
            Near::Fresh(entry) | Near::Due(entry) => {
                Some(Outcome::new(entry, Source::L1, Freshness::Fresh))
            }
            Near::Stale(entry) => Some(Outcome::new(entry, Source::L1, Freshness::Stale)),
            Near::Doubtful(_) | Near::Nothing => None,
        }
    }

    /// Whether a fresh value of `key` is in a tier. Not counted as a lookup.
    pub async fn contains(&self, key: &CacheKey) -> bool {
        self.ttl(key).await.is_some()
    }

    /// How long the fresh value of `key` has left, grace included; `None` if there is none. Not counted
    /// as a lookup, and fills nothing.
    pub async fn ttl(&self, key: &CacheKey) -> Option<Duration> {
        self.inner.ttl(key).await
    }

    /// The value of `key`; if no tier has it, the one that `fetch` returns, which is then stored: with
    /// the cache's own options, or as it says if it returns a [`Fetched`] in place of a plain value.
    ///
    /// Concurrent calls for one key make one fetch: the first caller's. If that caller's future is
    /// dropped, another's takes over. Dropped, a call leaves nothing behind but, at most, a value
    /// that is in memory and not in the remote tier.
    ///
    /// If the fetch fails or takes longer than the hard timeout, and a stale value is left, that is
    /// the outcome.
    ///
    /// `E` is any error type that is `Send` and `Sync`, or `Box<dyn Error + Send + Sync>`, or
    /// `anyhow::Error`: all who wait share one, see [`OriginError`](crate::OriginError).
    ///
    /// # Errors
    ///
    /// [`FetchError::Origin`] with what `fetch` returned, shared by all who waited for it. It is not
    /// stored, unless [`negative_ttl`](crate::DualOptions::negative_ttl) says so.
    /// [`FetchError::TimedOut`] and [`FetchError::Shed`] only with the options that they belong to.
    pub async fn get_or_fetch<F, Fut, T, E, K>(
        &self,
        key: &CacheKey,
        fetch: F,
    ) -> Result<Outcome<V>, FetchError<E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        T: Into<Fetched<V>>,
        E: FetchFailure<K>,
    {
        if let Some(outcome) = self.inner.hit(key) {
            return Ok(outcome);
        }
        self.inner.listen();
        let fetch = || async { shared(fetch().await.map(Into::into)) };
        Box::pin(self.inner.get_or_fetch(key, self.inner.terms(), fetch)).await
    }

    /// As [`get_or_fetch`](Self::get_or_fetch), where the fetch runs in a task of its own and goes on
    /// when its callers leave. So stale values can be served while it does, and values be fetched anew
    /// before they end, as `options` say; a hit that is not due begins nothing.
    ///
    /// Dropped, a call leaves the fetch behind, which stores its value.
    ///
    /// # Errors
    ///
    /// As those of [`get_or_fetch`](Self::get_or_fetch). A fetch that the hard timeout was too short
    /// for goes on, and stores its value.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, unless it is a hit in memory.
    pub async fn get_or_fetch_detached<F, Fut, T, E, K>(
        &self,
        key: &CacheKey,
        options: DetachedOptions,
        fetch: F,
    ) -> Result<Outcome<V>, FetchError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<Fetched<V>>,
        E: FetchFailure<K>,
    {
        self.query(key).get_or_fetch_detached(options, fetch).await
    }

    /// A key for [`Flights`](crate::flight::Flights) of your own: another one after each invalidation that
    /// may be about `key`, by this instance or by one that told it. So nobody who asks after it joins
    /// what began before. A key that differs in some bits beyond its first eight bytes can be given for
    /// the calls of another kind for the same value.
    ///
    /// ```
    /// # use cache_dual::{CacheKey, DualCache};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache: DualCache<String> = DualCache::builder().build()?;
    /// let key = CacheKey::from_text("k");
    /// let before = cache.flight_key(&key);
    /// assert_eq!(cache.flight_key(&key), before);
    /// cache.remove(&key).await?;
    /// assert_ne!(cache.flight_key(&key), before);
    /// # Ok(())
    /// # }
    /// ```
    pub fn flight_key(&self, key: &CacheKey) -> CacheKey {
        self.inner.flight_key(key)
    }

    /// Stores a value under the key of a `ticket`, in both tiers, unless the key was invalidated or
    /// written since the ticket was taken.
    ///
    /// Dropped, it leaves the value in neither tier, in memory only, or in both.
    pub async fn fulfil(&self, ticket: Ticket, value: V, options: InsertOptions) -> Fulfilled {
        self.inner.fulfil(ticket, value, options).await
    }

    /// Stores `value` in both tiers, in place of whatever is there.
    ///
    /// Fetches of the key that are under way no longer store theirs. Concurrent inserts of one key
    /// leave both tiers equal. If the remote tier does not confirm, which is counted, or the bus does
    /// not take the message, the cache goes on trying to remove the older value there for as long as
    /// it lives. Dropped, a call leaves memory without the key, and the remote tier with the old value
    /// or the new one.
    ///
    /// [`Inserted::Declined`] says that the strategy stores nothing or the cache is closed, or that the
    /// key was invalidated at the same moment.
    pub async fn insert(&self, key: CacheKey, value: V, options: InsertOptions) -> Inserted {
        self.query(&key).insert(value, options).await
    }

    /// Removes `key` from both tiers; whether one of them had it.
    ///
    /// Once this returns, nothing that was read or fetched before it began is stored or handed to
    /// later callers, whether or not it returned an error. Dropped, a call leaves memory without
    /// the key, and is brought to its end in the background.
    ///
    /// # Errors
    ///
    /// If the remote tier did not confirm: it may go on holding the value; or if the bus did not take
    /// the message: other instances may. Memory is rid of it, and so are fetches under way; and this
    /// cache neither reads the key from the remote tier nor gives up trying to remove it there, for as
    /// long as it lives. Callers for whom that is not enough have to try again.
    pub async fn remove(&self, key: &CacheKey) -> Result<bool, Error> {
        self.inner.remove(key).await
    }

    /// Removes many keys, in one round trip to the remote tier for every 1,000 of them; how many it or
    /// memory had. A duplicate counts once.
    ///
    /// # Errors
    ///
    /// As those of [`remove`](Self::remove), of any of the keys.
    pub async fn remove_many(&self, keys: &[CacheKey]) -> Result<u64, Error> {
        let mut keys = keys.to_vec();
        keys.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        keys.dedup();
        self.inner.remove_many(&keys).await
    }

    /// Removes the value of `key` if it satisfies `matches`; whether it did. In each tier exactly the
    /// value that was asked about goes: one that replaced it meanwhile stays.
    ///
    /// # Errors
    ///
    /// If the remote tier did not answer, or the bus did not take the message. Then nothing, or the
    /// remote tier's value only, may have been removed.
    pub async fn remove_if(
        &self,
        key: &CacheKey,
        matches: impl Fn(&V) -> bool,
    ) -> Result<bool, Error> {
        self.inner.remove_if(key, matches).await
    }

    /// Invalidates everything that was stored with `tag` (see [`Query::tags`]), in this namespace, in
    /// both tiers and in all instances, at the cost of one write.
    ///
    /// Once this returns, none of it is served by this process. Dropped, a call is brought to its end
    /// in the background.
    ///
    /// # Errors
    ///
    /// If the remote tier did not confirm, or the bus did not take the message: other instances may go
    /// on serving it. This cache serves none of it and goes on telling them for as long as it lives.
    pub async fn remove_tag(&self, tag: &Tag) -> Result<(), Error> {
        self.inner.change(self.inner.stamps.scoped(tag)).await
    }

    /// Invalidates everything in this namespace, in both tiers and in all instances, at the cost of one
    /// write to the remote tier. What it holds is unreadable from then on; its space comes back as
    /// entries expire, or at once with the tier's own `purge`.
    ///
    /// # Errors
    ///
    /// As those of [`remove_tag`](Self::remove_tag).
    pub async fn clear(&self) -> Result<(), Error> {
        self.inner.change(self.inner.stamps.root()).await
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

    /// Everything counted since the cache was built or its statistics reset.
    pub fn stats(&self) -> CacheStats {
        self.inner.counters.snapshot(self.inner.l1.stats())
    }

    /// Begins to count anew. What the memory tier counts by itself goes on; metrics too.
    pub fn reset_stats(&self) {
        self.inner.counters.reset();
    }

    /// How both tiers are.
    ///
    /// Asks the remote tier, breaker or not, within the remote deadline.
    pub async fn health(&self) -> Health {
        let remote = match &self.inner.l2 {
            Some(l2) => Some((l2.state(), l2.ping().await)),
            None => None,
        };
        let (queued, owed) = (
            self.inner.queue.as_ref().map_or(0, super::queue::Queue::len),
            self.inner.repairs.len(),
        );
        Health { is_open: self.inner.caches(), remote, queued, owed }
    }

    /// Which tiers it was told to use.
    pub fn strategy(&self) -> Strategy {
        self.inner.options.strategy
    }

    /// The time by the cache's clock.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// How many fetches are under way.
    pub fn in_flight(&self) -> usize {
        self.inner.flights.len() + self.inner.tagged.len()
    }

    /// Ends the cache, and all its clones: writes that are queued are made, within `limit`, and what
    /// others have yet to learn of is tried once more, within another; memory is given back, and the
    /// background tasks end. From then on lookups are misses, fetches go through,
    /// and nothing is stored. Closing it again does nothing. How many queued writes could not be made.
    pub async fn close(&self, limit: Duration) -> usize {
        self.inner.close(limit).await
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
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}
