//! [`LocalTier`]: the tier in the process's own memory.

use crate::entry::Entry;
use crate::key::CacheKey;
use crate::stats::LocalStats;

/// A tier in the process's own memory: synchronous, and it cannot fail.
///
/// # Contract
///
/// * **Expired is absent.** No method returns an entry once its `expires_at` has passed.
/// * **An entry is whole.** No reader sees parts of two inserts.
/// * **`insert_if` is atomic with `remove` and `clear`.** The condition is asked while the place of
///   the key is locked: if it answers yes, a `remove` or `clear` that began after that sees the
///   entry and removes it. Flows that fence stale writers stand on this.
/// * **Bounded.** The tier may evict any entry at any time to keep within its bounds.
/// * **Cheap.** A `get` neither blocks for long nor allocates.
///
/// `DualCache` is generic over this trait, so a hit costs no virtual call. The last page of the workspace's
/// `docs/guide/dual` has an adapter over another in-process cache, moka.
pub trait LocalTier<V>: std::fmt::Debug + Send + Sync + 'static {
    /// The live entry of `key`. Counts as a use for the eviction policy.
    fn get(&self, key: &CacheKey) -> Option<Entry<V>>;

    /// What `look` makes of the live entry of `key`: as [`get`](Self::get), without a clone. `look` runs
    /// while nothing is locked, if the tier can have it so; its default is no cheaper than `get`.
    fn get_with<R>(&self, key: &CacheKey, look: impl FnOnce(&Entry<V>) -> R) -> Option<R> {
        self.get(key).map(|entry| look(&entry))
    }

    /// Stores `entry`, in place of any other under `key`.
    fn insert(&self, key: CacheKey, entry: Entry<V>) -> Inserted {
        self.insert_if(key, entry, || true)
    }

    /// Stores `entry` if `condition` holds at the moment of storing.
    ///
    /// `condition` must be short and must not touch the cache: it runs under a lock.
    fn insert_if(
        &self,
        key: CacheKey,
        entry: Entry<V>,
        condition: impl FnOnce() -> bool,
    ) -> Inserted;

    /// Removes what is stored under `key`; whether there was a live entry.
    fn remove(&self, key: &CacheKey) -> bool;

    /// Removes the live entry of `key` if `matches` says so; whether it did. Exactly the entry that
    /// `matches` saw is removed: one that took its place meanwhile stays.
    ///
    /// `matches` runs while nothing is locked, and may be asked more than once.
    fn remove_if(&self, key: &CacheKey, matches: impl Fn(&Entry<V>) -> bool) -> bool;

    /// Removes everything.
    fn clear(&self);

    /// How many entries are held; may count expired ones that were not reclaimed yet.
    fn len(&self) -> usize;

    /// Whether nothing is held.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The summed weight of the entries held, in bytes.
    fn weight(&self) -> u64;

    /// What it holds and has counted so far.
    fn stats(&self) -> LocalStats;
}

/// What became of an insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Inserted {
    /// It is stored.
    Stored,
    /// It is heavier than the whole tier may be, so it was refused; nothing is stored under its
    /// key now.
    TooHeavy,
    /// Its time was up before it was stored; nothing is stored under its key now.
    Expired,
    /// The condition did not hold; what was stored under the key stays.
    Declined,
}
