//! [`LlmCache`]: the policies, the cache and the flights put together.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use cache_core::{CacheKey, Error};
use cache_dual::flight::Flights;
use cache_dual::{DualCache, Freshness, InsertOptions, Outcome, Source};
use cache_key::{EndpointKind, KeyScope, Request};

use crate::cassette::Cassette;
use crate::embeddings::{Batch, EmbeddingOptions, Items};
use crate::not_stored::NotStored;
use crate::origin::Origin;
use crate::plan::{Plan, flights};
use crate::replay::ReplayOptions;
use crate::reply::{AnswerError, Body, CacheMode, Hit, Passed, Reply, Storage};
use crate::request::{Bypass, PolicyError, RequestPolicy};
use crate::response::{ResponsePolicy, Transport};
use crate::samples::{Samples, Turns};
use crate::streamed::Announced;
use crate::view::{View, view};

/// Answers requests from a cache, or from the provider and into the cache.
///
/// `H` and `E` are the [`Origin::Head`] and [`Origin::Error`] of the calls that it makes. Clones
/// share everything. See the [crate documentation](crate).
pub struct LlmCache<H, E> {
    pub(crate) inner: Arc<Inner<H, E>>,
}

pub(crate) struct Inner<H, E> {
    pub(crate) dual: DualCache<Bytes>,
    pub(crate) requests: RequestPolicy,
    pub(crate) responses: Arc<ResponsePolicy>,
    pub(crate) replay: ReplayOptions,
    pub(crate) flights: Flights<Announced<H, E>>,
    pub(crate) embeddings: EmbeddingOptions,
    pub(crate) items: Items<H, E>,
    pub(crate) samples: Samples,
    pub(crate) turns: Turns,
    pub(crate) cassette: Option<Cassette>,
}

impl<H, E> LlmCache<H, E>
where
    H: Clone + Send + Sync + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    /// Starts with the default policies, on top of `dual`.
    pub fn builder(dual: DualCache<Bytes>) -> LlmCacheBuilder<H, E> {
        LlmCacheBuilder {
            dual,
            requests: RequestPolicy::default(),
            responses: ResponsePolicy::default(),
            replay: ReplayOptions::default(),
            embeddings: EmbeddingOptions::default(),
            samples: Samples::default(),
            cassette: None,
            calls: PhantomData,
        }
    }

    /// Decides on a request and finds its key. The body is parsed once and not kept.
    ///
    /// # Errors
    ///
    /// Why the request is none of the cache's business: it should go to the provider as it is.
    pub fn prepare(
        &self,
        kind: EndpointKind,
        body: &[u8],
        scope: &KeyScope,
    ) -> Result<Plan, Bypass> {
        self.inner.requests.kind(kind)?; // before any work on the body
        let plan = self.inner.requests.plan(&Request::parse(kind, body)?, scope)?;
        let embeddings = &self.inner.embeddings;
        if kind == EndpointKind::Embeddings
            && embeddings.per_item
            && let Some(batch) = Batch::split(body, scope, embeddings)
        {
            return Ok(plan.with_batch(batch));
        }
        Ok(plan.with_samples(self.inner.samples))
    }

    /// The answer to the request of `plan`: from the cache, from another caller's call that is
    /// under way, or from `origin`, which is called at most once.
    ///
    /// One entry serves plain requests and streams: what was stored in the other transport is
    /// transcoded. Where that cannot be done without a guess, the provider is asked, and its answer
    /// takes the entry's place.
    ///
    /// Concurrent identical requests make one call. A plain answer is read whole, judged and
    /// stored, and handed to all. A stream is passed on as it comes, to whoever joins while it
    /// lasts, and stored once it has ended well. A plain request that finds a stream with usage under
    /// way waits for its end; a stream never waits for a plain answer, since its first token would. Answers that are not to be stored go to those who
    /// waited, status and head included, and are not kept. Those that cannot be shared, being too
    /// large or encoded, go to the one whose call it was, and the others make their own.
    ///
    /// Embeddings are answered item by item, as [`EmbeddingOptions`] say: what no entry and no call
    /// under way has is asked for, each item once, if the origin can [`resend`](Origin::resend); else the
    /// request is sent as it is.
    ///
    /// May be dropped at any time: a call under way then goes on for those who share it, or is
    /// taken over by one of them.
    ///
    /// # Errors
    ///
    /// [`AnswerError`]: there is no answer.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, if a stream has to be fetched.
    pub async fn answer<O>(
        &self,
        plan: &Plan,
        mode: CacheMode,
        origin: O,
    ) -> Result<Reply<H>, AnswerError<E>>
    where
        O: Origin<Head = H, Error = E>,
    {
        let inner = &*self.inner;
        if let Some(cassette) = &inner.cassette {
            cassette.note(&plan.keys());
        }
        let picked;
        let plan = if plan.samples().count.get() > 1 {
            picked = Box::pin(inner.pick(plan, mode)).await;
            &picked
        } else {
            plan
        };
        if let Some(cassette) = &inner.cassette
            && cassette.is_playing()
        {
            return inner.play(plan, cassette);
        }
        if let Some(batch) = plan.batch()
            && mode != CacheMode::Bypass
        {
            return Box::pin(inner.items(plan, batch, mode, origin)).await;
        }
        match (mode, plan.transport()) {
            (CacheMode::Bypass, _) => inner.pass(origin, NotStored::Bypassed).await,
            (CacheMode::Use, Transport::Plain) => inner.plain(plan, origin).await,
            (CacheMode::Use, Transport::Stream) => inner.streamed(plan, origin).await,
            (CacheMode::Refresh, Transport::Plain) => inner.refresh_plain(plan, origin).await,
            (CacheMode::Refresh, Transport::Stream) => inner.refresh_streamed(plan, origin).await,
        }
    }

    /// Removes an answer from both tiers, and lets nobody join a stream of it that is under way;
    /// whether a tier had it. Streams under way are not stored.
    ///
    /// (A key removed through [`dual`](Self::dual) alone is as gone, but a stream under way can
    /// still be joined.)
    ///
    /// # Errors
    ///
    /// If the remote tier did not confirm; see [`DualCache::remove`].
    pub async fn remove(&self, key: &CacheKey) -> Result<bool, Error> {
        let removed = self.inner.dual.remove(key).await;
        // Last, and also if that failed: so no stream that began before the end of it is left.
        for flight in flights(key) {
            self.inner.flights.detach(&flight);
        }
        self.inner.items.detach(key);
        removed
    }

    /// Removes all that the request of `plan` may be answered with, as [`remove`](Self::remove) does:
    /// each item that is to be embedded, each of several samples. How many a tier had.
    ///
    /// # Errors
    ///
    /// If the remote tier did not confirm; see [`DualCache::remove_many`].
    pub async fn forget(&self, plan: &Plan) -> Result<u64, Error> {
        let keys = plan.keys();
        let removed = self.inner.dual.remove_many(&keys).await;
        for key in &keys {
            for flight in flights(key) {
                self.inner.flights.detach(&flight);
            }
            self.inner.items.detach(key);
        }
        removed
    }

    /// The cache underneath.
    pub fn dual(&self) -> &DualCache<Bytes> {
        &self.inner.dual
    }

    /// How many streams are under way that can be joined.
    pub fn streams_in_flight(&self) -> usize {
        self.inner.flights.len()
    }
}

impl<H, E> Inner<H, E>
where
    H: Clone + Send + Sync + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    /// The caller's own call, neither read from the cache nor stored.
    pub(crate) async fn pass<O>(
        &self,
        origin: O,
        reason: NotStored,
    ) -> Result<Reply<H>, AnswerError<E>>
    where
        O: Origin<Head = H, Error = E>,
    {
        let answer = origin.call().await.map_err(|error| AnswerError::Origin(Arc::new(error)))?;
        Ok(Reply::Passed(Passed {
            status: answer.status,
            head: answer.head,
            body: Body::Stream(answer.body),
            storage: Storage::NotStored(reason),
            collapsed: false,
        }))
    }

    /// The answer on a cassette.
    fn play(&self, plan: &Plan, cassette: &Cassette) -> Result<Reply<H>, AnswerError<E>> {
        let reply = match plan.batch() {
            Some(batch) => self.play_items(plan, batch, cassette),
            None => cassette.entry(plan.key()).and_then(|entry| {
                let stored_at = self.dual.now();
                let expires_at = stored_at.saturating_add(plan.ttl());
                let (value, source) = (entry.clone(), Source::L1);
                let freshness = Freshness::Fresh;
                self.hit(plan, &Outcome { value, source, freshness, stored_at, expires_at })
            }),
        };
        reply.ok_or_else(|| AnswerError::NotRecorded { key: plan.key().short().to_string() })
    }

    /// The stored answer as the request of `plan` wants it; `None` if that cannot be had of it.
    pub(crate) fn hit(&self, plan: &Plan, outcome: &Outcome<Bytes>) -> Option<Reply<H>> {
        let View { body, transcoded } = match view(&outcome.value, plan.asked(), &self.replay) {
            Ok(view) => view,
            Err(reason) => {
                let key = plan.key().short();
                tracing::debug!(%key, %reason, "the stored answer does not serve this request");
                return None;
            }
        };
        let now = self.dual.now();
        Some(Reply::Hit(Hit {
            body,
            transport: plan.transport(),
            transcoded,
            source: outcome.source,
            age: outcome.age(now),
            remaining: outcome.remaining(now),
            pause: self.replay.pause(),
        }))
    }
}

/// How an answer of this plan is stored.
pub(crate) fn insert_options(plan: &Plan, body: &Bytes) -> InsertOptions {
    InsertOptions::default().ttl(plan.ttl()).weight(body.len() as u64)
}

impl<H, E> Clone for LlmCache<H, E> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<H, E> fmt::Debug for LlmCache<H, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlmCache")
            .field("dual", &self.inner.dual)
            .field("requests", &self.inner.requests)
            .field("responses", &self.inner.responses)
            .field("streams_in_flight", &self.inner.flights.len())
            .finish()
    }
}

/// What an [`LlmCache`] can be told. Made by [`LlmCache::builder`].
#[derive(Debug)]
#[must_use = "nothing is built until `build` is called"]
pub struct LlmCacheBuilder<H, E> {
    dual: DualCache<Bytes>,
    requests: RequestPolicy,
    responses: ResponsePolicy,
    replay: ReplayOptions,
    embeddings: EmbeddingOptions,
    samples: Samples,
    cassette: Option<Cassette>,
    calls: PhantomData<fn() -> (H, E)>,
}

impl<H, E> LlmCacheBuilder<H, E> {
    /// Which requests are cached. Default: see [`RequestPolicy`].
    pub fn request_policy(mut self, policy: RequestPolicy) -> Self {
        self.requests = policy;
        self
    }

    /// How stored answers are given out as streams. Default: see [`ReplayOptions`].
    pub fn replay(mut self, options: ReplayOptions) -> Self {
        self.replay = options;
        self
    }

    /// How embeddings are answered. Default: item by item; see [`EmbeddingOptions`].
    pub fn embeddings(mut self, options: EmbeddingOptions) -> Self {
        self.embeddings = options;
        self
    }

    /// How many answers a request has, unless its [`Plan`] says otherwise. Default: one.
    pub fn samples(mut self, samples: Samples) -> Self {
        self.samples = samples;
        self
    }

    /// Records what is asked for, or plays what was recorded in place of the cache and of the
    /// provider, in every [`CacheMode`]. Default: neither.
    pub fn cassette(mut self, cassette: Cassette) -> Self {
        self.cassette = Some(cassette);
        self
    }

    /// Which answers are kept. Default: see [`ResponsePolicy`].
    pub fn response_policy(mut self, policy: ResponsePolicy) -> Self {
        self.responses = policy;
        self
    }

    /// Builds the cache.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] names the setting that makes no sense.
    pub fn build(self) -> Result<LlmCache<H, E>, PolicyError> {
        self.requests.check()?;
        self.responses.check()?;
        let Self { dual, requests, responses, replay, embeddings, samples, cassette, calls: _ } =
            self;
        Ok(LlmCache {
            inner: Arc::new(Inner {
                dual,
                requests,
                responses: Arc::new(responses),
                replay,
                flights: Flights::new(),
                embeddings,
                items: Flights::new(),
                samples,
                turns: Turns::new(),
                cassette,
            }),
        })
    }
}
