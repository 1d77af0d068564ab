//! Unique values for fences, and jitter.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::Fence;

/// Makes values that no other source makes again: a counter, hashed under a random key (BLAKE3).
pub(crate) struct Random {
    key: [u8; 32],
    counter: AtomicU64,
}

impl Random {
    /// A source with a key of its own.
    ///
    /// The key comes from the operating system by way of [`RandomState`], the one door to it that
    /// the standard library has.
    pub(crate) fn new() -> Self {
        let mut key = [0; 32];
        for (part, chunk) in (0_u64..).zip(key.chunks_exact_mut(8)) {
            chunk.copy_from_slice(&RandomState::new().hash_one(part).to_le_bytes());
        }
        Self { key, counter: AtomicU64::new(0) }
    }

    /// A fence that was never used before, and is not [`Fence::ABSENT`].
    pub(crate) fn fence(&self) -> Fence {
        loop {
            let fence = Fence(self.next());
            if fence != Fence::ABSENT {
                return fence;
            }
        }
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        let bytes: [u8; 16] = self.next();
        u64::from_le_bytes(*bytes.first_chunk().expect("8 of 16 bytes")) % bound
    }

    fn next(&self) -> [u8; 16] {
        // Relaxed: only that no two calls see the same number matters.
        let count = self.counter.fetch_add(1, Ordering::Relaxed);
        let digest = blake3::keyed_hash(&self.key, &count.to_le_bytes());
        *digest.as_bytes().first_chunk().expect("16 of 32 bytes")
    }
}

/// The key stays out of logs: who knows it can foresee fences.
impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Random").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_fence_comes_twice() {
        let (a, b) = (Random::new(), Random::new());
        let mut fences: Vec<_> = (0..1_000).flat_map(|_| [a.fence().0, b.fence().0]).collect();
        fences.sort_unstable();
        fences.dedup();
        assert_eq!(fences.len(), 2_000);
    }
}
