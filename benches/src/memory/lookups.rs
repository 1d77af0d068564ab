//! Hits, and read-through under churn.

use std::sync::Arc;

use cache_core::CacheKey;
use serde::Serialize;

use super::lane::{Lane, Load, lanes};
use super::{KEYS, Scale, Value, key, text, value};
use crate::contenders::{Role, by_cache_key, by_string};
use crate::random::{Zipf, sequences};
use crate::turns::{in_turns, middle};

/// Threads of the loads of hits.
pub(super) const HIT_THREADS: [usize; 3] = [1, 2, 8];
/// Threads of the other loads.
pub(super) const THREADS: [usize; 2] = [1, 2];
/// How uneven lookups of stored keys are.
pub(super) const HIT_EXPONENT: f64 = 0.99;
/// And those of ten times as many keys as fit.
pub(super) const CHURN_EXPONENT: f64 = 0.9;
/// How many times the capacity is asked for.
pub(super) const CHURN_TIMES: usize = 10;

/// Million lookups a second of all threads together; medians over the rounds.
#[derive(Serialize)]
pub(super) struct Hits {
    pub(super) contender: &'static str,
    pub(super) role: Role,
    pub(super) key: &'static str,
    /// At `HIT_THREADS`.
    pub(super) zipf: [f64; 3],
    /// At `THREADS`.
    pub(super) uniform: [f64; 2],
}

/// The same of read-through.
#[derive(Serialize)]
pub(super) struct Churn {
    pub(super) contender: &'static str,
    pub(super) role: Role,
    pub(super) key: &'static str,
    /// At 1 and 2 threads.
    pub(super) lookups: [f64; 2],
    pub(super) hit_ratios: [f64; 2],
}

/// The same keys and values for all.
struct Stock {
    keys: Arc<[CacheKey]>,
    texts: Arc<[String]>,
    values: Arc<[Value]>,
}

impl Stock {
    fn new() -> Self {
        Self {
            keys: (0..KEYS).map(key).collect(),
            texts: (0..KEYS).map(text).collect(),
            values: (0..KEYS).map(value).collect(),
        }
    }

    fn lanes(&self, capacity: usize, filled: bool) -> Vec<Box<dyn Lane>> {
        let (keys, texts) = (("CacheKey", &self.keys), ("String", &self.texts));
        let mut all = lanes(by_cache_key(), capacity, keys, &self.values, filled);
        all.extend(lanes(by_string(), capacity, texts, &self.values, filled));
        #[cfg(feature = "slow-rivals")]
        {
            use crate::contenders::litellm::{Key, recipe};
            let keys: Arc<[Key]> = self.texts.iter().map(|text| Key::new(text.as_str())).collect();
            let keys = ("String", &keys);
            all.extend(lanes(vec![recipe()], capacity, keys, &self.values, filled));
        }
        all
    }
}

/// One for each of so many threads; shorter ones if there are many, so that they end in the time
/// that fewer take on few processors.
fn for_threads(sequences: &[Vec<u32>], threads: usize) -> Vec<&[u32]> {
    let divisor = threads.div_ceil(2);
    sequences[..threads].iter().map(|sequence| &sequence[..sequence.len() / divisor]).collect()
}

/// Every key is stored.
pub(super) fn hits(scale: &Scale) -> Vec<Hits> {
    let capacity = 2 * KEYS; // nobody has to evict, however unevenly it divides its capacity
    let lanes = Stock::new().lanes(capacity, true);
    let zipf = Zipf::new(KEYS, HIT_EXPONENT);
    let zipf = sequences(8, scale.lookups, |random| zipf.sample(random));
    let uniform = sequences(2, scale.lookups, |random| random.below(KEYS));
    let results = in_turns(lanes.len(), scale.rounds, |_, at| {
        let run = |sequences: &[Vec<u32>], threads| {
            let run = lanes[at].run(Load::Hits, &for_threads(sequences, threads));
            assert!(run.hit_ratio > 0.98, "this is to measure hits, and they missed");
            run.lookups
        };
        (
            HIT_THREADS.map(|threads| run(&zipf, threads)),
            THREADS.map(|threads| run(&uniform, threads)),
        )
    });
    let rows = lanes.iter().zip(&results).map(|(lane, results)| Hits {
        contender: lane.contender(),
        role: lane.role(),
        key: lane.key(),
        zipf: [0, 1, 2].map(|at| middle(results, |result| result.0[at])),
        uniform: [0, 1].map(|at| middle(results, |result| result.1[at])),
    });
    rows.collect()
}

/// A tenth of the keys fits, and what was missing is stored.
pub(super) fn churn(scale: &Scale) -> Vec<Churn> {
    let mut lanes = Stock::new().lanes(KEYS / CHURN_TIMES, false);
    lanes.retain(|lane| lane.role() != Role::Floor); // a map would end up with all of them
    let zipf = Zipf::new(KEYS, CHURN_EXPONENT);
    // New ones each round and each number of threads: what a cache remembers of a sequence must not
    // help it when the same one comes again.
    let all = sequences(3 * (scale.rounds + 1), scale.lookups, |random| zipf.sample(random));
    let results = in_turns(lanes.len(), scale.rounds, |round, at| {
        let (one, two) = all[3 * round..][..3].split_at(1);
        [one, two].map(|sequences| {
            lanes[at].run(Load::ReadThrough, &for_threads(sequences, sequences.len()))
        })
    });
    let rows = lanes.iter().zip(&results).map(|(lane, results)| Churn {
        contender: lane.contender(),
        role: lane.role(),
        key: lane.key(),
        lookups: [0, 1].map(|at| middle(results, |runs| runs[at].lookups)),
        hit_ratios: [0, 1].map(|at| middle(results, |runs| runs[at].hit_ratio)),
    });
    rows.collect()
}
