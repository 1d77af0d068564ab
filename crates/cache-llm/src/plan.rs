//! [`Plan`]: what was decided about a request.

use std::sync::Arc;
use std::time::Duration;

use cache_core::{CacheKey, Tag};

use crate::edit::HitOptions;
use crate::embeddings::Batch;
use crate::response::{AnswerKind, Asked, StreamOptions, Transport};
use crate::samples::{Samples, sample};

/// What was decided about a request that may be cached. It owns what it holds: the body may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    key: CacheKey,
    asked: Asked,
    model: Box<str>,
    ttl: Duration,
    grace: Option<Duration>,
    tags: Vec<Tag>,
    hits: Option<HitOptions>,
    shares_failures: bool,
    batch: Option<Arc<Batch>>,
    samples: Samples,
}

impl Plan {
    pub(crate) fn new(
        key: CacheKey,
        asked: Asked,
        model: Box<str>,
        ttl: Duration,
        grace: Option<Duration>,
        tags: Vec<Tag>,
    ) -> Self {
        let (samples, batch, hits) = (Samples::default(), None, None);
        Self { key, asked, model, ttl, grace, tags, hits, shares_failures: true, batch, samples }
    }

    /// The same, answered item by item.
    pub(crate) fn with_batch(mut self, batch: Batch) -> Self {
        let mut keys = batch.keys();
        // One text and a list of one are the same item.
        if let (Some(key), None) = (keys.next(), keys.next()) {
            self.key = key;
        }
        drop(keys);
        self.batch = Some(Arc::new(batch));
        self
    }

    /// The same, with more than one answer. Embeddings have one.
    #[must_use]
    pub fn with_samples(mut self, samples: Samples) -> Self {
        if self.asked.kind != AnswerKind::Embeddings {
            self.samples = samples;
        }
        self
    }

    /// How many answers there are, and which is given out. Default: what the cache was built with.
    pub const fn samples(&self) -> Samples {
        self.samples
    }

    /// The same of one answer only.
    pub(crate) fn with_key(mut self, key: CacheKey) -> Self {
        self.key = key;
        self.samples = Samples::default();
        self
    }

    /// The items to answer one by one.
    pub(crate) fn batch(&self) -> Option<&Arc<Batch>> {
        self.batch.as_ref()
    }

    /// The same, expecting so many results.
    pub(crate) fn with_results(mut self, results: u64) -> Self {
        self.asked.results = Some(results);
        self
    }

    /// What the answer stands under, whatever its transport. Embeddings of more than one item that
    /// differ stand under [`keys`](Self::keys) of their own; then this stands for the request only.
    /// Of several [`Samples`], it is that of the first.
    pub const fn key(&self) -> &CacheKey {
        &self.key
    }

    /// The keys of all entries that the answer may be made of, or be: one; or one for each item that
    /// is to be embedded, or for each of several [`Samples`].
    ///
    /// ```
    /// # use cache_llm::{DualCache, EndpointKind, KeyScope, LlmCache, Tenant};
    /// # let cache = LlmCache::<(), std::io::Error>::builder(DualCache::builder().build()?).build()?;
    /// let scope = KeyScope::new(Tenant::Shared);
    /// let plan = |body: &str| cache.prepare(EndpointKind::Embeddings, body.as_bytes(), &scope);
    /// let batch = plan(r#"{"model":"m","input":["a","b","a"]}"#)?;
    /// assert_eq!(batch.keys().len(), 2);
    /// assert_eq!(batch.keys()[0], *plan(r#"{"model":"m","input":"a"}"#)?.key());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keys(&self) -> Vec<CacheKey> {
        match &self.batch {
            Some(batch) => batch.keys().collect(),
            None => (0..self.samples.count()).map(|number| sample(&self.key, number)).collect(),
        }
    }

    /// What answer the request expects.
    pub const fn asked(&self) -> &Asked {
        &self.asked
    }

    /// What kind of answer it is about.
    pub const fn kind(&self) -> AnswerKind {
        self.asked.kind
    }

    /// How the answer is to travel.
    pub const fn transport(&self) -> Transport {
        self.asked.transport
    }

    /// What the calls for this answer in this transport are known by while they are under way; see
    /// [`DualCache::flight_key`](cache_dual::DualCache::flight_key).
    pub(crate) fn flight(&self) -> CacheKey {
        flight(&self.key, self.asked.transport, self.asked.stream)
    }

    /// The model that the request names.
    pub const fn model(&self) -> &str {
        &self.model
    }

    /// How long the answer is good once it is stored.
    pub const fn ttl(&self) -> Duration {
        self.ttl
    }

    /// The same with another time to live. Zero stores nothing.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How long it is kept beyond that, for when the provider fails, where the request policy says
    /// so.
    pub const fn grace(&self) -> Option<Duration> {
        self.grace
    }

    /// What the answer can be invalidated by: its tenant, its model, and what was added.
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// The same with more tags, for [`LlmCache::remove_tag`](crate::LlmCache::remove_tag).
    #[must_use]
    pub fn with_tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        self.tags.extend(tags);
        self
    }

    /// What hits are to look like to this request, where it is not as the cache has it.
    pub const fn hit_options(&self) -> Option<HitOptions> {
        self.hits
    }

    /// The same with other hits: callers who share answers may want to see other parts of them.
    #[must_use]
    pub fn with_hit_options(mut self, options: HitOptions) -> Self {
        self.hits = Some(options);
        self
    }

    /// Whether this request takes an answer that is not to be stored, such as a 401, from another
    /// caller's call. Default: yes.
    pub const fn shares_failures(&self) -> bool {
        self.shares_failures
    }

    /// The same, making a call of its own rather than taking another caller's failure: for callers
    /// who share answers though their credentials differ.
    #[must_use]
    pub fn with_failures_apart(mut self) -> Self {
        self.shares_failures = false;
        self
    }
}

/// The key of the calls that bring the answer of `key` in one shape.
///
/// Streams of different options are different bytes, so they cannot be joined by the same readers.
/// Keys are digests: one with some bits turned over is nobody else's.
pub(crate) fn flight(key: &CacheKey, transport: Transport, options: StreamOptions) -> CacheKey {
    let shape = match transport {
        Transport::Plain => 0,
        Transport::Stream => {
            let obfuscation = match options.include_obfuscation {
                None => 0,
                Some(true) => 1,
                Some(false) => 2,
            };
            1 + 2 * obfuscation + u8::from(options.include_usage)
        }
    };
    let mut digest = *key.as_bytes();
    digest[31] ^= shape;
    CacheKey::from_digest(digest)
}
