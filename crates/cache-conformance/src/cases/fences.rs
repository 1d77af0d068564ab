//! Nothing that began before a write or a removal is stored after it.

use std::sync::Arc;
use std::time::Duration;

use cache_core::{CacheKey, Fence, PutFenced, RemoteTier};

use super::fresh_key;
use super::reads::found;
use crate::Harness;

/// Every write gives a version of its own, also of an equal value; and so does every removal.
pub async fn every_write_is_a_new_version<T: RemoteTier>(harness: &Harness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    let entry = harness.lasting("v");
    let mut seen = vec![Fence::ABSENT];
    for round in 0..12 {
        let last = fence(tier, &key).await;
        match round % 4 {
            0 => tier.put(&key, &entry).await.expect("put"),
            1 => tier.put_many(&[(key, entry.clone())]).await.expect("put_many"),
            2 => {
                let outcome = tier.put_fenced(&key, &entry, last).await;
                assert_eq!(outcome.expect("put_fenced"), PutFenced::Stored);
            }
            _ => {
                tier.remove(&key).await.expect("remove");
            }
        }
        let now = fence(tier, &key).await;
        assert!(!seen.contains(&now), "round {round}: a version came again");
        assert_eq!(now, fence(tier, &key).await, "reading makes no version");
        seen.push(now);
    }
}

/// While the version is the one that was read, a put goes through: over nothing, over a value,
/// and over the memory of a removal.
pub async fn an_unchanged_version_lets_a_put_through<T: RemoteTier>(harness: &Harness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    for value in ["over nothing", "over a value", "over a removal"] {
        if value == "over a removal" {
            tier.remove(&key).await.expect("remove");
        }
        let read = fence(tier, &key).await;
        let entry = harness.lasting(value);
        let outcome = tier.put_fenced(&key, &entry, read).await;
        assert_eq!(outcome.expect("put_fenced"), PutFenced::Stored, "{value}");
        assert_eq!(found(tier, &key).await, Some(entry));
    }
}

/// A36: who read before a write cannot store after it.
pub async fn a_write_voids_fences<T: RemoteTier>(harness: &Harness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    let (old, new) = (harness.lasting("old"), harness.lasting("new"));
    let read = fence(tier, &key).await;
    tier.put(&key, &new).await.expect("put");
    assert_refused(tier, &key, &old, read).await;
    assert_eq!(found(tier, &key).await.as_ref(), Some(&new));

    let read = fence(tier, &key).await;
    let outcome = tier.put_fenced(&key, &new, read).await;
    assert_eq!(outcome.expect("put_fenced"), PutFenced::Stored);
    assert_refused(tier, &key, &old, read).await;
    assert_eq!(found(tier, &key).await, Some(new));
}

/// A34: who read before a removal cannot store after it, whichever way the key was removed.
pub async fn a_removal_voids_fences<T: RemoteTier>(harness: &Harness<T>) {
    let tier = harness.tier();
    let entry = harness.lasting("v");
    for way in ["remove", "remove_many", "remove_if_equals"] {
        let key = fresh_key();
        tier.put(&key, &entry).await.expect("put");
        let read = fence(tier, &key).await;
        let removed = match way {
            "remove" => tier.remove(&key).await.expect("remove"),
            "remove_many" => tier.remove_many(&[key]).await.expect("remove_many") == 1,
            _ => tier.remove_if_equals(&key, read).await.expect("remove_if_equals"),
        };
        assert!(removed, "{way}");
        assert_refused(tier, &key, &entry, read).await;
        assert_refused(tier, &key, &entry, Fence::ABSENT).await;
        assert_eq!(found(tier, &key).await, None, "{way}");
    }
}

/// A34: removing a key that is not there voids fences too: its value may be on the way.
pub async fn removing_nothing_voids_fences<T: RemoteTier>(harness: &Harness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    let read = fence(tier, &key).await;
    assert!(!tier.remove(&key).await.expect("remove"));
    assert_refused(tier, &key, &harness.lasting("v"), read).await;
    assert_eq!(found(tier, &key).await, None);
}

/// A removal is remembered for as long as the tier says; where that cannot be waited for, for as
/// long as a case can wait.
pub async fn a_removal_is_remembered<T: RemoteTier>(harness: &Harness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    let read = fence(tier, &key).await;
    tier.remove(&key).await.expect("remove");
    let memory = tier.capabilities().fence_memory;
    let wait = if harness.tolerance().is_zero() {
        memory.saturating_sub(Duration::from_millis(1))
    } else {
        harness.short().min(memory / 2)
    };
    harness.pass(wait).await;
    assert_refused(tier, &key, &harness.lasting("v"), read).await;
}

/// Of many that read the same version, one stores.
pub async fn one_of_many_fenced_puts_wins<T: RemoteTier>(harness: &Harness<T>) {
    const WRITERS: usize = 16;
    let (tier, key) = (harness.tier(), fresh_key());
    let read = fence(tier, &key).await;
    let writers = (0..WRITERS).map(|writer| {
        let (tier, entry) = (Arc::clone(tier), harness.lasting(format!("writer {writer}")));
        tokio::spawn(async move {
            let outcome = tier.put_fenced(&key, &entry, read).await.expect("put_fenced");
            (outcome == PutFenced::Stored).then_some(entry)
        })
    });
    let mut winners = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        winners.extend(writer.await.expect("a writer ends well"));
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(found(tier, &key).await, winners.pop());
}

/// A put of an entry whose time is up is a removal: it voids fences.
pub async fn an_expired_put_is_a_removal<T: RemoteTier>(harness: &Harness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    let (live, expired) = (harness.lasting("v"), harness.entry("v", Duration::ZERO));
    tier.put(&key, &live).await.expect("put");
    let read = fence(tier, &key).await;
    tier.put(&key, &expired).await.expect("put");
    assert_refused(tier, &key, &live, read).await;
    assert_eq!(found(tier, &key).await, None);
}

async fn fence<T: RemoteTier>(tier: &T, key: &CacheKey) -> Fence {
    tier.get(key).await.expect("get").fence
}

async fn assert_refused<T: RemoteTier>(
    tier: &T,
    key: &CacheKey,
    entry: &cache_core::StoredEntry,
    fence: Fence,
) {
    let outcome = tier.put_fenced(key, entry, fence).await;
    assert_eq!(outcome.expect("put_fenced"), PutFenced::Superseded);
}
