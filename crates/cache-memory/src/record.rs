//! [`Record`]: a value as the store holds it, and [`Handle`]: a reader's share of it.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use cache_core::Timestamp;
use triomphe::Arc;

/// Bits that the policy has to note uses in.
const MARK_BITS: u32 = 24;
const MARK_MASK: u64 = (1 << MARK_BITS) - 1;

/// A key and its value, shared by the map and by all who hold a [`Handle`].
///
/// The map compares records by `hash` alone, so no code of the user's runs while it is locked; keys
/// are compared outside, and cloning the value is the reader's business.
///
/// In memory it stands as written here, behind the reference count: whatever a hit or an eviction
/// needs to know comes first and is mostly on one cache line.
#[repr(C)]
pub(crate) struct Record<K, V> {
    /// What hits write: the policy's marks, and above them the time of the last use, in
    /// milliseconds since the cache was made (34 years' worth), where idle entries expire.
    uses: AtomicU64,
    /// [`Timestamp::MAX`] if it never expires.
    pub(crate) expires_at: Timestamp,
    /// A part of the key's hash that finds it within its shard.
    pub(crate) hash: u32,
    /// Its number in the shard's line. An overwrite hands it on, so it is the entry's, not the
    /// value's; values are told apart by the address of their record.
    place: AtomicU32,
    pub(crate) key: K,
    pub(crate) value: V,
}

impl<K, V> Record<K, V> {
    pub(crate) fn new(key: K, value: V, hash: u32, expires_at: Timestamp) -> Self {
        Self { uses: AtomicU64::new(0), expires_at, hash, place: AtomicU32::new(0), key, value }
    }

    /// Becomes another record, which gets this one's key and value. All but those has to
    /// [begin](Self::begin) anew.
    #[inline]
    pub(crate) fn exchange(&mut self, other: &mut Self) {
        (self.expires_at, self.hash) = (other.expires_at, other.hash);
        std::mem::swap(&mut self.key, &mut other.key);
        std::mem::swap(&mut self.value, &mut other.value);
    }

    // Relaxed throughout: uses order nothing but themselves, and losing one of two simultaneous
    // ones is fine.

    pub(crate) fn marks(&self) -> u32 {
        Uses(self.uses.load(Ordering::Relaxed)).marks()
    }

    /// The marks, and wipes them off. A use at the same moment may be lost.
    pub(crate) fn take_marks(&self) -> u32 {
        let uses = self.uses();
        self.note(uses, Uses::new(0, uses.last()));
        uses.marks()
    }

    /// Milliseconds since the cache was made.
    pub(crate) fn last_use(&self) -> u64 {
        Uses(self.uses.load(Ordering::Relaxed)).last()
    }

    pub(crate) fn uses(&self) -> Uses {
        Uses(self.uses.load(Ordering::Relaxed))
    }

    /// Settles what is known only once the record gets its place in line: before it is in the map.
    pub(crate) fn begin(&self, place: u32, uses: Uses) {
        self.place.store(place, Ordering::Relaxed);
        self.uses.store(uses.0, Ordering::Relaxed);
    }

    /// Read by writers only, under the lock under which it was written.
    pub(crate) fn place(&self) -> u32 {
        self.place.load(Ordering::Relaxed)
    }

    /// Writes only what changes: hits on hot entries share their cache line. The last use is never put
    /// back, however long a reader took to note its own.
    pub(crate) fn note(&self, before: Uses, after: Uses) {
        if before == after {
            return;
        }
        if after.last() == 0 {
            self.uses.store(after.0, Ordering::Relaxed);
        } else {
            let later = |now| (Uses(now).last() <= after.last()).then_some(after.0);
            let _ = self.uses.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
        }
    }
}

/// What is known of an entry's use: one word, so that a hit reads and writes it at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uses(u64);

impl Uses {
    pub(crate) fn new(marks: u32, last: u64) -> Self {
        Self(last << MARK_BITS | u64::from(marks) & MARK_MASK)
    }

    #[allow(clippy::cast_possible_truncation, reason = "24 bits")]
    pub(crate) fn marks(self) -> u32 {
        (self.0 & MARK_MASK) as u32
    }

    pub(crate) fn last(self) -> u64 {
        self.0 >> MARK_BITS
    }
}

/// A share of a stored value: what a hit gives.
///
/// It dereferences to the value, costs one reference count to make and to drop, and keeps the value
/// alive whatever happens to the cache meanwhile. Values need not be `Clone`; of one that is, such
/// as an `Arc` or `Bytes`, [`Handle::to_value`] gives an owned one.
///
/// ```
/// use cache_memory::{Handle, MemoryCache};
///
/// let cache: MemoryCache<&str, String> = MemoryCache::builder().max_entries(10).build()?;
/// let _ = cache.insert("greeting", "hello".to_owned());
/// let hit = cache.get("greeting").expect("just stored");
/// cache.clear();
/// assert_eq!((hit.len(), hit.as_str(), *hit.key()), (5, "hello", "greeting"));
/// # Ok::<(), cache_memory::BuildError>(())
/// ```
pub struct Handle<K, V>(pub(crate) Arc<Record<K, V>>);

impl<K, V> Handle<K, V> {
    /// The key as it was stored.
    pub fn key(&self) -> &K {
        &self.0.key
    }

    /// The value; also what the handle dereferences to.
    pub fn value(&self) -> &V {
        &self.0.value
    }

    /// A clone of the value, made while nothing is locked.
    pub fn to_value(&self) -> V
    where
        V: Clone,
    {
        self.0.value.clone()
    }

    /// When its time is up whatever its use; [`Timestamp::MAX`] if never.
    pub fn expires_at(&self) -> Timestamp {
        self.0.expires_at
    }

    /// Whether both hold the very same stored value, not just equal ones.
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<K, V> Clone for Handle<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Deref for Handle<K, V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.0.value
    }
}

impl<K, V> AsRef<V> for Handle<K, V> {
    fn as_ref(&self) -> &V {
        &self.0.value
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Handle<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("key", self.key())
            .field("value", self.value())
            .field("expires_at", &self.expires_at())
            .finish()
    }
}

impl<K, V: PartialEq> PartialEq<V> for Handle<K, V> {
    fn eq(&self, other: &V) -> bool {
        self.0.value == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_pack_and_unpack() {
        for (marks, last) in [(0, 0), (0xff_ffff, (1 << 40) - 1), (1, 1 << 39), (0x80_0000, 7)] {
            let uses = Uses::new(marks, last);
            assert_eq!((uses.marks(), uses.last()), (marks, last));
        }
        assert_eq!(Uses::new(0x100_0001, 0).marks(), 1, "marks wrap within their bits");
    }

    /// What an entry costs beside key and value: the documented formula stands on it.
    #[test]
    fn a_record_adds_24_bytes() {
        assert_eq!(size_of::<Record<[u8; 32], std::sync::Arc<[u8]>>>(), 32 + 16 + 24);
    }
}
