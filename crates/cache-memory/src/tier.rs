//! [`MemoryCache`] as a [`LocalTier`].

use std::hash::BuildHasher;

use cache_core::{BuildKeyHasher, CacheKey, Entry, Inserted, LocalStats, LocalTier};

use crate::builder::MemoryBuilder;
use crate::cache::{ENTRY_OVERHEAD, MemoryCache};
use crate::options::InsertOptions;

/// The tier in memory of a `DualCache`: [`MemoryCache`] holding [`Entry`]s under [`CacheKey`]s.
pub type LocalCache<V> = MemoryCache<CacheKey, Entry<V>, BuildKeyHasher>;

impl<V> MemoryCache<CacheKey, Entry<V>, BuildKeyHasher> {
    /// Options for a cache that serves as a tier: entries end when they say and weigh what they
    /// say and [`ENTRY_OVERHEAD`].
    ///
    /// ```
    /// use cache_memory::{
    ///     CacheKey, Clock, Entry, Inserted, Lifetime, LocalCache, LocalTier, SystemClock,
    /// };
    /// use std::time::Duration;
    ///
    /// let l1 = LocalCache::local().max_weight(64 << 20).build()?;
    /// let key = CacheKey::from_text("greeting");
    /// let entry = Entry::new("hello", SystemClock.now(), Lifetime::new(Duration::from_secs(60)));
    /// assert_eq!(LocalTier::insert(&l1, key, entry.with_weight(5)), Inserted::Stored);
    /// assert_eq!(l1.get(&key).map(|entry| entry.value), Some("hello"));
    /// # Ok::<(), cache_memory::BuildError>(())
    /// ```
    pub fn local() -> MemoryBuilder<CacheKey, Entry<V>, BuildKeyHasher> {
        MemoryBuilder::new(BuildKeyHasher)
            .weigher(|_, entry: &Entry<V>| entry.weight.saturating_add(ENTRY_OVERHEAD))
            .expires_at(|_, entry| entry.expires_at)
    }
}

/// Entries end when they say, whatever the default time to live, and weigh what they say and
/// [`ENTRY_OVERHEAD`], whatever a weigher says.
impl<V, S> LocalTier<V> for MemoryCache<CacheKey, Entry<V>, S>
where
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    fn get(&self, key: &CacheKey) -> Option<Entry<V>> {
        self.get(key).map(|entry| entry.to_value())
    }

    fn get_with<R>(&self, key: &CacheKey, look: impl FnOnce(&Entry<V>) -> R) -> Option<R> {
        self.get(key).map(|entry| look(&entry))
    }

    fn insert_if(
        &self,
        key: CacheKey,
        entry: Entry<V>,
        condition: impl FnOnce() -> bool,
    ) -> Inserted {
        let options = InsertOptions::new()
            .until(entry.expires_at)
            .weight(entry.weight.saturating_add(ENTRY_OVERHEAD));
        self.insert_with_if(key, entry, options, condition)
    }

    fn remove(&self, key: &CacheKey) -> bool {
        self.remove(key).is_some()
    }

    fn remove_if(&self, key: &CacheKey, matches: impl Fn(&Entry<V>) -> bool) -> bool {
        self.remove_if(key, matches).is_some()
    }

    fn clear(&self) {
        self.clear();
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn weight(&self) -> u64 {
        self.weight()
    }

    fn stats(&self) -> LocalStats {
        self.stats()
    }
}
