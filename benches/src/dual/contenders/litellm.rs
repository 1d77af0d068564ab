//! litellm-rs's cache of the same name. It has no call that fetches: callers get, ask, and set.

use std::error::Error;
use std::sync::Arc;

use litellm_rs::config::models::storage::RedisConfig;
use litellm_rs::core::cache::DualCache;
use litellm_rs::core::cache::types::{CacheKey, DualCacheConfig};
use litellm_rs::storage::redis::RedisPool;

use super::Dual;
use crate::contenders::Role;
use crate::dual::origin::Origin;

#[derive(Clone)]
pub(in crate::dual) struct Litellm(Arc<DualCache<Arc<str>>>);

impl Dual for Litellm {
    type Key = CacheKey;
    type Value = Arc<str>;

    const NAME: &'static str = "litellm-rs 0.4.16";
    const ROLE: Role = Role::Rival;

    async fn build(entries: usize, url: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let options = DualCacheConfig { max_size: entries, ..DualCacheConfig::default() };
        let Some(url) = url else {
            return Ok(Self(Arc::new(DualCache::memory_only(options))));
        };
        let redis = RedisConfig { url: url.to_owned(), enabled: true, ..RedisConfig::default() };
        let pool = Arc::new(RedisPool::new(&redis).await?);
        Ok(Self(Arc::new(DualCache::new(options, Some(pool)))))
    }

    fn key(digits: &str) -> CacheKey {
        CacheKey::new(digits)
    }

    async fn get(&self, key: &CacheKey) -> Option<Arc<str>> {
        self.0.get(key).await.ok()?
    }

    async fn get_or_fetch(&self, key: &CacheKey, origin: &Origin<Arc<str>>) -> Option<Arc<str>> {
        // What Redis does not have is an error here, as nothing is no text to the driver. Any caller takes it
        // for a miss.
        if let Ok(Some(value)) = self.0.get(key).await {
            return Some(value);
        }
        let value = origin.clone().fetch().await;
        self.0.set(key.clone(), Arc::clone(&value)).await.ok()?;
        Some(value)
    }
}
