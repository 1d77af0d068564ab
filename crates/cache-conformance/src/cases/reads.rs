//! What is read is what was written.

use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use cache_core::{
    CodecId, Entry, Fence, Lifetime, Lookup, Payload, RemoteTier, StoredEntry, Tag, TagStamp,
};

use super::fresh_key;
use crate::Harness;

/// A key that was never written or removed is a miss of the version [`Fence::ABSENT`].
pub async fn absent_is_a_miss<T: RemoteTier>(harness: &Harness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    let absent = Lookup { entry: None, fence: Fence::ABSENT };
    assert_eq!(tier.get(&key).await.expect("get"), absent);
    assert_eq!(tier.get_many(&[key]).await.expect("get_many"), [absent]);
    assert_eq!(tier.ttl(&key).await.expect("ttl"), None);
}

/// A29: value, codec, times, tags with their stamps, and weight come back as they were.
pub async fn what_was_put_is_got<T: RemoteTier>(harness: &Harness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    let stamps =
        [3, 1, 2].map(|n| TagStamp { tag: Tag::named(&format!("tag {n}")), stamp: [n; 16] });
    let payload = Payload { codec: CodecId(200), bytes: (0..=255).collect::<Vec<u8>>().into() };
    let lifetime =
        Lifetime::new(Duration::from_secs(1_800)).with_grace(Duration::from_millis(600_001));
    let entry = Entry::new(payload, harness.now(), lifetime)
        .with_weight(77)
        .with_tags(stamps.into_iter().collect());
    tier.put(&key, &entry).await.expect("put");
    assert_eq!(found(tier, &key).await, Some(entry));
}

/// Payloads come back from none to many bytes, whether they can be compressed or not.
pub async fn payloads_of_any_length_come_back<T: RemoteTier>(harness: &Harness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    for length in [0, 1, 71, 1_023, 1_024, 1_025, 70_000, 1 << 20] {
        for payload in [vec![b'a'; length], noise(length)] {
            let entry = harness.lasting(payload);
            tier.put(&key, &entry).await.expect("put");
            assert!(found(tier, &key).await == Some(entry), "{length} bytes");
        }
    }
}

/// A put replaces what was there, times and tags included.
pub async fn the_last_put_wins<T: RemoteTier>(harness: &Harness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    for value in ["first, and longer", "second"] {
        let entry = harness.lasting(value);
        tier.put(&key, &entry).await.expect("put");
        assert_eq!(found(tier, &key).await, Some(entry));
    }
}

/// No reader sees parts of two puts.
pub async fn values_are_whole<T: RemoteTier>(harness: &Harness<T>) {
    const ROUNDS: usize = 50;
    let (tier, key) = (harness.tier(), fresh_key());
    let uniform = |byte: u8| harness.lasting(vec![byte; 4_000 * usize::from(byte)]);
    tier.put(&key, &uniform(1)).await.expect("put");
    let writers = (1..=4).map(|byte| {
        let (tier, entry) = (Arc::clone(tier), uniform(byte));
        tokio::spawn(async move {
            for _ in 0..ROUNDS {
                tier.put(&key, &entry).await.expect("put");
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    for _ in 0..ROUNDS {
        let entry = found(tier, &key).await.expect("it is always there");
        let bytes = &entry.value.bytes;
        assert!(bytes.iter().all(|&byte| byte == bytes[0]), "bytes of two puts");
        assert_eq!(bytes.len(), 4_000 * usize::from(bytes[0]));
        assert_eq!(entry.weight, bytes.len() as u64, "a value with the weight of another");
    }
    for writer in writers {
        writer.await.expect("a writer ends well");
    }
}

/// A put that is dropped on the way stores its value or nothing, and harms no later call.
pub async fn a_dropped_put_leaves_the_old_or_the_new<T: RemoteTier>(harness: &Harness<T>) {
    let (tier, key) = (harness.tier(), fresh_key());
    let (old, new) = (harness.lasting("old"), harness.lasting(vec![b'n'; 100_000]));
    for polls in 0..20 {
        tier.put(&key, &old).await.expect("put");
        {
            let mut put = pin!(tier.put(&key, &new));
            for _ in 0..polls {
                if put.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let entry = found(tier, &key).await.expect("the old value or the new");
        assert!(entry == old || entry == new);
    }
}

/// It can be asked how it is, and what it promises makes sense.
pub async fn the_tier_answers_pings_and_describes_itself<T: RemoteTier>(harness: &Harness<T>) {
    harness.tier().ping().await.expect("ping");
    let capabilities = harness.tier().capabilities();
    assert!(!capabilities.name.is_empty());
    assert!(!capabilities.fence_memory.is_zero());
    assert!(!capabilities.deadline.is_zero());
}

/// No call takes longer than the tier says, the first one included.
pub async fn calls_end_within_the_deadline<T: RemoteTier>(harness: &Harness<T>) {
    // The machine may be busy: what is caught is a limit of the wrong order, or none.
    let limit = harness.tier().capabilities().deadline + Duration::from_secs(1);
    let (tier, key) = (harness.tier(), fresh_key());
    let entry = harness.lasting("v");
    for _ in 0..3 {
        let start = Instant::now();
        // Whether it could answer is not the question here.
        let _ = tier.get(&key).await;
        let after_get = start.elapsed();
        let _ = tier.put(&key, &entry).await;
        let _ = tier.remove(&key).await;
        let after_all = start.elapsed();
        assert!(after_get <= limit, "get took {after_get:?}");
        assert!(after_all <= 3 * limit, "three calls took {after_all:?}");
    }
}

pub(super) async fn found<T: RemoteTier>(
    tier: &T,
    key: &cache_core::CacheKey,
) -> Option<StoredEntry> {
    tier.get(key).await.expect("get").entry
}

/// Bytes that do not compress (xorshift, Marsaglia 2003).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}
