//! [`LlmCacheBuilder`]: what a cache can be told.

use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use cache_dual::DualCache;
use cache_dual::flight::Flights;

use crate::cache::{Inner, LlmCache};
use crate::cassette::Cassette;
use crate::edit::HitOptions;
use crate::embeddings::EmbeddingOptions;
use crate::known::Known;
use crate::price::PriceTable;
use crate::replay::ReplayOptions;
use crate::request::{PolicyError, RequestPolicy};
use crate::response::ResponsePolicy;
use crate::samples::{Samples, Turns};
use crate::savings::Ledger;

/// What an [`LlmCache`] can be told. Made by [`LlmCache::builder`].
#[derive(Debug)]
#[must_use = "nothing is built until `build` is called"]
pub struct LlmCacheBuilder<H, E> {
    dual: DualCache<Bytes>,
    requests: RequestPolicy,
    requests_known: usize,
    responses: ResponsePolicy,
    replay: ReplayOptions,
    hits: HitOptions,
    prices: PriceTable,
    models_counted: usize,
    dry_run: bool,
    embeddings: EmbeddingOptions,
    samples: Samples,
    cassette: Option<Cassette>,
    calls: PhantomData<fn() -> (H, E)>,
}

impl<H, E> LlmCacheBuilder<H, E> {
    pub(crate) fn new(dual: DualCache<Bytes>) -> Self {
        Self {
            dual,
            requests: RequestPolicy::default(),
            responses: ResponsePolicy::default(),
            replay: ReplayOptions::default(),
            hits: HitOptions::default(),
            prices: PriceTable::default(),
            requests_known: 4_096,
            models_counted: 100,
            dry_run: false,
            embeddings: EmbeddingOptions::default(),
            samples: Samples::default(),
            cassette: None,
            calls: PhantomData,
        }
    }

    /// Which requests are cached. Default: see [`RequestPolicy`].
    pub fn request_policy(mut self, policy: RequestPolicy) -> Self {
        self.requests = policy;
        self
    }

    /// For how many requests it is remembered what was decided about them and under which key their
    /// answers stand: one that comes again, byte for byte, in an equal scope, is hashed and not parsed.
    /// Each takes some hundred bytes; of its text only the model's name is remembered. Default: 4,096; zero
    /// remembers none.
    pub fn requests_known(mut self, requests: usize) -> Self {
        self.requests_known = requests;
        self
    }

    /// What hits look like, unless their plan says otherwise. Default: as the provider's answers
    /// did.
    pub fn hits(mut self, options: HitOptions) -> Self {
        self.hits = options;
        self
    }

    /// What tokens cost, to count savings by. Default: [`PriceTable::default`], which is dated.
    pub fn prices(mut self, prices: PriceTable) -> Self {
        self.prices = prices;
        self
    }

    /// For how many models savings are counted one by one; the rest is counted together. Default:
    /// 100.
    pub fn models_counted(mut self, models: usize) -> Self {
        self.models_counted = models;
        self
    }

    /// Whether nothing is served: every request goes to the provider, and its answer through
    /// unchanged, while everything is decided and counted as if ([`LlmCache::report`]). What is
    /// stored is a line about each answer, which no cache that serves takes for one; memory is
    /// bounded as if it were the answer. Concurrent identical requests count as misses, each. Default:
    /// no.
    pub fn dry_run(mut self, yes: bool) -> Self {
        self.dry_run = yes;
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

    /// How many answers a request has, unless its [`Plan`](crate::Plan) says otherwise. Default: one.
    pub fn samples(mut self, samples: Samples) -> Self {
        self.samples = samples;
        self
    }

    /// Records what is asked for, or plays what was recorded in place of the cache and of the
    /// provider, in every [`CacheMode`](crate::CacheMode). Default: neither.
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
        if let Some(price) = self.prices.flaw() {
            return Err(PolicyError::Price(price));
        }
        let Self { dual, requests, responses, replay, hits, prices, models_counted, .. } = self;
        let Self { requests_known, dry_run, embeddings, samples, cassette, .. } = self;
        Ok(LlmCache {
            inner: Arc::new(Inner {
                dual,
                requests,
                known: Known::new(requests_known),
                responses: Arc::new(responses),
                replay,
                hits,
                ledger: Arc::new(Ledger::new(prices, models_counted)),
                decisions: Arc::default(),
                dry_run,
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
