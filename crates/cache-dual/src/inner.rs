//! What all clones of a cache share, and the steps that its operations are made of.

use std::sync::Arc;
use std::time::Duration;

use cache_core::{CacheKey, Clock, Entry, Inserted, Lifetime, LocalTier, PutFenced};

use crate::builder::Weigher;
use crate::counters::Counters;
use crate::fence::{Fences, Ticket};
use crate::fetch::Landing;
use crate::flight::Flights;
use crate::order::WriteOrder;
use crate::outcome::{Fulfilled, InsertOptions, Lookup, Outcome, Source};
use crate::peers::Peers;
use crate::remote::{Remote, RemoteRead};

/// What all clones of a cache share.
pub(crate) struct Inner<V, L> {
    pub(crate) l1: L,
    pub(crate) l2: Option<Remote<V>>,
    pub(crate) peers: Option<Peers>,
    pub(crate) fences: Fences,
    pub(crate) flights: Flights<Landing<V>>,
    pub(crate) writers: WriteOrder,
    pub(crate) ttl: Duration,
    pub(crate) weigher: Weigher<V>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Arc<Counters>,
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> Inner<V, L> {
    pub(crate) fn in_memory(&self, key: &CacheKey) -> Option<Outcome<V>> {
        Some(Outcome::new(self.l1.get(key)?, Source::L1))
    }

    /// What a lookup finds in memory. Counted.
    pub(crate) fn hit(&self, key: &CacheKey) -> Option<Outcome<V>> {
        let outcome = self.in_memory(key)?;
        self.counters.l1_hits.add_one();
        Some(outcome)
    }

    /// Comes before any read: whatever is invalidated from here on, the read is void.
    pub(crate) fn take_ticket(&self, key: &CacheKey) -> Ticket {
        let (token, taken_at) = (self.fences.token(key), self.clock.now());
        Ticket { key: *key, token, fence: None, taken_at, replaces: false }
    }

    /// Asks the remote tier and fills memory with what it has.
    pub(crate) async fn behind_memory(&self, key: &CacheKey) -> Lookup<V> {
        let mut ticket = self.take_ticket(key);
        let Some(l2) = &self.l2 else { return Lookup::Miss(ticket) };
        match l2.get(key).await {
            RemoteRead::Hit(mut entry) => {
                // Who stored it may have weighed otherwise, or not at all; the bound is ours.
                entry.weight = entry.weight.max((self.weigher)(&entry.value));
                let _ = self.publish(&ticket, &entry);
                Lookup::Hit(Outcome::new(entry, Source::L2))
            }
            RemoteRead::Miss(fence) => {
                ticket.fence = fence;
                Lookup::Miss(ticket)
            }
        }
    }

    pub(crate) fn entry(&self, value: V, options: InsertOptions) -> Entry<V> {
        let weight = options.weight.unwrap_or_else(|| (self.weigher)(&value));
        let lifetime = Lifetime::new(options.ttl.unwrap_or(self.ttl));
        Entry::new(value, self.clock.now(), lifetime).with_weight(weight)
    }

    /// Stores `entry` in memory if the ticket still holds at the moment of storing.
    pub(crate) fn publish(&self, ticket: &Ticket, entry: &Entry<V>) -> Inserted {
        let holds = || self.fences.holds(&ticket.key, ticket.token);
        let inserted = self.l1.insert_if(ticket.key, entry.clone(), holds);
        if inserted == Inserted::Declined {
            self.counters.fenced.add_one();
        }
        self.report();
        inserted
    }

    /// Stores `entry` in the remote tier if the ticket still holds there too.
    pub(crate) async fn publish_remotely(
        &self,
        ticket: &Ticket,
        local: Inserted,
        entry: Entry<V>,
    ) -> Fulfilled {
        let fulfilled = match local {
            Inserted::Stored => Fulfilled::Stored,
            Inserted::TooHeavy => Fulfilled::TooHeavy,
            Inserted::Expired => return Fulfilled::Expired,
            Inserted::Declined => return Fulfilled::Fenced,
        };
        let (Some(l2), Some(fence)) = (&self.l2, ticket.fence) else {
            return fulfilled;
        };
        // Beyond its memory the tier may have forgotten that the key was removed meanwhile.
        let held = self.clock.now().saturating_since(ticket.taken_at);
        if held >= l2.fence_memory() || !self.fences.holds(&ticket.key, ticket.token) {
            self.counters.fenced.add_one();
            return fulfilled;
        }
        let stored = l2.put_fenced(&ticket.key, entry, fence).await;
        if ticket.replaces
            && let Some(peers) = &self.peers
        {
            let _counted = peers.tell(&ticket.key).await;
        }
        if stored == Some(PutFenced::Superseded) {
            // Another process stored or removed the key meanwhile, and its word is the later one:
            // the next lookup here reads it. (A newer value of our own that this may remove from
            // memory is in the remote tier too.)
            self.counters.fenced.add_one();
            self.l1.remove(&ticket.key);
            return Fulfilled::Fenced;
        }
        fulfilled
    }

    pub(crate) fn report(&self) {
        self.counters.report_local(&self.l1.stats());
    }
}
