//! litellm-rs, whose cache is asynchronous although nothing in it waits for anything but locks.

use litellm_rs::core::cache::InMemoryCache;
use litellm_rs::core::cache::types::DualCacheConfig;

use super::{Answer, Contender, Recipe, Role, finished};

/// Text with its hash, which is made once and not at each call.
pub(crate) type Key = litellm_rs::core::cache::types::CacheKey;

impl<V: Answer> Contender<Key, V> for InMemoryCache<V> {
    fn look_up(&self, key: &Key, number: u32) -> Option<bool> {
        finished(self.get(key)).map(|value| value.answers(number))
    }
    fn insert(&self, key: Key, value: V) {
        finished(self.set(key, value));
    }
    fn len(&self) -> usize {
        self.len()
    }
}

/// As its defaults are, but for the capacity: LRU, an hour to live.
pub(crate) fn recipe<V: Answer>() -> Recipe<Key, V> {
    Recipe::new("litellm-rs 0.4.16", Role::Rival, |capacity| {
        let mut options = DualCacheConfig::memory_only();
        options.max_size = capacity;
        InMemoryCache::new(options)
    })
}
