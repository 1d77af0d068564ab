//! Fetching through a flight: what its leader does, and what its followers make of it.

use std::any::Any;
use std::error::Error as StdError;
use std::future::Future;
use std::sync::Arc;

use cache_core::{CacheKey, LocalTier};

use crate::counters::Counters;
use crate::error::FetchError;
use crate::flight::{Heard, Role, Seat};
use crate::inner::Inner;
use crate::outcome::{Fetched, Lookup, Outcome, Source};

/// How a flight ended.
pub(crate) enum Landing<V> {
    Value(Outcome<V>),
    /// The leader's error, an `Arc<E>` of the leader's own `E`.
    Failed(Arc<dyn Any + Send + Sync>),
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> Inner<V, L> {
    pub(crate) async fn get_or_fetch<F, Fut, E>(
        &self,
        key: &CacheKey,
        fetch: F,
    ) -> Result<Outcome<V>, FetchError<E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Fetched<V>, E>>,
        E: StdError + Send + Sync + 'static,
    {
        loop {
            match self.flights.join(*key) {
                Role::Leader(seat) => return self.lead(key, seat, fetch).await,
                Role::Follower(follower) => match follower.news().await {
                    // An error of another type than ours cannot be shared: ask ourselves.
                    Heard::News(landing) => {
                        if let Some(result) = self.follow(&landing) {
                            return result;
                        }
                    }
                    Heard::Gone => {} // somebody else leads now, maybe this call
                    Heard::Panicked => {
                        self.counters.misses.add_one();
                        self.counters.collapsed.add_one();
                        return Err(FetchError::Panicked);
                    }
                },
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
        let count = FetchCount::begin(&self.counters);
        let Fetched { value, options } = match fetch().await {
            Ok(fetched) => fetched,
            Err(error) => {
                let error = Arc::new(error);
                seat.announce(Landing::Failed(Arc::clone(&error) as Arc<dyn Any + Send + Sync>));
                return Err(FetchError::Origin(error));
            }
        };
        count.succeeded();
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
