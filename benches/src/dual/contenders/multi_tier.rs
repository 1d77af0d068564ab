//! multi-tier-cache, with the tiers that it comes with: moka and Redis.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use multi_tier_cache::{
    CacheManager, CacheStrategy, CacheSystemBuilder, L1Cache, L2Cache, MokaCacheConfig, TierConfig,
};

use super::Dual;
use crate::contenders::Role;
use crate::dual::LIFE;
use crate::dual::origin::Origin;

#[derive(Clone)]
pub(in crate::dual) struct MultiTier(Arc<CacheManager>);

impl Dual for MultiTier {
    type Key = String;
    type Value = Bytes;

    const NAME: &'static str = "multi-tier-cache 0.6.9";
    const ROLE: Role = Role::Rival;

    async fn build(entries: usize, url: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let options = MokaCacheConfig {
            max_capacity: entries as u64,
            time_to_live: LIFE,
            time_to_idle: LIFE, // by default 2 minutes, and a run takes longer
        };
        let memory = Arc::new(L1Cache::new(options)?);
        let Some(url) = url else {
            let builder = CacheSystemBuilder::new().with_tier(memory, TierConfig::as_l1());
            return Ok(Self(builder.build().await?.cache_manager));
        };
        let remote = Arc::new(L2Cache::with_url(url).await?);
        Ok(Self(Arc::new(CacheManager::new(memory, remote).await?)))
    }

    fn key(digits: &str) -> String {
        format!("multi-tier:{digits}")
    }

    async fn get(&self, key: &String) -> Option<Bytes> {
        self.0.get(key).await.ok()?
    }

    async fn get_or_fetch(&self, key: &String, origin: &Origin<Bytes>) -> Option<Bytes> {
        let fetch = || async { Ok(origin.clone().fetch().await) };
        self.0.get_or_compute_with(key, CacheStrategy::MediumTerm, fetch).await.ok()
    }
}
