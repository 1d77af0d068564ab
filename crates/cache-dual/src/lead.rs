//! Leading a flight: what its leader does from the look into the tiers to the landing.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use cache_core::{CacheKey, Entry, Inserted, LocalTier};
use futures_util::future::{Either, select};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinError;
use tokio::time::{Instant, timeout_at};

use crate::counters::Op;
use crate::error::{FetchError, OriginError};
use crate::events::EventKind;
use crate::fence::Ticket;
use crate::fetch::{FetchCount, Landing, Terms, within};
use crate::flight::Seat;
use crate::inner::Inner;
use crate::outcome::{Fetched, Freshness, Outcome, Source};
use crate::read::{Ask, Found, Near};

/// A point in time, and the limit that put it there.
pub(crate) type Until = Option<(Duration, Instant)>;

#[allow(clippy::large_enum_variant, reason = "it is taken apart at once")]
/// What came of asking the tiers, with the origin alongside if they took their time.
enum Begun<V, E> {
    /// The origin was first: its value is landed, and stored.
    Landed(Outcome<V>),
    /// The tiers have answered, and the origin has failed if there is an error.
    Found { seat: Seat<Landing<V>>, found: Found<V>, failed: Option<OriginError<E>> },
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> Inner<V, L> {
    /// Sees a flight to its end. `sight` was looked up after the seat was taken: the flight before may
    /// have landed in between.
    pub(crate) async fn lead<F, Fut, E>(
        self: &Arc<Self>,
        key: &CacheKey,
        seat: Seat<Landing<V>>,
        sight: (Near<V>, u64),
        terms: Terms<'_>,
        until: Until,
        fetch: F,
    ) -> Result<Outcome<V>, FetchError<E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Fetched<V>, OriginError<E>>>,
        E: Send + Sync + 'static,
    {
        let (near, epoch) = sight;
        let soft = terms.soft.map(|limit| Instant::now() + limit);
        if let Near::Stale(entry) = &near
            && self.pauses.is_paused(key, self.clock.now())
        {
            let stale = Outcome::new(entry.clone(), Source::L1, Freshness::Stale);
            seat.announce(Landing::Value(stale.clone(), epoch));
            self.counters.l1_hits.add_one();
            return Ok(self.serve_stale(key, stale));
        }
        // Begun at most once: after the remote tier had nothing, or alongside if it takes its time.
        let mut fetching = pin!(self.counted(fetch));
        let due = if let Near::Due(entry) = &near { Some(entry.clone()) } else { None };
        let (seat, found, failed) =
            match self.begin_with_tiers(key, seat, near, terms, fetching.as_mut()).await {
                Begun::Landed(outcome) => return Ok(outcome),
                Begun::Found { seat, found, failed } => (seat, found, failed),
            };
        let (found, held) = match found {
            Found::Miss { ticket, stale } if failed.is_none() => {
                self.lease_or_wait(ticket, stale, due, terms.ask, until).await
            }
            found => (found, None),
        };
        let (ticket, stale) = match found {
            Found::Hit(outcome) => {
                self.count_hit(key, outcome.source);
                let outcome =
                    if outcome.is_stale() { self.serve_stale(key, outcome) } else { outcome };
                seat.announce(Landing::Value(outcome.clone(), epoch));
                return Ok(outcome);
            }
            Found::Miss { ticket, stale } => (ticket, stale),
        };
        let Ok(_room) = self.room_for_fetch() else { return self.shed(key, &seat, stale, epoch) };
        self.counters.misses.add_one();
        self.events.emit(EventKind::Miss, key);
        let fetched = match (failed, soft, &stale) {
            (Some(error), ..) => Ok(Err(error)),
            (None, Some(soft), Some(stale)) => {
                if let Ok(fetched) = timeout_at(soft, &mut fetching).await {
                    Ok(fetched)
                } else {
                    // The fetch goes on behind those who wait.
                    seat.announce(Landing::Value(stale.clone(), epoch));
                    within(until, &mut fetching).await
                }
            }
            (None, ..) => within(until, &mut fetching).await,
        };
        match fetched {
            Ok(Ok(fetched)) => {
                let tiers = fetched.options.tiers;
                let (outcome, local, entry) = self.land(&ticket, seat, fetched);
                // The lease ends when other processes find it there.
                let _ = self.publish_remotely(ticket, local, entry, tiers, held).await;
                Ok(outcome)
            }
            Ok(Err(error)) => self.fail(&ticket, &seat, stale, epoch, error),
            Err(limit) => {
                self.counters.timed_out.add_one();
                if let Some(stale) = stale {
                    return Ok(self.land_on_stale(key, &seat, stale, epoch));
                }
                seat.announce(Landing::TimedOut(limit));
                Err(FetchError::TimedOut { limit })
            }
        }
    }

    /// A fetch, counted and timed from its first poll on.
    async fn counted<F, Fut, E>(&self, fetch: F) -> Result<Fetched<V>, OriginError<E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Fetched<V>, OriginError<E>>>,
    {
        let (count, started) = (FetchCount::begin(&self.counters), Instant::now());
        let fetched = fetch().await;
        if fetched.is_ok() {
            count.succeeded();
            self.counters.time(Op::Fetch, started.elapsed());
        }
        fetched
    }

    /// Asks the tiers, and from the hedging delay on the origin too: whoever has a value first.
    async fn begin_with_tiers<E>(
        self: &Arc<Self>,
        key: &CacheKey,
        seat: Seat<Landing<V>>,
        near: Near<V>,
        terms: Terms<'_>,
        fetching: Pin<&mut impl Future<Output = Result<Fetched<V>, OriginError<E>>>>,
    ) -> Begun<V, E> {
        let Some(after) = terms.hedge else {
            let found = self.find(key, near, terms.ask).await;
            return Begun::Found { seat, found, failed: None };
        };
        // In a task, so that nobody has to wait for it who has a value.
        let mut finding = tokio::spawn({
            let (inner, key, tags) = (Arc::clone(self), *key, terms.ask.tags.to_vec());
            let remote_deadline = terms.ask.remote_deadline;
            async move { inner.find(&key, near, Ask { tags: &tags, remote_deadline }).await }
        });
        // It ends early only with its runtime.
        let found_or_none = |found: Result<Found<V>, JoinError>| {
            found.unwrap_or_else(|_| Found::Miss { ticket: self.take_ticket(key), stale: None })
        };
        if let Ok(found) = tokio::time::timeout(after, &mut finding).await {
            return Begun::Found { seat, found: found_or_none(found), failed: None };
        }
        let mut ticket = self.ticket_for_hedge(key, terms.ask);
        let fetched = match select(&mut finding, fetching).await {
            // The one that loses is not polled again here, and begun at most once all the same.
            Either::Left((found, _)) => {
                return Begun::Found { seat, found: found_or_none(found), failed: None };
            }
            Either::Right((fetched, _)) => fetched,
        };
        self.counters.hedged.add_one();
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(error) => {
                let found = found_or_none(finding.await);
                return Begun::Found { seat, found, failed: Some(error) };
            }
        };
        self.counters.misses.add_one();
        self.events.emit(EventKind::Miss, key);
        let tiers = fetched.options.tiers;
        let (outcome, local, entry) = self.land(&ticket, seat, fetched);
        // Without the remote tier's answer nothing can be stored there.
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            // Nor what bears other stamps than the tags do: it would only be in the way.
            if let Ok(Found::Miss { ticket: found, .. }) = finding.await
                && found.tags == ticket.tags
            {
                ticket.fence = found.fence;
                let _ = inner.publish_remotely(ticket, local, entry, tiers, None).await;
            }
        });
        Begun::Landed(outcome)
    }

    /// A ticket for what the origin may answer before the remote tier does. Its stamps are those known
    /// here, so if one was changed elsewhere the value counts for nothing there.
    fn ticket_for_hedge(&self, key: &CacheKey, ask: Ask<'_>) -> Ticket {
        let mut ticket = self.take_ticket(key);
        ticket.tags = self.borne(ask.tags);
        ticket
    }

    /// The origin failed: a stale value if there is one, or else the error, kept if that is wanted.
    fn fail<E>(
        &self,
        ticket: &Ticket,
        seat: &Seat<Landing<V>>,
        stale: Option<Outcome<V>>,
        epoch: u64,
        error: OriginError<E>,
    ) -> Result<Outcome<V>, FetchError<E>>
    where
        E: Send + Sync + 'static,
    {
        if let Some(stale) = stale {
            return Ok(self.land_on_stale(&ticket.key, seat, stale, epoch));
        }
        if let Some(negatives) = &self.negatives {
            let holds = || self.caches() && self.fences.holds(&ticket.key, ticket.token);
            negatives.keep(&ticket.key, error.erased(), holds);
        }
        seat.announce(Landing::Failed(error.erased()));
        Err(FetchError::Origin(error))
    }

    /// Stores what was fetched in memory and hands it to those who wait. The remote tier comes later.
    pub(crate) fn land(
        &self,
        ticket: &Ticket,
        seat: Seat<Landing<V>>,
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
        let shared = Outcome { source: Source::Collapsed, ..outcome.clone() };
        seat.announce(Landing::Value(shared, ticket.epoch));
        drop(seat); // nobody need wait for the remote tier
        (outcome, local, entry)
    }

    /// The origin did not answer, and there is a stale value.
    pub(crate) fn land_on_stale(
        &self,
        key: &CacheKey,
        seat: &Seat<Landing<V>>,
        stale: Outcome<V>,
        epoch: u64,
    ) -> Outcome<V> {
        self.pauses.begin(key, self.clock.now(), self.options.stale_retry);
        seat.announce(Landing::Value(stale.clone(), epoch));
        self.serve_stale(key, stale)
    }

    fn shed<E>(
        &self,
        key: &CacheKey,
        seat: &Seat<Landing<V>>,
        stale: Option<Outcome<V>>,
        epoch: u64,
    ) -> Result<Outcome<V>, FetchError<E>> {
        self.counters.misses.add_one();
        self.counters.shed.add_one();
        if let Some(stale) = stale {
            return Ok(self.land_on_stale(key, seat, stale, epoch));
        }
        seat.announce(Landing::Shed);
        Err(FetchError::Shed)
    }

    /// A place for a fetch: while the remote tier is left alone there may be few.
    pub(crate) fn room_for_fetch(&self) -> Result<Option<OwnedSemaphorePermit>, Full> {
        match (&self.room, &self.l2) {
            (Some(room), Some(l2)) if l2.is_left_alone() => room.enter().map(Some).ok_or(Full),
            _ => Ok(None),
        }
    }
}

/// No place for a fetch.
#[derive(Debug)]
pub(crate) struct Full;
