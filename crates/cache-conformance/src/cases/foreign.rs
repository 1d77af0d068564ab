//! What somebody else put under a key of the tier.

use cache_core::{Fence, PutFenced, RemoteTier};

use super::fresh_key;
use super::reads::found;
use crate::Harness;

/// From nothing to much, and once what looks like text.
const FOREIGN: [&[u8]; 4] = [b"", b"\0", br#"{"data":"x","cached_at":1}"#, &[0xFF; 5_000]];

/// A29: they are a miss to every method, with a version of their own.
pub async fn foreign_bytes_are_a_miss<T: RemoteTier>(harness: &Harness<T>) {
    let tier = harness.tier();
    for bytes in FOREIGN {
        let key = fresh_key();
        harness.plant(key, bytes).await;
        let lookup = tier.get(&key).await.expect("get");
        assert_eq!(lookup.entry, None);
        assert_ne!(lookup.fence, Fence::ABSENT);
        assert_eq!(tier.get_many(&[key]).await.expect("get_many"), [lookup]);
        assert_eq!(tier.ttl(&key).await.expect("ttl"), None);
    }
}

/// A put replaces them, and so does a fenced put of who has read them.
pub async fn foreign_bytes_are_overwritten<T: RemoteTier>(harness: &Harness<T>) {
    let tier = harness.tier();
    let entry = harness.lasting("v");
    for bytes in FOREIGN {
        let (key, fenced) = (fresh_key(), fresh_key());
        harness.plant(key, bytes).await;
        tier.put(&key, &entry).await.expect("put");
        assert_eq!(found(tier, &key).await.as_ref(), Some(&entry));

        harness.plant(fenced, bytes).await;
        let absent = tier.put_fenced(&fenced, &entry, Fence::ABSENT).await;
        assert_eq!(absent.expect("put_fenced"), PutFenced::Superseded);
        let read = tier.get(&fenced).await.expect("get").fence;
        let outcome = tier.put_fenced(&fenced, &entry, read).await;
        assert_eq!(outcome.expect("put_fenced"), PutFenced::Stored);
        assert_eq!(found(tier, &fenced).await.as_ref(), Some(&entry));
    }
}

/// A29: they are removed only with the fence that they were read with.
pub async fn foreign_bytes_are_removed_only_as_read<T: RemoteTier>(harness: &Harness<T>) {
    let tier = harness.tier();
    for bytes in FOREIGN {
        let key = fresh_key();
        harness.plant(key, "something else").await;
        let stale = tier.get(&key).await.expect("get").fence;
        harness.plant(key, bytes).await;
        let removed = tier.remove_if_equals(&key, stale).await;
        assert!(!removed.expect("remove_if_equals"));
        let read = tier.get(&key).await.expect("get").fence;
        assert_ne!(read, stale);
        assert!(tier.remove_if_equals(&key, read).await.expect("remove_if_equals"));
        let again = tier.remove_if_equals(&key, read).await;
        assert!(!again.expect("remove_if_equals"), "they are gone");
    }
}

/// Removing them removes no live entry, but they are gone.
pub async fn removing_foreign_bytes_removes_no_entry<T: RemoteTier>(harness: &Harness<T>) {
    let tier = harness.tier();
    for bytes in FOREIGN {
        let key = fresh_key();
        harness.plant(key, bytes).await;
        let read = tier.get(&key).await.expect("get").fence;
        assert!(!tier.remove(&key).await.expect("remove"));
        let removed = tier.remove_if_equals(&key, read).await;
        assert!(!removed.expect("remove_if_equals"), "they are gone");
    }
}
