//! Raw bytes as an event stream: the same events however it is cut, bounded and in linear time, and
//! its replay is the recording.
#![no_main]

use std::time::{Duration, Instant};

use cache_llm::Replay;
use cache_llm::sse::SseParser;
use libfuzzer_sys::fuzz_target;

type Seen = Vec<Option<(Vec<u8>, Vec<u8>)>>;

fuzz_target!(|input: (u8, Vec<u8>, Vec<u8>)| {
    let (limit, cuts, bytes) = input;
    let limit = usize::from(limit);
    let whole = quick(&bytes, || events(limit, [&bytes[..]]));
    let apart = quick(&bytes, || events(limit, pieces(&cuts, &bytes)));
    assert_eq!(whole, apart);
    for event in whole.iter().flatten() {
        assert!(event.0.len() + event.1.len() <= limit);
    }
    let replayed: Vec<_> = Replay::new(bytes.clone().into()).collect();
    assert_eq!(replayed.concat(), bytes);
    assert!(replayed.iter().all(|piece| !piece.is_empty()));
});

fn events<'a>(limit: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
    let mut parser = SseParser::new(limit);
    let mut seen = Seen::new();
    for piece in pieces {
        parser.push(piece, |event| {
            seen.push(event.ok().map(|event| (event.name.to_vec(), event.data.to_vec())));
        });
    }
    seen
}

/// Cuts `bytes` into pieces of these lengths, over and over.
fn pieces<'a>(cuts: &'a [u8], bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    let mut lengths = cuts.iter().cycle();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let length = usize::from(*lengths.next().unwrap_or(&1)).clamp(1, rest.len());
        let (piece, tail) = rest.split_at(length);
        rest = tail;
        Some(piece)
    })
}

/// Slower by far than any machine is wrong. A process that had to wait for a processor is not slow
/// again.
fn quick<T>(bytes: &[u8], work: impl Fn() -> T) -> T {
    let bound = Duration::from_secs(2) + Duration::from_micros(bytes.len() as u64 * 50);
    for _ in 0..2 {
        let start = Instant::now();
        let done = work();
        if start.elapsed() < bound {
            return done;
        }
    }
    panic!("{} bytes took more than {bound:?}, twice", bytes.len());
}
