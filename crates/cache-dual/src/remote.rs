//! The remote tier as the cache sees it: with a deadline, a breaker, a codec and counters.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_core::{
    CacheKey, Clock, Codec, Entry, Error, Fence, Payload, PutFenced, RemoteTier, Result,
    StoredEntry,
};

use crate::breaker::{Breaker, BreakerOptions, BreakerState};
use crate::counters::{Counters, Op};

/// A remote tier that can make a cache neither slow nor fail.
#[derive(Debug)]
pub(crate) struct Remote<V> {
    tier: Arc<dyn RemoteTier>,
    name: &'static str,
    fence_memory: Duration,
    codec: Arc<dyn Codec<V>>,
    deadline: Duration,
    breaker: Breaker,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
}

/// What the remote tier knows of a key.
#[derive(Debug)]
pub(crate) enum RemoteRead<V> {
    Hit(Entry<V>),
    /// The fence to store under; `None` if the tier did not answer, so that nothing may be stored.
    Miss(Option<Fence>),
}

impl<V: 'static> Remote<V> {
    pub(crate) fn new(
        tier: Arc<dyn RemoteTier>,
        codec: Arc<dyn Codec<V>>,
        deadline: Duration,
        breaker: BreakerOptions,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
    ) -> Self {
        let capabilities = tier.capabilities();
        Counters::set_remote_up(true);
        Self {
            tier,
            name: capabilities.name,
            fence_memory: capabilities.fence_memory,
            codec,
            deadline,
            breaker: Breaker::new(breaker),
            clock,
            counters,
        }
    }

    pub(crate) fn state(&self) -> BreakerState {
        self.breaker.state()
    }

    pub(crate) fn fence_memory(&self) -> Duration {
        self.fence_memory
    }

    /// Reads `key`. A tier that fails is a miss, counted by kind (A61).
    pub(crate) async fn get(&self, key: &CacheKey) -> RemoteRead<V> {
        let Ok(lookup) = self.call(Op::Get, self.tier.get(key)).await else {
            return RemoteRead::Miss(None);
        };
        let fence = lookup.fence;
        match lookup.entry.map(|entry| self.decode(key, entry)) {
            Some(Ok(entry)) if !entry.is_expired(self.clock.now()) => RemoteRead::Hit(entry),
            Some(Err(error)) => {
                self.counters.l2_undecodable.add_one();
                tracing::debug!(error = &error as &dyn std::error::Error, "entry skipped");
                RemoteRead::Miss(Some(fence))
            }
            Some(Ok(_)) | None => RemoteRead::Miss(Some(fence)),
        }
    }

    /// The version that `key` has now, whatever is stored; `None` if the tier did not answer.
    pub(crate) async fn version(&self, key: &CacheKey) -> Option<Fence> {
        Some(self.call(Op::Get, self.tier.get(key)).await.ok()?.fence)
    }

    /// Stores `entry` in place of whatever is there; whether the tier confirmed.
    pub(crate) async fn put(&self, key: &CacheKey, entry: Entry<V>) -> bool {
        let stored = match self.encode(entry) {
            Ok(entry) => self.call(Op::Put, self.tier.put(key, &entry)).await,
            Err(error) => Err(error),
        };
        self.count_write(stored.map(|()| PutFenced::Stored)) == Some(PutFenced::Stored)
    }

    /// Stores `entry` unless `key` was written or removed since `fence` was read; `None` if the
    /// tier did not confirm.
    pub(crate) async fn put_fenced(
        &self,
        key: &CacheKey,
        entry: Entry<V>,
        fence: Fence,
    ) -> Option<PutFenced> {
        let stored = match self.encode(entry) {
            Ok(entry) => self.call(Op::Put, self.tier.put_fenced(key, &entry, fence)).await,
            Err(error) => Err(error),
        };
        self.count_write(stored)
    }

    /// Removes `key`. The one call whose failure is the caller's to know (F61).
    pub(crate) async fn remove(&self, key: &CacheKey) -> Result<bool> {
        let removed = self.call(Op::Remove, self.tier.remove(key)).await;
        if removed.is_ok() {
            self.counters.l2_removals.add_one();
        }
        removed
    }

    pub(crate) async fn ping(&self) -> Result<()> {
        match tokio::time::timeout(self.deadline, self.tier.ping()).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::TimedOut { tier: self.name, limit: self.deadline }),
        }
    }

    /// Makes one call under the breaker and the deadline, timed and counted.
    ///
    /// Dropped while it waits, it leaves no trace but the call itself, which may take effect.
    async fn call<T>(&self, op: Op, call: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(permit) = self.breaker.admit(self.clock.now()) else {
            self.counters.l2_skipped.add_one();
            return Err(Error::BreakerOpen { tier: self.name });
        };
        let started = Instant::now();
        let answer = tokio::time::timeout(self.deadline, call)
            .await
            .unwrap_or(Err(Error::TimedOut { tier: self.name, limit: self.deadline }));
        self.counters.time(op, started.elapsed());
        match &answer {
            Ok(_) => {
                if permit.succeeded() {
                    Counters::set_remote_up(true);
                    tracing::info!(tier = self.name, "remote tier is back");
                }
            }
            Err(error) => {
                match error {
                    Error::TimedOut { .. } => self.counters.l2_timeouts.add_one(),
                    _ => self.counters.l2_errors.add_one(),
                }
                // Said once an outage, not once a request.
                if permit.failed(self.clock.now()) {
                    Counters::set_remote_up(false);
                    let error: &dyn std::error::Error = error;
                    tracing::warn!(tier = self.name, error, "remote tier fails; leaving it alone");
                }
            }
        }
        answer
    }

    fn count_write(&self, stored: Result<PutFenced>) -> Option<PutFenced> {
        match &stored {
            Ok(PutFenced::Stored) => self.counters.l2_writes.add_one(),
            Ok(PutFenced::Superseded) => {}
            Err(_) => self.counters.l2_failed_writes.add_one(),
        }
        stored.ok()
    }

    fn encode(&self, entry: Entry<V>) -> Result<StoredEntry> {
        let codec = self.codec.id();
        entry.try_map(|value| match self.codec.encode(&value) {
            Ok(bytes) => Ok(Payload { codec, bytes }),
            Err(source) => Err(Error::Unencodable { source }),
        })
    }

    fn decode(&self, key: &CacheKey, entry: StoredEntry) -> Result<Entry<V>> {
        let undecodable = |source| Error::Undecodable { key: key.short(), source };
        if entry.value.codec != self.codec.id() {
            let found = entry.value.codec.0;
            return Err(undecodable(format!("it is of codec {found}").into()));
        }
        entry.try_map(|payload| self.codec.decode(payload.bytes).map_err(undecodable))
    }
}
