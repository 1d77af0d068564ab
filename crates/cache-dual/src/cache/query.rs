//! [`Query`]: one call with options of its own.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use cache_core::{CacheKey, Inserted, LocalTier, Tag};
use futures_util::FutureExt as _;

use crate::cache::DualCache;
use crate::detached_options::DetachedOptions;
use crate::error::{FetchError, FetchFailure, shared};
use crate::fence::Ticket;
use crate::fetch::Terms;
use crate::outcome::{Fetched, InsertOptions, Lookup, Outcome};

/// One call about one key, with options of its own. Made by [`DualCache::query`].
///
/// ```
/// use cache_dual::{DualCache, InsertOptions, Tag};
/// # use cache_dual::CacheKey;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let cache: DualCache<String> = DualCache::builder().build()?;
/// # let key = CacheKey::from_text("capital of France");
/// let model = Tag::named("model:small");
/// cache.query(&key).tags(&[model]).insert("Paris".to_owned(), InsertOptions::new()).await;
/// cache.remove_tag(&model).await?; // and with it everything that the model said
/// assert!(cache.get(&key).await.is_none());
/// # Ok(())
/// # }
/// ```
#[must_use = "a query does nothing until it is asked"]
pub struct Query<'a, V, L> {
    cache: &'a DualCache<V, L>,
    key: CacheKey,
    terms: Terms<'a>,
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> DualCache<V, L> {
    /// A call about `key` with options of its own.
    pub fn query<'a>(&'a self, key: &CacheKey) -> Query<'a, V, L> {
        Query { cache: self, key: *key, terms: self.inner.terms() }
    }
}

impl<'a, V: Clone + Send + Sync + 'static, L: LocalTier<V>> Query<'a, V, L> {
    /// What the value can be invalidated by, if one is stored because of this call. They have to be
    /// known before the value is fetched: an invalidation in between must not be missed.
    ///
    /// Values under way that have tags are shared only with callers who give some too.
    pub const fn tags(mut self, tags: &'a [Tag]) -> Self {
        self.terms.ask.tags = tags;
        self
    }

    /// How long the remote tier may take to answer this call.
    pub const fn remote_deadline(mut self, deadline: Duration) -> Self {
        self.terms.ask.remote_deadline = Some(deadline);
        self
    }

    /// See [`DualOptions::hard_timeout`](crate::DualOptions::hard_timeout). For this caller only: one who
    /// waits for another's fetch has a limit of its own.
    pub const fn hard_timeout(mut self, limit: Duration) -> Self {
        self.terms.hard = Some(limit);
        self
    }

    /// See [`DualOptions::hedge_after`](crate::DualOptions::hedge_after).
    pub const fn hedge_after(mut self, delay: Duration) -> Self {
        self.terms.hedge = Some(delay);
        self
    }

    /// As [`DualCache::get`].
    pub async fn get(self) -> Option<Outcome<V>> {
        match self.lookup().await {
            Lookup::Hit(outcome) => Some(outcome),
            Lookup::Miss(_) => None,
        }
    }

    /// As [`DualCache::lookup`].
    pub async fn lookup(self) -> Lookup<V> {
        let inner = &self.cache.inner;
        inner.lookup(&self.key, inner.near(&self.key), self.terms.ask).await
    }

    /// As [`DualCache::ticket`].
    pub async fn ticket(self) -> Ticket {
        self.cache.inner.listen();
        self.cache.inner.ticket(&self.key, self.terms.ask.tags).await
    }

    /// As [`DualCache::get_or_fetch`].
    ///
    /// # Errors
    ///
    /// As those of [`DualCache::get_or_fetch`].
    pub async fn get_or_fetch<F, Fut, T, E, K>(self, fetch: F) -> Result<Outcome<V>, FetchError<E>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        T: Into<Fetched<V>>,
        E: FetchFailure<K>,
    {
        let inner = &self.cache.inner;
        if let Some(outcome) = inner.hit(&self.key) {
            return Ok(outcome);
        }
        inner.listen();
        let fetch = || async { shared(fetch().await.map(Into::into)) };
        Box::pin(inner.get_or_fetch(&self.key, self.terms, fetch)).await
    }

    /// As [`DualCache::get_or_fetch_detached`].
    ///
    /// # Errors
    ///
    /// As those of [`DualCache::get_or_fetch`].
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, unless it is a hit in memory.
    pub async fn get_or_fetch_detached<F, Fut, T, E, K>(
        self,
        options: DetachedOptions,
        fetch: F,
    ) -> Result<Outcome<V>, FetchError<E>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<Fetched<V>>,
        E: FetchFailure<K>,
    {
        let inner = &self.cache.inner;
        inner.listen();
        let DetachedOptions { soft_timeout: soft, eager_refresh: eager } = options;
        let terms = Terms { soft, eager, ..self.terms };
        // Whatever the fetch is made of, only the caller's own parts go into the task.
        let fetch = move || fetch().map(|fetched| shared(fetched.map(Into::into)));
        inner.get_or_fetch_detached(&self.key, terms, fetch).await
    }

    /// As [`DualCache::insert`].
    pub async fn insert(self, value: V, options: InsertOptions) -> Inserted {
        let inner = &self.cache.inner;
        inner.listen();
        inner.insert(&self.key, value, options, self.terms.ask.tags).await
    }
}

impl<V, L> fmt::Debug for Query<'_, V, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut query = f.debug_struct("Query");
        query.field("key", &self.key.short()).field("terms", &self.terms).finish_non_exhaustive()
    }
}
