//! What all clones of a cache share, and the steps that its operations are made of.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cache_core::{CacheKey, Clock, Entry, Inserted, Lifetime, LocalTier, PutFenced, Tags};

use crate::builder::Weigher;
use crate::counters::Counters;
use crate::epochs::Epochs;
use crate::events::Events;
use crate::fence::{Fences, Ticket};
use crate::fetch::Landing;
use crate::flight::Flights;
use crate::lease::Held;
use crate::negative::Negatives;
use crate::options::DualOptions;
use crate::order::WriteOrder;
use crate::outcome::{Fulfilled, InsertOptions, Tiers};
use crate::pauses::Pauses;
use crate::peers::Peers;
use crate::queue::{Queue, Write};
use crate::remote::Remote;
use crate::repairs::Repairs;
use crate::room::Room;
use crate::stamps::Stamps;

/// What all clones of a cache share.
pub(crate) struct Inner<V, L> {
    pub(crate) l1: L,
    pub(crate) l2: Option<Remote<V>>,
    pub(crate) peers: Option<Peers>,
    pub(crate) options: DualOptions,
    /// Whether anything is stored: not by every strategy, and no more once closed.
    pub(crate) open: AtomicBool,
    pub(crate) epochs: Epochs,
    pub(crate) stamps: Stamps,
    /// Generations of keys, raised by invalidations and inserts.
    pub(crate) fences: Fences,
    /// The same, raised by whatever is stored in memory that was fetched.
    pub(crate) stores: Fences,
    pub(crate) flights: Flights<Landing<V>>,
    /// Flights of values with tags, apart: whoever asks after any tag's invalidation joins none.
    pub(crate) tagged: Flights<Landing<V>>,
    pub(crate) negatives: Option<Negatives>,
    pub(crate) pauses: Pauses,
    pub(crate) room: Option<Room>,
    pub(crate) writers: WriteOrder,
    pub(crate) queue: Option<Queue<V>>,
    pub(crate) repairs: Repairs,
    pub(crate) events: Events,
    pub(crate) weigher: Weigher<V>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Arc<Counters>,
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> Inner<V, L> {
    /// Whether anything is looked up and stored.
    pub(crate) fn caches(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Ends everything; how many queued writes could not be made.
    pub(crate) async fn close(self: &Arc<Self>, limit: Duration) -> usize {
        self.open.store(false, Ordering::Release);
        if let Some(peers) = &self.peers {
            peers.close();
        }
        // Nothing more is put there.
        self.l1.clear();
        // Before the fences are raised, which would void what is queued.
        let unwritten = match &self.queue {
            Some(queue) => queue.close(limit).await,
            None => 0,
        };
        self.forget_all();
        if self.repairs.len() > 0 {
            let _others_do_not_know = tokio::time::timeout(limit, self.pay()).await;
        }
        unwritten
    }

    /// An entry with the stamps of `tags`, the root's first.
    pub(crate) fn entry(&self, value: V, options: InsertOptions, tags: Tags) -> Entry<V> {
        let weight = options.weight.unwrap_or_else(|| (self.weigher)(&value));
        let mut ttl = options.ttl.unwrap_or(self.options.ttl);
        if self.options.jitter > 0.0 {
            ttl = ttl.mul_f64(1.0 - self.options.jitter * fastrand::f64());
        }
        let grace = options.grace.unwrap_or(self.options.grace);
        // Zero is "do not store", with or without grace.
        let grace = if ttl.is_zero() { ttl } else { grace };
        let lifetime = Lifetime::new(ttl).with_grace(grace);
        Entry::new(value, self.clock.now(), lifetime).with_weight(weight).with_tags(tags)
    }

    /// `key` with its generation and the epoch in it. Keys are digests: no other one becomes the same.
    pub(crate) fn flight_key(&self, key: &CacheKey) -> CacheKey {
        let mut digest = *key.as_bytes();
        let standing = [self.fences.token(key).generation(), self.epochs.now()];
        // Behind the part that places it, which stays.
        for (place, number) in digest[8..24].chunks_exact_mut(8).zip(standing) {
            place.iter_mut().zip(number.to_le_bytes()).for_each(|(byte, other)| *byte ^= other);
        }
        CacheKey::from_digest(digest)
    }

    /// Stores a fetched value in memory, as far as its options say so.
    pub(crate) fn publish_fetched(
        &self,
        ticket: &Ticket,
        entry: &Entry<V>,
        tiers: Tiers,
    ) -> Inserted {
        if tiers != Tiers::Remote {
            return self.publish(ticket, entry);
        }
        if entry.is_expired(self.clock.now()) {
            Inserted::Expired
        } else if self.fences.holds(&ticket.key, ticket.token) {
            Inserted::Stored
        } else {
            self.counters.fenced.add_one();
            Inserted::Declined
        }
    }

    /// Stores `entry` in the remote tier if the ticket still holds there too, or has it queued.
    pub(crate) async fn publish_remotely(
        self: &Arc<Self>,
        ticket: Ticket,
        local: Inserted,
        entry: Entry<V>,
        tiers: Tiers,
        held: Option<Held<V, L>>,
    ) -> Fulfilled {
        let fulfilled = match local {
            Inserted::Stored => Fulfilled::Stored,
            Inserted::TooHeavy => Fulfilled::TooHeavy,
            Inserted::Expired => return Fulfilled::Expired,
            Inserted::Declined => return Fulfilled::Fenced,
        };
        if self.l2.is_none() || tiers == Tiers::Memory {
            return fulfilled;
        }
        if ticket.fence.is_none() {
            self.counters.l2_failed_writes.add_one(); // it did not even answer the lookup
            if ticket.replaces {
                self.tell_and_owe(&ticket.key, false).await;
            }
            return fulfilled;
        }
        if let Some(queue) = &self.queue {
            let held = held.map(|held| Box::new(held) as Box<dyn Any + Send + Sync>);
            self.enqueue(queue, Write::Fetched(ticket, entry, held));
            return fulfilled;
        }
        self.store_remotely(&ticket, entry).await.unwrap_or(fulfilled)
    }

    /// `None` says that there is nothing to say beyond what became of it in memory.
    pub(crate) async fn store_remotely(
        self: &Arc<Self>,
        ticket: &Ticket,
        entry: Entry<V>,
    ) -> Option<Fulfilled> {
        let (l2, fence) = (self.l2.as_ref()?, ticket.fence?);
        // Beyond its memory the tier may have forgotten that the key was removed meanwhile.
        let held = self.clock.now().saturating_since(ticket.taken_at);
        if held >= l2.fence_memory() || !self.fences.holds(&ticket.key, ticket.token) {
            self.counters.fenced.add_one();
            if ticket.replaces {
                self.tell_and_owe(&ticket.key, false).await;
            }
            return None;
        }
        let stored = l2.put_fenced(&ticket.key, entry, fence).await;
        if ticket.replaces {
            let told = self.tell_key(&ticket.key).await;
            let debt = self.left(stored.is_some(), told.is_ok());
            // Only ever more: the key may have been removed meanwhile, and that be owed.
            if !debt.is_none() {
                self.owe_write(&ticket.key, debt);
            }
        }
        if stored == Some(PutFenced::Superseded) {
            // Another process stored or removed the key meanwhile, and its word is the later one:
            // the next lookup here reads it. (A newer value of our own that this may remove from
            // memory is in the remote tier too.)
            self.counters.fenced.add_one();
            self.l1.remove(&ticket.key);
            return Some(Fulfilled::Fenced);
        }
        None
    }

    pub(crate) fn report(&self) {
        self.counters.report_local(&self.l1.stats());
    }
}
