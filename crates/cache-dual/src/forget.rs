//! [`Forget`]: the part of an invalidation that happens in this process.

use cache_core::{CacheKey, LocalTier};

use crate::inner::Inner;

/// Makes memory, fences and flights forget keys: when it begins, and again when it ends or is
/// dropped. In between the remote tier is told, and readers may still find the old values there.
pub(crate) struct Forget<'a, V: Clone + Send + Sync + 'static, L: LocalTier<V>> {
    inner: &'a Inner<V, L>,
    keys: &'a [CacheKey],
    /// How many were in memory.
    pub(crate) were_in_memory: u64,
    ended: bool,
}

impl<'a, V: Clone + Send + Sync + 'static, L: LocalTier<V>> Forget<'a, V, L> {
    pub(crate) fn begin(inner: &'a Inner<V, L>, keys: &'a [CacheKey]) -> Self {
        let mut forget = Self { inner, keys, were_in_memory: 0, ended: false };
        forget.were_in_memory = forget.step();
        forget
    }

    pub(crate) fn end(&mut self) {
        self.ended = true;
        self.step();
    }

    fn step(&self) -> u64 {
        self.keys.iter().map(|key| u64::from(self.inner.forget_in_memory(key))).sum()
    }
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> Drop for Forget<'_, V, L> {
    fn drop(&mut self) {
        if !self.ended {
            self.step();
        }
    }
}
