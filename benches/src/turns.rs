//! Threads that run together, and contenders that take turns.

use std::sync::Barrier;
use std::time::Instant;

use crate::report::median;

/// What one run of a load came to.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    /// Of all threads together, million a second.
    pub(crate) lookups: f64,
    pub(crate) hit_ratio: f64,
}

/// Runs `work`, which returns how many were hits, on a thread for each sequence of lookups.
pub(crate) fn together(sequences: &[&[u32]], work: impl Fn(&[u32]) -> usize + Sync) -> Run {
    let start = Barrier::new(sequences.len());
    let run = |sequence: &[u32]| {
        start.wait();
        let began = Instant::now();
        let hits = work(sequence);
        (began, Instant::now(), hits)
    };
    let ends: Vec<_> = std::thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> =
            sequences.iter().map(|sequence| scope.spawn(move || run(sequence))).collect();
        threads.into_iter().map(|thread| thread.join().expect("right answers")).collect()
    });
    // From the first that began to the last that ended: with more threads than processors some
    // begin late, and that is part of it.
    let began = ends.iter().map(|end| end.0).min().expect("a thread");
    let ended = ends.iter().map(|end| end.1).max().expect("a thread");
    let hits: usize = ends.iter().map(|end| end.2).sum();
    let lookups: usize = sequences.iter().map(|sequence| sequence.len()).sum();
    Run {
        lookups: lookups as f64 / (ended - began).as_secs_f64() / 1e6,
        hit_ratio: hits as f64 / lookups as f64,
    }
}

/// Runs `measure`, which is told the round and the contender, for each of `count` contenders in
/// every round, and in one before to warm up; returns the results of each but for that. They take
/// turns, and each round starts with another one, so that no one always runs on a warmer or quieter
/// machine.
pub(crate) fn in_turns<T>(
    count: usize,
    rounds: usize,
    mut measure: impl FnMut(usize, usize) -> T,
) -> Vec<Vec<T>> {
    let mut all: Vec<Vec<T>> = (0..count).map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for turn in 0..count {
            let contender = (turn + round) % count;
            let result = measure(round, contender);
            if round > 0 {
                all[contender].push(result);
            }
        }
    }
    all
}

/// The median of what `number` takes from each result.
pub(crate) fn middle<T>(results: &[T], number: impl Fn(&T) -> f64) -> f64 {
    median(&mut results.iter().map(number).collect::<Vec<_>>())
}
