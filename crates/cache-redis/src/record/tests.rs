//! The format, by entries that were written once and by bytes that nobody meant.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

#[cfg(feature = "encryption")]
mod encrypted;
mod mutated;

use super::checks::reseal;
use super::*;

const FENCE: Fence = Fence([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
const KEY: CacheKey = CacheKey::from_digest([0xC0; 32]);
const STORED_AT: u64 = 1_767_225_600_000;
const HELLO: &[u8] = br#"{"choices":[{"message":{"content":"hello"}}]}"#;

fn hour(n: u64) -> Timestamp {
    Timestamp::from_unix_millis(STORED_AT).saturating_add(Duration::from_secs(3_600 * n))
}

fn entry(codec: u8, bytes: impl Into<Bytes>, weight: u64, tags: u8) -> StoredEntry {
    let tag = |n: u8| TagStamp { tag: Tag([0xA0 + n; 16]), stamp: [0xB0 + n; 16] };
    Entry {
        value: Payload { codec: CodecId(codec), bytes: bytes.into() },
        stored_at: hour(0),
        fresh_until: hour(1),
        expires_at: hour(2),
        tags: (0..tags).map(tag).collect(),
        weight,
        epoch: 0,
    }
}

fn eternal() -> StoredEntry {
    StoredEntry {
        fresh_until: Timestamp::MAX,
        expires_at: Timestamp::MAX,
        ..entry(2, &b"\0\xFF"[..], u64::MAX, 0)
    }
}

/// What is under `tests/entries` was written by the release that brought the format (and by a
/// second implementation of it, so that the documentation is known to suffice). It must be read for
/// ever.
fn kept() -> [(&'static str, &'static [u8], Record); 6] {
    macro_rules! kept {
        ($name:literal, $record:expr) => {
            ($name, include_bytes!(concat!("../../tests/entries/v1/", $name)), $record)
        };
    }
    [
        kept!("plain.bin", Record::Entry(entry(1, HELLO, 4_321, 0))),
        kept!("empty.bin", Record::Entry(entry(0, &b""[..], 0, 0))),
        kept!("tagged.bin", Record::Entry(entry(200, HELLO, 99, 3))),
        kept!("eternal.bin", Record::Entry(eternal())),
        kept!("compressed.bin", Record::Entry(entry(0, vec![b'a'; 200], 200, 1))),
        kept!("tombstone.bin", Record::Tombstone),
    ]
}

/// A29: kept entries are read as they were meant.
#[test]
fn kept_entries_are_read_for_ever() {
    for (name, bytes, record) in kept() {
        let bytes = Bytes::from_static(bytes);
        assert_eq!(decode(&KEY, bytes.clone(), None), Ok(record), "{name}");
        assert_eq!(version(&bytes), FENCE, "{name}");
    }
}

/// What is written today is what was written then, byte for byte; how well zstd does may change.
#[test]
fn entries_are_written_as_the_kept_ones_were() {
    for (name, bytes, record) in kept() {
        let written = match record {
            Record::Entry(_) if name == "compressed.bin" => continue,
            Record::Entry(entry) => encode(&KEY, &entry, FENCE, None, None).unwrap(),
            Record::Tombstone => encode_tombstone(&KEY, FENCE, hour(0), hour(2)),
        };
        assert_eq!(written, bytes, "{name}");
    }
}

/// Without keys an encrypted entry is a miss that says why, with the feature and without.
#[test]
fn encrypted_entries_are_misses_without_keys() {
    let bytes = Bytes::from_static(include_bytes!("../../tests/entries/v1/encrypted.bin"));
    assert_eq!(decode(&KEY, bytes.clone(), None), Err(Undecodable::Encrypted));
    let header = Header::read(&KEY, &bytes).unwrap();
    assert_eq!(header.may_be_read_with(None), Err(Undecodable::Encrypted));
}

/// A record is of one key: whole and undamaged, under another key it is not an entry.
#[test]
fn records_are_bound_to_their_keys() {
    let other = CacheKey::from_text("other");
    for (name, bytes, _) in kept() {
        let bytes = Bytes::from_static(bytes);
        assert_eq!(decode(&other, bytes.clone(), None), Err(Undecodable::OtherKey), "{name}");
        assert!(matches!(Header::read(&other, &bytes), Err(Undecodable::OtherKey)), "{name}");
    }
}

/// Only what gets smaller is compressed, and only above the threshold.
#[test]
fn compression_never_makes_longer() {
    let text = entry(0, vec![b'x'; 5_000], 0, 0);
    let above = |threshold| encode(&KEY, &text, FENCE, threshold, None).unwrap().len();
    assert_eq!(above(None), HEADER + 5_000);
    assert_eq!(above(Some(5_000)), HEADER + 5_000);
    assert!(above(Some(4_999)) < HEADER + 100);
    let dense = zstd::bulk::compress(&(0..=255).collect::<Vec<u8>>().repeat(7), 19).unwrap();
    let length = dense.len();
    let record = encode(&KEY, &entry(0, dense, 0, 0), FENCE, Some(0), None).unwrap();
    assert_eq!(record.len(), HEADER + length);
}

/// The payload of an uncompressed record is a view into what came from the network.
#[test]
fn decoding_copies_no_payload() {
    let record =
        Bytes::from(encode(&KEY, &entry(0, vec![7; 2_048], 0, 2), FENCE, None, None).unwrap());
    let Ok(Record::Entry(read)) = decode(&KEY, record.clone(), None) else { panic!("an entry") };
    assert_eq!(read.value.bytes.as_ptr(), record[HEADER + 2 * TAG..].as_ptr());
}

/// A record that claims a payload beyond the maximum is not believed, and nothing is allocated
/// for it.
#[test]
fn decompression_is_bounded() {
    let mut bomb = encode(&KEY, &entry(0, vec![0; 1 << 20], 0, 0), FENCE, Some(0), None).unwrap();
    for (claim, expected) in [
        (MAX_PAYLOAD + 1, Undecodable::Header),
        (MAX_PAYLOAD, Undecodable::Compression), // longer than what is in it
        (1 << 19, Undecodable::Compression),     // shorter
    ] {
        bomb[80..84].copy_from_slice(&u32::try_from(claim).unwrap().to_le_bytes());
        reseal(&mut bomb);
        assert_eq!(decode(&KEY, Bytes::from(bomb.clone()), None), Err(expected), "{claim}");
    }
}

#[test]
fn too_long_is_an_error() {
    let long = entry(0, vec![0; MAX_PAYLOAD + 1], 0, 0);
    assert_eq!(encode(&KEY, &long, FENCE, Some(0), None), Err(Unencodable::TooLong));
}

/// What is not ours has the first bytes of its SHA-1 as its version, as scripts compute it.
#[test]
fn the_version_of_foreign_bytes_is_their_digest() {
    let expected = *b"\xda\x39\xa3\xee\x5e\x6b\x4b\x0d\x32\x55\xbf\xef\x95\x60\x18\x90";
    assert_eq!(version(b""), Fence(expected));
    assert_ne!(version(b"a"), version(b"b"));
}

#[derive(Clone, Debug)]
enum Mutation {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Append(Vec<u8>),
    Swap(prop::sample::Index, prop::sample::Index),
}

impl Mutation {
    fn apply(&self, record: &mut Vec<u8>) {
        let length = record.len();
        if length == 0 {
            return;
        }
        match self {
            Self::Flip(at, mask) => record[at.index(length)] ^= mask,
            Self::Cut(at) => record.truncate(at.index(length)),
            Self::Append(tail) => record.extend_from_slice(tail),
            Self::Swap(a, b) => record.swap(a.index(length), b.index(length)),
        }
    }
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<prop::sample::Index>(), 1_u8..).prop_map(|(at, mask)| Mutation::Flip(at, mask)),
        any::<prop::sample::Index>().prop_map(Mutation::Cut),
        vec(any::<u8>(), 1..40).prop_map(Mutation::Append),
        any::<(prop::sample::Index, prop::sample::Index)>().prop_map(|(a, b)| Mutation::Swap(a, b)),
    ]
}

fn any_entry() -> impl Strategy<Value = StoredEntry> {
    let payload = prop_oneof![
        vec(any::<u8>(), 0..300),
        (any::<u8>(), 0..3_000_usize).prop_map(|(byte, length)| vec![byte; length]),
    ];
    (any::<u8>(), payload, any::<u64>(), 0_u8..5)
        .prop_map(|(codec, bytes, weight, tags)| entry(codec, bytes, weight, tags))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_written_is_read(
        entry in any_entry(),
        fence in any::<[u8; 16]>(),
        threshold in prop::option::of(0..2_000_usize),
    ) {
        let record = Bytes::from(encode(&KEY, &entry, Fence(fence), threshold, None).unwrap());
        prop_assert_eq!(version(&record), Fence(fence));
        prop_assert_eq!(decode(&KEY, record.clone(), None), Ok(Record::Entry(entry)));
    }

    /// A29: a record that was changed anywhere is never taken for an entry.
    #[test]
    fn no_changed_record_is_accepted(
        entry in any_entry(),
        threshold in prop::option::of(0..2_000_usize),
        mutations in vec(mutation(), 1..4),
    ) {
        let record = encode(&KEY, &entry, FENCE, threshold, None).unwrap();
        let mut changed = record.clone();
        for mutation in &mutations {
            mutation.apply(&mut changed);
        }
        prop_assume!(changed != record);
        prop_assert!(decode(&KEY, Bytes::from(changed), None).is_err());
    }

    /// Whatever a header says under a right checksum, reading it ends without a panic and within
    /// the bounds of what is there.
    #[test]
    fn no_header_is_believed_blindly(
        entry in any_entry(),
        header in vec(any::<u8>(), CHECKSUM_AT),
        from in 5..CHECKSUM_AT,
        length in 1..CHECKSUM_AT,
    ) {
        let mut record = encode(&KEY, &entry, FENCE, Some(0), None).unwrap();
        let to = (from + length).min(CHECKSUM_AT);
        record[from..to].copy_from_slice(&header[from..to]);
        reseal(&mut record);
        let record = Bytes::from(record);
        if let Ok(Record::Entry(read)) = decode(&KEY, record.clone(), None) {
            prop_assert!(read.stored_at <= read.expires_at && read.fresh_until <= read.expires_at);
            prop_assert!(read.value.bytes.len() <= MAX_PAYLOAD);
        }
        version(&record);
    }

    #[test]
    fn foreign_bytes_are_no_record(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(decode(&KEY, Bytes::from(bytes.clone()), None).is_err());
        version(&bytes);
    }
}
