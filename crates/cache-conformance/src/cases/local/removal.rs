//! Removed is gone, and nothing else is.

use std::cell::Cell;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use cache_core::{CacheKey, Inserted, LocalTier};

use crate::LocalHarness;
use crate::cases::fresh_key;

/// Longer than any `get` takes that waits for nobody.
const LONG: Duration = Duration::from_secs(5);

/// Removing says whether a live entry was there.
pub fn removing_says_what_was_there<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let (tier, key, neighbour) = (harness.tier(), fresh_key(), fresh_key());
    let entry = harness.lasting("v");
    assert_eq!(tier.insert(key, entry.clone()), Inserted::Stored);
    assert_eq!(tier.insert(neighbour, entry.clone()), Inserted::Stored);
    assert!(tier.remove(&key));
    assert_eq!((tier.get(&key), tier.get(&neighbour)), (None, Some(entry)));
    assert!(!tier.remove(&key), "twice");
}

/// A35: an entry is removed if the predicate says so of it, and stays if not.
pub fn removal_is_up_to_the_predicate<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    let entry = harness.lasting("v");
    assert_eq!(tier.insert(key, entry.clone()), Inserted::Stored);
    assert!(!tier.remove_if(&key, |seen| *seen != entry), "it was shown another entry");
    assert_eq!(tier.get(&key), Some(entry.clone()));
    assert!(tier.remove_if(&key, |seen| *seen == entry));
    assert_eq!(tier.get(&key), None);
}

/// A35, A42, F64: what took the entry's place while the predicate was asked stays, though it be equal.
pub fn a_replacement_is_spared<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    let (old, new) = (harness.lasting("old"), harness.lasting("new"));
    assert_eq!(tier.insert(key, old.clone()), Inserted::Stored);
    let removed = tier.remove_if(&key, |seen| {
        // Somebody else, as seen from here: nothing is locked.
        assert_eq!(tier.insert(key, new.clone()), Inserted::Stored);
        seen.value == old.value
    });
    assert!(!removed);
    assert_eq!(tier.get(&key), Some(new.clone()));

    let asked = Cell::new(0);
    let removed = tier.remove_if(&key, |_| {
        asked.set(asked.get() + 1);
        if asked.get() == 1 {
            assert_eq!(tier.insert(key, new.clone()), Inserted::Stored);
        }
        asked.get() == 1 // of the first only, whose equal is there now
    });
    assert!(!removed);
    assert_eq!(tier.get(&key), Some(new));
}

/// The predicate runs while nothing is locked: it may use the tier, and a `get` waits for none.
pub fn predicates_lock_nothing<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let (tier, key, other) = (harness.tier(), fresh_key(), fresh_key());
    let entry = harness.lasting("v");
    assert_eq!(tier.insert(key, entry.clone()), Inserted::Stored);
    std::thread::scope(|threads| {
        // In here, so that neither side waits for one that has panicked.
        let (ask, asked) = mpsc::channel::<CacheKey>();
        let (answer, answered) = mpsc::channel();
        threads.spawn(move || {
            for key in asked {
                let _ = answer.send(tier.get(&key));
            }
        });
        let mut locked = false;
        let removed = {
            let locked = Cell::from_mut(&mut locked);
            tier.remove_if(&key, |_| {
                ask.send(key).expect("the other thread is there");
                locked.set(answered.recv_timeout(LONG) != Ok(Some(entry.clone())));
                if !locked.get() {
                    assert_eq!(tier.insert(other, entry.clone()), Inserted::Stored);
                    assert!(tier.remove(&other));
                }
                true
            })
        };
        drop(ask);
        assert!(!locked, "a `get` waited for a predicate");
        assert!(removed);
    });
    assert_eq!(tier.get(&key), None);
}

/// Clearing leaves nothing, and the tier as good as new.
pub fn clearing_leaves_nothing<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let tier = harness.tier();
    let keys: Vec<_> = (0..50).map(|_| fresh_key()).collect();
    for round in 0..2 {
        for key in &keys {
            assert_eq!(tier.insert(*key, harness.lasting("v")), Inserted::Stored, "{round}");
        }
        tier.clear();
        for key in &keys {
            assert_eq!(tier.get(key), None);
        }
        assert!(tier.is_empty());
        assert_eq!((tier.len(), tier.weight()), (0, 0));
    }
}
