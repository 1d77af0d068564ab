//! Invalidation: of keys, of tags, of everything, and the repair of what others did not learn of.

use std::sync::{Arc, Weak};
use std::time::Duration;

use cache_core::{CacheKey, Error, LocalTier, Tag};
use futures_util::future::join_all;

use crate::events::{Event, EventKind};
use crate::forget::Forget;
use crate::inner::Inner;
use crate::repairs::{Debt, Owing};
use crate::stamps::{Question, STAMP_TTL, Stamp, Stamps, random};

/// Pauses between attempts to repair grow from the first to the second of these.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How many keys are removed in one round trip: well below the number that can be owed one by one.
const PAGE: usize = 1_000;

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> Inner<V, L> {
    /// First the fence, so that no store can slip in behind the removal.
    pub(crate) fn forget_in_memory(&self, key: &CacheKey) -> bool {
        self.fences.raise(key);
        self.flights.detach(key);
        self.tagged.detach(key);
        if let Some(negatives) = &self.negatives {
            negatives.forget(key);
        }
        self.l1.remove(key)
    }

    /// The same of all keys.
    pub(crate) fn forget_all(&self) {
        self.fences.raise_all();
        self.epochs.clear();
        self.flights.detach_all();
        self.tagged.detach_all();
        if let Some(negatives) = &self.negatives {
            negatives.clear();
        }
        self.l1.clear();
    }

    pub(crate) async fn remove(self: &Arc<Self>, key: &CacheKey) -> Result<bool, Error> {
        let _turn = self.writers.turn(key).await;
        // Owed until it is done: a call that is dropped on the way leaves that behind.
        self.owe_key(key, self.all());
        let mut forget = Forget::begin(self, std::slice::from_ref(key));
        let remote = match &self.l2 {
            Some(l2) => l2.remove(key).await,
            None => Ok(false),
        };
        // Told even if the remote tier did not confirm: it may have done it.
        let told = self.tell_key(key).await;
        self.owe_key(key, self.left(remote.is_ok(), told.is_ok()));
        forget.end();
        self.report();
        self.events.emit(EventKind::Delete, key);
        let removed = remote? || (forget.were_in_memory > 0);
        told.map(|()| removed)
    }

    pub(crate) async fn remove_many(self: &Arc<Self>, keys: &[CacheKey]) -> Result<u64, Error> {
        let mut removed = Ok(0);
        for page in keys.chunks(PAGE) {
            // The others are removed all the same, whatever becomes of one page.
            let count = self.remove_page(page).await;
            removed = removed.and_then(|before| Ok(before + count?));
        }
        removed
    }

    async fn remove_page(self: &Arc<Self>, keys: &[CacheKey]) -> Result<u64, Error> {
        // Writers of several keys must not wait for each other crosswise.
        let _turns = self.writers.turns(keys).await;
        for key in keys {
            self.owe_key(key, self.all());
        }
        let mut forget = Forget::begin(self, keys);
        let remote = match &self.l2 {
            Some(l2) => l2.remove_many(keys).await,
            None => Ok(0),
        };
        let mut told = Ok(());
        let telling = join_all(keys.iter().map(|key| self.tell_key(key))).await;
        for (key, this) in keys.iter().zip(telling) {
            self.owe_key(key, self.left(remote.is_ok(), this.is_ok()));
            told = told.and(this);
            self.events.emit(EventKind::Delete, key);
        }
        forget.end();
        self.report();
        let removed = remote?.max(forget.were_in_memory);
        told.map(|()| removed)
    }

    /// Removes the value of `key` where it satisfies `matches`: in each tier exactly the one that was
    /// asked about.
    pub(crate) async fn remove_if(
        self: &Arc<Self>,
        key: &CacheKey,
        matches: impl Fn(&V) -> bool,
    ) -> Result<bool, Error> {
        let _turn = self.writers.turn(key).await;
        let mut removed = false;
        if let Some(l2) = &self.l2 {
            let lookup = l2.read(key, None).await?;
            let found = lookup.entry.and_then(|entry| l2.open(key, entry));
            if found.is_some_and(|entry| matches(&entry.value)) {
                removed = l2.remove_if_equals(key, lookup.fence).await?;
            }
        }
        // After the remote tier, so that memory is not filled again with what was removed there; what
        // is on the way from there is void.
        self.stores.raise(key);
        if self.l1.remove_if(key, |entry| matches(&entry.value)) {
            removed = true;
            // The same value may be queued for the remote tier.
            if self.queue.is_some() {
                self.fences.raise(key);
            }
        }
        if removed {
            self.flights.detach(key);
            self.tagged.detach(key);
            self.events.emit(EventKind::Delete, key);
            let told = self.tell_key(key).await;
            self.owe_key(key, Debt { to_remote: false, to_bus: told.is_err() });
            told?;
        }
        self.report();
        Ok(removed)
    }

    /// Invalidates everything under `tag`, which is within the namespace.
    pub(crate) async fn change(self: &Arc<Self>, tag: Tag) -> Result<(), Error> {
        let is_root = tag == self.stamps.root();
        // From here on it is owed; a call that is dropped leaves that behind.
        self.restamp(tag);
        if is_root {
            self.forget_all();
            self.events.tell(&Event::Clear);
        } else {
            self.tagged.detach_all();
            self.events.tell(&Event::Invalidate { tag });
        }
        self.counters.tag_changes.add_one();
        self.report();
        self.pay_tag(tag).await
    }

    /// Gives `tag` a new stamp, which the others have yet to learn of.
    pub(crate) fn restamp(self: &Arc<Self>, tag: Tag) {
        let (stamp, debt) = (random(), self.all());
        let turn = self.stamps.changing();
        // Owed first: from the moment that the epoch shows it, the remote tier's word is not taken.
        let owing = (!debt.is_none()).then(|| self.repairs.note_tag(tag, stamp, debt));
        self.stamps.forget(&tag, &self.epochs);
        drop(turn);
        if let Some(owing) = owing {
            self.see_to(owing);
        }
    }

    /// Everything that an invalidation owes.
    fn all(&self) -> Debt {
        Debt { to_remote: self.l2.is_some(), to_bus: self.peers.is_some() }
    }

    /// What is owed after both were told, or not. Others who were told before the remote tier knew may
    /// have read the old value there since: they are told again.
    pub(crate) fn left(&self, remote_knows: bool, was_told: bool) -> Debt {
        let to_bus = !was_told || (!remote_knows && self.peers.is_some());
        Debt { to_remote: !remote_knows, to_bus }
    }

    pub(crate) async fn tell_key(&self, key: &CacheKey) -> Result<(), Error> {
        match &self.peers {
            Some(peers) => peers.tell_key(key).await,
            None => Ok(()),
        }
    }

    /// Tells the remote tier, and then the other instances, who may ask it at once.
    async fn pay_tag(self: &Arc<Self>, tag: Tag) -> Result<(), Error> {
        // One at a time, so that an earlier stamp never takes a later one's place.
        let _turn = self.writers.turn(&Stamps::key(&tag)).await;
        let Some((stamp, debt)) = self.repairs.tag_debt(&tag) else { return Ok(()) };
        let (mut left, mut result) = (debt, Ok(()));
        if let Some(l2) = self.l2.as_ref().filter(|_| debt.to_remote) {
            let question = self.stamps.question(tag, &self.epochs);
            match l2.put_note(&question.key, &stamp, STAMP_TTL, None).await {
                Ok(_) => {
                    left.to_remote = false;
                    self.confirm(&question, stamp);
                }
                Err(error) => result = Err(error),
            }
        }
        if let Some(peers) = self.peers.as_ref().filter(|_| debt.to_bus) {
            match peers.tell_tag(tag).await {
                // Told before the remote tier knows, they may believe it too soon: tell them again.
                Ok(()) => left.to_bus = left.to_remote,
                Err(error) => result = result.and(Err(error)),
            }
        }
        let owing = self.repairs.settle_tag(tag, stamp, left);
        self.see_to(owing);
        result
    }

    /// The remote tier has taken this stamp of a tag.
    fn confirm(&self, question: &Question, stamp: Stamp) {
        let (tag, _turn) = (question.tag, self.stamps.changing());
        match self.stamps.known(&tag) {
            Some(known) if known == stamp => {
                self.stamps.learn(question, stamp, self.clock.now());
            }
            // Changed again, which is yet to be paid.
            Some(_) if self.repairs.tag_debt(&tag).is_some_and(|(owed, _)| owed != stamp) => {}
            // What was learnt of it before it was owed.
            Some(_) => self.stamps.forget(&tag, &self.epochs),
            None => {}
        }
    }

    fn owe_key(self: &Arc<Self>, key: &CacheKey, debt: Debt) {
        if debt.is_none() && self.repairs.len() == 0 {
            return;
        }
        let owing = self.repairs.settle_key(key, debt);
        self.see_to(owing);
    }

    /// What is owed after a value was written. If there is no room to note it, an older value may live
    /// on elsewhere until its time is up: that is no reason to invalidate everything.
    pub(crate) fn owe_write(self: &Arc<Self>, key: &CacheKey, debt: Debt) {
        if debt.is_none() || self.repairs.has_room() {
            self.owe_key(key, debt);
        }
    }

    fn see_to(self: &Arc<Self>, owing: Owing) {
        self.counters.repairs.set(self.repairs.len());
        match owing {
            Owing::Noted => {}
            Owing::First => match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(repair(Payer(Arc::downgrade(self))))),
                Err(_) => self.repairs.payer_left(),
            },
            Owing::TooMany => {
                tracing::warn!(
                    "too many invalidations wait for the remote tier: all is invalidated"
                );
                let (root, stamp) = (self.stamps.root(), random());
                let turn = self.stamps.changing();
                let owing = self.repairs.note_root(root, stamp, self.all());
                self.stamps.forget(&root, &self.epochs);
                drop(turn);
                self.forget_all();
                self.events.tell(&Event::Clear);
                self.see_to(owing);
            }
        }
    }

    /// Tries everything that is owed once; whether nothing is left, and nobody need try again.
    pub(crate) async fn pay(self: &Arc<Self>) -> bool {
        let Some((keys, tags)) = self.repairs.bill() else { return true };
        for tag in tags {
            let paid = self.pay_tag(tag).await;
            if paid.is_err() && self.repairs.tag_debt(&tag).is_some_and(|(_, debt)| debt.to_remote)
            {
                return false; // the rest would fare no better
            }
        }
        let mut is_bus_up = true;
        for key in keys {
            let _turn = self.writers.turn(&key).await;
            // Not as it was billed: the key may have been written or removed meanwhile.
            let Some(mut left) = self.repairs.key_debt(&key) else { continue };
            if let Some(l2) = self.l2.as_ref().filter(|_| left.to_remote) {
                left.to_remote = l2.remove(&key).await.is_err();
                // Of what was read there before, nothing is copied into memory.
                self.fences.raise(&key);
            }
            if left.to_bus && !left.to_remote && is_bus_up {
                is_bus_up = self.tell_key(&key).await.is_ok();
                left.to_bus = !is_bus_up;
            }
            self.owe_key(&key, left);
            if left.to_remote {
                return false;
            }
            if left.is_none() {
                self.counters.repaired.add_one();
            }
        }
        false
    }
}

/// Who pays what is owed. Dropped, as with its runtime, it leaves its place to another.
struct Payer<V: Clone + Send + Sync + 'static, L: LocalTier<V>>(Weak<Inner<V, L>>);

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> Drop for Payer<V, L> {
    fn drop(&mut self) {
        if let Some(inner) = self.0.upgrade() {
            inner.repairs.payer_left();
        }
    }
}

/// Pays what is owed until nothing is left, or once more if the cache was closed.
async fn repair<V, L>(payer: Payer<V, L>)
where
    V: Clone + Send + Sync + 'static,
    L: LocalTier<V>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
        let Some(inner) = payer.0.upgrade() else { return };
        if inner.pay().await || !inner.caches() {
            return;
        }
    }
}
