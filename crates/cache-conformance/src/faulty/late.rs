//! [`Late`]: writes whose callers were told that they timed out, and that take effect later.

use std::sync::{Mutex, PoisonError};

use cache_core::{CacheKey, Fence, RemoteTier, StoredEntry};

/// Calls that a late write lets pass.
const LETS_PASS: u64 = 2;

/// A write on its way.
#[derive(Clone, Debug)]
pub(super) enum Write {
    Put(Vec<(CacheKey, StoredEntry)>),
    PutFenced(CacheKey, StoredEntry, Fence),
    Remove(Vec<CacheKey>),
    RemoveIfEquals(CacheKey, Fence),
}

/// Writes on their way, each with the number of the call that it waits for.
#[derive(Debug, Default)]
pub(super) struct Late(Mutex<Vec<(u64, Write)>>);

impl Late {
    pub(super) fn add(&self, call: u64, write: Write) {
        self.writes().push((call + LETS_PASS, write));
    }

    /// Lets those arrive that waited for this call.
    pub(super) async fn arrive(&self, call: u64, tier: &impl RemoteTier) {
        for write in self.take_due(call) {
            // Nobody is there any more to be told how it went.
            let _ = match write {
                Write::Put(entries) => tier.put_many(&entries).await,
                Write::PutFenced(key, entry, fence) => {
                    tier.put_fenced(&key, &entry, fence).await.map(drop)
                }
                Write::Remove(keys) => tier.remove_many(&keys).await.map(drop),
                Write::RemoveIfEquals(key, fence) => {
                    tier.remove_if_equals(&key, fence).await.map(drop)
                }
            };
        }
    }

    fn take_due(&self, call: u64) -> Vec<Write> {
        let mut writes = self.writes();
        let (due, rest) = std::mem::take(&mut *writes).into_iter().partition(|(at, _)| *at <= call);
        *writes = rest;
        let due: Vec<(u64, Write)> = due;
        due.into_iter().map(|(_, write)| write).collect()
    }

    fn writes(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Write)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
