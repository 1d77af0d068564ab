//! What the targets in `fuzz/` call. Only there when `cargo fuzz` builds.

use std::sync::LazyLock;

use bytes::Bytes;
use cache_core::{CacheKey, CodecId, Entry, Fence, Payload, Tags, Timestamp};

use crate::record::checks::{reseal, sound, sound_llmix};
use crate::record::encode;
use crate::{KeyId, KeyRing};

const KEY: CacheKey = CacheKey::from_digest([0xC0; 32]);

/// None, the one of the kept entries, and one that takes plain entries too.
static RINGS: LazyLock<[Option<KeyRing>; 3]> = LazyLock::new(|| {
    let ring = KeyRing::new(KeyId(0x0102_0304_0506_0708), [0x5E; 32]);
    [None, Some(ring.clone()), Some(ring.accept_plain(true))]
});

/// Bytes as the record of a key, as they are and with right checksums; then as changes to records
/// that are encrypted.
pub fn record(bytes: &[u8]) {
    let mut resealed = bytes.to_vec();
    reseal(&mut resealed);
    let (given, resealed) = (Bytes::copy_from_slice(bytes), Bytes::from(resealed));
    for keys in &*RINGS {
        sound(&KEY, &given, keys.as_ref());
        sound(&KEY, &resealed, keys.as_ref());
    }
    let [_, ring, _] = &*RINGS;
    for (payload, threshold) in [(vec![b'a'; 300], Some(0)), (b"hello".to_vec(), None)] {
        let value = Payload { codec: CodecId::RAW, bytes: payload.into() };
        let entry = Entry {
            value,
            stored_at: Timestamp::from_unix_millis(1_767_225_600_000),
            fresh_until: Timestamp::from_unix_millis(1_767_225_700_000),
            expires_at: Timestamp::MAX,
            tags: Tags::default(),
            weight: 5,
            epoch: 0,
        };
        let written = encode(&KEY, &entry, Fence([1; 16]), threshold, ring.as_ref());
        let original = written.expect("it is short");
        let mut changed = original.clone();
        for (byte, change) in changed.iter_mut().zip(bytes) {
            *byte ^= change;
        }
        reseal(&mut changed);
        let is_changed = changed != original;
        let read = sound(&KEY, &Bytes::from(changed), ring.as_ref());
        assert_eq!(read, (!is_changed).then_some(entry), "a forged record was taken");
    }
}

/// Bytes as an answer of llmix.
pub fn llmix(bytes: &[u8]) {
    sound_llmix(&Bytes::copy_from_slice(bytes));
}
