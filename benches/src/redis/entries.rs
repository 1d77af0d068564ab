//! Entries to bytes and back, without a server.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cache_benches_readers::{Stock, VALUE_BYTES};
use cache_core::{
    CacheKey, Clock as _, CodecId, Entry, Lifetime, Payload, SystemClock, Tag, TagStamp,
};
use cache_redis::internals::{decode, encode};
use serde::Serialize;

use super::Scale;
use super::figures::middle;

/// Entries of a round.
const COUNT: u32 = 2_000;
/// Records that are there at a time: few enough to be at hand, as those are that the driver just read.
const AT_HAND: u32 = 20;

/// Medians over the rounds, in nanoseconds an entry.
#[derive(Serialize)]
pub(super) struct Entries {
    pub(super) encode: f64,
    pub(super) decode: f64,
}

/// One thread, one entry of 2 KiB with a tag, neither compressed nor encrypted.
pub(super) fn measure(scale: &Scale) -> Entries {
    let stock = Stock::random(1);
    let key = CacheKey::from_text("entry");
    let payload =
        Payload { codec: CodecId::JSON, bytes: Bytes::copy_from_slice(stock.value(0).as_bytes()) };
    let entry = Entry::new(payload, SystemClock.now(), Lifetime::new(Duration::from_secs(3_600)));
    let tags = [TagStamp { tag: Tag::named("tag"), stamp: [7; 16] }];
    let entry = entry.with_tags(tags.into_iter().collect());

    let record = encode(&key, &entry).expect("it is short");
    let read = decode(&key, Bytes::from(record.clone())).expect("it was just written");
    assert!(read == entry && read.value.bytes.len() == VALUE_BYTES, "another entry");

    let mut rounds = Vec::new();
    for round in 0..=scale.rounds {
        let start = Instant::now();
        for _ in 0..COUNT {
            drop(black_box(encode(&key, black_box(&entry))));
        }
        let encoded = start.elapsed();
        let mut decoded = Duration::ZERO;
        for _ in 0..COUNT / AT_HAND {
            // As the driver hands them over: each with bytes of its own.
            let records: Vec<Bytes> = (0..AT_HAND).map(|_| Bytes::from(record.clone())).collect();
            let start = Instant::now();
            for record in records {
                drop(black_box(decode(&key, black_box(record))));
            }
            decoded += start.elapsed();
        }
        if round > 0 {
            // the first round warms up
            rounds.push((nanoseconds(encoded), nanoseconds(decoded)));
        }
    }
    Entries { encode: middle(&rounds, |round| round.0), decode: middle(&rounds, |round| round.1) }
}

fn nanoseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1e9 / f64::from(COUNT)
}
