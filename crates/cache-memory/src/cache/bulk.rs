//! Many entries at a time.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};

use cache_core::Inserted;

use super::MemoryCache;
use crate::record::Handle;

impl<K: Eq + Hash, V, S: BuildHasher> MemoryCache<K, V, S> {
    /// The live values of several keys, in their order; each a lookup of its own.
    pub fn get_many<'a, Q>(
        &self,
        keys: impl IntoIterator<Item = &'a Q>,
    ) -> Vec<Option<Handle<K, V>>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized + 'a,
    {
        keys.into_iter().map(|key| self.get(key)).collect()
    }

    /// Stores several values; what became of each, in their order.
    pub fn insert_many(&self, entries: impl IntoIterator<Item = (K, V)>) -> Vec<Inserted> {
        entries.into_iter().map(|(key, value)| self.insert(key, value)).collect()
    }

    /// Removes several keys; how many of them had a live value.
    pub fn remove_many<'a, Q>(&self, keys: impl IntoIterator<Item = &'a Q>) -> usize
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized + 'a,
    {
        keys.into_iter().filter(|key| self.remove(*key).is_some()).count()
    }

    /// Goes through all live entries, in no particular order. Counts as no use of them.
    ///
    /// Each part of the cache is seen as it is at the moment at which the iterator comes to it; what
    /// it hands out stays valid whatever happens meanwhile. Nothing is locked between its steps.
    pub fn iter(&self) -> impl Iterator<Item = Handle<K, V>> {
        let store = &self.shared.store;
        (0..store.shards()).flat_map(|shard| store.snapshot(shard))
    }

    /// Removes all live entries for which `keep` is false; how many there were. Exactly the values
    /// that `keep` saw are removed, and none that took their place meanwhile.
    pub fn retain(&self, mut keep: impl FnMut(&K, &V) -> bool) -> usize {
        let unwanted = self.iter().filter(|entry| !keep(entry.key(), entry.value()));
        unwanted.filter(|entry| self.remove_this(entry)).count()
    }
}
