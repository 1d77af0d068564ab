//! Writing what a caller gives, not what was fetched.

use std::sync::Arc;

use cache_core::{CacheKey, Entry, Inserted, LocalTier, Tag};

use crate::events::EventKind;
use crate::fence::Ticket;
use crate::forget::Forget;
use crate::inner::Inner;
use crate::outcome::{Fulfilled, InsertOptions, Tiers};
use crate::queue::Write;

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> Inner<V, L> {
    pub(crate) async fn insert(
        self: &Arc<Self>,
        key: &CacheKey,
        value: V,
        options: InsertOptions,
        tags: &[Tag],
    ) -> Inserted {
        if !self.caches() {
            return Inserted::Declined;
        }
        let epoch = self.epochs.now();
        let is_remote_up = self.resolve(tags).await;
        let entry = self.entry(value, options, self.borne(tags));
        let turn = self.writers.turn(key).await;
        let mut forget = Forget::begin(self, std::slice::from_ref(key));
        let queue = self.queue.as_ref().filter(|_| options.tiers != Tiers::Memory);
        if queue.is_none() {
            // L2 before L1: between the two a reader may fill L1 with the old value from L2, and the
            // last word has to be the new one. `forget` voids the fills that are still under way.
            match options.tiers {
                // Who did not answer a moment ago is not waited for again.
                _ if !is_remote_up => {
                    self.counters.l2_failed_writes.add_one();
                    self.tell_and_owe(key, false).await;
                }
                Tiers::All | Tiers::Remote => self.give(key, entry.clone()).await,
                Tiers::Memory => self.withhold(key).await,
            }
        }
        forget.end();
        let token = self.fences.token(key);
        let inserted = match options.tiers {
            _ if entry.is_expired(self.clock.now()) => Inserted::Expired,
            Tiers::Remote => Inserted::Stored,
            Tiers::All | Tiers::Memory => {
                let holds = || self.caches() && self.fences.holds(key, token);
                self.l1.insert_if(*key, self.local(&entry, epoch), holds)
            }
        };
        drop(turn);
        if let Some(queue) = queue {
            let in_memory = options.tiers == Tiers::All;
            self.enqueue(queue, Write::Given { key: *key, token, entry, in_memory });
        }
        self.report();
        if inserted == Inserted::Stored {
            self.events.emit(EventKind::Set, key);
        }
        inserted
    }

    /// Stores `entry` in the remote tier and tells the other instances.
    pub(crate) async fn give(self: &Arc<Self>, key: &CacheKey, entry: Entry<V>) {
        let stored = match &self.l2 {
            Some(l2) => l2.put(key, entry).await,
            None => true,
        };
        self.tell_and_owe(key, stored).await;
    }

    /// Sees to it that the remote tier has no other value of a key that is to be in memory only.
    pub(crate) async fn withhold(self: &Arc<Self>, key: &CacheKey) {
        let removed = match &self.l2 {
            Some(l2) => l2.remove(key).await.is_ok(),
            None => true,
        };
        self.tell_and_owe(key, removed).await;
    }

    /// What the remote tier did not take must not leave an older value there.
    pub(crate) async fn tell_and_owe(self: &Arc<Self>, key: &CacheKey, is_done: bool) {
        let told = self.tell_key(key).await;
        self.owe_write(key, self.left(is_done, told.is_ok()));
    }

    /// Stores what was fetched with a ticket.
    pub(crate) async fn fulfil(
        self: &Arc<Self>,
        ticket: Ticket,
        value: V,
        options: InsertOptions,
    ) -> Fulfilled {
        let entry = self.entry(value, options, ticket.tags.clone());
        let (key, local) = (ticket.key, self.publish_fetched(&ticket, &entry, options.tiers));
        let fulfilled = self.publish_remotely(ticket, local, entry, options.tiers, None).await;
        if fulfilled == Fulfilled::Stored {
            self.events.emit(EventKind::Set, &key);
        }
        fulfilled
    }

    /// A ticket to replace whatever is stored.
    pub(crate) async fn ticket(&self, key: &CacheKey, tags: &[Tag]) -> Ticket {
        let mut ticket = self.take_ticket(key);
        ticket.replaces = true;
        let is_remote_up = self.resolve(tags).await;
        ticket.tags = self.borne(tags);
        let may_store = is_remote_up && !self.repairs.owes_key(key);
        if let Some(l2) = self.l2.as_ref().filter(|_| may_store) {
            ticket.fence = l2.get(key, None).await.map(|lookup| lookup.fence);
        }
        ticket
    }
}
