//! Reading, deciding and writing one key as if at once.

use std::hash::{BuildHasher, Hash};

use cache_core::Inserted;

use super::MemoryCache;
use crate::options::InsertOptions;
use crate::record::Handle;

/// What to do with a key, having seen its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Compute<V> {
    /// Store this value.
    Put(V),
    /// Store this value as the options say.
    PutWith(V, InsertOptions),
    /// Remove the value there is.
    Remove,
    /// Leave things as they are.
    Keep,
}

/// What became of a key.
#[derive(Debug)]
pub enum Computed<K, V> {
    /// The value was stored.
    Stored(Handle<K, V>),
    /// The value that was there is removed.
    Removed(Handle<K, V>),
    /// Nothing was done; the value that is there.
    Kept(Option<Handle<K, V>>),
    /// The value was refused, as [`Inserted`] says; nothing is stored under the key now.
    Refused(Inserted),
}

impl<K: Eq + Hash + Clone, V, S: BuildHasher> MemoryCache<K, V, S> {
    /// Decides about a key by its live value: `decide` sees it and says what to do, and that is
    /// done only if the value is still the one it saw. If not, `decide` is asked again.
    ///
    /// It runs while nothing is locked, so it may call the cache and take its time; but as it may
    /// run more than once, it should have no other effects.
    ///
    /// ```
    /// use cache_memory::{Compute, MemoryCache};
    ///
    /// let cache: MemoryCache<&str, u32> = MemoryCache::builder().max_entries(10).build()?;
    /// for _ in 0..3 {
    ///     cache.compute(&"count", |value| Compute::Put(value.map_or(1, |count| count + 1)));
    /// }
    /// assert_eq!(*cache.get("count").expect("stored"), 3);
    /// # Ok::<(), cache_memory::BuildError>(())
    /// ```
    pub fn compute(
        &self,
        key: &K,
        mut decide: impl FnMut(Option<&V>) -> Compute<V>,
    ) -> Computed<K, V> {
        loop {
            let seen = self.peek(key);
            let (value, options) = match (decide(seen.as_deref()), &seen) {
                (Compute::Put(value), _) => (value, InsertOptions::new()),
                (Compute::PutWith(value, options), _) => (value, options),
                (Compute::Remove, Some(value)) if self.remove_this(value) => {
                    return Computed::Removed(value.clone());
                }
                (Compute::Remove, Some(_)) => continue, // another value came, or its time was up
                (Compute::Remove, None) | (Compute::Keep, _) => return Computed::Kept(seen),
            };
            let spot = self.shared.store.spot(key);
            let now = self.shared.store.times.now();
            let mut new = self.shared.new_entry(spot, key.clone(), value, options);
            let handle = new.handle();
            let inserted = self.shared.store.insert(new, |there| {
                // One that has expired is nothing to have seen.
                let live = there.filter(|there| self.shared.store.times.is_live(&there.0, now));
                let is_seen = match (&seen, live) {
                    (Some(seen), Some(there)) => seen.same(there),
                    (None, None) => true,
                    _ => false,
                };
                is_seen && self.shared.loads.void_locked(spot)
            });
            match inserted {
                Inserted::Stored => return Computed::Stored(handle),
                Inserted::Declined => {}
                refused => return Computed::Refused(refused),
            }
        }
    }
}
