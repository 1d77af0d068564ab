//! [`RemoteTier`]: a tier across the network.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::entry::StoredEntry;
use crate::error::Result;
use crate::key::CacheKey;

/// A tier across the network: keys to encoded values with absolute times.
///
/// # Contract
///
/// * **A miss is not an error.** An absent, expired or unreadable value is a [`Lookup`] without an
///   entry. `Err` means that the tier could not answer.
/// * **Expired is absent** to every method, reclaimed or not, to the millisecond of the tier's
///   clock. `put` of an entry whose time is up stores nothing and removes what was there.
/// * **Nobody's clock lengthens a life.** The times of a returned entry are on the caller's clock,
///   and what it has left by them is at most what the tier gives it.
/// * **Values are whole.** A reader sees the bytes of one `put` or none.
/// * **Batches** answer in the order of the question, duplicates included, in one round trip where
///   the tier can; they are not atomic across keys.
/// * **Versions.** Every successful write of a key gives it a new, never reused [`Fence`]; so does
///   every `remove`, whether or not there was something to remove. The fence of an absent key that
///   was never written or removed is [`Fence::ABSENT`]. A removal is remembered for at least
///   [`Capabilities::fence_memory`]; a load that takes longer must not be stored.
/// * **Futures may be dropped** at any await: what remains is the old value or the new one.
/// * **Deadlines.** Every call ends within a time that the tier's options bound, the first one too,
///   whatever the network does.
/// * **Foreign bytes** under a key are a miss. They are overwritten by `put`, and removed only by
///   `remove` or by `remove_if_equals` with the very fence that they were read with.
///
/// No method has a default body, so that a wrapper cannot forget to forward one. Implementers
/// prove all of this with the suite in `cache-conformance`.
#[async_trait]
pub trait RemoteTier: std::fmt::Debug + Send + Sync + 'static {
    /// What this tier can do and promises beyond the contract.
    fn capabilities(&self) -> Capabilities;

    /// Reads `key`.
    ///
    /// # Errors
    ///
    /// If the tier could not answer.
    async fn get(&self, key: &CacheKey) -> Result<Lookup>;

    /// Reads many keys: one answer a key, in order.
    ///
    /// # Errors
    ///
    /// If the tier could not answer for all of them.
    async fn get_many(&self, keys: &[CacheKey]) -> Result<Vec<Lookup>>;

    /// Stores `entry`, whatever was there.
    ///
    /// # Errors
    ///
    /// If the tier did not confirm; the entry may or may not be stored then.
    async fn put(&self, key: &CacheKey, entry: &StoredEntry) -> Result<()>;

    /// Stores many entries. Of two under one key the later wins.
    ///
    /// # Errors
    ///
    /// If the tier did not confirm all of them; any of them may be stored then.
    async fn put_many(&self, entries: &[(CacheKey, StoredEntry)]) -> Result<()>;

    /// Stores `entry` if the version of `key` is still `fence`, i.e. if nobody has written or
    /// removed it since the read that returned `fence`. Atomic.
    ///
    /// A tier may also refuse if what was read has expired or been evicted since: it can then no
    /// longer tell whether there was a removal in between.
    ///
    /// # Errors
    ///
    /// If the tier did not confirm; the entry may or may not be stored then.
    async fn put_fenced(
        &self,
        key: &CacheKey,
        entry: &StoredEntry,
        fence: Fence,
    ) -> Result<PutFenced>;

    /// Removes `key`; whether there was a live entry. Voids every fence taken before.
    ///
    /// # Errors
    ///
    /// If the tier did not confirm; the entry may or may not be removed then.
    async fn remove(&self, key: &CacheKey) -> Result<bool>;

    /// Removes many keys; how many of them were live. A duplicate counts once.
    ///
    /// # Errors
    ///
    /// If the tier did not confirm all of them; any of them may be removed then.
    async fn remove_many(&self, keys: &[CacheKey]) -> Result<u64>;

    /// Removes `key` if its version is still `fence`, foreign bytes included; whether it did.
    /// Atomic: a value written in between survives.
    ///
    /// # Errors
    ///
    /// If the tier did not confirm; the entry may or may not be removed then.
    async fn remove_if_equals(&self, key: &CacheKey, fence: Fence) -> Result<bool>;

    /// How long the live entry of `key` has left; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If the tier could not answer.
    async fn ttl(&self, key: &CacheKey) -> Result<Option<Duration>>;

    /// Physically removes everything of this tier's own namespace and nothing else, in bounded
    /// steps; how many records went. Not atomic, and fences are forgotten too: space is its
    /// purpose, not invalidation.
    ///
    /// # Errors
    ///
    /// If the tier stopped answering on the way; some of it may be removed then.
    async fn purge(&self) -> Result<u64>;

    /// Whether the tier can serve now.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    async fn ping(&self) -> Result<()>;
}

/// What a read found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The live entry, if there is one.
    pub entry: Option<StoredEntry>,
    /// The version of the key at that moment: hand it to [`RemoteTier::put_fenced`] with whatever
    /// was fetched because of this answer.
    pub fence: Fence,
}

/// The version of a key in a remote tier: unique, compared for equality, meaningless otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fence(pub [u8; 16]);

impl Fence {
    /// The version of a key that the tier knows nothing about.
    pub const ABSENT: Self = Self([0; 16]);
}

/// What became of a fenced put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum PutFenced {
    /// It is stored.
    Stored,
    /// The key was written or removed since, or what was read is gone: what is there stays.
    Superseded,
}

/// What a remote tier can do and promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// What errors, metrics and reports call the tier, e.g. `redis`.
    pub name: &'static str,
    /// How long a removal is remembered, so that fences from before it are refused.
    pub fence_memory: Duration,
    /// The longest time that any one call takes, batches and `purge` apart.
    pub deadline: Duration,
}

macro_rules! forward_remote_tier {
    ($pointer:ident) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<T: RemoteTier + ?Sized> RemoteTier for $pointer<T> {
            fn capabilities(&self) -> Capabilities {
                (**self).capabilities()
            }
            async fn get(&self, key: &CacheKey) -> Result<Lookup> {
                (**self).get(key).await
            }
            async fn get_many(&self, keys: &[CacheKey]) -> Result<Vec<Lookup>> {
                (**self).get_many(keys).await
            }
            async fn put(&self, key: &CacheKey, entry: &StoredEntry) -> Result<()> {
                (**self).put(key, entry).await
            }
            async fn put_many(&self, entries: &[(CacheKey, StoredEntry)]) -> Result<()> {
                (**self).put_many(entries).await
            }
            async fn put_fenced(
                &self,
                key: &CacheKey,
                entry: &StoredEntry,
                fence: Fence,
            ) -> Result<PutFenced> {
                (**self).put_fenced(key, entry, fence).await
            }
            async fn remove(&self, key: &CacheKey) -> Result<bool> {
                (**self).remove(key).await
            }
            async fn remove_many(&self, keys: &[CacheKey]) -> Result<u64> {
                (**self).remove_many(keys).await
            }
            async fn remove_if_equals(&self, key: &CacheKey, fence: Fence) -> Result<bool> {
                (**self).remove_if_equals(key, fence).await
            }
            async fn ttl(&self, key: &CacheKey) -> Result<Option<Duration>> {
                (**self).ttl(key).await
            }
            async fn purge(&self) -> Result<u64> {
                (**self).purge().await
            }
            async fn ping(&self) -> Result<()> {
                (**self).ping().await
            }
        }
    };
}

forward_remote_tier!(Arc);
forward_remote_tier!(Box);
