//! What `benches/` measures and no caller sees. Hidden, and no part of what is promised to anybody.

use bytes::Bytes;
use cache_core::{CacheKey, Fence, StoredEntry};

use crate::record::{self, Record};

/// The record of `entry`, neither compressed nor encrypted; `None` if there is no room for it in one.
pub fn encode(key: &CacheKey, entry: &StoredEntry) -> Option<Vec<u8>> {
    record::encode(key, entry, Fence([1; 16]), None, None).ok()
}

/// The entry in `record`, if that is what it is.
pub fn decode(key: &CacheKey, record: Bytes) -> Option<StoredEntry> {
    match record::decode(key, record, None) {
        Ok(Record::Entry(entry)) => Some(entry),
        _ => None,
    }
}
