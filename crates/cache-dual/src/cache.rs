//! [`DualCache`]: the type a gateway holds.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cache_core::{
    CacheKey, CacheStats, Clock, Entry, Error, Inserted, Lifetime, LocalTier, PutFenced, Timestamp,
};
use cache_memory::LocalCache;

use crate::breaker::BreakerState;
use crate::builder::{DualBuilder, Weigher};
use crate::counters::{Count, Counters};
use crate::error::FetchError;
use crate::fence::{Fences, Ticket};
use crate::flight::{Flights, Heard, Role, Seat};
use crate::order::WriteOrder;
use crate::outcome::{Fetched, Fulfilled, InsertOptions, Lookup, Outcome, Source};
use crate::remote::{Remote, RemoteRead};

/// Memory in front, a remote tier behind, one fetch a key. Clones share everything.
///
/// See the [crate documentation](crate) for what it guarantees. Values are cloned on every hit, so
/// `V` is best something cheap to clone: `Bytes`, an `Arc`.
pub struct DualCache<V, L = LocalCache<V>> {
    inner: Arc<Inner<V, L>>,
}

struct Inner<V, L> {
    l1: L,
    l2: Option<Remote<V>>,
    fences: Fences,
    flights: Flights<Landing<V>>,
    writers: WriteOrder,
    ttl: Duration,
    weigher: Weigher<V>,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
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
        ttl: Duration,
        weigher: Weigher<V>,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
    ) -> Self {
        let (fences, flights, writers) = (Fences::new(), Flights::new(), WriteOrder::new());
        let inner = Inner { l1, l2, fences, flights, writers, ttl, weigher, clock, counters };
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
        if let Some(outcome) = inner.in_memory(key) {
            inner.counters.l1_hits.add_one();
            return Lookup::Hit(outcome);
        }
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
        let mut ticket = inner.take_ticket(key);
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
        let inner = &*self.inner;
        if let Some(outcome) = inner.in_memory(key) {
            inner.counters.l1_hits.add_one();
            return Ok(outcome);
        }
        loop {
            match inner.flights.join(*key) {
                Role::Leader(seat) => return inner.lead(key, seat, fetch).await,
                Role::Follower(follower) => match follower.news().await {
                    // An error of another type than ours cannot be shared: ask ourselves.
                    Heard::News(landing) => {
                        if let Some(result) = inner.follow(&landing) {
                            return result;
                        }
                    }
                    Heard::Gone => {} // somebody else leads now, maybe this call
                    Heard::Panicked => {
                        inner.counters.misses.add_one();
                        inner.counters.collapsed.add_one();
                        return Err(FetchError::Panicked);
                    }
                },
            }
        }
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
    /// holding an older value. Dropped, a call leaves memory without the key, and the remote tier
    /// with the old value or the new one.
    pub async fn insert(&self, key: CacheKey, value: V, options: InsertOptions) -> Inserted {
        let inner = &*self.inner;
        let entry = inner.entry(value, options);
        let _turn = inner.writers.turn(&key).await;
        let mut forget = Forget::begin(inner, &key);
        // L2 before L1: between the two a reader may fill L1 with the old value from L2, and the
        // last word has to be the new one. `forget` voids the fills that are still under way.
        if let Some(l2) = &inner.l2 {
            l2.put(&key, entry.clone()).await;
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
    /// the key, and the remote tier with it or without.
    ///
    /// # Errors
    ///
    /// If the remote tier did not confirm: it may go on holding the value, so callers have to try
    /// again. Memory is rid of it, and so are fetches under way.
    pub async fn remove(&self, key: &CacheKey) -> Result<bool, Error> {
        let inner = &*self.inner;
        let _turn = inner.writers.turn(key).await;
        let mut forget = Forget::begin(inner, key);
        let remote = match &inner.l2 {
            Some(l2) => l2.remove(key).await,
            None => Ok(false),
        };
        forget.end();
        inner.report();
        remote.map(|removed| removed | forget.was_in_memory)
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

/// How the tiers of a cache are. Memory always serves.
#[derive(Debug)]
pub struct Health {
    /// The breaker's state and the answer to a ping; `None` if no remote tier is configured.
    pub remote: Option<(BreakerState, Result<(), Error>)>,
}

impl Health {
    /// Whether every configured tier serves (A67).
    pub const fn is_healthy(&self) -> bool {
        matches!(self.remote, None | Some((BreakerState::Closed, Ok(()))))
    }
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> Inner<V, L> {
    fn in_memory(&self, key: &CacheKey) -> Option<Outcome<V>> {
        Some(Outcome::new(self.l1.get(key)?, Source::L1))
    }

    /// Comes before any read: whatever is invalidated from here on, the read is void.
    fn take_ticket(&self, key: &CacheKey) -> Ticket {
        let (token, taken_at) = (self.fences.token(key), self.clock.now());
        Ticket { key: *key, token, fence: None, taken_at }
    }

    /// Asks the remote tier and fills memory with what it has.
    async fn behind_memory(&self, key: &CacheKey) -> Lookup<V> {
        let mut ticket = self.take_ticket(key);
        let Some(l2) = &self.l2 else { return Lookup::Miss(ticket) };
        match l2.get(key).await {
            RemoteRead::Hit(entry) => {
                let _ = self.publish(&ticket, &entry);
                Lookup::Hit(Outcome::new(entry, Source::L2))
            }
            RemoteRead::Miss(fence) => {
                ticket.fence = fence;
                Lookup::Miss(ticket)
            }
        }
    }

    /// Sees a flight to its end.
    async fn lead<F, Fut, E>(
        &self,
        key: &CacheKey,
        seat: Seat<Landing<V>>,
        fetch: F,
    ) -> Result<Outcome<V>, FetchError<E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Fetched<V>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        // The flight before ours may have landed between our look into memory and our joining.
        if let Some(outcome) = self.in_memory(key) {
            self.counters.l1_hits.add_one();
            seat.announce(Landing::Value(outcome.clone()));
            return Ok(outcome);
        }
        let ticket = match self.behind_memory(key).await {
            Lookup::Hit(outcome) => {
                self.counters.l2_hits.add_one();
                seat.announce(Landing::Value(outcome.clone()));
                return Ok(outcome);
            }
            Lookup::Miss(ticket) => ticket,
        };
        self.counters.misses.add_one();
        self.counters.fetches.add_one();
        let failed = Failed(Some(&self.counters.failed_fetches));
        let Fetched { value, options } = match fetch().await {
            Ok(fetched) => fetched,
            Err(error) => {
                let error = Arc::new(error);
                seat.announce(Landing::Failed(Arc::clone(&error) as Arc<dyn Any + Send + Sync>));
                return Err(FetchError::Origin(error));
            }
        };
        failed.disarm();
        let entry = self.entry(value, options);
        let local = self.publish(&ticket, &entry);
        // In memory by now, so whoever comes after the landing finds it there.
        let outcome = Outcome::new(entry.clone(), Source::Origin);
        let shared = Outcome { source: Source::Collapsed, ..outcome.clone() };
        seat.announce(Landing::Value(shared));
        drop(seat); // nobody else need wait for the remote tier
        let _ = self.publish_remotely(&ticket, local, entry).await;
        Ok(outcome)
    }

    /// Takes what the leader brought; `None` if it cannot be shared with this caller.
    fn follow<E>(&self, landing: &Landing<V>) -> Option<Result<Outcome<V>, FetchError<E>>>
    where
        E: StdError + Send + Sync + 'static,
    {
        let (result, lookup) = match landing {
            Landing::Value(outcome) => {
                let lookup = match outcome.source {
                    Source::L1 => &self.counters.l1_hits,
                    Source::L2 => &self.counters.l2_hits,
                    Source::Origin | Source::Collapsed => &self.counters.misses,
                };
                (Ok(outcome.clone()), lookup)
            }
            Landing::Failed(error) => {
                let error = Arc::clone(error).downcast::<E>().ok()?;
                (Err(FetchError::Origin(error)), &self.counters.misses)
            }
        };
        lookup.add_one();
        self.counters.collapsed.add_one();
        Some(result)
    }

    fn entry(&self, value: V, options: InsertOptions) -> Entry<V> {
        let weight = options.weight.unwrap_or_else(|| (self.weigher)(&value));
        let lifetime = Lifetime::new(options.ttl.unwrap_or(self.ttl));
        Entry::new(value, self.clock.now(), lifetime).with_weight(weight)
    }

    /// Stores `entry` in memory if the ticket still holds at the moment of storing.
    fn publish(&self, ticket: &Ticket, entry: &Entry<V>) -> Inserted {
        let holds = || self.fences.holds(&ticket.key, ticket.token);
        let inserted = self.l1.insert_if(ticket.key, entry.clone(), holds);
        if inserted == Inserted::Declined {
            self.counters.fenced.add_one();
        }
        self.report();
        inserted
    }

    /// Stores `entry` in the remote tier if the ticket still holds there too.
    async fn publish_remotely(
        &self,
        ticket: &Ticket,
        local: Inserted,
        entry: Entry<V>,
    ) -> Fulfilled {
        let fulfilled = match local {
            Inserted::Stored => Fulfilled::Stored,
            Inserted::TooHeavy => Fulfilled::TooHeavy,
            Inserted::Expired => return Fulfilled::Expired,
            Inserted::Declined => return Fulfilled::Fenced,
        };
        let (Some(l2), Some(fence)) = (&self.l2, ticket.fence) else {
            return fulfilled;
        };
        // Beyond its memory the tier may have forgotten that the key was removed meanwhile.
        let held = self.clock.now().saturating_since(ticket.taken_at);
        if held >= l2.fence_memory() || !self.fences.holds(&ticket.key, ticket.token) {
            self.counters.fenced.add_one();
            return fulfilled;
        }
        if l2.put_fenced(&ticket.key, entry, fence).await == Some(PutFenced::Superseded) {
            // Another process stored or removed the key meanwhile, and its word is the later one:
            // the next lookup here reads it. (A newer value of our own that this may remove from
            // memory is in the remote tier too.)
            self.counters.fenced.add_one();
            self.l1.remove(&ticket.key);
            return Fulfilled::Fenced;
        }
        fulfilled
    }

    fn report(&self) {
        self.counters.report_local(&self.l1.stats());
    }
}

/// How a flight ended.
enum Landing<V> {
    Value(Outcome<V>),
    /// The leader's error, an `Arc<E>` of the leader's own `E`.
    Failed(Arc<dyn Any + Send + Sync>),
}

/// Makes memory, fences and flights forget a key: when it begins, and again when it ends or is
/// dropped. In between the remote tier is told, and readers may still find the old value there.
struct Forget<'a, V: Clone + Send + Sync + 'static, L: LocalTier<V>> {
    inner: &'a Inner<V, L>,
    key: &'a CacheKey,
    was_in_memory: bool,
    ended: bool,
}

impl<'a, V: Clone + Send + Sync + 'static, L: LocalTier<V>> Forget<'a, V, L> {
    fn begin(inner: &'a Inner<V, L>, key: &'a CacheKey) -> Self {
        let mut forget = Self { inner, key, was_in_memory: false, ended: false };
        forget.was_in_memory = forget.step();
        forget
    }

    fn end(&mut self) {
        self.ended = true;
        self.step();
    }

    fn step(&self) -> bool {
        // First the fence, so that no store can slip in behind the removal.
        self.inner.fences.raise(self.key);
        self.inner.flights.detach(self.key);
        self.inner.l1.remove(self.key)
    }
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> Drop for Forget<'_, V, L> {
    fn drop(&mut self) {
        if !self.ended {
            self.step();
        }
    }
}

/// Counts a fetch as failed unless it is disarmed: errors, panics and dropped futures alike.
struct Failed<'a>(Option<&'a Count>);

impl Failed<'_> {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Failed<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.0 {
            count.add_one();
        }
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
