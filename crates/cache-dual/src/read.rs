//! Reading: what memory says about a key, and what the remote tier does.

use std::sync::Arc;
use std::time::Duration;

use cache_core::{
    CacheKey, Entry, Inserted, LocalTier, Lookup, PutFenced, RECENT, Tag, TagStamp, Tags,
};

use crate::counters::Counters;
use crate::epochs::Standing;
use crate::events::EventKind;
use crate::fence::Ticket;
use crate::inner::Inner;
use crate::outcome::{self as found, Freshness, Outcome, Source};
use crate::remote::Remote;
use crate::stamps::{Question, STAMP_TTL, Verdict, random};

/// What a lookup is given beside its key.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ask<'a> {
    /// The tags that a value fetched for it will have.
    pub(crate) tags: &'a [Tag],
    /// How long the remote tier may take, if not as long as always.
    pub(crate) remote_deadline: Option<Duration>,
}

/// What memory says about a key.
#[derive(Debug)]
pub(crate) enum Near<V> {
    /// A fresh value.
    Fresh(Entry<V>),
    /// A value that is to be had if the origin fails.
    Stale(Entry<V>),
    /// A fresh value that is to be replaced by one fetched later.
    Due(Entry<V>),
    /// A value that the remote tier has to confirm, if it can.
    Doubtful(Entry<V>),
    Nothing,
}

/// What both tiers say.
#[derive(Debug)]
pub(crate) enum Found<V> {
    Hit(Outcome<V>),
    Miss { ticket: Ticket, stale: Option<Outcome<V>> },
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> Inner<V, L> {
    /// What memory says about `key`.
    #[inline]
    pub(crate) fn near(&self, key: &CacheKey) -> Near<V> {
        let epoch = self.epochs.now();
        match self.l1.get(key) {
            Some(entry) if entry.epoch == epoch => self.by_freshness(entry),
            Some(_) => self.recheck(key),
            None => Near::Nothing,
        }
    }

    /// The same, with an epoch in which it was so.
    pub(crate) fn sight(&self, key: &CacheKey) -> (Near<V>, u64) {
        let epoch = self.epochs.now();
        (self.near(key), epoch)
    }

    fn by_freshness(&self, entry: Entry<V>) -> Near<V> {
        if self.is_fresh(&entry) { Near::Fresh(entry) } else { Near::Stale(entry) }
    }

    #[inline]
    fn is_fresh(&self, entry: &Entry<V>) -> bool {
        // Expired entries are absent, so those without a grace time are fresh.
        entry.fresh_until >= entry.expires_at
            || self.clock.recent().saturating_add(RECENT) < entry.fresh_until
            || self.clock.now() < entry.fresh_until
    }

    /// Something was invalidated since the entry of `key` was last checked.
    #[cold]
    fn recheck(&self, key: &CacheKey) -> Near<V> {
        // All of these before the entry: whatever changes it, or what it stands on, from here on.
        let (token, stored) = (self.fences.token(key), self.stores.token(key));
        let epoch = self.epochs.now();
        let Some(entry) = self.l1.get(key) else { return Near::Nothing };
        let checked = entry.epoch;
        let verdict = match self.epochs.standing(checked, epoch) {
            Standing::Current => return self.by_freshness(entry),
            Standing::Cleared => Verdict::Changed,
            Standing::Suspect if self.l2.is_some() => Verdict::Unknown,
            Standing::Suspect | Standing::Unchecked => self.verdict(entry.tags.as_slice()),
        };
        match verdict {
            Verdict::Holds => {
                let holds = || {
                    self.caches() && self.fences.holds(key, token) && self.stores.holds(key, stored)
                };
                let _ = self.l1.insert_if(*key, entry.clone().with_epoch(epoch), holds);
                self.by_freshness(entry)
            }
            Verdict::Unknown if self.l2.is_some() => Near::Doubtful(entry),
            Verdict::Unknown | Verdict::Changed => {
                self.l1.remove_if(key, |entry| entry.epoch == checked);
                Near::Nothing
            }
        }
    }

    /// Comes before any read: whatever is invalidated from here on, the read is void.
    pub(crate) fn take_ticket(&self, key: &CacheKey) -> Ticket {
        let (token, stored) = (self.fences.token(key), self.stores.token(key));
        let (epoch, taken_at) = (self.epochs.now(), self.clock.now());
        let (fence, tags, replaces) = (None, Tags::default(), false);
        Ticket { key: *key, token, fence, taken_at, replaces, stored, epoch, tags }
    }

    /// Goes on where memory had no fresh value: asks the remote tier, and fills memory with what it
    /// has.
    pub(crate) async fn find(&self, key: &CacheKey, near: Near<V>, ask: Ask<'_>) -> Found<V> {
        let mut ticket = self.take_ticket(key);
        let answer = match &self.l2 {
            Some(l2) if self.caches() && !matches!(near, Near::Fresh(_)) => {
                self.ask_remote(l2, &ticket, ask).await
            }
            _ => None,
        };
        ticket.tags = self.borne(ask.tags);
        self.weigh_up(ticket, near, answer).await
    }

    /// What memory and the remote tier's answer say together. Without an answer it is memory alone.
    pub(crate) async fn weigh_up(
        &self,
        mut ticket: Ticket,
        near: Near<V>,
        answer: Option<Lookup>,
    ) -> Found<V> {
        let stale = |entry, source| Outcome::new(entry, source, Freshness::Stale);
        let is_due = matches!(near, Near::Due(_));
        let (in_memory, doubtful) = match near {
            Near::Fresh(entry) => {
                return Found::Hit(Outcome::new(entry, Source::L1, Freshness::Fresh));
            }
            Near::Stale(entry) | Near::Due(entry) => (Some(entry), None),
            Near::Doubtful(entry) => (None, Some(entry)),
            Near::Nothing => (None, None),
        };
        let (Some(l2), Some(Lookup { entry, fence })) = (&self.l2, answer) else {
            // Nobody can say whether a doubtful value still holds; serving it is what a cache is for.
            let believed = doubtful.filter(|entry| self.is_believed(entry));
            let stale = match believed.map(|entry| self.by_freshness(entry)) {
                Some(Near::Fresh(entry)) => {
                    self.counters.doubtful.add_one();
                    return Found::Hit(Outcome::new(entry, Source::L1, Freshness::Fresh));
                }
                Some(Near::Stale(entry)) => Some(stale(entry, Source::L1)),
                _ => in_memory.map(|entry| stale(entry, Source::L1)),
            };
            return Found::Miss { ticket, stale };
        };
        let key = ticket.key;
        // Until the remote tier has removed the key, what it holds is neither read nor stored over.
        let is_owed = self.repairs.owes_key(&key);
        ticket.fence = (!is_owed).then_some(fence);
        let stored = match entry.filter(|_| !is_owed).and_then(|entry| l2.open(&key, entry)) {
            Some(entry) => self.checked(l2, entry).await,
            None => None,
        };
        let Some(mut entry) = stored else {
            // The remote tier has the last word.
            if let Some(doubtful) = doubtful {
                self.l1.remove_if(&key, |entry| entry.epoch == doubtful.epoch);
            }
            return Found::Miss { ticket, stale: in_memory.map(|e| stale(e, Source::L1)) };
        };
        // Who stored it may have weighed otherwise, or not at all; the bound is ours.
        entry.weight = entry.weight.max((self.weigher)(&entry.value));
        let is_fresh = entry.is_fresh(self.clock.now());
        match in_memory {
            // What the remote tier has is no newer.
            Some(near) if (is_due || !is_fresh) && near.stored_at >= entry.stored_at => {
                Found::Miss { ticket, stale: Some(stale(near, Source::L1)) }
            }
            _ => {
                self.fill(&ticket, &entry);
                if is_fresh {
                    return Found::Hit(Outcome::new(entry, Source::L2, Freshness::Fresh));
                }
                Found::Miss { ticket, stale: Some(stale(entry, Source::L2)) }
            }
        }
    }

    /// Reads the key of `ticket`, and along with it the stamps that are not known well enough. `None`
    /// if the remote tier did not answer.
    async fn ask_remote(&self, l2: &Remote<V>, ticket: &Ticket, ask: Ask<'_>) -> Option<Lookup> {
        let unsure = self.unsure(self.scoped(ask.tags));
        if unsure.is_empty() {
            return l2.get(&ticket.key, ask.remote_deadline).await;
        }
        let keys: Vec<CacheKey> =
            std::iter::once(ticket.key).chain(unsure.iter().map(|question| question.key)).collect();
        let mut lookups = l2.get_many(&keys, ask.remote_deadline).await?.into_iter();
        let lookup = lookups.next()?;
        for (question, found) in unsure.into_iter().zip(lookups) {
            self.learn(l2, question, found).await;
        }
        Some(lookup)
    }

    /// How long `key` has left, grace included, if it is fresh.
    pub(crate) async fn ttl(&self, key: &CacheKey) -> Option<Duration> {
        let near = self.near(key);
        let now = self.clock.now();
        if let Near::Fresh(entry) = near {
            return Some(entry.remaining(now));
        }
        let l2 = self.l2.as_ref().filter(|_| self.caches())?;
        let ticket = self.take_ticket(key);
        let lookup = self.ask_remote(l2, &ticket, Ask::default()).await;
        let entry = match lookup {
            Some(lookup) if !self.repairs.owes_key(key) => l2.open(key, lookup.entry?)?,
            _ => return None,
        };
        let entry = self.checked(l2, entry).await?;
        entry.is_fresh(now).then(|| entry.remaining(now))
    }

    /// A counted lookup in both tiers.
    pub(crate) async fn lookup(
        self: &Arc<Self>,
        key: &CacheKey,
        near: Near<V>,
        ask: Ask<'_>,
    ) -> found::Lookup<V> {
        if !self.caches() {
            self.counters.misses.add_one();
            return found::Lookup::Miss(self.take_ticket(key));
        }
        if !matches!(near, Near::Fresh(_)) {
            self.listen();
        }
        match self.find(key, near, ask).await {
            Found::Hit(outcome) => {
                self.count_hit(key, outcome.source);
                found::Lookup::Hit(outcome)
            }
            Found::Miss { ticket, .. } => {
                self.counters.misses.add_one();
                self.events.emit(EventKind::Miss, key);
                found::Lookup::Miss(ticket)
            }
        }
    }

    /// What a lookup finds fresh in memory. Counted.
    #[inline]
    pub(crate) fn hit(&self, key: &CacheKey) -> Option<Outcome<V>> {
        let sampled = Counters::sampled();
        let epoch = self.epochs.now();
        // Of the entry nothing but the value is cloned.
        let look = |entry: &Entry<V>| {
            let is_good = entry.epoch == epoch && self.is_fresh(entry);
            is_good.then(|| Outcome::of(entry, Source::L1, Freshness::Fresh))
        };
        let outcome = match self.l1.get_with(key, look)? {
            Some(outcome) => outcome,
            None => self.second_look(key)?,
        };
        if let Some(started) = sampled {
            self.counters.time_hit(started);
        }
        self.count_hit(key, Source::L1);
        Some(outcome)
    }

    /// A hit on an entry that has to be checked first.
    #[cold]
    fn second_look(&self, key: &CacheKey) -> Option<Outcome<V>> {
        let Near::Fresh(entry) = self.near(key) else { return None };
        Some(Outcome::new(entry, Source::L1, Freshness::Fresh))
    }

    /// Asks the remote tier for the stamps of the root and `tags` that are not known well enough.
    /// False if it did not answer.
    pub(crate) async fn resolve(&self, tags: &[Tag]) -> bool {
        let Some(l2) = &self.l2 else { return true };
        self.learn_all(l2, self.unsure(self.scoped(tags))).await
    }

    /// Questions about those tags whose stamps are not known well enough.
    pub(crate) fn unsure(&self, tags: impl Iterator<Item = Tag>) -> Vec<Question> {
        let unsure = tags.filter(|tag| !self.is_sure(tag));
        unsure.map(|tag| self.stamps.question(tag, &self.epochs)).collect()
    }

    async fn learn_all(&self, l2: &Remote<V>, unsure: Vec<Question>) -> bool {
        if unsure.is_empty() {
            return true;
        }
        let keys: Vec<CacheKey> = unsure.iter().map(|question| question.key).collect();
        let Some(lookups) = l2.get_many(&keys, None).await else { return false };
        for (question, found) in unsure.into_iter().zip(lookups) {
            self.learn(l2, question, found).await;
        }
        true
    }

    /// `entry` as memory is to have it, if all its tags hold.
    async fn checked(&self, l2: &Remote<V>, entry: Entry<V>) -> Option<Entry<V>> {
        let tags = entry.tags.as_slice();
        // What has no root was not stored by a cache like this, and could never be cleared.
        if tags.first().is_none_or(|first| first.tag != self.stamps.root()) {
            return None;
        }
        self.learn_all(l2, self.unsure(tags.iter().map(|borne| borne.tag))).await;
        if self.verdict(tags) != Verdict::Holds {
            self.counters.invalidated.add_one();
            return None;
        }
        Some(entry)
    }

    /// What the remote tier said of a tag. If it knew nothing, it is told what the tag bears from now
    /// on: no stamp is ever taken for granted, since a record of one may have been evicted.
    pub(crate) async fn learn(&self, l2: &Remote<V>, question: Question, found: Lookup) {
        let Question { tag, key, .. } = question;
        let mut asked = Some((question, found));
        // Again if the tag changed meanwhile, here or elsewhere; not for ever.
        for _ in 0..4 {
            let Some((question, Lookup { entry, fence })) = asked.take() else { return };
            let stamp = entry.and_then(|entry| entry.value.bytes.as_ref().try_into().ok());
            let stamp = if stamp.is_some() {
                stamp
            } else {
                // One that was confirmed before may have been changed by others since, and lost with
                // their change; one that nobody else knows cannot.
                let stamp = self.stamps.unconfirmed(&tag).unwrap_or_else(random);
                match l2.put_note(&key, &stamp, STAMP_TTL, Some(fence)).await {
                    Ok(PutFenced::Stored) => Some(stamp),
                    Ok(PutFenced::Superseded) => None,
                    Err(_) => return,
                }
            };
            let now = self.clock.now();
            if stamp.is_some_and(|stamp| self.stamps.learn(&question, stamp, now)) {
                return;
            }
            if self.is_sure(&tag) {
                return;
            }
            let question = self.stamps.question(tag, &self.epochs);
            asked = l2.get(&key, None).await.map(|found| (question, found));
        }
    }

    /// Copies what the remote tier has into memory, unless something newer may be there by now.
    fn fill(&self, ticket: &Ticket, entry: &Entry<V>) {
        let Ticket { key, token, stored, .. } = ticket;
        let holds =
            || self.caches() && self.fences.holds(key, *token) && self.stores.holds(key, *stored);
        let filled = self.l1.insert_if(*key, self.local(entry, ticket.epoch), holds);
        if filled == Inserted::Declined {
            self.counters.fenced.add_one();
        }
        self.report();
    }

    /// Stores a fetched `entry` in memory if the ticket still holds at the moment of storing.
    pub(crate) fn publish(&self, ticket: &Ticket, entry: &Entry<V>) -> Inserted {
        let Ticket { key, token, .. } = ticket;
        let holds = || {
            let holds = self.caches() && self.fences.holds(key, *token);
            if holds {
                self.stores.raise(key);
            }
            holds
        };
        let inserted = self.l1.insert_if(*key, self.local(entry, ticket.epoch), holds);
        if inserted == Inserted::Declined {
            self.counters.fenced.add_one();
        }
        self.report();
        inserted
    }

    /// `entry` as memory is to have it: for a bounded time, and without the root, which the epoch
    /// stands for.
    pub(crate) fn local(&self, entry: &Entry<V>, epoch: u64) -> Entry<V> {
        let mut local = entry.clone().with_epoch(epoch);
        let tags = entry.tags.as_slice();
        if tags.first().is_some_and(|first| first.tag == self.stamps.root()) {
            local.tags = tags[1..].iter().copied().collect();
        }
        if let Some(limit) = self.options.memory_ttl {
            let end = self.clock.now().saturating_add(limit);
            local.expires_at = local.expires_at.min(end);
            local.fresh_until = local.fresh_until.min(end);
        }
        local
    }

    pub(crate) fn scoped(&self, tags: &[Tag]) -> impl Iterator<Item = Tag> {
        let root = std::iter::once(self.stamps.root());
        root.chain(tags.iter().map(|tag| self.stamps.scoped(tag)))
    }

    /// The stamps that the root and `tags` bear, as far as this process knows.
    pub(crate) fn borne(&self, tags: &[Tag]) -> Tags {
        let stamp = |tag| self.repairs.owed_stamp(&tag).unwrap_or_else(|| self.stamps.local(tag));
        self.scoped(tags).map(|tag| TagStamp { tag, stamp: stamp(tag) }).collect()
    }

    /// Whether the stamp of `tag` need not be asked for.
    pub(crate) fn is_sure(&self, tag: &Tag) -> bool {
        self.repairs.owed_stamp(tag).is_some()
            || self.stamps.trusted(tag, self.clock.now(), &self.epochs).is_some()
    }

    fn verdict(&self, tags: &[TagStamp]) -> Verdict {
        self.stamps.verdict(tags, |tag| self.repairs.owed_stamp(tag))
    }

    /// Whether an entry that nobody can confirm is served.
    fn is_believed(&self, entry: &Entry<V>) -> bool {
        self.verdict(entry.tags.as_slice()) == Verdict::Holds
    }
}
