//! Fetching through a flight: what its leader does, and what its followers make of it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cache_core::{CacheKey, LocalTier, Tags};
use tokio::time::{Instant, timeout_at};

use crate::counters::Counters;
use crate::error::{AnyError, FetchError, OriginError};
use crate::events::EventKind;
use crate::flight::{Flights, Heard, Role};
use crate::inner::Inner;
use crate::options::DualOptions;
use crate::outcome::{Fetched, Freshness, Outcome, Source};
use crate::read::{Ask, Near};

/// How a flight ended, or what there is of it so far.
#[derive(Clone)]
pub(crate) enum Landing<V> {
    /// A value, and an epoch from before the tiers were looked into.
    Value(Outcome<V>, u64),
    /// The leader's error, of the leader's own type.
    Failed(AnyError),
    TimedOut(Duration),
    Shed,
}

/// What a fetch is told beside its key.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms<'a> {
    pub(crate) ask: Ask<'a>,
    /// How long the caller waits at all.
    pub(crate) hard: Option<Duration>,
    pub(crate) hedge: Option<Duration>,
    /// How long it waits while there is a stale value. Only where the fetch can go on without it.
    pub(crate) soft: Option<Duration>,
    /// From which share of its life on a value is fetched anew. Only there, too.
    pub(crate) eager: Option<f64>,
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> Inner<V, L> {
    pub(crate) async fn get_or_fetch<F, Fut, E>(
        self: &Arc<Self>,
        key: &CacheKey,
        terms: Terms<'_>,
        fetch: F,
    ) -> Result<Outcome<V>, FetchError<E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Fetched<V>, OriginError<E>>>,
        E: Send + Sync + 'static,
    {
        if !self.caches() {
            return self.pass(fetch).await;
        }
        if let Some(result) = self.failed_of_late(key) {
            return result;
        }
        let until = terms.hard.map(|limit| (limit, Instant::now() + limit));
        loop {
            let follower = match self.flights_of(terms.ask).join(*key) {
                Role::Leader(seat) => {
                    let sight = self.sight(key);
                    // Boxed, since most of a crowd never lead.
                    return Box::pin(self.lead(key, seat, sight, terms, until, fetch)).await;
                }
                Role::Follower(follower) => follower,
            };
            match within(until, follower.news()).await {
                Ok(Heard::News(landing)) => {
                    // An error of another type than ours cannot be shared: ask ourselves.
                    if let Some(result) = self.follow(key, &landing) {
                        return result;
                    }
                    self.flights_of(terms.ask).detach_from(key, &follower);
                }
                Ok(Heard::Gone) => {} // somebody else leads now, maybe this call
                Ok(Heard::Panicked) => {
                    self.counters.misses.add_one();
                    self.counters.collapsed.add_one();
                    return Err(FetchError::Panicked);
                }
                Err(limit) => return self.give_up(key, limit),
            }
        }
    }

    /// What the cache's own options say.
    pub(crate) fn terms(&self) -> Terms<'static> {
        let DualOptions { hard_timeout, hedge_after, .. } = self.options;
        Terms { hard: hard_timeout, hedge: hedge_after, ..Terms::default() }
    }

    /// Where nothing is cached: a call of its own.
    pub(crate) async fn pass<F, Fut, E>(&self, fetch: F) -> Result<Outcome<V>, FetchError<E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Fetched<V>, OriginError<E>>>,
    {
        self.counters.misses.add_one();
        let count = FetchCount::begin(&self.counters);
        let Fetched { value, options } = fetch().await.map_err(FetchError::Origin)?;
        count.succeeded();
        let entry = self.entry(value, options, Tags::default());
        Ok(Outcome::new(entry, Source::Origin, Freshness::Fresh))
    }

    /// Values with tags have flights of their own, which any tag's invalidation ends.
    pub(crate) fn flights_of(&self, ask: Ask<'_>) -> &Flights<Landing<V>> {
        if ask.tags.is_empty() { &self.flights } else { &self.tagged }
    }

    /// The error that answers for `key` now, if there is one of this type.
    pub(crate) fn failed_of_late<E>(
        &self,
        key: &CacheKey,
    ) -> Option<Result<Outcome<V>, FetchError<E>>>
    where
        E: Send + Sync + 'static,
    {
        let error = OriginError::of(self.negatives.as_ref()?.get(key)?)?;
        self.counters.misses.add_one();
        self.counters.negative.add_one();
        Some(Err(FetchError::Origin(error)))
    }

    /// The caller's time is up: what there is by now, or nothing.
    pub(crate) fn give_up<E>(
        &self,
        key: &CacheKey,
        limit: Duration,
    ) -> Result<Outcome<V>, FetchError<E>> {
        match self.near(key) {
            Near::Fresh(entry) => {
                self.counters.l1_hits.add_one();
                Ok(Outcome::new(entry, Source::L1, Freshness::Fresh))
            }
            Near::Stale(entry) => {
                self.counters.misses.add_one();
                Ok(self.serve_stale(key, Outcome::new(entry, Source::L1, Freshness::Stale)))
            }
            Near::Due(_) | Near::Doubtful(_) | Near::Nothing => {
                self.counters.misses.add_one();
                self.counters.timed_out.add_one();
                Err(FetchError::TimedOut { limit })
            }
        }
    }

    pub(crate) fn serve_stale(&self, key: &CacheKey, stale: Outcome<V>) -> Outcome<V> {
        self.counters.stale.add_one();
        self.events.emit(EventKind::Stale, key);
        stale
    }

    pub(crate) fn count_hit(&self, key: &CacheKey, source: Source) {
        match source {
            Source::L1 => self.counters.l1_hits.add_one(),
            Source::L2 => self.counters.l2_hits.add_one(),
            Source::Origin | Source::Collapsed => self.counters.misses.add_one(),
        }
        self.events.emit(EventKind::Hit(source), key);
    }

    /// Takes what the leader brought; `None` if it cannot be shared with this caller.
    pub(crate) fn follow<E>(
        &self,
        key: &CacheKey,
        landing: &Landing<V>,
    ) -> Option<Result<Outcome<V>, FetchError<E>>>
    where
        E: Send + Sync + 'static,
    {
        let result = match landing {
            Landing::Value(outcome, epoch) if self.still_holds(key, outcome, *epoch) => {
                Ok(outcome.clone())
            }
            Landing::Value(..) => return None,
            Landing::Failed(error) => Err(FetchError::Origin(OriginError::of(Arc::clone(error))?)),
            Landing::TimedOut(limit) => Err(FetchError::TimedOut { limit: *limit }),
            Landing::Shed => Err(FetchError::Shed),
        };
        match &result {
            Ok(outcome) if outcome.source.is_hit() => {
                self.count_hit(key, outcome.source);
                if outcome.is_stale() {
                    self.counters.stale.add_one();
                }
            }
            _ => {
                self.counters.misses.add_one();
                self.events.emit(EventKind::Miss, key);
            }
        }
        self.counters.collapsed.add_one();
        Some(result)
    }

    /// Whether what a flight found in a tier may be given to a caller who may have come after a tag's
    /// invalidation: it may have been announced long before.
    fn still_holds(&self, key: &CacheKey, outcome: &Outcome<V>, epoch: u64) -> bool {
        if !outcome.source.is_hit() || self.epochs.now() == epoch {
            return true;
        }
        match self.near(key) {
            Near::Fresh(entry) | Near::Stale(entry) => entry.stored_at == outcome.stored_at,
            Near::Due(_) | Near::Doubtful(_) | Near::Nothing => false,
        }
    }
}

/// `future`, or the limit that it did not keep.
pub(crate) async fn within<F: Future>(
    until: Option<(Duration, Instant)>,
    future: F,
) -> Result<F::Output, Duration> {
    match until {
        None => Ok(future.await),
        Some((limit, at)) => timeout_at(at, future).await.map_err(|_| limit),
    }
}

/// A call to the origin, counted as begun. It counts as failed too unless it is told to have
/// [`succeeded`](Self::succeeded): errors, panics and dropped futures alike.
#[derive(Debug)]
#[must_use = "dropped, it counts as a failed fetch"]
pub struct FetchCount(Option<Arc<Counters>>);

impl FetchCount {
    pub(crate) fn begin(counters: &Arc<Counters>) -> Self {
        counters.fetches.add_one();
        Self(Some(Arc::clone(counters)))
    }

    /// The origin has answered.
    pub fn succeeded(mut self) {
        self.0 = None;
    }
}

impl Drop for FetchCount {
    fn drop(&mut self) {
        if let Some(counters) = &self.0 {
            counters.failed_fetches.add_one();
        }
    }
}
