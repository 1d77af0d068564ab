//! Lives end when they should, and no clock makes them longer.

use std::time::Duration;

use cache_core::{CacheKey, Entry, Lifetime, Payload, PutFenced, RemoteTier, Timestamp};

use super::fresh_key;
use super::reads::found;
use crate::Harness;

/// A23: an entry is there until its time is up, and then to no method.
pub async fn expired_is_absent<T: RemoteTier>(harness: &Harness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    let entry = harness.entry("v", harness.short());
    tier.put(&key, &entry).await.expect("put");
    until_expired(harness, &key, entry.expires_at).await;

    let lookup = tier.get(&key).await.expect("get");
    assert_eq!(lookup.entry, None);
    let many = tier.get_many(&[key, key]).await.expect("get_many");
    assert!(many.iter().all(|lookup| lookup.entry.is_none()));
    assert_eq!(tier.ttl(&key).await.expect("ttl"), None);
    assert!(!tier.remove_if_equals(&key, lookup.fence).await.expect("remove_if_equals"));
    assert!(!tier.remove(&key).await.expect("remove"));
}

/// A25: a life of a few milliseconds is kept, not rounded to 0 or to a second.
pub async fn lives_below_a_second_are_kept<T: RemoteTier>(harness: &Harness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    for millis in [150, 1] {
        let entry = harness.entry("v", Duration::from_millis(millis));
        tier.put(&key, &entry).await.expect("put");
        until_expired(harness, &key, entry.expires_at).await;
    }
}

/// An entry past its fresh time is still given, with its times, for the caller to judge.
pub async fn stale_is_not_expired<T: RemoteTier>(harness: &Harness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    let value = harness.lasting("v").value;
    let lifetime = Lifetime::new(Duration::ZERO).with_grace(Duration::from_secs(600));
    let entry = Entry::new(value, harness.now(), lifetime);
    tier.put(&key, &entry).await.expect("put");
    let read = found(tier, &key).await.expect("stale, but not expired");
    assert_eq!(read, entry);
    assert!(!read.is_fresh(harness.now().saturating_add(harness.tolerance())));
}

/// Putting an entry whose time is up stores nothing, and removes what was there.
pub async fn putting_the_expired_removes<T: RemoteTier>(harness: &Harness<T>) {
    let tier = harness.tier();
    let expired = harness.entry("expired", Duration::ZERO);
    let live = harness.lasting("live");
    for way in ["put", "put_many", "put_fenced"] {
        let key = fresh_key();
        tier.put(&key, &live).await.expect("put");
        let fence = tier.get(&key).await.expect("get").fence;
        match way {
            "put" => tier.put(&key, &expired).await.expect("put"),
            "put_many" => {
                let batch = [(key, live.clone()), (key, expired.clone())];
                tier.put_many(&batch).await.expect("put_many");
            }
            _ => {
                let outcome = tier.put_fenced(&key, &expired, fence).await;
                assert_eq!(outcome.expect("put_fenced"), PutFenced::Stored);
            }
        }
        assert_eq!(found(tier, &key).await, None, "after {way}");
    }
}

/// A27: what is left is at most what was given, falls, and is `None` for an absent key.
pub async fn ttl_starts_at_what_was_given_and_falls<T: RemoteTier>(harness: &Harness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    let given = Duration::from_secs(3_600);
    tier.put(&key, &harness.entry("v", given)).await.expect("put");
    let first = tier.ttl(&key).await.expect("ttl").expect("it is live");
    assert!(first <= given, "{first:?} of {given:?}");
    assert!(first > given / 2, "{first:?} of {given:?}");
    harness.pass(harness.short() / 4).await;
    let second = tier.ttl(&key).await.expect("ttl").expect("it is live");
    assert!(second < first, "{second:?} after {first:?}");
    tier.remove(&key).await.expect("remove");
    assert_eq!(tier.ttl(&key).await.expect("ttl"), None);
}

/// A26: what a returned entry has left by the caller's clock is at most what the tier gives it.
pub async fn no_clock_lengthens_a_life<T: RemoteTier>(harness: &Harness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    tier.put(&key, &harness.lasting("v")).await.expect("put");
    for _ in 0..3 {
        let given = tier.ttl(&key).await.expect("ttl").expect("it is live");
        let entry = found(tier, &key).await.expect("it is live");
        let left = entry.remaining(harness.now());
        assert!(left <= given + harness.tolerance(), "{left:?} of {given:?}");
        harness.pass(harness.short() / 4).await;
    }
}

/// A26: an entry whose writer's clock ran ahead gets no more than the life it was given.
pub async fn the_future_lengthens_no_life<T: RemoteTier>(harness: &Harness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    let (hour, life) = (Duration::from_secs(3_600), Duration::from_secs(60));
    let value: Payload = harness.lasting("v").value;
    let entry = Entry::new(value, harness.now().saturating_add(hour), Lifetime::new(life));
    tier.put(&key, &entry).await.expect("put");
    let limit = life + harness.tolerance();
    if let Some(read) = found(tier, &key).await {
        let left = read.remaining(harness.now());
        assert!(left <= limit, "{left:?} of {life:?}");
    }
    if let Some(left) = tier.ttl(&key).await.expect("ttl") {
        assert!(left <= limit, "{left:?} of {life:?}");
    }
}

/// Reads `key` until its time is up, and asserts the whole way that it is there just as long.
async fn until_expired<T: RemoteTier>(harness: &Harness<T>, key: &CacheKey, expires_at: Timestamp) {
    let slack = harness.tolerance();
    let step = (expires_at.saturating_since(harness.now()) / 8).max(Duration::from_millis(1));
    loop {
        let before = harness.now();
        let is_there = found(harness.tier(), key).await.is_some();
        // A busy machine may take its time between the reads of the clock: what then cannot be
        // told is not asserted.
        if harness.now().saturating_add(slack) < expires_at {
            assert!(is_there, "absent before its time was up");
        }
        if before.saturating_since(expires_at) >= slack && before >= expires_at {
            assert!(!is_there, "there after its time was up");
            return;
        }
        harness.pass(step).await;
    }
}
