//! Filling memory before anybody asks.

use cache_core::{CacheKey, Inserted, LocalTier};

use crate::cache::DualCache;
use crate::outcome::InsertOptions;
use crate::read::{Found, Near};

/// How many keys are asked of the remote tier at once.
const PAGE: usize = 256;

/// What became of keys that were to be brought into memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warmed {
    /// They are in memory now, or were before.
    pub warm: u64,
    /// They are not: nothing is stored for them, the remote tier did not answer, or there is no room.
    pub skipped: u64,
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> DualCache<V, L> {
    /// Copies what the remote tier has of `keys` into memory, where it keeps what it has left to live.
    /// Not counted as lookups. Doing it again changes nothing.
    pub async fn warm_from_remote(&self, keys: &[CacheKey]) -> Warmed {
        self.inner.listen();
        let mut warmed = Warmed::default();
        for page in keys.chunks(PAGE) {
            let found = self.inner.find_many(page, &[]).await;
            let hits = found.iter().filter(|found| matches!(found, Found::Hit(_))).count();
            warmed.warm += hits as u64;
            warmed.skipped += (page.len() - hits) as u64;
        }
        warmed
    }

    /// Stores `entries` in memory, and only there, unless it has a fresh value of their keys: what is
    /// known at startup. Doing it again changes nothing.
    pub async fn warm_with(
        &self,
        entries: impl IntoIterator<Item = (CacheKey, V, InsertOptions)>,
    ) -> Warmed {
        self.inner.listen();
        let inner = &self.inner;
        inner.resolve(&[]).await;
        let mut warmed = Warmed::default();
        for (key, value, options) in entries {
            let ticket = inner.take_ticket(&key);
            let is_warm = matches!(inner.near(&key), Near::Fresh(_)) || {
                let entry = inner.entry(value, options, inner.borne(&[]));
                inner.publish(&ticket, &entry) == Inserted::Stored
            };
            warmed.warm += u64::from(is_warm);
            warmed.skipped += u64::from(!is_warm);
        }
        warmed
    }
}
