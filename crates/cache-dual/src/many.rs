//! Lookups and fetches of many keys at once.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::hash::BuildHasher;
use std::sync::Arc;

use cache_core::{BuildKeyHasher, CacheKey, LocalTier, Lookup, Tag};
use futures_util::future::join_all;

use crate::error::{FetchError, OriginError};
use crate::events::EventKind;
use crate::fence::Ticket;
use crate::fetch::{FetchCount, Landing, within};
use crate::flight::{Heard, Role, Seat};
use crate::inner::Inner;
use crate::outcome::{self, Fetched, Outcome, Tiers};
use crate::read::{Found, Near};

type ByKey<T> = HashMap<CacheKey, T, BuildKeyHasher>;

/// A key that this call fetches.
struct Led<V> {
    seat: Seat<Landing<V>>,
    ticket: Ticket,
    stale: Option<Outcome<V>>,
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> Inner<V, L> {
    /// What both tiers have of `keys`, in one round trip: an answer a key, in order. Not counted.
    pub(crate) async fn find_many(&self, keys: &[CacheKey], tags: &[Tag]) -> Vec<Found<V>> {
        let near: Vec<Near<V>> = keys.iter().map(|key| self.near(key)).collect();
        let tickets: Vec<Ticket> = keys.iter().map(|key| self.take_ticket(key)).collect();
        let missing: HashSet<CacheKey, BuildKeyHasher> = keys
            .iter()
            .zip(&near)
            .filter(|(_, near)| !matches!(near, Near::Fresh(_)))
            .map(|(key, _)| *key)
            .collect();
        let missing: Vec<CacheKey> = missing.into_iter().collect();
        let answers = self.ask_remote_for(&missing, tags).await;
        let mut found = Vec::with_capacity(keys.len());
        let mut seen = HashSet::with_hasher(BuildKeyHasher);
        for ((key, near), mut ticket) in keys.iter().zip(near).zip(tickets) {
            ticket.tags = self.borne(tags);
            let answer = answers.as_ref().and_then(|answers| answers.get(key).cloned());
            // A duplicate finds what the first of its kind brought into memory.
            let near = if seen.insert(*key) { near } else { self.near(key) };
            found.push(self.weigh_up(ticket, near, answer).await);
        }
        found
    }

    /// The remote tier's answers; `None` if it gave none.
    async fn ask_remote_for(&self, keys: &[CacheKey], tags: &[Tag]) -> Option<ByKey<Lookup>> {
        let l2 = self.l2.as_ref().filter(|_| self.caches())?;
        if keys.is_empty() {
            return None;
        }
        let unsure = self.unsure(self.scoped(tags));
        let all: Vec<CacheKey> =
            keys.iter().copied().chain(unsure.iter().map(|question| question.key)).collect();
        let mut lookups = l2.get_many(&all, None).await?.into_iter();
        let answers = keys.iter().copied().zip(lookups.by_ref()).collect();
        for (question, found) in unsure.into_iter().zip(lookups) {
            self.learn(l2, question, found).await;
        }
        Some(answers)
    }

    /// Counted lookups.
    pub(crate) async fn lookup_many(
        &self,
        keys: &[CacheKey],
        tags: &[Tag],
    ) -> Vec<outcome::Lookup<V>> {
        if !self.caches() {
            self.counters.misses.add(keys.len() as u64);
            return keys.iter().map(|key| outcome::Lookup::Miss(self.take_ticket(key))).collect();
        }
        let found = self.find_many(keys, tags).await.into_iter().zip(keys);
        let counted = found.map(|(found, key)| match found {
            Found::Hit(outcome) => {
                self.count_hit(key, outcome.source);
                outcome::Lookup::Hit(outcome)
            }
            Found::Miss { ticket, .. } => {
                self.counters.misses.add_one();
                self.events.emit(EventKind::Miss, key);
                outcome::Lookup::Miss(ticket)
            }
        });
        counted.collect()
    }

    pub(crate) async fn get_or_fetch_many<F, Fut, E, S>(
        self: &Arc<Self>,
        keys: &[CacheKey],
        mut fetch: F,
    ) -> Result<Vec<Option<Outcome<V>>>, FetchError<E>>
    where
        F: FnMut(Vec<CacheKey>) -> Fut,
        Fut: Future<Output = Result<HashMap<CacheKey, V, S>, OriginError<E>>>,
        E: Send + Sync + 'static,
        S: BuildHasher,
    {
        let mut seen = HashSet::with_hasher(BuildKeyHasher);
        let mut open: Vec<CacheKey> =
            keys.iter().copied().filter(|key| seen.insert(*key)).collect();
        let mut done: ByKey<Option<Outcome<V>>> = HashMap::with_hasher(BuildKeyHasher);
        // More than one round only for keys whose leader went away.
        while !open.is_empty() {
            let (mut seats, mut others) = (Vec::new(), Vec::new());
            for key in std::mem::take(&mut open) {
                if let Some(outcome) = self.hit(&key) {
                    done.insert(key, Some(outcome));
                } else if let Some(Err(error)) = self.failed_of_late::<E>(&key) {
                    return Err(error);
                } else if !self.caches() {
                    seats.push((key, Seat::alone()));
                } else {
                    match self.flights.join(key) {
                        Role::Leader(seat) => seats.push((key, seat)),
                        Role::Follower(follower) => others.push((key, follower)),
                    }
                }
            }
            // Ours first, whoever we wait for: so two calls never wait for each other.
            self.lead_many(seats, &mut done, &mut fetch).await?;
            let until = self.options.hard_timeout.map(|d| (d, tokio::time::Instant::now() + d));
            for (key, follower) in others {
                match within(until, follower.news()).await {
                    Ok(Heard::News(landing)) => {
                        if let Some(result) = self.follow(&key, &landing) {
                            drop(done.insert(key, Some(result?)));
                        } else {
                            self.flights.detach_from(&key, &follower);
                            open.push(key);
                        }
                    }
                    Ok(Heard::Gone) => open.push(key),
                    Ok(Heard::Panicked) => return Err(FetchError::Panicked),
                    Err(limit) => drop(done.insert(key, Some(self.give_up(&key, limit)?))),
                }
            }
        }
        Ok(keys.iter().map(|key| done.get(key).cloned().flatten()).collect())
    }

    /// Sees many flights to their end, with one fetch for those that no tier has a value for.
    async fn lead_many<F, Fut, E, S>(
        self: &Arc<Self>,
        seats: Vec<(CacheKey, Seat<Landing<V>>)>,
        done: &mut ByKey<Option<Outcome<V>>>,
        fetch: &mut F,
    ) -> Result<(), FetchError<E>>
    where
        F: FnMut(Vec<CacheKey>) -> Fut,
        Fut: Future<Output = Result<HashMap<CacheKey, V, S>, OriginError<E>>>,
        E: Send + Sync + 'static,
        S: BuildHasher,
    {
        let keys: Vec<CacheKey> = seats.iter().map(|(key, _)| *key).collect();
        let mut led = Vec::new();
        let epoch = self.epochs.now();
        for ((key, seat), found) in seats.into_iter().zip(self.find_many(&keys, &[]).await) {
            match found {
                Found::Hit(outcome) => {
                    self.count_hit(&key, outcome.source);
                    seat.announce(Landing::Value(outcome.clone(), epoch));
                    done.insert(key, Some(outcome));
                }
                Found::Miss { ticket, stale } => {
                    self.counters.misses.add_one();
                    self.events.emit(EventKind::Miss, &key);
                    led.push(Led { seat, ticket, stale });
                }
            }
        }
        if led.is_empty() {
            return Ok(());
        }
        let Ok(_room) = self.room_for_fetch() else {
            self.counters.shed.add(led.len() as u64);
            return self.fail_many(led, done, &Landing::Shed, &FetchError::Shed);
        };
        let count = FetchCount::begin(&self.counters);
        let until = self.options.hard_timeout.map(|d| (d, tokio::time::Instant::now() + d));
        let fetching = fetch(led.iter().map(|led| led.ticket.key).collect());
        let mut values = match within(until, fetching).await {
            Ok(Ok(values)) => values,
            Ok(Err(error)) => {
                let landing = Landing::Failed(error.erased());
                return self.fail_many(led, done, &landing, &FetchError::Origin(error));
            }
            Err(limit) => {
                self.counters.timed_out.add_one();
                let error = FetchError::TimedOut { limit };
                return self.fail_many(led, done, &Landing::TimedOut(limit), &error);
            }
        };
        count.succeeded();
        let mut stores = Vec::new();
        for Led { seat, ticket, .. } in led {
            let key = ticket.key;
            // Without a value, those who wait for it ask for themselves.
            let Some(value) = values.remove(&key) else {
                done.insert(key, None);
                continue;
            };
            let (outcome, local, entry) = self.land(&ticket, seat, Fetched::new(value));
            done.insert(key, Some(outcome));
            stores.push(self.publish_remotely(ticket, local, entry, Tiers::All, None));
        }
        let _counted = join_all(stores).await;
        Ok(())
    }

    /// No value was fetched: stale ones where there are any; for the others, `error`.
    fn fail_many<E>(
        &self,
        led: Vec<Led<V>>,
        done: &mut ByKey<Option<Outcome<V>>>,
        landing: &Landing<V>,
        error: &FetchError<E>,
    ) -> Result<(), FetchError<E>> {
        let mut result = Ok(());
        for Led { seat, ticket, stale } in led {
            if let Some(stale) = stale {
                done.insert(
                    ticket.key,
                    Some(self.land_on_stale(&ticket.key, &seat, stale, ticket.epoch)),
                );
            } else {
                seat.announce(landing.clone());
                result = Err(error.clone());
            }
        }
        result
    }
}
