//! One contender with its keys, and the loops that are timed.

use std::sync::{Arc, Barrier};
use std::time::Instant;

use super::Value;
use crate::contenders::{Contender, Recipe, Role};
use crate::report::median;

/// What a thread does with its sequence of keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// Look up what is stored.
    Hits,
    /// Look up, and store what was missing.
    ReadThrough,
}

/// What one run of a load came to.
#[derive(Clone, Copy)]
pub(super) struct Run {
    /// Of all threads together, million a second.
    pub(super) lookups: f64,
    pub(super) hit_ratio: f64,
}

/// A contender with keys of whatever type it takes.
pub(super) trait Lane: Sync {
    fn contender(&self) -> &'static str;
    fn role(&self) -> Role;
    /// What its keys are.
    fn key(&self) -> &'static str;
    /// A thread for each sequence.
    fn run(&self, load: Load, sequences: &[&[u32]]) -> Run;
}

struct Of<K> {
    name: &'static str,
    role: Role,
    key: &'static str,
    contender: Box<dyn Contender<K, Value>>,
    // The lanes share these: they take turns, and so all find the same values in the same places.
    keys: Arc<[K]>,
    values: Arc<[Value]>,
}

/// A lane for each recipe; with `filled`, every key is stored.
pub(super) fn lanes<K: Clone + Send + Sync + 'static>(
    recipes: Vec<Recipe<K, Value>>,
    capacity: usize,
    (key, keys): (&'static str, &Arc<[K]>),
    values: &Arc<[Value]>,
    filled: bool,
) -> Vec<Box<dyn Lane>> {
    let lane = |recipe: Recipe<K, Value>| -> Box<dyn Lane> {
        let contender = (recipe.build)(capacity);
        if filled {
            contender.insert_all(keys.iter().cloned().zip(values.iter().cloned()).collect());
        }
        let (keys, values) = (keys.clone(), values.clone());
        Box::new(Of { name: recipe.name, role: recipe.role, key, contender, keys, values })
    };
    recipes.into_iter().map(lane).collect()
}

impl<K: Clone + Send + Sync> Lane for Of<K> {
    fn contender(&self) -> &'static str {
        self.name
    }

    fn role(&self) -> Role {
        self.role
    }

    fn key(&self) -> &'static str {
        self.key
    }

    fn run(&self, load: Load, sequences: &[&[u32]]) -> Run {
        let contender = &*self.contender;
        let start = Barrier::new(sequences.len());
        let run = |sequence: &[u32]| {
            start.wait();
            let began = Instant::now();
            let hits = match load {
                Load::Hits => contender.look_up_all(&self.keys, sequence),
                Load::ReadThrough => contender.read_through(&self.keys, &self.values, sequence),
            };
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
}

/// Runs `measure`, which is told the round and the contender, for each of `count` contenders in
/// every round, and in one before to warm up; returns the results of each but for that. They take
/// turns, and each round starts with another one, so that no one always runs on a warmer or quieter
/// machine.
pub(super) fn in_turns<T>(
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
pub(super) fn middle<T>(results: &[T], number: impl Fn(&T) -> f64) -> f64 {
    median(&mut results.iter().map(number).collect::<Vec<_>>())
}
