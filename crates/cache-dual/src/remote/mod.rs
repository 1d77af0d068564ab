//! The remote tier as the cache sees it: with a deadline, a breaker, a codec and counters.

mod breaker;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use breaker::{BreakerOptions, BreakerState};
use bytes::Bytes;
use cache_core::{
    CacheKey, Clock, Codec, CodecId, Entry, Error, Fence, Lifetime, Lookup, Payload, PutFenced,
    RemoteTier, Result, StoredEntry,
};

use crate::counters::{Counters, Op};
use crate::remote::breaker::Breaker;

/// A remote tier that can make a cache neither slow nor fail.
#[derive(Debug)]
pub(crate) struct Remote<V> {
    tier: Arc<dyn RemoteTier>,
    name: &'static str,
    fence_memory: Duration,
    codec: Arc<dyn Codec<V>>,
    deadline: Duration,
    slow_call: Option<Duration>,
    breaker: Breaker,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
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
        counters.set_remote_up(true);
        Self {
            tier,
            name: capabilities.name,
            fence_memory: capabilities.fence_memory,
            codec,
            deadline,
            slow_call: breaker.slow_call,
            breaker: Breaker::new(breaker),
            clock,
            counters,
        }
    }

    pub(crate) fn state(&self) -> BreakerState {
        self.breaker.state()
    }

    /// Whether calls are spared.
    pub(crate) fn is_left_alone(&self) -> bool {
        self.state() == BreakerState::Open
    }

    pub(crate) fn fence_memory(&self) -> Duration {
        self.fence_memory
    }

    /// Reads `key`, within the cache's own deadline unless the caller has another. `None` if the tier
    /// did not answer, which is counted by kind.
    pub(crate) async fn get(&self, key: &CacheKey, deadline: Option<Duration>) -> Option<Lookup> {
        self.read(key, deadline).await.ok()
    }

    /// As [`get`](Self::get), with the reason why there is no answer.
    pub(crate) async fn read(&self, key: &CacheKey, deadline: Option<Duration>) -> Result<Lookup> {
        self.call(Op::Get, deadline, self.tier.get(key)).await
    }

    /// Reads many keys in one round trip.
    pub(crate) async fn get_many(
        &self,
        keys: &[CacheKey],
        deadline: Option<Duration>,
    ) -> Option<Vec<Lookup>> {
        self.call(Op::Get, deadline, self.tier.get_many(keys)).await.ok()
    }

    /// Stores `entry` in place of whatever is there; whether the tier confirmed.
    pub(crate) async fn put(&self, key: &CacheKey, entry: Entry<V>) -> bool {
        let stored = match self.encode(entry) {
            Ok(entry) => self.call(Op::Put, None, self.tier.put(key, &entry)).await,
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
            Ok(entry) => self.call(Op::Put, None, self.tier.put_fenced(key, &entry, fence)).await,
            Err(error) => Err(error),
        };
        self.count_write(stored)
    }

    /// Removes `key`. Its failure is the caller's to know (F61).
    pub(crate) async fn remove(&self, key: &CacheKey) -> Result<bool> {
        let removed = self.call(Op::Remove, None, self.tier.remove(key)).await;
        if removed.is_ok() {
            self.counters.l2_removals.add_one();
        }
        removed
    }

    /// Removes many keys in one round trip; how many of them were live.
    pub(crate) async fn remove_many(&self, keys: &[CacheKey]) -> Result<u64> {
        let removed = self.call(Op::Remove, None, self.tier.remove_many(keys)).await;
        if removed.is_ok() {
            self.counters.l2_removals.add(keys.len() as u64);
        }
        removed
    }

    /// Removes exactly what was read with `fence`.
    pub(crate) async fn remove_if_equals(&self, key: &CacheKey, fence: Fence) -> Result<bool> {
        let removed = self.call(Op::Remove, None, self.tier.remove_if_equals(key, fence)).await;
        if let Ok(true) = removed {
            self.counters.l2_removals.add_one();
        }
        removed
    }

    /// Keeps a few bytes that are the cache's own and no answer: a stamp, a lease. Of whatever is
    /// there, only the version that `fence` names is replaced; `None` replaces any.
    pub(crate) async fn put_note(
        &self,
        key: &CacheKey,
        note: &[u8],
        ttl: Duration,
        fence: Option<Fence>,
    ) -> Result<PutFenced> {
        let value = Payload { codec: CodecId::RAW, bytes: Bytes::copy_from_slice(note) };
        let entry = Entry::new(value, self.clock.now(), Lifetime::new(ttl));
        if let Some(fence) = fence {
            self.call(Op::Put, None, self.tier.put_fenced(key, &entry, fence)).await
        } else {
            let put = self.call(Op::Put, None, self.tier.put(key, &entry)).await;
            put.map(|()| PutFenced::Stored)
        }
    }

    /// The value of what a lookup found, unless its time is up or it is nothing of ours (counted).
    pub(crate) fn open(&self, key: &CacheKey, entry: StoredEntry) -> Option<Entry<V>> {
        match self.decode(key, entry) {
            Ok(entry) => (!entry.is_expired(self.clock.now())).then_some(entry),
            Err(error) => {
                self.counters.l2_undecodable.add_one();
                tracing::debug!(error = &error as &dyn std::error::Error, "entry skipped");
                None
            }
        }
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
    async fn call<T>(
        &self,
        op: Op,
        deadline: Option<Duration>,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let Some(permit) = self.breaker.admit(self.clock.now()) else {
            self.counters.l2_skipped.add_one();
            return Err(Error::BreakerOpen { tier: self.name });
        };
        let limit = deadline.unwrap_or(self.deadline);
        let started = Instant::now();
        let answer = tokio::time::timeout(limit, call)
            .await
            .unwrap_or(Err(Error::TimedOut { tier: self.name, limit }));
        let took = started.elapsed();
        self.counters.time(op, took);
        let is_slow = self.slow_call.is_some_and(|limit| took > limit);
        let opened = match &answer {
            Ok(_) if is_slow => {
                self.counters.l2_slow.add_one();
                permit.failed(self.clock.now())
            }
            Ok(_) => {
                if permit.succeeded() {
                    self.counters.set_remote_up(true);
                    tracing::info!(tier = self.name, "remote tier is back");
                }
                false
            }
            Err(error) => {
                match error {
                    Error::TimedOut { .. } => self.counters.l2_timeouts.add_one(),
                    _ => self.counters.l2_errors.add_one(),
                }
                permit.failed(self.clock.now())
            }
        };
        // Said once an outage, not once a request.
        if opened {
            self.counters.set_remote_up(false);
            let error = answer.as_ref().err().map(|error| error as &dyn std::error::Error);
            tracing::warn!(tier = self.name, error, is_slow, "remote tier fails; left alone");
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
