//! What a tier holds, and that it is no more than it may be.

use bytes::Bytes;
use cache_core::{Inserted, LocalTier};

use crate::cases::fresh_key;
use crate::{Bound, LocalHarness};

/// Length and weight are those of what is held: an entry counts for what it says, at least.
pub fn what_is_held_is_counted<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let tier = harness.tier();
    assert!(tier.is_empty());
    let (light, heavy) = (harness.lasting("v").with_weight(100), fresh_key());
    let keys: Vec<_> = (0..10).map(|_| fresh_key()).collect();
    for (count, key) in keys.iter().enumerate() {
        assert_eq!(tier.insert(*key, light.clone()), Inserted::Stored);
        assert_eq!(tier.len(), count + 1);
        assert!(tier.weight() >= 100 * (count as u64 + 1), "less than its entries weigh");
    }
    let before = tier.weight();
    assert_eq!(tier.insert(heavy, light.clone().with_weight(1_100)), Inserted::Stored);
    assert!(tier.weight() >= before + 1_100, "less than its entries weigh");
    assert_eq!(tier.insert(heavy, light), Inserted::Stored);
    assert!(tier.weight() < before + 1_100, "an entry that was replaced still weighs");
    assert!(tier.remove(&heavy));
    assert_eq!((tier.len(), tier.weight()), (10, before), "as before, since all is as before");
    for key in &keys {
        assert!(tier.remove(key));
    }
    assert!(tier.is_empty());
    assert_eq!((tier.len(), tier.weight()), (0, 0));
}

/// The statistics tell the same.
pub fn statistics_tell_what_is_held<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let tier = harness.tier();
    for _ in 0..10 {
        assert_eq!(tier.insert(fresh_key(), harness.lasting("v")), Inserted::Stored);
    }
    let stats = tier.stats();
    assert_eq!((stats.entries, stats.weight), (10, tier.weight()));
}

/// A18, F37: however much is inserted, by however many, no more is held than the bound says.
pub fn the_bound_holds<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let tier = harness.tier();
    let (weight, times) = match harness.bound() {
        Bound::Entries(most) => (1, 3 * most),
        Bound::Weight(most) => (most.div_ceil(100), 300),
    };
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                for _ in 0..times / 2 {
                    let entry = harness.lasting("v").with_weight(weight);
                    assert_eq!(tier.insert(fresh_key(), entry), Inserted::Stored);
                }
            });
        }
    });
    match harness.bound() {
        Bound::Entries(most) => assert!(tier.len() as u64 <= most, "{} of {most}", tier.len()),
        Bound::Weight(most) => assert!(tier.weight() <= most, "{} of {most}", tier.weight()),
    }
    assert!(!tier.is_empty(), "bounded, not empty");
}

/// What is heavier than the whole tier may be is refused, and what was under its key is gone.
///
/// # Panics
///
/// Also if the harness says that the tier is not bounded in weight.
pub fn the_too_heavy_is_refused<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let Bound::Weight(most) = harness.bound() else {
        panic!("local_weight_suite! needs a tier that is bounded in weight")
    };
    let (tier, key, neighbour) = (harness.tier(), fresh_key(), fresh_key());
    let light = harness.lasting("v");
    for heavy in [most + 1, u64::MAX] {
        assert_eq!(tier.insert(neighbour, light.clone()), Inserted::Stored);
        assert_eq!(tier.insert(key, light.clone()), Inserted::Stored);
        assert_eq!(tier.insert(key, light.clone().with_weight(heavy)), Inserted::TooHeavy);
        assert_eq!(tier.get(&key), None, "nothing is stored under its key now");
        assert_eq!(tier.get(&neighbour), Some(light.clone()), "nobody made room for it");
    }
}
