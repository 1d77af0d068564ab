//! Fetching through a flight: what its leader does, and what its followers make of it.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use cache_core::{CacheKey, Entry, Inserted, LocalTier, Tags};
use futures_util::future::{Either, select};
use tokio::time::{Instant, timeout_at};

use crate::counters::{Counters, Op};
use crate::error::FetchError;
use crate::events::EventKind;
use crate::fence::Ticket;
use crate::flight::{Flights, Heard, Role, Seat};
use crate::inner::Inner;
use crate::negative::AnyError;
use crate::options::DualOptions;
use crate::outcome::{Fetched, Freshness, Outcome, Source};
use crate::read::{Ask, Found, Near};

/// How a flight ended, or what there is of it so far.
#[derive(Clone)]
pub(crate) enum Landing<V> {
    Value(Outcome<V>),
    /// The leader's error, an `Arc<E>` of the leader's own `E`.
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
    /// How long it waits while there is a stale value. Only where the fetch can go on without it.
    pub(crate) soft: Option<Duration>,
    pub(crate) hedge: Option<Duration>,
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
        Fut: Future<Output = Result<Fetched<V>, E>>,
        E: StdError + Send + Sync + 'static,
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
                    let near = self.near(key);
                    return self.lead(key, seat, near, terms, until, fetch).await;
                }
                Role::Follower(follower) => follower,
            };
            match within(until, follower.news()).await {
                Ok(Heard::News(landing)) => {
                    // An error of another type than ours cannot be shared: ask ourselves.
                    if let Some(result) = self.follow(&landing) {
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
        let DualOptions { hard_timeout, soft_timeout, hedge_after, .. } = self.options;
        Terms { ask: Ask::default(), hard: hard_timeout, soft: soft_timeout, hedge: hedge_after }
    }

    /// Where nothing is cached: a call of its own.
    pub(crate) async fn pass<F, Fut, E>(&self, fetch: F) -> Result<Outcome<V>, FetchError<E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Fetched<V>, E>>,
    {
        self.counters.misses.add_one();
        let count = FetchCount::begin(&self.counters);
        let Fetched { value, options } =
            fetch().await.map_err(|error| FetchError::Origin(Arc::new(error)))?;
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
        E: StdError + Send + Sync + 'static,
    {
        let error = self.negatives.as_ref()?.get(key)?.downcast::<E>().ok()?;
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

    /// Sees a flight to its end. `near` was looked up after the seat was taken: the flight before may
    /// have landed in between.
    pub(crate) async fn lead<F, Fut, E>(
        self: &Arc<Self>,
        key: &CacheKey,
        seat: Seat<Landing<V>>,
        near: Near<V>,
        terms: Terms<'_>,
        until: Option<(Duration, Instant)>,
        fetch: F,
    ) -> Result<Outcome<V>, FetchError<E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Fetched<V>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        let soft = terms.soft.map(|limit| Instant::now() + limit);
        if let Near::Stale(entry) = &near
            && self.pauses.is_paused(key, self.clock.now())
        {
            let stale = Outcome::new(entry.clone(), Source::L1, Freshness::Stale);
            seat.announce(Landing::Value(stale.clone()));
            self.counters.l1_hits.add_one();
            return Ok(self.serve_stale(key, stale));
        }
        // Begun at most once: after the remote tier had nothing, or alongside if it takes its time.
        let mut fetching = pin!(async {
            let (count, started) = (FetchCount::begin(&self.counters), Instant::now());
            let fetched = fetch().await;
            if fetched.is_ok() {
                count.succeeded();
                self.counters.time(Op::Fetch, started.elapsed());
            }
            fetched
        });
        let mut early = None;
        let mut seat = Some(seat);
        let (found, held) = {
            let hedged_ticket = terms.hedge.map(|_| self.hedged_ticket(key, terms.ask));
            let mut finding = pin!(self.find_or_lease(key, near, terms.ask));
            match race(terms.hedge, finding.as_mut(), fetching.as_mut()).await {
                Raced::Found(found) => found,
                Raced::Fetched(Err(error)) => {
                    self.counters.hedged.add_one();
                    early = Some(Err(error));
                    finding.await
                }
                Raced::Fetched(Ok(fetched)) => {
                    self.counters.hedged.add_one();
                    self.counters.misses.add_one();
                    self.events.emit(EventKind::Miss, key);
                    let mut ticket = hedged_ticket.expect("nothing is raced without");
                    let tiers = fetched.options.tiers;
                    let (outcome, local, entry) = self.land(&ticket, seat.take(), fetched);
                    // Without the remote tier's answer nothing can be stored there.
                    if let (Found::Miss { ticket: found, .. }, _held) = finding.await {
                        ticket.fence = found.fence;
                        let _ = self.publish_remotely(ticket, local, entry, tiers).await;
                    }
                    return Ok(outcome);
                }
            }
        };
        let seat = seat.take().expect("only a landing takes it");
        let (ticket, stale) = match found {
            Found::Hit(outcome) => {
                self.count_hit(key, outcome.source);
                let outcome =
                    if outcome.is_stale() { self.serve_stale(key, outcome) } else { outcome };
                seat.announce(Landing::Value(outcome.clone()));
                return Ok(outcome);
            }
            Found::Miss { ticket, stale } => (ticket, stale),
        };
        let Ok(_room) = self.room_for_fetch() else { return self.shed(key, &seat, stale) };
        self.counters.misses.add_one();
        self.events.emit(EventKind::Miss, key);
        let fetched = match (early, soft, &stale) {
            (Some(fetched), ..) => Ok(fetched),
            (None, Some(soft), Some(stale)) => {
                if let Ok(fetched) = timeout_at(soft, &mut fetching).await {
                    Ok(fetched)
                } else {
                    // The fetch goes on behind those who wait.
                    seat.announce(Landing::Value(stale.clone()));
                    within(until, &mut fetching).await
                }
            }
            (None, ..) => within(until, &mut fetching).await,
        };
        let fetched = match fetched {
            Ok(Ok(fetched)) => fetched,
            Ok(Err(error)) => {
                let error = Arc::new(error);
                if let Some(stale) = stale {
                    return Ok(self.land_on_stale(key, &seat, stale));
                }
                if let Some(negatives) = &self.negatives {
                    let holds = || self.fences.holds(key, ticket.token);
                    negatives.keep(key, Arc::clone(&error) as AnyError, holds);
                }
                seat.announce(Landing::Failed(Arc::clone(&error) as AnyError));
                return Err(FetchError::Origin(error));
            }
            Err(limit) => {
                self.counters.timed_out.add_one();
                if let Some(stale) = stale {
                    return Ok(self.land_on_stale(key, &seat, stale));
                }
                seat.announce(Landing::TimedOut(limit));
                return Err(FetchError::TimedOut { limit });
            }
        };
        let tiers = fetched.options.tiers;
        let (outcome, local, entry) = self.land(&ticket, Some(seat), fetched);
        let _ = self.publish_remotely(ticket, local, entry, tiers).await;
        drop(held); // the other processes find it there by now
        Ok(outcome)
    }

    /// A ticket for what the origin may answer before the remote tier does. Its stamps are those known
    /// here, so if one was changed elsewhere the value counts for nothing there.
    fn hedged_ticket(&self, key: &CacheKey, ask: Ask<'_>) -> Ticket {
        let mut ticket = self.take_ticket(key);
        ticket.tags = self.borne(ask.tags);
        ticket
    }

    /// Stores what was fetched in memory and hands it to those who wait. The remote tier comes later.
    pub(crate) fn land(
        &self,
        ticket: &Ticket,
        seat: Option<Seat<Landing<V>>>,
        fetched: Fetched<V>,
    ) -> (Outcome<V>, Inserted, Entry<V>) {
        let Fetched { value, options } = fetched;
        self.pauses.end(&ticket.key);
        let entry = self.entry(value, options, ticket.tags.clone());
        let local = self.publish_fetched(ticket, &entry, options.tiers);
        // In memory by now, so whoever comes after the landing finds it there.
        let outcome = Outcome::new(entry.clone(), Source::Origin, Freshness::Fresh);
        if matches!(local, Inserted::Stored) {
            self.events.emit(EventKind::Set, &ticket.key);
        }
        if let Some(seat) = seat {
            seat.announce(Landing::Value(Outcome { source: Source::Collapsed, ..outcome.clone() }));
        }
        (outcome, local, entry)
    }

    /// The origin did not answer, and there is a stale value.
    pub(crate) fn land_on_stale(
        &self,
        key: &CacheKey,
        seat: &Seat<Landing<V>>,
        stale: Outcome<V>,
    ) -> Outcome<V> {
        self.pauses.begin(key, self.clock.now(), self.options.stale_retry);
        seat.announce(Landing::Value(stale.clone()));
        self.serve_stale(key, stale)
    }

    fn shed<E>(
        &self,
        key: &CacheKey,
        seat: &Seat<Landing<V>>,
        stale: Option<Outcome<V>>,
    ) -> Result<Outcome<V>, FetchError<E>> {
        self.counters.misses.add_one();
        self.counters.shed.add_one();
        if let Some(stale) = stale {
            return Ok(self.land_on_stale(key, seat, stale));
        }
        seat.announce(Landing::Shed);
        Err(FetchError::Shed)
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

    /// A place for a fetch: while the remote tier is left alone there may be few.
    pub(crate) fn room_for_fetch(&self) -> Result<Option<tokio::sync::OwnedSemaphorePermit>, Full> {
        match (&self.room, &self.l2) {
            (Some(room), Some(l2)) if l2.is_left_alone() => room.enter().map(Some).ok_or(Full),
            _ => Ok(None),
        }
    }

    /// Takes what the leader brought; `None` if it cannot be shared with this caller.
    pub(crate) fn follow<E>(
        &self,
        landing: &Landing<V>,
    ) -> Option<Result<Outcome<V>, FetchError<E>>>
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
                if outcome.is_stale() {
                    self.counters.stale.add_one();
                }
                (Ok(outcome.clone()), lookup)
            }
            Landing::Failed(error) => {
                let error = Arc::clone(error).downcast::<E>().ok()?;
                (Err(FetchError::Origin(error)), &self.counters.misses)
            }
            Landing::TimedOut(limit) => {
                (Err(FetchError::TimedOut { limit: *limit }), &self.counters.misses)
            }
            Landing::Shed => (Err(FetchError::Shed), &self.counters.misses),
        };
        lookup.add_one();
        self.counters.collapsed.add_one();
        Some(result)
    }
}

/// No place for a fetch.
#[derive(Debug)]
pub(crate) struct Full;

/// Who answered first.
enum Raced<A, B> {
    Found(A),
    Fetched(B),
}

/// Waits for the tiers, and from `after` on for the origin too.
async fn race<A, B>(
    after: Option<Duration>,
    mut finding: Pin<&mut impl Future<Output = A>>,
    fetching: Pin<&mut impl Future<Output = B>>,
) -> Raced<A, B> {
    let Some(after) = after else { return Raced::Found(finding.await) };
    if let Ok(found) = tokio::time::timeout(after, &mut finding).await {
        return Raced::Found(found);
    }
    // The tiers are looked at first.
    match select(finding, fetching).await {
        Either::Left((found, _)) => Raced::Found(found),
        Either::Right((fetched, _)) => Raced::Fetched(fetched),
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
