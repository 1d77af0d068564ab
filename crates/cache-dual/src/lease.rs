//! Leases: one fetch a key among all processes that share a remote tier.
//!
//! For efficiency only. What is stored is fenced by the key's own version, so the value of a holder
//! that was taken for dead is refused if another stored its own since.

use std::sync::Arc;
use std::time::Duration;

use cache_core::{CacheKey, Entry, LocalTier, PutFenced};
use tokio::time::Instant;

use crate::fence::Ticket;
use crate::inner::Inner;
use crate::lead::Until;
use crate::options::LeaseOptions;
use crate::outcome::Outcome;
use crate::read::{Ask, Found, Near};
use crate::stamps::{Stamp, random};

/// How often a waiting process looks for the value: at first, and at last.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// The right to fetch the value of a key, until it is dropped. If that happens outside of a runtime,
/// or the process dies, it ends with its time.
pub(crate) struct Held<V: Clone + Send + Sync + 'static, L: LocalTier<V>> {
    inner: Arc<Inner<V, L>>,
    key: CacheKey,
    id: Stamp,
}

/// Whether this process may fetch.
enum Lease<V: Clone + Send + Sync + 'static, L: LocalTier<V>> {
    Ours(Held<V, L>),
    Theirs,
    /// The remote tier does not say.
    Unknown,
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> Inner<V, L> {
    /// After a miss, where leases are wanted: comes back with the lease, or with the value that its
    /// holder fetched. A value that is `due` to be replaced is no such value.
    pub(crate) async fn lease_or_wait(
        self: &Arc<Self>,
        mut ticket: Ticket,
        mut stale: Option<Outcome<V>>,
        due: Option<Entry<V>>,
        ask: Ask<'_>,
        hard: Until,
    ) -> (Found<V>, Option<Held<V, L>>) {
        let Some(LeaseOptions { ttl, wait }) = self.options.lease else {
            return (Found::Miss { ticket, stale }, None);
        };
        let key = &ticket.key.clone();
        let until = Instant::now() + wait;
        let until = hard.map_or(until, |(_, hard)| until.min(hard));
        let mut pause = FIRST_LOOK;
        // Without a fence the remote tier did not answer, and has no leases to give.
        while ticket.fence.is_some() && Instant::now() < until {
            let lease = self.lease(key, ttl).await;
            if let Lease::Theirs = lease {
                if let Some(stale) = stale {
                    return (Found::Hit(stale), None); // they see to a fresh one
                }
                self.counters.lease_waits.add_one();
                tokio::time::sleep_until(until.min(Instant::now() + pause)).await;
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
            // The holder before may have stored its value since we looked.
            let near = due.clone().map_or_else(|| self.near(key), Near::Due);
            match (self.find(key, near, ask).await, lease) {
                (hit @ Found::Hit(_), _) => return (hit, None),
                (miss, Lease::Ours(held)) => return (miss, Some(held)),
                (miss, Lease::Unknown) => return (miss, None),
                (Found::Miss { ticket: later, stale: left }, Lease::Theirs) => {
                    (ticket, stale) = (later, left);
                }
            }
        }
        (Found::Miss { ticket, stale }, None)
    }

    async fn lease(self: &Arc<Self>, key: &CacheKey, ttl: Duration) -> Lease<V, L> {
        let Some(l2) = &self.l2 else { return Lease::Unknown };
        let place = place(key);
        let Some(lookup) = l2.get(&place, None).await else { return Lease::Unknown };
        if lookup.entry.is_some() {
            return Lease::Theirs;
        }
        let id = random();
        match l2.put_note(&place, &id, ttl, Some(lookup.fence)).await {
            Ok(PutFenced::Stored) => Lease::Ours(Held { inner: Arc::clone(self), key: *key, id }),
            Ok(PutFenced::Superseded) => Lease::Theirs,
            Err(_) => Lease::Unknown,
        }
    }

    /// Gives a lease back, unless its time was up and another has it by now.
    async fn release(&self, key: &CacheKey, id: Stamp) {
        let Some(l2) = &self.l2 else { return };
        let place = place(key);
        if let Some(lookup) = l2.get(&place, None).await
            && lookup.entry.is_some_and(|entry| entry.value.bytes.as_ref() == id)
        {
            let _ends_by_itself = l2.remove_if_equals(&place, lookup.fence).await;
        }
    }
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> Drop for Held<V, L> {
    fn drop(&mut self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (inner, key, id) = (Arc::clone(&self.inner), self.key, self.id);
            runtime.spawn(async move { inner.release(&key, id).await });
        }
    }
}

/// Where the lease of `key` is kept.
fn place(key: &CacheKey) -> CacheKey {
    CacheKey::from_digest(blake3::derive_key("cache-dual 2026 lease v1", key.as_bytes()))
}
