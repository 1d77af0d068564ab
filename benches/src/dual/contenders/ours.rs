//! Every call that this suite makes to `cache-dual`.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use cache_dual::codec::Raw;
use cache_dual::{CacheKey, DualCache};
use cache_redis::RedisTier;
use metrics_exporter_prometheus::PrometheusBuilder;

use super::Dual;
use crate::contenders::Role;
use crate::dual::origin::Origin;

#[derive(Clone)]
pub(in crate::dual) struct Ours(DualCache<Bytes>);

impl Dual for Ours {
    type Key = CacheKey;
    type Value = Bytes;

    const NAME: &'static str = "cache-dual";
    const ROLE: Role = Role::Default;

    async fn build(entries: usize, url: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let mut builder = DualCache::builder().tune(|options| options.max_entries = entries as u64);
        if let Some(url) = url {
            // The others compress nothing, and these values could not be.
            let tier = RedisTier::builder(url)?.prefix("dual").compress_above(None).build()?;
            builder = builder.remote(Arc::new(tier), Raw);
        }
        Ok(Self(builder.build()?))
    }

    fn key(digits: &str) -> CacheKey {
        CacheKey::from_text(digits)
    }

    async fn get(&self, key: &CacheKey) -> Option<Bytes> {
        self.0.get(key).await.map(|outcome| outcome.value)
    }

    async fn get_or_fetch(&self, key: &CacheKey, origin: &Origin<Bytes>) -> Option<Bytes> {
        let fetch = || async { Ok::<_, Infallible>(origin.clone().fetch().await) };
        self.0.get_or_fetch(key, fetch).await.ok().map(|outcome| outcome.value)
    }
}

/// One in memory that counts in Prometheus's recorder too, whose handles it takes when it is built.
pub(in crate::dual) fn with_recorder(entries: usize) -> Result<Ours, Box<dyn Error>> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let build = || Ours::build(entries, None);
    metrics::with_local_recorder(&recorder, || crate::contenders::finished(build()))
}
