//! Entries end when they say.

use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;
use cache_core::{Inserted, LocalTier};

use crate::LocalHarness;
use crate::cases::fresh_key;

/// A21, A23: no method returns an entry once its time has passed, nor before.
pub fn expired_is_absent<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let (tier, ttl) = (harness.tier(), harness.short());
    let keys = [fresh_key(), fresh_key(), fresh_key(), fresh_key()];
    for key in keys {
        assert_eq!(tier.insert(key, harness.entry("v", ttl)), Inserted::Stored);
    }
    harness.pass(ttl / 4);
    for key in keys {
        assert!(tier.get(&key).is_some(), "gone before its time");
    }
    harness.pass(ttl / 4 * 3);
    assert_eq!(tier.get(&keys[0]), None);
    assert_eq!(tier.get_with(&keys[1], |_| ()), None);
    assert!(!tier.remove(&keys[2]), "it removed what was not there");
    let was_asked = Cell::new(false);
    let removed = tier.remove_if(&keys[3], |_| {
        was_asked.set(true);
        true
    });
    assert!(!removed && !was_asked.get(), "it was asked about what was not there");
}

/// A25: a life of milliseconds is one of milliseconds.
pub fn lives_below_a_second_are_kept<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let (tier, key, ttl) = (harness.tier(), fresh_key(), Duration::from_millis(240));
    assert_eq!(tier.insert(key, harness.entry("v", ttl)), Inserted::Stored);
    harness.pass(ttl / 4);
    assert!(tier.get(&key).is_some(), "gone before its time");
    harness.pass(ttl / 4 * 3);
    assert_eq!(tier.get(&key), None);
}

/// Past its fresh time and within its grace time an entry is there: what is stale is not the tier's
/// business.
pub fn stale_is_not_expired<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let (tier, key, ttl) = (harness.tier(), fresh_key(), harness.short());
    let mut entry = harness.entry("v", ttl);
    entry.fresh_until = entry.stored_at.saturating_add(ttl / 4);
    assert_eq!(tier.insert(key, entry.clone()), Inserted::Stored);
    harness.pass(ttl / 2);
    assert_eq!(tier.get(&key), Some(entry));
    harness.pass(ttl / 2);
    assert_eq!(tier.get(&key), None);
}

/// F13, F14: an entry that was stored elsewhere before ends when it would have ended there.
pub fn a_fill_keeps_what_is_left<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let (tier, key, ttl) = (harness.tier(), fresh_key(), harness.short());
    let entry = harness.entry("v", ttl);
    harness.pass(ttl / 2);
    assert_eq!(tier.insert(key, entry.clone()), Inserted::Stored);
    assert_eq!(tier.get(&key), Some(entry));
    harness.pass(ttl / 2);
    assert_eq!(tier.get(&key), None);
}

/// An entry whose time is up is refused, and what was under its key is gone.
pub fn inserting_the_expired_removes<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    let mut over = harness.lasting("new");
    over.expires_at = harness.now();
    over.fresh_until = harness.now();
    assert_eq!(tier.insert(key, over.clone()), Inserted::Expired);
    assert_eq!(tier.get(&key), None);
    assert_eq!(tier.insert(key, harness.lasting("old")), Inserted::Stored);
    assert_eq!(tier.insert(key, over), Inserted::Expired);
    assert_eq!(tier.get(&key), None);
}
