//! What was inserted is got, whole.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use cache_core::{Inserted, LocalTier, Tag, TagStamp, Tags};

use crate::LocalHarness;
use crate::cases::fresh_key;

/// What is not there is `None`, for every method.
pub fn absent_is_a_miss<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    assert_eq!(tier.get(&key), None);
    assert_eq!(tier.get_with(&key, |_| ()), None, "nothing is looked at");
    assert!(!tier.remove(&key));
    assert!(!tier.remove_if(&key, |_| true));
}

/// An entry comes back with all that it is: value, times, tags, weight and epoch.
pub fn what_was_inserted_is_got<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    let stamped = TagStamp { tag: Tag::named("tag"), stamp: [7; 16] };
    let mut entry = harness.lasting("v").with_tags(Tags::from_iter([stamped])).with_epoch(11);
    entry.fresh_until = harness.now();
    assert_eq!(tier.insert(key, entry.clone()), Inserted::Stored);
    assert_eq!(tier.get(&key), Some(entry.clone()));
    assert_eq!(tier.get(&key), Some(entry), "reading takes nothing away");
}

/// `get_with` looks at what `get` returns, once.
pub fn looking_is_getting<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    assert_eq!(tier.insert(key, harness.lasting("v")), Inserted::Stored);
    let mut looks = 0;
    let seen = tier.get_with(&key, |entry| {
        looks += 1;
        entry.clone()
    });
    assert_eq!((seen, looks), (tier.get(&key), 1));
}

/// An insert takes the place of what is there.
pub fn the_last_insert_wins<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let (tier, key, neighbour) = (harness.tier(), fresh_key(), fresh_key());
    let (first, last) = (harness.lasting("first"), harness.lasting("last"));
    for (key, entry) in [(neighbour, &first), (key, &first), (key, &last)] {
        assert_eq!(tier.insert(key, entry.clone()), Inserted::Stored);
    }
    assert_eq!((tier.get(&key), tier.get(&neighbour)), (Some(last), Some(first)));
}

/// No reader sees parts of two inserts.
pub fn entries_are_whole<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    const ROUNDS: u64 = 5_000;
    let (tier, key, is_over) = (harness.tier(), fresh_key(), AtomicBool::new(false));
    // Each part of an entry says which one it is of.
    let entry = |n: u64| {
        let byte = u8::try_from(n % 251).expect("below 251");
        let stamp = TagStamp { tag: Tag([byte; 16]), stamp: [byte; 16] };
        let value = Bytes::from(vec![byte; 8 + usize::from(byte)]);
        harness.lasting(value).with_tags(Tags::from_iter([stamp])).with_epoch(u64::from(byte))
    };
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while !is_over.load(Ordering::Acquire) {
                    let Some(seen) = tier.get(&key) else { continue };
                    let whole = entry(seen.epoch);
                    assert_eq!((seen.value, seen.tags), (whole.value, whole.tags));
                    assert_eq!(seen.weight, whole.weight);
                }
            });
        }
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                threads.spawn(move || {
                    for n in 0..ROUNDS {
                        assert_eq!(tier.insert(key, entry(2 * n + writer)), Inserted::Stored);
                    }
                })
            })
            .collect();
        let written = writers.into_iter().all(|writer| writer.join().is_ok());
        is_over.store(true, Ordering::Release); // before anything can panic
        assert!(written);
    });
}
