//! Fetches in tasks of their own: they go on when their callers leave, so a stale value can be served
//! while they do.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cache_core::{CacheKey, Entry, LocalTier, Tag};
use tokio::time::{Instant, timeout_at};

use crate::error::{FetchError, OriginError};
use crate::fetch::{Landing, Terms, within};
use crate::flight::{Follower, Heard, Role, Seat};
use crate::inner::Inner;
use crate::outcome::{Fetched, Freshness, Outcome, Source};
use crate::read::{Ask, Near};

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> Inner<V, L> {
    pub(crate) async fn get_or_fetch_detached<F, Fut, E>(
        self: &Arc<Self>,
        key: &CacheKey,
        terms: Terms<'_>,
        fetch: F,
    ) -> Result<Outcome<V>, FetchError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Fetched<V>, OriginError<E>>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        if !self.caches() {
            return self.pass(fetch).await;
        }
        let near = self.near(key);
        if let Near::Fresh(entry) = near {
            if self.is_due(key, &entry, terms.eager)
                && let Role::Leader(seat) = self.flights_of(terms.ask).join(*key)
                // The flight before may have landed meanwhile.
                && let (Near::Fresh(entry), epoch) = self.sight(key)
                && self.is_due(key, &entry, terms.eager)
            {
                self.counters.refreshes.add_one();
                self.begin(key, seat, (Near::Due(entry), epoch), terms, fetch);
            }
            let outcome = Outcome::new(entry, Source::L1, Freshness::Fresh);
            self.count_hit(key, Source::L1);
            return Ok(outcome);
        }
        if let Near::Stale(entry) = near
            && terms.soft == Some(Duration::ZERO)
        {
            if !self.pauses.is_paused(key, self.clock.now())
                && let Role::Leader(seat) = self.flights_of(terms.ask).join(*key)
                && let sight @ (Near::Stale(_), _) = self.sight(key)
            {
                self.counters.refreshes.add_one();
                self.begin(key, seat, sight, terms, fetch);
            }
            let stale = Outcome::new(entry, Source::L1, Freshness::Stale);
            self.count_hit(key, Source::L1);
            return Ok(self.serve_stale(key, stale));
        }
        if let Some(result) = self.failed_of_late(key) {
            return result;
        }
        let until = terms.hard.map(|limit| (limit, Instant::now() + limit));
        let soft = terms.soft.map(|limit| Instant::now() + limit);
        let mut fetch = Some(fetch);
        loop {
            let (follower, is_own) = match self.flights_of(terms.ask).join(*key) {
                Role::Follower(follower) => (follower, false),
                Role::Leader(seat) => {
                    // Ours ended without news: its runtime is being shut down.
                    let Some(fetch) = fetch.take() else { return Err(FetchError::Panicked) };
                    let follower = seat.follower();
                    self.begin(key, seat, self.sight(key), terms, fetch);
                    (follower, true)
                }
            };
            // Another's flight may know of no soft timeout, or of a longer one.
            if !is_own
                && let Some(soft) = soft.filter(|soft| until.is_none_or(|(_, hard)| *soft < hard))
                && timeout_at(soft, follower.news()).await.is_err()
                && let Near::Stale(entry) = self.near(key)
            {
                self.count_hit(key, Source::L1);
                let stale = Outcome::new(entry, Source::L1, Freshness::Stale);
                return Ok(self.serve_stale(key, stale));
            }
            if let Some(result) = self.wait(key, until, &follower, is_own).await {
                return result;
            }
            self.flights_of(terms.ask).detach_from(key, &follower);
        }
    }

    /// The news of a flight; `None` if it has none for this caller.
    async fn wait<E>(
        &self,
        key: &CacheKey,
        until: Option<(Duration, Instant)>,
        follower: &Follower<Landing<V>>,
        is_own: bool,
    ) -> Option<Result<Outcome<V>, FetchError<E>>>
    where
        E: Send + Sync + 'static,
    {
        match within(until, follower.news()).await {
            // The task has counted what it did for its own caller.
            Ok(Heard::News(landing)) if is_own => Self::taken(&landing),
            Ok(Heard::News(landing)) => self.follow(key, &landing),
            Ok(Heard::Gone) => None,
            Ok(Heard::Panicked) => {
                self.counters.misses.add_one();
                Some(Err(FetchError::Panicked))
            }
            Err(limit) => Some(self.give_up(key, limit)),
        }
    }

    /// What the caller's own task brought.
    fn taken<E>(landing: &Landing<V>) -> Option<Result<Outcome<V>, FetchError<E>>>
    where
        E: Send + Sync + 'static,
    {
        Some(match landing {
            Landing::Value(outcome, _) => {
                let source = match outcome.source {
                    Source::Collapsed => Source::Origin,
                    source => source,
                };
                Ok(Outcome { source, ..outcome.clone() })
            }
            Landing::Failed(error) => Err(FetchError::Origin(OriginError::of(Arc::clone(error))?)),
            Landing::TimedOut(limit) => Err(FetchError::TimedOut { limit: *limit }),
            Landing::Shed => Err(FetchError::Shed),
        })
    }

    /// Has a flight led by a task. It ends by itself, whoever waits, and within no time limit.
    fn begin<F, Fut, E>(
        self: &Arc<Self>,
        key: &CacheKey,
        seat: Seat<Landing<V>>,
        sight: (Near<V>, u64),
        terms: Terms<'_>,
        fetch: F,
    ) where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Fetched<V>, OriginError<E>>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let (inner, key) = (Arc::clone(self), *key);
        let tags: Vec<Tag> = terms.ask.tags.to_vec();
        let Terms { ask: Ask { remote_deadline, .. }, soft, hedge, .. } = terms;
        tokio::spawn(async move {
            let ask = Ask { tags: &tags, remote_deadline };
            let terms = Terms { ask, hard: None, hedge, soft, eager: None };
            // Whoever waits has it from the flight.
            let _ = inner.lead(&key, seat, sight, terms, None, fetch).await;
        });
    }

    /// Whether so much of an entry's fresh life is over that it is to be fetched anew.
    fn is_due(&self, key: &CacheKey, entry: &Entry<V>, eager: Option<f64>) -> bool {
        let Some(share) = eager else { return false };
        let life = entry.fresh_until.saturating_since(entry.stored_at);
        let now = self.clock.now();
        now.saturating_since(entry.stored_at) >= life.mul_f64(share)
            && !self.pauses.is_paused(key, now)
    }
}
