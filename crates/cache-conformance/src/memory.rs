//! [`MemoryRemote`]: the contract at its plainest.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cache_core::{
    BuildKeyHasher, CacheKey, Capabilities, Clock, Fence, Lookup, PutFenced, RemoteTier, Result,
    StoredEntry, Timestamp,
};

/// How long removals are remembered, unless told otherwise.
const FENCE_MEMORY: Duration = Duration::from_secs(600);

/// A [`RemoteTier`] in memory: the reference that others are compared with, and the remote tier of
/// tests that need no server.
///
/// Share it between caches (through an `Arc`) to play several processes. Its time is the clock that
/// it is given. Expired entries and removals past [`Capabilities::fence_memory`] are forgotten as
/// it is written to, so it holds what is live and no more; it does not evict.
#[derive(Debug)]
pub struct MemoryRemote {
    clock: Arc<dyn Clock>,
    fence_memory: Duration,
    store: Mutex<Store>,
}

#[derive(Debug, Default)]
struct Store {
    slots: HashMap<CacheKey, Slot, BuildKeyHasher>,
    /// When slots end, the first to end on top. Slots that were rewritten are in it more than once.
    ends: BinaryHeap<Reverse<(Timestamp, CacheKey)>>,
}

/// What is known of a key: a value, or that it was removed.
#[derive(Debug)]
struct Slot {
    fence: Fence,
    entry: Option<StoredEntry>,
    ends_at: Timestamp,
}

impl MemoryRemote {
    /// An empty tier that tells the time by `clock` and remembers removals for 10 minutes.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, fence_memory: FENCE_MEMORY, store: Mutex::default() }
    }

    /// The same tier, remembering removals for `time`.
    #[must_use]
    pub fn fence_memory(mut self, time: Duration) -> Self {
        self.fence_memory = time;
        self
    }

    /// How many keys it knows something about: live entries, remembered removals, and what has
    /// ended since the last write.
    pub fn len(&self) -> usize {
        self.store().slots.len()
    }

    /// Whether it knows nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// No user code runs while it is held, so it is sound even when poisoned.
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot to keep for `entry`: a removal if its time is up.
    fn slot(&self, entry: &StoredEntry, now: Timestamp) -> Slot {
        let entry = not_from_the_future(entry, now);
        if entry.is_expired(now) {
            return self.removed(now);
        }
        Slot { fence: next_fence(), ends_at: entry.expires_at, entry: Some(entry) }
    }

    fn removed(&self, now: Timestamp) -> Slot {
        Slot { fence: next_fence(), entry: None, ends_at: now.saturating_add(self.fence_memory) }
    }
}

impl Store {
    /// The slot of `key`, unless it has ended.
    fn known(&self, key: &CacheKey, now: Timestamp) -> Option<&Slot> {
        self.slots.get(key).filter(|slot| now < slot.ends_at)
    }

    fn live(&self, key: &CacheKey, now: Timestamp) -> Option<&StoredEntry> {
        self.known(key, now)?.entry.as_ref()
    }

    fn version(&self, key: &CacheKey, now: Timestamp) -> Fence {
        self.known(key, now).map_or(Fence::ABSENT, |slot| slot.fence)
    }

    fn lookup(&self, key: &CacheKey, now: Timestamp) -> Lookup {
        Lookup { entry: self.live(key, now).cloned(), fence: self.version(key, now) }
    }

    /// Puts `slot` in the place of what was there; whether that was a live entry.
    fn replace(&mut self, key: CacheKey, slot: Slot, now: Timestamp) -> bool {
        let was_live = self.live(&key, now).is_some();
        self.ends.push(Reverse((slot.ends_at, key)));
        self.slots.insert(key, slot);
        self.forget_ended(now);
        was_live
    }

    /// Work for each write is O(log n) amortised: what is pushed is popped once.
    fn forget_ended(&mut self, now: Timestamp) {
        while let Some(&Reverse((ends_at, key))) = self.ends.peek() {
            if now < ends_at {
                break;
            }
            self.ends.pop();
            // Rewritten meanwhile? Then the slot ends later and is in the heap once more.
            if self.slots.get(&key).is_some_and(|slot| slot.ends_at <= now) {
                self.slots.remove(&key);
            }
        }
        if self.ends.len() > 2 * self.slots.len() + 64 {
            let current = self.slots.iter();
            self.ends = current.map(|(key, slot)| Reverse((slot.ends_at, *key))).collect();
        }
    }
}

#[async_trait]
impl RemoteTier for MemoryRemote {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: "memory",
            fence_memory: self.fence_memory,
            deadline: Duration::from_millis(100),
        }
    }

    async fn get(&self, key: &CacheKey) -> Result<Lookup> {
        Ok(self.store().lookup(key, self.clock.now()))
    }

    async fn get_many(&self, keys: &[CacheKey]) -> Result<Vec<Lookup>> {
        let (now, store) = (self.clock.now(), self.store());
        Ok(keys.iter().map(|key| store.lookup(key, now)).collect())
    }

    async fn put(&self, key: &CacheKey, entry: &StoredEntry) -> Result<()> {
        let now = self.clock.now();
        self.store().replace(*key, self.slot(entry, now), now);
        Ok(())
    }

    async fn put_many(&self, entries: &[(CacheKey, StoredEntry)]) -> Result<()> {
        let (now, mut store) = (self.clock.now(), self.store());
        for (key, entry) in entries {
            store.replace(*key, self.slot(entry, now), now);
        }
        Ok(())
    }

    async fn put_fenced(
        &self,
        key: &CacheKey,
        entry: &StoredEntry,
        fence: Fence,
    ) -> Result<PutFenced> {
        let (now, mut store) = (self.clock.now(), self.store());
        if store.version(key, now) != fence {
            return Ok(PutFenced::Superseded);
        }
        store.replace(*key, self.slot(entry, now), now);
        Ok(PutFenced::Stored)
    }

    async fn remove(&self, key: &CacheKey) -> Result<bool> {
        let now = self.clock.now();
        Ok(self.store().replace(*key, self.removed(now), now))
    }

    async fn remove_many(&self, keys: &[CacheKey]) -> Result<u64> {
        let (now, mut store) = (self.clock.now(), self.store());
        let removed = keys.iter().map(|key| store.replace(*key, self.removed(now), now));
        Ok(removed.map(u64::from).sum())
    }

    async fn remove_if_equals(&self, key: &CacheKey, fence: Fence) -> Result<bool> {
        let (now, mut store) = (self.clock.now(), self.store());
        if fence == Fence::ABSENT || store.version(key, now) != fence {
            return Ok(false);
        }
        Ok(store.replace(*key, self.removed(now), now))
    }

    async fn ttl(&self, key: &CacheKey) -> Result<Option<Duration>> {
        let now = self.clock.now();
        Ok(self.store().live(key, now).map(|entry| entry.remaining(now)))
    }

    async fn purge(&self) -> Result<u64> {
        let purged = std::mem::take(&mut *self.store()).slots.len();
        Ok(u64::try_from(purged).unwrap_or(u64::MAX))
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }
}

/// `entry`, moved back to now if it says that it was stored later: it keeps its life, no more.
fn not_from_the_future(entry: &StoredEntry, now: Timestamp) -> StoredEntry {
    let premature = entry.stored_at.saturating_since(now);
    let back = |time: Timestamp| match time {
        Timestamp::MAX => Timestamp::MAX, // "never" is no moment
        time => now.saturating_add(time.saturating_since(now).saturating_sub(premature)),
    };
    if premature.is_zero() {
        return entry.clone().with_epoch(0);
    }
    StoredEntry {
        stored_at: now,
        fresh_until: back(entry.fresh_until),
        expires_at: back(entry.expires_at),
        epoch: 0,
        ..entry.clone()
    }
}

/// Unique in the process, which is as far as this tier reaches; never [`Fence::ABSENT`].
fn next_fence() -> Fence {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut fence = [0; 16];
    fence[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    Fence(fence)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use cache_core::ManualClock;

    use super::*;
    use crate::Harness;

    /// What has ended is forgotten: neither removals nor rewrites make it grow without end.
    #[tokio::test]
    async fn it_holds_what_is_live_and_no_more() {
        let clock = Arc::new(ManualClock::default());
        let tier = MemoryRemote::new(clock.clone()).fence_memory(Duration::from_secs(1));
        let harness = Harness::with_clock(tier, clock.clone());
        let tier = harness.tier();
        for n in 0..1_000 {
            let key = CacheKey::from_text(&format!("{n}"));
            tier.remove(&key).await.unwrap();
            tier.put(&CacheKey::from_text("one"), &harness.lasting(Bytes::new())).await.unwrap();
        }
        assert!(tier.store().ends.len() < 2 * 1_001 + 65);
        clock.advance(Duration::from_secs(2));
        tier.remove(&CacheKey::from_text("x")).await.unwrap();
        assert_eq!(tier.len(), 2, "the live one, and the last removal");
        assert!(tier.store().ends.len() < 70);
    }
}
