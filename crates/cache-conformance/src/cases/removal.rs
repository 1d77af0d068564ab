//! Removed is gone, and nothing else is.

use cache_core::{Fence, RemoteTier};

use super::fresh_key;
use super::reads::found;
use crate::Harness;

/// Removing says whether a live entry was there.
pub async fn removing_says_what_was_there<T: RemoteTier>(harness: &Harness<T>) {
    let (tier, key, neighbour) = (harness.tier(), fresh_key(), fresh_key());
    let entry = harness.lasting("v");
    tier.put(&key, &entry).await.expect("put");
    tier.put(&neighbour, &entry).await.expect("put");
    assert!(tier.remove(&key).await.expect("remove"));
    assert_eq!(found(tier, &key).await, None);
    assert!(!tier.remove(&key).await.expect("remove"), "twice");
    assert!(!tier.remove(&fresh_key()).await.expect("remove"), "never there");
    assert_eq!(found(tier, &neighbour).await, Some(entry));
}

/// A35, F64: removal of one version spares every other.
pub async fn only_the_read_version_is_removed<T: RemoteTier>(harness: &Harness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    let (old, new) = (harness.lasting("old"), harness.lasting("new"));
    let absent = tier.remove_if_equals(&key, Fence::ABSENT).await;
    assert!(!absent.expect("remove_if_equals"), "there is nothing to remove");

    tier.put(&key, &old).await.expect("put");
    let read = tier.get(&key).await.expect("get").fence;
    tier.put(&key, &new).await.expect("put");
    for stale in [read, Fence::ABSENT, Fence([7; 16])] {
        let removed = tier.remove_if_equals(&key, stale).await;
        assert!(!removed.expect("remove_if_equals"), "{stale:?}");
    }
    assert_eq!(found(tier, &key).await, Some(new));

    let current = tier.get(&key).await.expect("get").fence;
    let removed = tier.remove_if_equals(&key, current).await;
    assert!(removed.expect("remove_if_equals"));
    let after = tier.get(&key).await.expect("get");
    assert_eq!(after.entry, None);
    let again = tier.remove_if_equals(&key, after.fence).await;
    assert!(!again.expect("remove_if_equals"), "there is nothing left to remove");
}

/// Purging takes everything of the namespace, the memory of removals too, and says how much.
pub async fn purging_leaves_nothing<T: RemoteTier>(harness: &Harness<T>) {
    const ENTRIES: usize = 1_500;
    let tier = harness.tier();
    let entry = harness.lasting("v");
    let entries: Vec<_> = (0..ENTRIES).map(|_| (fresh_key(), entry.clone())).collect();
    for batch in entries.chunks(500) {
        tier.put_many(batch).await.expect("put_many");
    }
    let removed = entries[0].0;
    tier.remove(&removed).await.expect("remove");

    let purged = tier.purge().await.expect("purge");
    assert!(purged >= ENTRIES as u64 - 1, "only {purged} of {ENTRIES}");
    let keys: Vec<_> = entries.iter().map(|(key, _)| *key).collect();
    for batch in keys.chunks(500) {
        for lookup in tier.get_many(batch).await.expect("get_many") {
            assert_eq!((lookup.entry, lookup.fence), (None, Fence::ABSENT));
        }
    }
    assert_eq!(tier.purge().await.expect("purge"), 0, "nothing is left to purge");
}
