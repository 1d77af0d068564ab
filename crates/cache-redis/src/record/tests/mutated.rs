//! Very many changed records, quickly: thousands at each run, as many as one likes on demand.
//!
//! ```text
//! CACHE_REDIS_DECODES=10000000 cargo test --release -p cache-redis --all-features --lib mutated -- --nocapture
//! ```

use std::time::{Duration, Instant};

use super::super::checks::{allowance, reseal, sound};
use super::*;

/// How many records are read if nobody says otherwise.
const USUALLY: u64 = 20_000;

fn wanted() -> u64 {
    std::env::var("CACHE_REDIS_DECODES").map_or(USUALLY, |text| text.parse().expect("a number"))
}

/// xorshift64*: quick, and the same in every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("31 bits") % bound.max(1)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    /// Changes `bytes` in one to four places.
    fn change(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let length = bytes.len();
            if length == 0 {
                return;
            }
            let at = if self.below(2) == 0 {
                self.below(length.min(HEADER))
            } else {
                self.below(length)
            };
            match self.below(8) {
                0..3 => bytes[at] ^= 1 << self.below(8),
                3 => bytes[at] = [0, 1, 2, 4, 5, 0x7F, 0x80, 0xFF][self.below(8)],
                4 => {
                    let end = (at + 8).min(length);
                    bytes[at..end].fill_with(|| self.byte());
                }
                5 => bytes.truncate(at),
                6 => bytes.extend((0..self.below(40)).map(|_| self.byte())),
                _ => bytes.swap(at, self.below(length)),
            }
        }
    }
}

/// Records of every kind, and the keys that each is read with.
fn originals() -> Vec<(Vec<u8>, Option<KeyRing>)> {
    let dense: Vec<u8> =
        (0..700_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let entries = [
        entry(0, &b""[..], 0, 0),
        entry(1, HELLO, 4_321, 3),
        entry(0, vec![b'a'; 3_000], 1, 1),
        entry(2, HELLO.repeat(20), 1, 0),
        entry(200, dense, u64::MAX, 2),
        eternal(),
    ];
    let mut all = vec![(encode_tombstone(&KEY, FENCE, hour(0), hour(1)), None)];
    #[cfg(feature = "encryption")]
    let rings = {
        let ring = KeyRing::new(crate::KeyId(1), [1; 32]);
        [None, Some(ring.clone()), Some(ring.accept_plain(true))]
    };
    #[cfg(not(feature = "encryption"))]
    let rings = [None];
    for keys in rings {
        for entry in &entries {
            for threshold in [None, Some(0)] {
                let record = encode(&KEY, entry, FENCE, threshold, keys.as_ref()).unwrap();
                all.push((record, keys.clone()));
            }
        }
    }
    all
}

/// A29: whatever is done to a record, reading it ends soon, without a panic and within its bounds;
/// what is taken for an entry means the same when it is written again, and is never a changed one,
/// unless its checksums were made right and it is not encrypted.
#[test]
fn mutated_records_are_misses() {
    let (originals, mut chance) = (originals(), Chance(0x9E37_79B9_7F4A_7C15));
    let (mut taken, mut slowest, wanted) = (0_u64, Duration::ZERO, wanted());
    let start = Instant::now();
    for _ in 0..wanted {
        let (original, keys) = &originals[chance.below(originals.len())];
        let mut record = original.clone();
        chance.change(&mut record);
        let resealed = chance.below(4) > 0;
        if resealed {
            reseal(&mut record);
        }
        let (changed, allowed) = (record != *original, allowance(&record));
        let encrypted = original[6] & ENCRYPTED != 0;
        let accepts_plain = keys.as_ref().is_some_and(KeyRing::accepts_plain);
        let record = Bytes::from(record);

        let begun = Instant::now();
        let mut read = None;
        let used =
            allocation_counter::measure(|| read = decode(&KEY, record.clone(), keys.as_ref()).ok());
        slowest = slowest.max(begun.elapsed());
        assert!(used.bytes_max <= allowed, "{} bytes, not {allowed}", used.bytes_max);
        if let Some(Record::Entry(_)) = read {
            taken += u64::from(changed);
            assert!(!changed || resealed, "a damaged record was taken: {record:?}");
            assert!(!changed || !encrypted || accepts_plain, "a forged record: {record:?}");
            if encrypted && accepts_plain {
                assert!(!changed || record[6] & ENCRYPTED == 0, "a forged record: {record:?}");
            }
            sound(&KEY, &record, keys.as_ref());
        }
    }
    assert!(slowest < Duration::from_secs(5), "one took {slowest:?}");
    println!(
        "{wanted} decodes in {:?}, the slowest {slowest:?}; {taken} changed under right checksums were entries",
        start.elapsed()
    );
}

/// A28: the same of llmix's answers.
#[cfg(feature = "llmix")]
#[test]
fn mutated_llmix_answers_are_sound() {
    let originals = [
        &include_bytes!("../../../tests/entries/llmix/fraction.json")[..],
        include_bytes!("../../../tests/entries/llmix/millis.json"),
        include_bytes!("../../../tests/entries/llmix/camel-seconds.json"),
        include_bytes!("../../../tests/entries/llmix/more.json"),
        include_bytes!("../../../tests/entries/llmix/llmix-rs.json"),
    ];
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    for _ in 0..wanted() {
        let mut answer = originals[chance.below(originals.len())].to_vec();
        chance.change(&mut answer);
        let answer = Bytes::from(answer);
        let allowed = 4 * answer.len() as u64 + 1024;
        let used = allocation_counter::measure(|| drop(super::super::llmix::decode(&answer)));
        assert!(used.bytes_max <= allowed, "{} bytes, not {allowed}", used.bytes_max);
        super::super::checks::sound_llmix(&answer);
    }
}

/// What reading and writing 2 KiB costs: the figures in `docs/entry-format.md`.
///
/// ```text
/// cargo test --release -p cache-redis --all-features --lib what_a_record_costs -- --ignored --nocapture
/// ```
#[test]
#[ignore = "it measures and proves nothing"]
fn what_a_record_costs() {
    fn time(what: &str, mut work: impl FnMut()) {
        let round = |work: &mut dyn FnMut()| {
            let start = Instant::now();
            (0..2_000).for_each(|_| work());
            start.elapsed() / 2_000
        };
        let mut rounds: Vec<_> = (0..201).map(|_| round(&mut work)).collect();
        rounds.sort_unstable();
        println!(
            "{what}: {:?} (median of 201 rounds of 2,000; quickest {:?})",
            rounds[100], rounds[0]
        );
    }
    let mut chance = Chance(7);
    let plain: Vec<u8> = (0..2_048).map(|_| b' ' + chance.byte() % 64).collect();
    let entry = entry(0, plain, 2_048, 1);
    let mut cases = vec![("plain", None, None)];
    #[cfg(feature = "encryption")]
    cases.push(("encrypted", None, Some(KeyRing::new(crate::KeyId(1), [1; 32]))));
    cases.push(("compressed", Some(0), None));
    for (name, threshold, keys) in &cases {
        let write = || encode(&KEY, &entry, FENCE, *threshold, keys.as_ref()).unwrap();
        time(&format!("encode {name}"), || drop(std::hint::black_box(write())));
        let record = Bytes::from(write());
        time(&format!("decode {name}"), || {
            drop(std::hint::black_box(decode(&KEY, record.clone(), keys.as_ref()).unwrap()));
        });
    }
}
