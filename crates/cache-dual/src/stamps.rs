//! [`Stamps`]: what this process knows of the stamps that tags bear now.
//!
//! A tag is invalidated by giving it another stamp. An entry carries the stamps that its tags bore
//! before its value was read or fetched, and holds for as long as they still do. Every entry of a
//! cache has the cache's *root* as a tag, which is what clearing changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cache_core::{CacheKey, Clock, Inserted, Tag, TagStamp, Timestamp};
use cache_memory::{MemoryCache, Policy};
use parking_lot::{Mutex, MutexGuard};

use crate::epochs::Epochs;
use crate::fence::{Fences, Token};

/// How long the remote tier keeps a stamp. An entry that lives longer ends with the stamps of its tags:
/// a tag without one is given another.
pub(crate) const STAMP_TTL: Duration = Duration::from_secs(90 * 24 * 3600);

/// What a tag bears: 16 random bytes.
pub(crate) type Stamp = [u8; 16];

/// The stamps of the namespace's tags, as far as this process knows.
pub(crate) struct Stamps {
    namespace: [u8; 32],
    root: Tag,
    known: MemoryCache<Tag, Known>,
    /// Generations of tags, raised by whatever makes what is being asked about them worthless.
    changes: Fences,
    has_changed: AtomicBool,
    recheck: Duration,
    changing: Mutex<()>,
}

/// What is known of a tag.
#[derive(Clone, Copy, Debug)]
struct Known {
    stamp: Stamp,
    /// When, and in which epoch, the remote tier last said so; `None` if only this process knows.
    confirmed: Option<(Timestamp, u64)>,
}

/// What the remote tier is asked about one tag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub(crate) tag: Tag,
    /// Where its stamp is kept.
    pub(crate) key: CacheKey,
    token: Token,
    epoch: u64,
}

/// What the stamps of an entry say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Holds,
    Changed,
    /// Of some tag, nothing is known here.
    Unknown,
}

impl Stamps {
    pub(crate) fn new(
        namespace: &str,
        capacity: u64,
        recheck: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let namespace = blake3::derive_key("cache-dual 2026 namespace v1", namespace.as_bytes());
        let known = MemoryCache::builder()
            .policy(Policy::Lru)
            .max_entries(capacity)
            .clock(clock)
            .build()
            .expect("the capacity was checked");
        let root = scoped(&namespace, &[]);
        let (changes, changing) = (Fences::new(), Mutex::new(()));
        let has_changed = AtomicBool::new(false);
        Self { namespace, root, known, changes, has_changed, recheck, changing }
    }

    /// The tag that every entry of the namespace has.
    pub(crate) fn root(&self) -> Tag {
        self.root
    }

    /// `tag` within the namespace: the same name means another tag in another one.
    pub(crate) fn scoped(&self, tag: &Tag) -> Tag {
        scoped(&self.namespace, &tag.0)
    }

    /// Under which key the remote tier keeps the stamp of a scoped tag.
    pub(crate) fn key(tag: &Tag) -> CacheKey {
        let context = "cache-dual 2026 stamp v1";
        CacheKey::from_digest(blake3::derive_key(context, &tag.0))
    }

    /// The stamp of `tag`, if it is known and has been confirmed lately enough.
    pub(crate) fn trusted(&self, tag: &Tag, now: Timestamp, epochs: &Epochs) -> Option<Stamp> {
        let known = self.known.get(tag)?;
        let (at, epoch) = known.confirmed?;
        let is_recent = now.saturating_since(at) < self.recheck && !epochs.is_suspect(epoch);
        is_recent.then_some(known.stamp)
    }

    /// The stamp of `tag` as far as this process knows.
    pub(crate) fn known(&self, tag: &Tag) -> Option<Stamp> {
        Some(self.known.get(tag)?.stamp)
    }

    /// The stamp of `tag` if only this process knows it.
    pub(crate) fn unconfirmed(&self, tag: &Tag) -> Option<Stamp> {
        let known = self.known.get(tag)?;
        known.confirmed.is_none().then_some(known.stamp)
    }

    /// The stamp of `tag` where nobody else can be asked: the known one, or one that is new.
    pub(crate) fn local(&self, tag: Tag) -> Stamp {
        let made = || Known { stamp: random(), confirmed: None };
        self.known.get_or_insert_with(tag, made).stamp
    }

    /// Takes a tag to bear a stamp that nobody can confirm, unless another is known, or may have been:
    /// once any tag was changed, one that is not known may be one of those.
    pub(crate) fn adopt(&self, borne: TagStamp) -> bool {
        if self.has_changed.load(Ordering::Acquire) {
            return self.known(&borne.tag) == Some(borne.stamp);
        }
        let made = || Known { stamp: borne.stamp, confirmed: None };
        self.known.get_or_insert_with(borne.tag, made).stamp == borne.stamp
    }

    /// A question about a tag that is yet to be asked: whatever changes here from now on, the answer is
    /// not believed.
    pub(crate) fn question(&self, tag: Tag, epochs: &Epochs) -> Question {
        let key = Self::key(&tag);
        Question { tag, key, token: self.changes.token(&key), epoch: epochs.now() }
    }

    /// Takes it that a tag bears what the remote tier said; false if it changed here meanwhile.
    pub(crate) fn learn(&self, question: &Question, stamp: Stamp, at: Timestamp) -> bool {
        let Question { tag, key, token, epoch } = *question;
        let known = Known { stamp, confirmed: Some((at, epoch)) };
        let learnt = self.known.insert_if(tag, known, || self.changes.holds(&key, token));
        learnt != Inserted::Declined
    }

    /// To be held while a new stamp is both noted as owed and given: of two that are given at the same
    /// time, the same has to be the later one for both.
    pub(crate) fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock()
    }

    /// `tag` was changed, here or by another process. What it bears from now on is not kept: only of tags
    /// in use is there anything to know, and invalidating a million others is not to displace them.
    pub(crate) fn forget(&self, tag: &Tag, epochs: &Epochs) {
        self.has_changed.store(true, Ordering::Release);
        epochs.raise();
        self.changes.raise(&Self::key(tag));
        self.known.remove(tag);
        epochs.raise();
    }

    /// What `tags` say, where `owed` knows better.
    pub(crate) fn verdict(
        &self,
        tags: &[TagStamp],
        owed: impl Fn(&Tag) -> Option<Stamp>,
    ) -> Verdict {
        let mut verdict = Verdict::Holds;
        for TagStamp { tag, stamp } in tags {
            match owed(tag).or_else(|| self.known(tag)) {
                Some(known) if known == *stamp => {}
                Some(_) => return Verdict::Changed,
                None => verdict = Verdict::Unknown,
            }
        }
        verdict
    }
}

fn scoped(namespace: &[u8; 32], tag: &[u8]) -> Tag {
    let digest = blake3::keyed_hash(namespace, tag);
    Tag(*digest.as_bytes().first_chunk().expect("16 of 32 bytes"))
}

/// 16 bytes that nobody has used before.
pub(crate) fn random() -> Stamp {
    let mut stamp = [0; 16];
    // Without it no invalidation would be worth anything.
    getrandom::fill(&mut stamp).expect("the operating system has random numbers");
    stamp
}
