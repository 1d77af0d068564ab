//! Batches answer as single calls would, in the order of the question.

use cache_core::{CacheKey, Fence, RemoteTier, StoredEntry};

use super::fresh_key;
use super::reads::found;
use crate::Harness;

/// A30: one answer a key, in order, misses and duplicates included.
pub async fn many_are_read_in_order<T: RemoteTier>(harness: &Harness<T>) {
    let tier = harness.tier();
    let entries = numbered(harness, 250);
    tier.put_many(&entries).await.expect("put_many");

    let mut question: Vec<CacheKey> = Vec::new();
    let mut expected: Vec<Option<StoredEntry>> = Vec::new();
    for (key, entry) in entries.iter().rev() {
        question.extend([*key, fresh_key(), *key]);
        expected.extend([Some(entry.clone()), None, Some(entry.clone())]);
    }
    let lookups = tier.get_many(&question).await.expect("get_many");
    assert_eq!(lookups.len(), question.len());
    for (index, (lookup, expected)) in lookups.iter().zip(expected).enumerate() {
        assert_eq!(lookup.entry, expected, "answer {index}");
        assert_eq!(lookup.fence == Fence::ABSENT, expected.is_none());
    }
    // A batch and a single read see the same version.
    let single = tier.get(&question[0]).await.expect("get");
    assert_eq!(lookups[0], single);
}

/// Of two puts of one key in a batch, the later wins.
pub async fn of_two_puts_the_later_wins<T: RemoteTier>(harness: &Harness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    let (first, second) = (harness.lasting("first"), harness.lasting("second"));
    let batch = [(key, first), (fresh_key(), second.clone()), (key, second.clone())];
    tier.put_many(&batch).await.expect("put_many");
    assert_eq!(found(tier, &key).await, Some(second));
}

/// Removing many says how many were live, and counts a duplicate once.
pub async fn many_are_removed_and_counted_once<T: RemoteTier>(harness: &Harness<T>) {
    let tier = harness.tier();
    let entries = numbered(harness, 3);
    tier.put_many(&entries).await.expect("put_many");
    let [a, b, kept] = [entries[0].0, entries[1].0, entries[2].0];
    let removed = tier.remove_many(&[a, fresh_key(), b, a]).await;
    assert_eq!(removed.expect("remove_many"), 2);
    assert_eq!(found(tier, &a).await, None);
    assert_eq!(found(tier, &b).await, None);
    assert_eq!(found(tier, &kept).await.as_ref(), Some(&entries[2].1));
    assert_eq!(tier.remove_many(&[a, b]).await.expect("remove_many"), 0);
}

/// Empty batches are answered.
pub async fn nothing_is_a_batch<T: RemoteTier>(harness: &Harness<T>) {
    let tier = harness.tier();
    assert_eq!(tier.get_many(&[]).await.expect("get_many"), []);
    tier.put_many(&[]).await.expect("put_many");
    assert_eq!(tier.remove_many(&[]).await.expect("remove_many"), 0);
}

fn numbered<T: RemoteTier>(harness: &Harness<T>, count: usize) -> Vec<(CacheKey, StoredEntry)> {
    (0..count).map(|n| (fresh_key(), harness.lasting(format!("value {n}")))).collect()
}
