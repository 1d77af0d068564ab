//! Reading through: the value of a key, made if there is none.

use std::convert::Infallible;
use std::hash::{BuildHasher, Hash};

use super::MemoryCache;
use crate::options::InsertOptions;
use crate::record::Handle;

impl<K: Eq + Hash, V, S: BuildHasher> MemoryCache<K, V, S> {
    /// The live value of `key`, or what `init` makes, stored. See
    /// [`try_get_or_insert_with`](Self::try_get_or_insert_with).
    ///
    /// ```
    /// use cache_memory::MemoryCache;
    ///
    /// let cache: MemoryCache<u32, String> = MemoryCache::builder().max_entries(10).build()?;
    /// assert_eq!(cache.get_or_insert_with(7, || "seven".into()).as_str(), "seven");
    /// assert_eq!(cache.get_or_insert_with(7, || unreachable!()).as_str(), "seven");
    /// # Ok::<(), cache_memory::BuildError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If `init` panics, or asks this method for the same key.
    pub fn get_or_insert_with(&self, key: K, init: impl FnOnce() -> V) -> Handle<K, V> {
        let made = self
            .try_get_or_insert_with(key, || Ok::<_, Infallible>((init(), InsertOptions::new())));
        match made {
            Ok(handle) => handle,
            Err(never) => match never {},
        }
    }

    /// The live value of `key`, or what `init` makes, stored as the options say that it comes with.
    ///
    /// One initialiser runs per key: other callers of this method wait for it (blocking their
    /// thread) and take what it stored. If it fails or panics, the error or the panic is its
    /// caller's and the next one waiting runs its own.
    ///
    /// Whoever writes or removes the key while `init` runs has the last word: the value is handed
    /// to the caller and not stored, so nothing that was read before a removal comes back after it.
    ///
    /// # Errors
    ///
    /// Those of `init`; nothing is stored then.
    ///
    /// # Panics
    ///
    /// If `init` panics, or asks this method for the same key: it would wait for itself. (Two keys whose
    /// hashes are equal take turns as if they were one.) Initialisers of several keys that wait for
    /// each other in a circle are not detected: they wait for ever.
    pub fn try_get_or_insert_with<E>(
        &self,
        key: K,
        init: impl FnOnce() -> Result<(V, InsertOptions), E>,
    ) -> Result<Handle<K, V>, E> {
        if let Some(hit) = self.get(&key) {
            return Ok(hit);
        }
        let spot = self.shared.store.spot(&key);
        let turn = self.shared.loads.turn(spot);
        // Perhaps somebody made it while this caller waited. The lookup is counted already, and is made
        // in any case: see `Loads::void_locked`.
        if let Some(hit) = self.peek(&key) {
            return Ok(hit);
        }
        let (value, options) = init()?;
        let mut new = self.shared.new_entry(spot, key, value, options);
        let handle = new.handle();
        let mut taken = self.shared.store.nothing_taken();
        let _ = self.shared.store.insert_taking(&mut new, |_| turn.holds(), &mut taken);
        drop(turn); // before what left is dropped, which may want a turn of its own
        drop(taken);
        Ok(handle)
    }
}
