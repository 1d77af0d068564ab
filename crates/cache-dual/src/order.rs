//! The order of writes: two writers of one key reach both tiers in the same order.

use cache_core::CacheKey;
use tokio::sync::{Mutex, MutexGuard};

/// Enough that writers of different keys seldom wait for each other.
const STRIPES: usize = 256;

/// A queue of writers for every key. Only writers take part; no reader and no hit ever waits here.
///
/// A turn is held across the remote write, which has a deadline, so no wait is unbounded.
#[derive(Debug)]
pub(crate) struct WriteOrder(Box<[Mutex<()>]>);

impl WriteOrder {
    pub(crate) fn new() -> Self {
        Self((0..STRIPES).map(|_| Mutex::new(())).collect())
    }

    pub(crate) async fn turn(&self, key: &CacheKey) -> MutexGuard<'_, ()> {
        self.0[stripe(key)].lock().await
    }

    /// The turns of many keys, taken in one order by all, so that nobody waits for each other.
    pub(crate) async fn turns(&self, keys: &[CacheKey]) -> Vec<MutexGuard<'_, ()>> {
        let mut stripes: Vec<usize> = keys.iter().map(stripe).collect();
        stripes.sort_unstable();
        stripes.dedup();
        let mut turns = Vec::with_capacity(stripes.len());
        for stripe in stripes {
            turns.push(self.0[stripe].lock().await);
        }
        turns
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the low bits are all that is wanted")]
fn stripe(key: &CacheKey) -> usize {
    key.prefix() as usize % STRIPES
}
