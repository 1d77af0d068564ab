//! The stored form of an entry, byte by byte as `docs/entry-format.md` has it.
//!
//! A record is a fixed header of 92 bytes, the tags and the payload. Numbers are little-endian.
//! Its times are on the server's clock; whoever calls this module has translated them.

#[cfg(any(test, fuzzing))]
pub(crate) mod checks;
mod compress;
#[cfg(feature = "encryption")]
pub(crate) mod encrypt;
#[cfg(not(feature = "encryption"))]
#[path = "no_encryption.rs"]
pub(crate) mod encrypt;
#[cfg(feature = "llmix")]
pub(crate) mod llmix;
mod reasons;
#[cfg(test)]
mod tests;

use bytes::{Buf as _, Bytes};
use cache_core::{
    CacheKey, CodecId, Entry, Fence, Payload, StoredEntry, Tag, TagStamp, Tags, Timestamp,
};

pub(crate) use self::encrypt::KeyRing;
pub(crate) use self::reasons::{Reasons, Undecodable};

/// `Î` cut in half: no text in UTF-8 begins like this.
const MAGIC: [u8; 4] = [0xCE, b'L', b'L', b'C'];
/// The version of the format. The name of the Redis key carries it too (see [`crate::names`]).
pub(crate) const VERSION: u8 = 1;
/// The length of the header: what scripts read of a record to compare its version.
pub(crate) const HEADER: usize = 92;
/// Where the header has the 16 bytes of the fence; scripts know this number.
pub(crate) const FENCE_AT: usize = 8;
/// Where the header has the checksum of what follows it.
const REST_CHECKSUM_AT: usize = HEADER - 8;
/// Where the header has the checksum of the bytes before it.
const CHECKSUM_AT: usize = HEADER - 4;
/// The fence of a value of another Redis type than string.
pub(crate) const WRONG_TYPE: Fence = Fence(*b"redis wrong type");
/// The longest payload that is written or believed, before compression: 64 MiB.
pub(crate) const MAX_PAYLOAD: usize = 64 << 20;

const COMPRESSED: u8 = 1;
const TOMBSTONE: u8 = 2;
const ENCRYPTED: u8 = 4;
const COMPRESSED_AND_ENCRYPTED: u8 = COMPRESSED | ENCRYPTED;
/// What encryption adds to a payload: the id of its key and a nonce before it, a tag behind it.
const SEAL: usize = 8 + 24 + 16;
/// Bytes of one tag with its stamp.
const TAG: usize = 32;

/// What was stored under a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// A value.
    Entry(StoredEntry),
    /// The memory of a removal.
    Tombstone,
}

/// Why an entry cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unencodable {
    /// The payload is longer than [`MAX_PAYLOAD`], or there are more tags than the header counts.
    #[error("the value is longer than a record can be")]
    TooLong,
    #[cfg(feature = "encryption")]
    #[error("no key was chosen to encrypt it with")]
    NoKey,
    #[cfg(feature = "encryption")]
    #[error("the key {0} that was chosen for it is not in the key ring")]
    UnknownKey(encrypt::KeyId),
    #[cfg(feature = "encryption")]
    #[error("the system gave no random bytes to encrypt it with")]
    NoRandomness,
    #[cfg(feature = "llmix")]
    #[error("llmix entries hold {0}")]
    NotLlmix(&'static str),
}

/// The times and kind of a record: what its header alone can tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    codec: CodecId,
    flags: u8,
    stored_at: Timestamp,
    fresh_until: Timestamp,
    expires_at: Timestamp,
    weight: u64,
    tags: usize,
    stored_length: usize,
    payload_length: usize,
    rest_checksum: u32,
}

/// The record of `entry` under `key`, compressed if its payload is longer than `compress_above` and
/// gets smaller by it, and encrypted if there are keys.
pub(crate) fn encode(
    key: &CacheKey,
    entry: &StoredEntry,
    fence: Fence,
    compress_above: Option<usize>,
    keys: Option<&KeyRing>,
) -> Result<Vec<u8>, Unencodable> {
    let plain: &[u8] = &entry.value.bytes;
    if plain.len() > MAX_PAYLOAD {
        return Err(Unencodable::TooLong);
    }
    let sealer = keys.map(|keys| keys.sealer(key, &entry.tags)).transpose()?;
    // Before encryption: nothing that is encrypted gets shorter.
    let compressed = compress_above
        .filter(|&threshold| plain.len() > threshold)
        .and_then(|_| compress::shorter(plain));
    let payload = compressed.as_deref().unwrap_or(plain);
    let stored_length = payload.len() + if sealer.is_some() { SEAL } else { 0 };
    let tags = entry.tags.as_slice();
    let tag_count = u32::try_from(tags.len()).map_err(|_| Unencodable::TooLong)?;

    let mut flags = if compressed.is_some() { COMPRESSED } else { 0 };
    if sealer.is_some() {
        flags |= ENCRYPTED;
    }
    let mut record = Vec::with_capacity(HEADER + tags.len() * TAG + stored_length);
    record.extend_from_slice(&MAGIC);
    record.extend_from_slice(&[VERSION, entry.value.codec.0, flags, 0]);
    record.extend_from_slice(&fence.0);
    record.extend_from_slice(mark(key));
    for time in [entry.stored_at, entry.fresh_until, entry.expires_at] {
        record.extend_from_slice(&time.as_unix_millis().to_le_bytes());
    }
    record.extend_from_slice(&entry.weight.to_le_bytes());
    for length in [tag_count, length(stored_length), length(plain.len())] {
        record.extend_from_slice(&length.to_le_bytes());
    }
    record.resize(HEADER, 0); // for the checksums
    for tag in tags {
        record.extend_from_slice(&tag.tag.0);
        record.extend_from_slice(&tag.stamp);
    }
    match sealer {
        Some(sealer) => sealer.seal(key, payload, &mut record)?,
        None => record.extend_from_slice(payload),
    }
    put_checksums(&mut record);
    Ok(record)
}

/// The record that remembers a removal of `key` at `now` until `until`. It has nothing to encrypt.
pub(crate) fn encode_tombstone(
    key: &CacheKey,
    fence: Fence,
    now: Timestamp,
    until: Timestamp,
) -> Vec<u8> {
    let mut record = Vec::with_capacity(HEADER);
    record.extend_from_slice(&MAGIC);
    record.extend_from_slice(&[VERSION, 0, TOMBSTONE, 0]);
    record.extend_from_slice(&fence.0);
    record.extend_from_slice(mark(key));
    for time in [now, until, until] {
        record.extend_from_slice(&time.as_unix_millis().to_le_bytes());
    }
    record.resize(HEADER, 0); // weight, tags, lengths; and for the checksums
    put_checksums(&mut record);
    record
}

/// Completes a record: the checksum of what follows the header, then the header's own.
fn put_checksums(record: &mut [u8]) {
    let rest = crc32fast::hash(&record[HEADER..]);
    record[REST_CHECKSUM_AT..CHECKSUM_AT].copy_from_slice(&rest.to_le_bytes());
    let own = crc32fast::hash(&record[..CHECKSUM_AT]);
    record[CHECKSUM_AT..HEADER].copy_from_slice(&own.to_le_bytes());
}

/// Lengths were compared with [`MAX_PAYLOAD`] before.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a payload is at most 64 MiB")
}

/// What binds a record to its key, so that one which got under another key, or came in reply to
/// another question, is never taken for an answer. Half of the digest: nobody finds two keys that
/// agree in 128 bits.
fn mark(key: &CacheKey) -> &[u8; 16] {
    key.as_bytes().first_chunk().expect("16 of 32 bytes")
}

/// Reads the record of `key`. A payload that is neither compressed nor encrypted is not copied.
pub(crate) fn decode(
    key: &CacheKey,
    mut record: Bytes,
    keys: Option<&KeyRing>,
) -> Result<Record, Undecodable> {
    let header = Header::read(key, &record)?;
    let tags_end = HEADER + header.tags * TAG;
    if record.len() != tags_end + header.stored_length {
        return Err(Undecodable::Length);
    }
    if crc32fast::hash(&record[HEADER..]) != header.rest_checksum {
        return Err(Undecodable::Payload);
    }
    if header.is_tombstone() {
        return Ok(Record::Tombstone);
    }
    header.may_be_read_with(keys)?;
    let tags = read_tags(&record[HEADER..tags_end]);
    let payload = match keys {
        Some(keys) if header.is_encrypted() => Bytes::from(keys.open(key, &record, tags_end)?),
        _ => {
            record.advance(tags_end); // a slice of it would be counted, and so allocate a counter
            record
        }
    };
    let bytes = if header.flags & COMPRESSED == 0 {
        payload
    } else {
        compress::expand(&payload, header.payload_length).ok_or(Undecodable::Compression)?
    };
    Ok(Record::Entry(Entry {
        value: Payload { codec: header.codec, bytes },
        stored_at: header.stored_at,
        fresh_until: header.fresh_until,
        expires_at: header.expires_at,
        tags,
        weight: header.weight,
        epoch: 0,
    }))
}

impl Header {
    /// Reads and checks the first [`HEADER`] bytes of the record of `key`.
    pub(crate) fn read(key: &CacheKey, record: &[u8]) -> Result<Self, Undecodable> {
        let head = record.first_chunk::<HEADER>().ok_or(Undecodable::Foreign)?;
        if !record.starts_with(&MAGIC) {
            return Err(Undecodable::Foreign);
        }
        if head[4] != VERSION {
            return Err(Undecodable::UnknownVersion(head[4]));
        }
        if crc32fast::hash(&head[..CHECKSUM_AT]) != u32_at(head, CHECKSUM_AT) {
            return Err(Undecodable::Header);
        }
        if head[24..40] != *mark(key) {
            return Err(Undecodable::OtherKey);
        }
        let header = Self {
            codec: CodecId(head[5]),
            flags: head[6],
            stored_at: time_at(head, 40),
            fresh_until: time_at(head, 48),
            expires_at: time_at(head, 56),
            weight: u64_at(head, 64),
            tags: u32_at(head, 72) as usize,
            stored_length: u32_at(head, 76) as usize,
            payload_length: u32_at(head, 80) as usize,
            rest_checksum: u32_at(head, REST_CHECKSUM_AT),
        };
        header.checked(head[7])
    }

    fn checked(self, reserved: u8) -> Result<Self, Undecodable> {
        let lengths_agree = match self.flags {
            0 => self.stored_length == self.payload_length,
            COMPRESSED => self.stored_length < self.payload_length,
            TOMBSTONE => self.stored_length + self.payload_length + self.tags == 0,
            ENCRYPTED => self.stored_length == self.payload_length + SEAL,
            COMPRESSED_AND_ENCRYPTED => {
                (SEAL..self.payload_length + SEAL).contains(&self.stored_length)
            }
            _ => false,
        };
        let in_order = self.stored_at <= self.expires_at && self.fresh_until <= self.expires_at;
        if reserved == 0 && lengths_agree && in_order && self.payload_length <= MAX_PAYLOAD {
            Ok(self)
        } else {
            Err(Undecodable::Header)
        }
    }

    /// Whether it remembers a removal.
    pub(crate) const fn is_tombstone(&self) -> bool {
        self.flags == TOMBSTONE
    }

    const fn is_encrypted(&self) -> bool {
        self.flags & ENCRYPTED != 0
    }

    /// Whether who has these keys, or none, reads such records at all. Not whether one of the keys
    /// fits, which the header does not tell.
    pub(crate) fn may_be_read_with(&self, keys: Option<&KeyRing>) -> Result<(), Undecodable> {
        match keys {
            None if self.is_encrypted() => Err(Undecodable::Encrypted),
            Some(keys) if !self.is_encrypted() && !keys.accepts_plain() => Err(Undecodable::Plain),
            _ => Ok(()),
        }
    }

    /// When its value was stored, on the server's clock.
    pub(crate) const fn stored_at(&self) -> Timestamp {
        self.stored_at
    }

    /// When its time is up, on the server's clock.
    pub(crate) const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// The version of whatever was found under a key. The scripts compute the same.
pub(crate) fn version(found: &[u8]) -> Fence {
    if found.len() >= HEADER && found.starts_with(&MAGIC) && found[4] == VERSION {
        let mut fence = [0; 16];
        fence.copy_from_slice(&found[FENCE_AT..FENCE_AT + 16]);
        return Fence(fence);
    }
    // Not for security: `redis.sha1hex` is the one digest that every Redis offers to scripts.
    let digest = sha1_smol::Sha1::from(found).digest().bytes();
    let mut fence = [0; 16];
    fence.copy_from_slice(&digest[..16]);
    Fence(fence)
}

fn read_tags(bytes: &[u8]) -> Tags {
    let tag = |pair: &[u8]| {
        let (mut tag, mut stamp) = ([0; 16], [0; 16]);
        tag.copy_from_slice(&pair[..16]);
        stamp.copy_from_slice(&pair[16..]);
        TagStamp { tag: Tag(tag), stamp }
    };
    bytes.chunks_exact(TAG).map(tag).collect()
}

fn u32_at(head: &[u8; HEADER], at: usize) -> u32 {
    u32::from_le_bytes(*head[at..].first_chunk().expect("offsets are inside the header"))
}

fn u64_at(head: &[u8; HEADER], at: usize) -> u64 {
    u64::from_le_bytes(*head[at..].first_chunk().expect("offsets are inside the header"))
}

fn time_at(head: &[u8; HEADER], at: usize) -> Timestamp {
    Timestamp::from_unix_millis(u64_at(head, at))
}
