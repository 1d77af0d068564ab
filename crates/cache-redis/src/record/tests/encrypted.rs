//! Encryption: nothing in the clear, and nothing taken that was not written by a holder of a key.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::checks::reseal;
use super::super::encrypt::KeyId;
use super::*;

const ID: KeyId = KeyId(0x0102_0304_0506_0708);
const OTHER_ID: KeyId = KeyId(2);

fn ring() -> KeyRing {
    KeyRing::new(ID, [0x5E; 32])
}

fn sealed(entry: &StoredEntry, keys: &KeyRing) -> Bytes {
    Bytes::from(encode(&KEY, entry, FENCE, Some(64), Some(keys)).unwrap())
}

fn text() -> StoredEntry {
    entry(1, HELLO.repeat(9), 77, 2)
}

/// Written by `tests/entries/write.py`, which shares no code with this.
#[test]
fn kept_encrypted_entries_are_read_for_ever() {
    macro_rules! kept {
        ($name:literal) => {
            &include_bytes!(concat!("../../../tests/entries/v1/encrypted", $name, ".bin"))[..]
        };
    }
    for (bytes, expected) in [
        (kept!(""), entry(1, HELLO, 4_321, 0)),
        (kept!("-empty"), entry(0, &b""[..], 0, 0)),
        (kept!("-tagged"), entry(200, HELLO, 99, 3)),
        (kept!("-compressed"), entry(0, vec![b'a'; 200], 200, 1)),
    ] {
        let bytes = Bytes::from_static(bytes);
        assert_eq!(decode(&KEY, bytes.clone(), Some(&ring())), Ok(Record::Entry(expected)));
        assert_eq!(version(&bytes), FENCE);
        assert_eq!(decode(&KEY, bytes.clone(), None), Err(Undecodable::Encrypted));
    }
}

#[test]
fn what_is_encrypted_is_read() {
    for entry in [text(), entry(0, &b""[..], 0, 0), eternal(), entry(9, HELLO, 1, 4)] {
        let record = sealed(&entry, &ring());
        assert_eq!(decode(&KEY, record.clone(), Some(&ring())), Ok(Record::Entry(entry)));
    }
}

/// No piece of a payload is in its record, and no two records of it are alike.
#[test]
fn nothing_is_in_the_clear() {
    let dense: Vec<u8> = (0..=255).collect();
    for (payload, threshold) in [(dense, None), (HELLO.repeat(9), None), (HELLO.repeat(9), Some(0))]
    {
        let entry = entry(0, payload.clone(), 0, 2);
        let write = || encode(&KEY, &entry, FENCE, threshold, Some(&ring())).unwrap();
        let (one, two) = (write(), write());
        let sealed = &one[HEADER + 2 * TAG..];
        for piece in payload.windows(8) {
            assert!(!sealed.windows(8).any(|place| place == piece), "{piece:?}");
        }
        assert_ne!(one[HEADER + 2 * TAG + 8..], two[HEADER + 2 * TAG + 8..]);
    }
}

/// Two tenants who both know a key read their own entries only.
#[test]
fn tenants_do_not_read_each_other() {
    let (acme, globex) = (ring(), KeyRing::new(OTHER_ID, [7; 32]));
    let record = sealed(&text(), &acme);
    assert_eq!(decode(&KEY, record.clone(), Some(&globex)), Err(Undecodable::UnknownKey(ID)));
    let same_id = KeyRing::new(ID, [7; 32]);
    assert_eq!(decode(&KEY, record.clone(), Some(&same_id)), Err(Undecodable::NotAuthentic));
    assert_eq!(decode(&KEY, record.clone(), Some(&acme)), Ok(Record::Entry(text())));
}

#[test]
fn older_keys_are_read_until_they_are_dropped() {
    let old = sealed(&text(), &ring());
    let both = KeyRing::new(OTHER_ID, [7; 32]).with(ID, [0x5E; 32]);
    assert_eq!(decode(&KEY, old.clone(), Some(&both)), Ok(Record::Entry(text())));
    let new = sealed(&text(), &both);
    assert_eq!(decode(&KEY, new.clone(), Some(&ring())), Err(Undecodable::UnknownKey(OTHER_ID)));
    let only_new = KeyRing::new(OTHER_ID, [7; 32]);
    assert_eq!(decode(&KEY, new.clone(), Some(&only_new)), Ok(Record::Entry(text())));
    assert_eq!(decode(&KEY, old.clone(), Some(&only_new)), Err(Undecodable::UnknownKey(ID)));
}

/// By tags or by key; and where there is no choice, nothing is written.
#[test]
fn the_key_is_chosen() {
    let tenant = Tag([0xA0; 16]);
    let keys = ring().with(OTHER_ID, [7; 32]).choose(move |key, tags| {
        let tagged = tags.as_slice().iter().any(|stamped| stamped.tag == tenant);
        assert_eq!(*key, KEY);
        tagged.then_some(OTHER_ID)
    });
    let record = sealed(&text(), &keys);
    assert_eq!(decode(&KEY, record.clone(), Some(&ring())), Err(Undecodable::UnknownKey(OTHER_ID)));
    let nobodys = entry(0, HELLO, 0, 0);
    assert_eq!(encode(&KEY, &nobodys, FENCE, None, Some(&keys)), Err(Unencodable::NoKey));
    let keys = keys.choose(|_, _| Some(KeyId(3)));
    let unknown = Err(Unencodable::UnknownKey(KeyId(3)));
    assert_eq!(encode(&KEY, &nobodys, FENCE, None, Some(&keys)), unknown);
}

/// Who can write to Redis moves a record to another key and makes all checksums right.
#[test]
fn records_cannot_be_moved() {
    let other = CacheKey::from_digest([0xC1; 32]);
    let mut half = [0xC0; 32];
    half[31] = 0; // the same in the half that the record names
    let mut moved = sealed(&text(), &ring()).to_vec();
    let twin = CacheKey::from_digest(half);
    let read = decode(&twin, Bytes::from(moved.clone()), Some(&ring()));
    assert_eq!(read, Err(Undecodable::NotAuthentic));
    moved[24..40].copy_from_slice(mark(&other));
    reseal(&mut moved);
    let read = decode(&other, Bytes::from(moved), Some(&ring()));
    assert_eq!(read, Err(Undecodable::NotAuthentic));
}

/// Every bit of a record counts, also to one who makes the checksums right: the times, the codec,
/// the tags, the fence, everything.
#[test]
fn every_flipped_bit_is_a_miss() {
    let keys = ring().accept_plain(true); // even so
    for entry in [text(), entry(1, HELLO, 1, 1)] {
        let record = sealed(&entry, &keys);
        for bit in 0..record.len() * 8 {
            let mut flipped = record.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let read = decode(&KEY, Bytes::from(flipped.clone()), Some(&keys));
            assert!(read.is_err(), "bit {bit}");
            reseal(&mut flipped);
            if flipped != record {
                let read = decode(&KEY, Bytes::from(flipped), Some(&keys));
                assert!(read.is_err(), "bit {bit}, resealed");
            }
        }
    }
}

/// A payload cannot be put behind another header of its key, nor can its nonce or tag.
#[test]
fn parts_of_records_cannot_be_exchanged() {
    let later = StoredEntry { expires_at: hour(9), ..text() };
    let (one, two) = (sealed(&text(), &ring()), sealed(&later, &ring()));
    assert_eq!(one.len(), two.len());
    for at in [HEADER, HEADER + TAG, HEADER + 2 * TAG + 8, one.len() - 16] {
        let mut mixed = [&one[..at], &two[at..]].concat();
        reseal(&mut mixed);
        let whole = mixed == one || mixed == two;
        assert!(!whole && decode(&KEY, Bytes::from(mixed), Some(&ring())).is_err(), "{at}");
    }
}

/// Plain records are misses to a ring, unless it is told otherwise; tombstones hold nothing.
#[test]
fn plain_records_are_read_only_if_accepted() {
    let plain = Bytes::from(encode(&KEY, &text(), FENCE, None, None).unwrap());
    assert_eq!(decode(&KEY, plain.clone(), Some(&ring())), Err(Undecodable::Plain));
    let header = Header::read(&KEY, &plain).unwrap();
    assert_eq!(header.may_be_read_with(Some(&ring())), Err(Undecodable::Plain));
    let lenient = ring().accept_plain(true);
    assert_eq!(decode(&KEY, plain.clone(), Some(&lenient)), Ok(Record::Entry(text())));
    let tombstone = Bytes::from(encode_tombstone(&KEY, FENCE, hour(0), hour(1)));
    assert_eq!(decode(&KEY, tombstone.clone(), Some(&ring())), Ok(Record::Tombstone));
}

/// A record that was encrypted by a holder of the key and still is none.
#[test]
fn lengths_of_encrypted_records_are_bounded() {
    let record = sealed(&entry(0, vec![0; 1 << 20], 0, 0), &ring());
    for claim in [u32::MAX, 0, 1 << 19, 64 << 20] {
        let mut bomb = record.to_vec();
        bomb[80..84].copy_from_slice(&claim.to_le_bytes());
        reseal(&mut bomb);
        assert!(decode(&KEY, Bytes::from(bomb), Some(&ring())).is_err(), "{claim}");
    }
    for stored in 0..SEAL {
        let mut short = record[..HEADER + stored].to_vec();
        short[76..80].copy_from_slice(&u32::try_from(stored).unwrap().to_le_bytes());
        reseal(&mut short);
        let read = decode(&KEY, Bytes::from(short), Some(&ring()));
        assert_eq!(read, Err(Undecodable::Header), "{stored}");
    }
}

/// Secrets are not printed, and what is derived from them overwrites itself.
#[test]
fn secrets_stay_secret() {
    fn zeroizes<T: zeroize::ZeroizeOnDrop>() {}
    zeroizes::<chacha20poly1305::XChaCha20Poly1305>();
    let shown = format!("{:?}", ring().with(OTHER_ID, [7; 32]));
    assert_eq!(
        shown,
        "KeyRing { ids: [KeyId(2), KeyId(72623859790382856)], accept_plain: false, .. }"
    );
}

#[test]
fn one_id_has_one_secret() {
    assert_eq!(ring().with(ID, [0x5E; 32]).given_twice(), None);
    assert_eq!(ring().with(ID, [7; 32]).given_twice(), Some(ID));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    /// A29: no change makes an encrypted record an entry, with the checksums made right or not.
    #[test]
    fn no_changed_encrypted_record_is_accepted(
        entry in any_entry(),
        threshold in prop::option::of(0..2_000_usize),
        mutations in vec(mutation(), 1..4),
    ) {
        let record = encode(&KEY, &entry, FENCE, threshold, Some(&ring())).unwrap();
        let mut changed = record.clone();
        for mutation in &mutations {
            mutation.apply(&mut changed);
        }
        for _ in 0..2 {
            if changed != record {
                let read = decode(&KEY, Bytes::from(changed.clone()), Some(&ring()));
                prop_assert!(read.is_err());
            }
            reseal(&mut changed);
        }
    }
}
