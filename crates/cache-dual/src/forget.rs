//! [`Forget`]: the part of an invalidation that happens in this process.

use cache_core::{CacheKey, LocalTier};

use crate::inner::Inner;

/// Makes memory, fences and flights forget a key: when it begins, and again when it ends or is
/// dropped. In between the remote tier is told, and readers may still find the old value there.
pub(crate) struct Forget<'a, V: Clone + Send + Sync + 'static, L: LocalTier<V>> {
    inner: &'a Inner<V, L>,
    key: &'a CacheKey,
    pub(crate) was_in_memory: bool,
    ended: bool,
}

impl<'a, V: Clone + Send + Sync + 'static, L: LocalTier<V>> Forget<'a, V, L> {
    pub(crate) fn begin(inner: &'a Inner<V, L>, key: &'a CacheKey) -> Self {
        let mut forget = Self { inner, key, was_in_memory: false, ended: false };
        forget.was_in_memory = forget.step();
        forget
    }

    pub(crate) fn end(&mut self) {
        self.ended = true;
        self.step();
    }

    fn step(&self) -> bool {
        self.inner.forget_in_memory(self.key)
    }
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> Drop for Forget<'_, V, L> {
    fn drop(&mut self) {
        if !self.ended {
            self.step();
        }
    }
}
