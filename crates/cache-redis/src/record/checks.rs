//! What holds of reading any bytes whatsoever: shared by the tests and the fuzz targets.

use bytes::Bytes;
use cache_core::{CacheKey, StoredEntry};

use super::{
    CHECKSUM_AT, HEADER, KeyRing, MAX_PAYLOAD, REST_CHECKSUM_AT, Record, decode, encode, version,
};

/// Reads `record` and returns the entry if it is one.
///
/// # Panics
///
/// If the entry breaks a promise of the format, or does not mean the same when written again.
pub(crate) fn sound(key: &CacheKey, record: &Bytes, keys: Option<&KeyRing>) -> Option<StoredEntry> {
    let fence = version(record);
    let Ok(Record::Entry(entry)) = decode(key, record.clone(), keys) else { return None };
    assert!(entry.stored_at <= entry.expires_at && entry.fresh_until <= entry.expires_at);
    assert!(entry.value.bytes.len() <= MAX_PAYLOAD);
    let encrypted = record[6] & super::ENCRYPTED != 0;
    assert!(encrypted == keys.is_some() || keys.is_some_and(KeyRing::accepts_plain));
    if record[6] == 0 {
        let inside = record.len() - entry.value.bytes.len();
        assert_eq!(entry.value.bytes.as_ptr(), record[inside..].as_ptr(), "copied");
    }
    let again = Bytes::from(encode(key, &entry, fence, None, keys).expect("it was stored once"));
    assert_eq!(version(&again), fence);
    let Ok(Record::Entry(reread)) = decode(key, again.clone(), keys) else {
        panic!("it does not read what it wrote");
    };
    assert_eq!(reread, entry);
    if record[6] == 0 && keys.is_none() {
        assert_eq!(again, *record, "two records that mean the same");
    }
    Some(entry)
}

/// How much a reader of `record` may allocate: what the header declares, within the bounds, a copy
/// of what is there, and some small change.
#[cfg(test)]
pub(super) fn allowance(record: &[u8]) -> u64 {
    let declared = record.get(80..84).map_or(0, |length| {
        u32::from_le_bytes(*length.first_chunk().expect("four bytes")) as usize
    });
    (declared.min(MAX_PAYLOAD) + 2 * record.len() + 1024) as u64
}

/// Makes both checksums right, as one would who wants to be believed.
pub(crate) fn reseal(record: &mut [u8]) {
    if record.len() >= HEADER {
        let rest = crc32fast::hash(&record[HEADER..]).to_le_bytes();
        record[REST_CHECKSUM_AT..CHECKSUM_AT].copy_from_slice(&rest);
        let own = crc32fast::hash(&record[..CHECKSUM_AT]).to_le_bytes();
        record[CHECKSUM_AT..HEADER].copy_from_slice(&own);
    }
}

/// The same of the payload of llmix.
#[cfg(feature = "llmix")]
pub(crate) fn sound_llmix(found: &Bytes) {
    use super::llmix;
    use cache_core::{CodecId, Payload};

    let Ok(answer) = llmix::decode(found) else { return };
    assert!(answer.text.len() <= found.len());
    let Some(at) = answer.cached_at else { return };
    let value = Payload { codec: CodecId::RAW, bytes: answer.text.clone() };
    let written = llmix::encode(&value, at).expect("it was stored once");
    assert_eq!(llmix::decode(&Bytes::from(written)), Ok(answer));
}
