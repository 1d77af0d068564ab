//! Many keys at once.

use std::collections::HashMap;
use std::future::Future;
use std::hash::BuildHasher;

use cache_core::{CacheKey, LocalTier, Tag};
use futures_util::FutureExt as _;

use crate::cache::DualCache;
use crate::error::{FetchError, FetchFailure, shared};
use crate::outcome::{Lookup, Outcome};

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> DualCache<V, L> {
    /// The values of `keys`, one answer a key in their order, duplicates included. What memory does not
    /// have is asked of the remote tier in one round trip.
    pub async fn get_many(&self, keys: &[CacheKey]) -> Vec<Option<Outcome<V>>> {
        let lookups = self.lookup_many(keys, &[]).await.into_iter();
        let found = lookups.map(|lookup| match lookup {
            Lookup::Hit(outcome) => Some(outcome),
            Lookup::Miss(_) => None,
        });
        found.collect()
    }

    /// As [`get_many`](Self::get_many); each miss comes with the [`Ticket`](crate::Ticket) that its value
    /// can be handed in with, with options of its own, for callers who cannot fetch inside
    /// [`get_or_fetch_many`](Self::get_or_fetch_many). `tags` are those that all of them are to have; see
    /// [`Query::tags`](crate::Query::tags).
    pub async fn lookup_many(&self, keys: &[CacheKey], tags: &[Tag]) -> Vec<Lookup<V>> {
        self.inner.listen();
        self.inner.lookup_many(keys, tags).await
    }

    /// The values of `keys`, one answer a key in their order, duplicates included. Those that no tier
    /// has are fetched in one call, each of them once: `fetch` is told which, and returns the values of
    /// as many as it can. Keys that another caller is fetching are waited for; should that caller go
    /// away, `fetch` is called again, for them.
    ///
    /// `None` stands for a key that `fetch` returned no value for. Values of keys that it was not asked
    /// for are ignored.
    ///
    /// What is about one key each has no say here: [`hedge_after`](crate::DualOptions::hedge_after) and
    /// [`lease`](crate::DualOptions::lease); and an error of a batch is none of its keys', so that
    /// [`negative_ttl`](crate::DualOptions::negative_ttl) keeps none.
    ///
    /// # Errors
    ///
    /// What `fetch` returned, shared by all who waited for any of its keys; what others' fetches
    /// returned that this call waited for. Values that were fetched before are stored all the same.
    pub async fn get_or_fetch_many<F, Fut, E, S, K>(
        &self,
        keys: &[CacheKey],
        mut fetch: F,
    ) -> Result<Vec<Option<Outcome<V>>>, FetchError<E>>
    where
        F: FnMut(Vec<CacheKey>) -> Fut,
        Fut: Future<Output = Result<HashMap<CacheKey, V, S>, E>>,
        E: FetchFailure<K>,
        S: BuildHasher,
    {
        self.inner.listen();
        let fetch = |keys| fetch(keys).map(shared);
        self.inner.get_or_fetch_many(keys, fetch).await
    }
}
