//! Replays: get, and insert what was missing.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::CacheKey;

use crate::contenders::{Contender, Recipe};
use crate::trace::Trace;

/// Accesses that a thread takes from the trace at a time. Few: the slices that threads are in the
/// middle of compete for the cache, and must be short beside the smallest capacity.
const SLICE: usize = 8;

/// A trace ready to be replayed.
pub(super) struct Tape<'a> {
    accesses: &'a [u32],
    keys: Vec<CacheKey>,
    values: Vec<u32>,
}

impl<'a> Tape<'a> {
    pub(super) fn of(trace: &'a Trace) -> Self {
        let keys = trace.keys();
        let values = (0..).take(keys.len()).collect();
        Self { accesses: &trace.accesses, keys, values }
    }

    /// The hit ratio of a new cache. Threads take slices of the trace in turn.
    pub(super) fn replay(
        &self,
        recipe: &Recipe<CacheKey, u32>,
        capacity: usize,
        threads: usize,
    ) -> f64 {
        let contender = (recipe.build)(capacity);
        let hits = if threads == 1 {
            contender.read_through(&self.keys, &self.values, self.accesses)
        } else {
            self.shared(&*contender, threads)
        };
        hits as f64 / self.accesses.len() as f64
    }

    fn shared(&self, contender: &dyn Contender<CacheKey, u32>, threads: usize) -> usize {
        let (next, hits) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let start = next.fetch_add(SLICE, Ordering::Relaxed);
                        if start >= self.accesses.len() {
                            break;
                        }
                        let end = self.accesses.len().min(start + SLICE);
                        let slice = &self.accesses[start..end];
                        let found = contender.read_through(&self.keys, &self.values, slice);
                        hits.fetch_add(found, Ordering::Relaxed);
                    }
                });
            }
        });
        hits.into_inner()
    }

    /// The hit ratios of each recipe at each capacity, one thread each. Replays do not disturb one
    /// another, so as many run at a time as there are processors.
    pub(super) fn replay_all(
        &self,
        recipes: &[Recipe<CacheKey, u32>],
        capacities: &[usize],
    ) -> Vec<Vec<f64>> {
        let jobs = recipes.len() * capacities.len();
        let ratios = Mutex::new(vec![vec![0.0; capacities.len()]; recipes.len()]);
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let job = next.fetch_add(1, Ordering::Relaxed);
                if job >= jobs {
                    break;
                }
                let (recipe, capacity) = (job / capacities.len(), job % capacities.len());
                let ratio = self.replay(&recipes[recipe], capacities[capacity], 1);
                ratios.lock().expect("nothing panics under it")[recipe][capacity] = ratio;
            }
        };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..processors {
                scope.spawn(work);
            }
        });
        ratios.into_inner().expect("nothing panicked")
    }
}
