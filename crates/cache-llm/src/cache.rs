//! [`LlmCache`]: the policies, the cache and the flights put together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache_core::{CacheKey, Error, Tag};
use cache_dual::flight::Flights;
use cache_dual::{DualCache, Freshness, InsertOptions, Outcome, Source, Ticket};
use cache_key::{EndpointKind, KeyScope, Request, Tenant};

use crate::builder::LlmCacheBuilder;
use crate::cassette::Cassette;
use crate::dialect::NotTranscodable;
use crate::dry;
use crate::edit::HitOptions;
use crate::embeddings::{Batch, EmbeddingOptions, Items};
use crate::known::Known;
use crate::not_stored::NotStored;
use crate::origin::Origin;
use crate::plan::Plan;
use crate::replay::ReplayOptions;
use crate::reply::{AnswerError, Body, CacheMode, Hit, Passed, RemoveError, Reply, Storage};
use crate::report::{Decisions, Report};
use crate::request::{Bypass, RequestPolicy};
use crate::response::{ResponsePolicy, Transport};
use crate::samples::{Samples, Turns};
use crate::savings::{Ledger, Savings};
use crate::streamed::Announced;
use crate::tags;
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
    pub(crate) known: Known,
    pub(crate) responses: Arc<ResponsePolicy>,
    pub(crate) replay: ReplayOptions,
    pub(crate) hits: HitOptions,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) decisions: Arc<Decisions>,
    pub(crate) dry_run: bool,
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
        LlmCacheBuilder::new(dual)
    }

    /// The answer to a request, in one step: [`prepare`](Self::prepare) and [`answer`](Self::answer). A
    /// request that is none of the cache's business goes to `origin` as it is, and its answer is passed on
    /// with the reason, [`NotStored::Request`].
    ///
    /// ```
    /// use cache_llm::{
    ///     Bypass, CacheMode, DualCache, EndpointKind, KeyScope, LlmCache, NotStored, OriginAnswer, Reply,
    ///     Storage, Tenant,
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache = LlmCache::<(), std::io::Error>::builder(DualCache::builder().build()?).build()?;
    /// let scope = KeyScope::new(Tenant::named("acme"));
    /// let body = br#"{"model":"m","store":true,"messages":[{"role":"user","content":"hi"}]}"#;
    /// let provider = || async { Ok(OriginAnswer::whole(200, (), "{}")) };
    /// let reply =
    ///     cache.serve(EndpointKind::ChatCompletions, body, &scope, CacheMode::Use, provider).await?;
    /// let Reply::Passed(passed) = reply else { panic!("the provider is to keep that answer") };
    /// assert!(matches!(passed.storage, Storage::NotStored(NotStored::Request(Bypass::Stored))));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As those of [`answer`](Self::answer). While a [`Cassette`] is played, a request that is none of the
    /// cache's business is [`AnswerError::NotRecordable`], and no call is made.
    ///
    /// # Panics
    ///
    /// As [`answer`](Self::answer).
    pub async fn serve<O>(
        &self,
        kind: EndpointKind,
        body: &[u8],
        scope: &KeyScope,
        mode: CacheMode,
        origin: O,
    ) -> Result<Reply<H>, AnswerError<E>>
    where
        O: Origin<Head = H, Error = E>,
    {
        match self.prepare(kind, body, scope) {
            Ok(plan) => self.answer(&plan, mode, origin).await,
            Err(reason) if self.inner.played().is_some() => Err(AnswerError::NotRecordable(reason)),
            Err(reason) => self.inner.pass(origin, NotStored::Request(reason)).await,
        }
    }

    /// Decides on a request and finds its key. The body is parsed once, or not at all if it came before, byte
    /// for byte ([`requests_known`](LlmCacheBuilder::requests_known)); it is not kept.
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
        let decision = self.inner.decide(kind, body, scope);
        if let Err(reason) = &decision {
            self.inner.decisions.bypassed(reason);
        }
        let plan = decision?;
        if self.inner.embeddings.per_item
            && let Some(batch) = self.inner.split(kind, body, scope)
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
    /// way waits for its end; a stream never waits for a plain answer, since its first token would come
    /// with the last. Answers that are not to be stored go to those who waited, status and head included,
    /// and are not kept. Those that cannot be shared, being too large or encoded, go to the one whose call
    /// it was, and the others make their own.
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
        if let Some(cassette) = inner.cassette.as_ref().filter(|_| !inner.dry_run) {
            cassette.note(plan);
        }
        let picked;
        let plan = if plan.samples().count() > 1 {
            picked = Box::pin(inner.pick(plan, mode)).await;
            &picked
        } else {
            plan
        };
        if inner.dry_run {
            return inner.dry(plan, mode, origin).await;
        }
        if let Some(cassette) = inner.played() {
            return inner.play(plan, cassette);
        }
        let reply = match (mode, plan.batch(), plan.transport()) {
            (CacheMode::Bypass, ..) => inner.pass(origin, NotStored::Bypassed).await,
            (_, Some(batch), _) => Box::pin(inner.items(plan, batch, mode, origin)).await,
            (CacheMode::Use, None, Transport::Plain) => inner.plain(plan, origin).await,
            (CacheMode::Use, None, Transport::Stream) => inner.streamed(plan, origin).await,
            (CacheMode::Refresh, None, Transport::Plain) => inner.refresh_plain(plan, origin).await,
            (CacheMode::Refresh, None, Transport::Stream) => {
                inner.refresh_streamed(plan, origin).await
            }
        };
        inner.decisions.answered(matches!(reply, Ok(Reply::Hit(_))));
        if let Ok(Reply::Passed(Passed { storage: Storage::NotStored(reason), .. })) = &reply {
            inner.decisions.not_stored(reason);
        }
        reply
    }

    /// What was decided since the cache was built, with what hits have spared.
    pub fn report(&self) -> Report {
        self.inner.decisions.report(self.inner.dry_run, self.savings())
    }

    /// Removes an answer from both tiers, and lets nobody join a call for it that is under way;
    /// whether a tier had it. Such a call is not stored. (So it is with a key that is removed through
    /// [`dual`](Self::dual), or by another instance, once its message is here.)
    ///
    /// # Errors
    ///
    /// If the remote tier did not confirm; see [`DualCache::remove`].
    pub async fn remove(&self, key: &CacheKey) -> Result<bool, Error> {
        // In a dry run, what stands for the answer.
        let key = if self.inner.dry_run { &dry::key(key) } else { key };
        self.inner.dual.remove(key).await
    }

    /// Removes all that the request of `plan` may be answered with, as [`remove`](Self::remove) does:
    /// each item that is to be embedded, each of several samples. How many a tier had.
    ///
    /// # Errors
    ///
    /// If the remote tier did not confirm; see [`DualCache::remove_many`].
    pub async fn forget(&self, plan: &Plan) -> Result<u64, Error> {
        let keys = if self.inner.dry_run { dry::keys(plan) } else { plan.keys() };
        self.inner.dual.remove_many(&keys).await
    }

    /// Invalidates everything that was stored for a tenant, in both tiers, and lets nobody join a call that
    /// is under way. (Nobody joins the calls of others either; at most, that makes some answers asked for
    /// once more.)
    ///
    /// The memory of other instances hears of it by a bus ([`DualBuilder::bus`](cache_dual::DualBuilder::bus));
    /// without one it serves what it has until that copy's time is up
    /// ([`memory_ttl`](cache_dual::DualOptions::memory_ttl)).
    ///
    /// ```
    /// # use cache_llm::{DualCache, LlmCache, Tenant};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dual = DualCache::builder().build()?;
    /// # let cache = LlmCache::<(), std::io::Error>::builder(dual).build()?;
    /// cache.remove_tenant(&Tenant::named("acme")).await?;
    /// cache.remove_model("gpt-4o").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the remote tier or the bus did not confirm; see [`DualCache::remove_tag`].
    pub async fn remove_tenant(&self, tenant: &Tenant) -> Result<(), Error> {
        self.remove_tag(&tags::tenant(tenant)).await
    }

    /// As [`remove_tenant`](Self::remove_tenant), of all answers to requests that name this model,
    /// spelled as they spell it: `*` stands for itself.
    ///
    /// # Errors
    ///
    /// As those of [`remove_tenant`](Self::remove_tenant).
    pub async fn remove_model(&self, model: &str) -> Result<(), Error> {
        self.remove_tag(&tags::model(model)).await
    }

    /// As [`remove_tenant`](Self::remove_tenant), of all answers whose plan had this tag (see
    /// [`Plan::with_tags`]).
    ///
    /// # Errors
    ///
    /// As those of [`remove_tenant`](Self::remove_tenant).
    pub async fn remove_tag(&self, tag: &Tag) -> Result<(), Error> {
        self.inner.dual.remove_tag(tag).await
    }

    /// Removes the answer to exactly this request, however it travels and whatever the policy says of
    /// it now; whether a tier had any of it. Of embeddings, each item; of several [`Samples`] that the
    /// cache was built with, all.
    ///
    /// # Errors
    ///
    /// [`RemoveError::Request`] if there is no key for such a request, so that nothing can be stored
    /// either; [`RemoveError::Tier`] as those of [`remove`](Self::remove).
    pub async fn remove_request(
        &self,
        kind: EndpointKind,
        body: &[u8],
        scope: &KeyScope,
    ) -> Result<bool, RemoveError> {
        let request = Request::parse(kind, body).map_err(Bypass::from)?;
        let plan = RequestPolicy::default().plan(&request, scope)?;
        // As a whole, and item by item: it may have been kept in either way.
        let split = self.inner.split(kind, body, scope).map(|batch| plan.clone().with_batch(batch));
        let mut removed = self.forget(&plan.with_samples(self.inner.samples)).await?;
        if let Some(split) = split {
            removed += self.forget(&split).await?;
        }
        Ok(removed > 0)
    }

    /// What hits have spared, by model: tokens, and dollars where the price is known.
    pub fn savings(&self) -> Savings {
        self.inner.ledger.snapshot()
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
    fn decide(&self, kind: EndpointKind, body: &[u8], scope: &KeyScope) -> Result<Plan, Bypass> {
        let strategy = self.dual.strategy();
        if !strategy.caches() {
            return Err(Bypass::Strategy(strategy));
        }
        self.requests.admit(kind, body.len())?; // before any work on the body
        let new = || self.requests.decide(&Request::parse(kind, body)?, scope);
        let plan = match kind {
            EndpointKind::Embeddings => new()?, // is parsed for its items in any case
            _ => self.known.plan(|| scope.literal_key(kind, body), new)?,
        };
        Ok(self.requests.jittered(plan))
    }

    /// The items of a request for embeddings, if it can be taken apart.
    fn split(&self, kind: EndpointKind, body: &[u8], scope: &KeyScope) -> Option<Batch> {
        let is_split = kind == EndpointKind::Embeddings;
        is_split.then(|| Batch::split(body, scope, &self.embeddings)).flatten()
    }

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

    /// The cassette that answers in place of the provider. A dry run asks the provider whatever there is.
    pub(crate) fn played(&self) -> Option<&Cassette> {
        self.cassette.as_ref().filter(|cassette| cassette.is_playing() && !self.dry_run)
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
        reply.ok_or_else(|| AnswerError::NotRecorded {
            key: plan.key().short().to_string(),
            kind: plan.kind(),
            model: plan.model().to_owned(),
        })
    }

    /// The stored answer as the request of `plan` wants it; `None` if that cannot be had of it.
    pub(crate) fn hit(&self, plan: &Plan, outcome: &Outcome<Bytes>) -> Option<Reply<H>> {
        let now = self.dual.now();
        let served = Served {
            source: outcome.source,
            age: outcome.age(now),
            remaining: outcome.remaining(now),
            stale: outcome.is_stale(),
        };
        self.serve(plan, &outcome.value, served)
    }

    pub(crate) fn view(&self, plan: &Plan, entry: &Bytes) -> Result<View, NotTranscodable> {
        let options = plan.hit_options().unwrap_or(self.hits);
        view(entry, plan.asked(), &self.replay, options, || self.dual.now())
    }

    /// The answer in `entry` as the request of `plan` wants it, counted as a hit; `None` if that
    /// cannot be had of it.
    pub(crate) fn serve(&self, plan: &Plan, entry: &Bytes, served: Served) -> Option<Reply<H>> {
        let View { body, transcoded, about } = match self.view(plan, entry) {
            Ok(view) => view,
            Err(reason) => {
                let key = plan.key().short();
                tracing::debug!(%key, %reason, "the stored answer does not serve this request");
                return None;
            }
        };
        let saved = self.ledger.add(about.model().unwrap_or(plan.model()), &about.usage);
        let Served { source, age, remaining, stale } = served;
        Some(Reply::Hit(Hit {
            body,
            transport: plan.transport(),
            transcoded,
            source,
            age,
            remaining,
            stale,
            usage: about.usage,
            saved,
            about,
            pause: self.replay.pause(),
        }))
    }

    /// A ticket to replace what is stored for `plan`.
    pub(crate) async fn ticket(&self, plan: &Plan) -> Ticket {
        self.dual.query(plan.key()).tags(plan.tags()).ticket().await
    }

    /// What is stored in memory for `plan`, if it is fresh.
    pub(crate) fn fresh(&self, plan: &Plan) -> Option<Outcome<Bytes>> {
        self.dual.peek(plan.key()).filter(|outcome| !outcome.is_stale())
    }
}

/// How an entry came to its hit.
#[derive(Clone, Copy)]
pub(crate) struct Served {
    pub(crate) source: Source,
    pub(crate) age: Duration,
    pub(crate) remaining: Duration,
    pub(crate) stale: bool,
}

/// How an answer of this plan is stored.
pub(crate) fn insert_options(plan: &Plan, weight: usize) -> InsertOptions {
    let options = InsertOptions::new().ttl(plan.ttl()).weight(weight as u64);
    match plan.grace() {
        Some(grace) => options.grace(grace),
        None => options,
    }
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
