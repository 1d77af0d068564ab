//! [`Entry`]: a value with its times, tags and weight.

use std::sync::Arc;
use std::time::Duration;

use crate::codec::Payload;
use crate::time::Timestamp;

/// A value as a tier holds it. The times are absolute, so a copy in another tier, on another host
/// or after a restart ends when the original does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<V> {
    /// What was stored.
    pub value: V,
    /// When the value was fetched or given.
    pub stored_at: Timestamp,
    /// Until when it may be served without a second thought; then it is *stale* until `expires_at`.
    pub fresh_until: Timestamp,
    /// From then on the entry is absent everywhere. Never before `fresh_until`.
    pub expires_at: Timestamp,
    /// The tags that it can be invalidated by, each with the stamp that it was fetched under.
    pub tags: Tags,
    /// What it counts against a bound in weight, in bytes.
    pub weight: u64,
    /// In which of its cache's epochs the tags were last found to hold. Known to one process only:
    /// remote tiers neither keep nor return it.
    pub epoch: u64,
}

/// An entry as remote tiers exchange it: the value is encoded already.
pub type StoredEntry = Entry<Payload>;

impl<V> Entry<V> {
    /// An entry stored at `now`, untagged and of weight 0.
    pub fn new(value: V, now: Timestamp, lifetime: Lifetime) -> Self {
        let fresh_until = now.saturating_add(lifetime.fresh);
        Self {
            value,
            stored_at: now,
            fresh_until,
            expires_at: fresh_until.saturating_add(lifetime.grace),
            tags: Tags::default(),
            weight: 0,
            epoch: 0,
        }
    }

    /// The same entry with this weight.
    #[must_use]
    pub fn with_weight(mut self, bytes: u64) -> Self {
        self.weight = bytes;
        self
    }

    /// The same entry with these tags.
    #[must_use]
    pub fn with_tags(mut self, tags: Tags) -> Self {
        self.tags = tags;
        self
    }

    /// The same entry, its tags found to hold in this epoch.
    #[must_use]
    pub fn with_epoch(mut self, epoch: u64) -> Self {
        self.epoch = epoch;
        self
    }

    /// The same times, tags and weight around another value.
    pub fn map<U>(self, f: impl FnOnce(V) -> U) -> Entry<U> {
        let Self { value, stored_at, fresh_until, expires_at, tags, weight, epoch } = self;
        Entry { value: f(value), stored_at, fresh_until, expires_at, tags, weight, epoch }
    }

    /// As [`Entry::map`], for a conversion that can fail.
    ///
    /// # Errors
    ///
    /// Those of `f`.
    pub fn try_map<U, E>(self, f: impl FnOnce(V) -> Result<U, E>) -> Result<Entry<U>, E> {
        let Self { value, stored_at, fresh_until, expires_at, tags, weight, epoch } = self;
        Ok(Entry { value: f(value)?, stored_at, fresh_until, expires_at, tags, weight, epoch })
    }

    /// Whether it is still fresh at `now`.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.fresh_until && !self.is_expired(now)
    }

    /// Whether its time is up at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }

    /// How long ago it was stored.
    pub fn age(&self, now: Timestamp) -> Duration {
        now.saturating_since(self.stored_at)
    }

    /// How long it has left, stale time included.
    pub fn remaining(&self, now: Timestamp) -> Duration {
        self.expires_at.saturating_since(now)
    }
}

/// How long an entry is to live: fresh for a time, then stale for a grace time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// How long it is fresh.
    pub fresh: Duration,
    /// How long it may be kept beyond that. Default: zero.
    pub grace: Duration,
}

impl Lifetime {
    /// Fresh for `ttl`, then gone.
    pub const fn new(ttl: Duration) -> Self {
        Self { fresh: ttl, grace: Duration::ZERO }
    }

    /// The same with this grace time.
    #[must_use]
    pub const fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}

/// The name of a group of entries that can be invalidated at once, as a digest: like keys, tags
/// carry no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub [u8; 16]);

impl Tag {
    /// The tag called `name`.
    pub fn named(name: &str) -> Self {
        let digest = blake3::derive_key("cache-core 2026 Tag::named v1", name.as_bytes());
        let mut tag = [0; 16];
        tag.copy_from_slice(&digest[..16]);
        Self(tag)
    }
}

/// A tag with the stamp that it bore when the entry was fetched.
///
/// Invalidating a tag gives it another stamp. Stamps are unique values compared for equality:
/// clocks skew, and a counter in a Redis that restarted empty would count the same numbers again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TagStamp {
    /// Which tag.
    pub tag: Tag,
    /// Its stamp at the time.
    pub stamp: [u8; 16],
}

/// The tags of an entry: one pointer wide, and free to clone when there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(Option<Arc<[TagStamp]>>);

impl Tags {
    /// The tags, in the order that they were given.
    pub fn as_slice(&self) -> &[TagStamp] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl FromIterator<TagStamp> for Tags {
    fn from_iter<I: IntoIterator<Item = TagStamp>>(tags: I) -> Self {
        let mut tags = tags.into_iter().peekable();
        // Most entries have none, and nothing is allocated for them.
        Self(tags.peek().is_some().then(|| tags.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_millis(1_000);

    #[test]
    fn fresh_then_stale_then_expired() {
        let lifetime =
            Lifetime::new(Duration::from_millis(10)).with_grace(Duration::from_millis(5));
        let entry = Entry::new((), NOW, lifetime);
        let at = |millis| NOW.saturating_add(Duration::from_millis(millis));
        assert!(entry.is_fresh(at(9)) && !entry.is_expired(at(9)));
        assert!(!entry.is_fresh(at(10)) && !entry.is_expired(at(10)));
        assert!(!entry.is_fresh(at(15)) && entry.is_expired(at(15)));
        assert_eq!(entry.remaining(at(14)), Duration::from_millis(1));
        assert_eq!(entry.age(at(14)), Duration::from_millis(14));
    }

    #[test]
    fn no_tags_cost_no_allocation() {
        assert_eq!(std::iter::empty().collect::<Tags>(), Tags::default());
        assert!(Tags::default().0.is_none());
    }
}
