//! What stale writers are fenced by: an insert under a condition is one step with its condition.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use cache_core::{CacheKey, Inserted, LocalTier};

use crate::cases::fresh_key;
use crate::{Bound, LocalHarness};

/// A condition that holds lets an insert through.
pub fn a_condition_that_holds_stores<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    let entry = harness.lasting("v");
    assert_eq!(tier.insert_if(key, entry.clone(), || true), Inserted::Stored);
    assert_eq!(tier.get(&key), Some(entry));
}

/// One that does not hold leaves what is there, whatever else may be wrong with the entry.
pub fn a_declined_insert_changes_nothing<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let (tier, key, empty) = (harness.tier(), fresh_key(), fresh_key());
    let there = harness.lasting("there");
    assert_eq!(tier.insert(key, there.clone()), Inserted::Stored);
    let refused = harness.lasting("refused");
    let mut expired = refused.clone();
    expired.expires_at = harness.now();
    expired.fresh_until = harness.now();
    let heavy = match harness.bound() {
        Bound::Weight(most) => refused.clone().with_weight(most + 1),
        Bound::Entries(_) => refused.clone().with_weight(1 << 40),
    };
    for entry in [refused, expired, heavy] {
        assert_eq!(tier.insert_if(key, entry.clone(), || false), Inserted::Declined);
        assert_eq!(tier.insert_if(empty, entry, || false), Inserted::Declined);
        assert_eq!((tier.get(&key), tier.get(&empty)), (Some(there.clone()), None));
    }
}

/// A34: a `remove` that begins once the condition has answered removes what is stored then.
pub fn a_removal_waits_for_the_insert<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let key = fresh_key();
    begun_within_a_condition(harness, &key, |tier| _ = tier.remove(&key));
    assert_eq!(harness.tier().get(&key), None, "the removal came before what it was to remove");
}

/// A34: so does a `clear`.
pub fn a_clear_waits_for_the_insert<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let key = fresh_key();
    begun_within_a_condition(harness, &key, LocalTier::clear);
    assert_eq!(harness.tier().get(&key), None, "the clear came before what it was to remove");
}

/// Begins to `invalidate` on another thread while an insert's condition is being asked, which says yes.
fn begun_within_a_condition<T: LocalTier<Bytes>>(
    harness: &LocalHarness<T>,
    key: &CacheKey,
    invalidate: impl FnOnce(&T) + Send,
) {
    let tier = harness.tier();
    std::thread::scope(|threads| {
        // In here, so that neither side waits for one that has panicked.
        let (start, begun) = mpsc::channel();
        let (finish, ended) = mpsc::channel();
        threads.spawn(move || {
            begun.recv().expect("the condition is asked");
            invalidate(tier);
            let _ = finish.send(()); // nobody listens if it had to wait, as it should
        });
        let stored = tier.insert_if(*key, harness.lasting("v"), move || {
            start.send(()).expect("the other thread is there");
            // Time enough for whoever does not wait.
            let _ = ended.recv_timeout(Duration::from_millis(50));
            true
        });
        assert_eq!(stored, Inserted::Stored);
    });
}

/// A34: a writer that asks its fence as it stores leaves nothing behind from before a `remove`, however
/// the two meet.
pub fn fenced_writers_lose_to_removals<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    let key = fresh_key();
    race(harness, &key, |tier| _ = tier.remove(&key));
}

/// A34: nor from before a `clear`.
pub fn fenced_writers_lose_to_clears<T: LocalTier<Bytes>>(harness: &LocalHarness<T>) {
    race(harness, &fresh_key(), LocalTier::clear);
}

fn race<T: LocalTier<Bytes>>(harness: &LocalHarness<T>, key: &CacheKey, invalidate: impl Fn(&T)) {
    const ROUNDS: u64 = 3_000;
    let (tier, fence) = (harness.tier(), AtomicU64::new(0));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            loop {
                let seen = fence.load(Ordering::SeqCst);
                let entry = harness.lasting(seen.to_be_bytes().to_vec());
                let _ = tier.insert_if(*key, entry, || fence.load(Ordering::SeqCst) == seen);
                if seen == ROUNDS {
                    break;
                }
            }
        });
        let mut broken = None;
        for round in 1..=ROUNDS {
            fence.store(round, Ordering::SeqCst);
            invalidate(tier);
            // Whatever is there now was fetched after the invalidation.
            let seen = tier.get(key).map(|entry| entry.value);
            if seen.is_some_and(|value| *value != round.to_be_bytes()) {
                broken = Some(round);
            }
        }
        assert_eq!(broken, None, "what was fetched before an invalidation was stored after it");
    });
}
