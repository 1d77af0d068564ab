//! A tier whose every call is suspended a few times, before and after it takes effect.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cache_conformance::MemoryRemote;
use cache_core::{
    CacheKey, Capabilities, Fence, Lookup, PutFenced, RemoteTier, Result, StoredEntry,
};
use tokio::task::yield_now;

#[derive(Debug)]
pub(crate) struct Yielding(pub(crate) Arc<MemoryRemote>);

impl Yielding {
    async fn around<T>(&self, call: impl Future<Output = T>) -> T {
        yield_now().await;
        yield_now().await;
        let answer = call.await;
        yield_now().await;
        answer
    }
}

#[async_trait]
impl RemoteTier for Yielding {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    async fn get(&self, key: &CacheKey) -> Result<Lookup> {
        self.around(self.0.get(key)).await
    }
    async fn get_many(&self, keys: &[CacheKey]) -> Result<Vec<Lookup>> {
        self.around(self.0.get_many(keys)).await
    }
    async fn put(&self, key: &CacheKey, entry: &StoredEntry) -> Result<()> {
        self.around(self.0.put(key, entry)).await
    }
    async fn put_many(&self, entries: &[(CacheKey, StoredEntry)]) -> Result<()> {
        self.around(self.0.put_many(entries)).await
    }
    async fn put_fenced(
        &self,
        key: &CacheKey,
        entry: &StoredEntry,
        fence: Fence,
    ) -> Result<PutFenced> {
        self.around(self.0.put_fenced(key, entry, fence)).await
    }
    async fn remove(&self, key: &CacheKey) -> Result<bool> {
        self.around(self.0.remove(key)).await
    }
    async fn remove_many(&self, keys: &[CacheKey]) -> Result<u64> {
        self.around(self.0.remove_many(keys)).await
    }
    async fn remove_if_equals(&self, key: &CacheKey, fence: Fence) -> Result<bool> {
        self.around(self.0.remove_if_equals(key, fence)).await
    }
    async fn ttl(&self, key: &CacheKey) -> Result<Option<Duration>> {
        self.around(self.0.ttl(key)).await
    }
    async fn purge(&self) -> Result<u64> {
        self.around(self.0.purge()).await
    }
    async fn ping(&self) -> Result<()> {
        self.around(self.0.ping()).await
    }
}
