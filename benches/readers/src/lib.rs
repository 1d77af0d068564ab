//! Readers that ask a store as fast as it answers, and what that came to.
//!
//! A crate of its own, because the load of suite `redis` runs in two processes: `llmix-rs` pins a
//! release of redis-rs that cannot be linked beside the one that `cache-redis` uses.

mod cpu;
mod stock;

use std::future::Future;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use cpu::cpu_time;
pub use stock::{Stock, VALUE_BYTES, digits};

/// A cache under test. Each reader has a clone.
pub trait Store: Clone + Send + Sync + 'static {
    /// Reads the value of key `number`, which is there; whether there was an answer.
    ///
    /// # Panics
    ///
    /// If the answer is another value.
    fn get(&mut self, number: usize) -> impl Future<Output = bool> + Send;

    /// Stores the value of key `number`; whether that was confirmed.
    fn put(&mut self, number: usize) -> impl Future<Output = bool> + Send;
}

/// What readers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Load {
    /// Read what is stored.
    Get,
    /// Store it again.
    Put,
}

/// What one slice of time came to. Figures are of answers, but for `failed`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Run {
    /// A second, of all readers together.
    pub operations: f64,
    /// Microseconds that half of them took at most.
    pub p50: f64,
    /// Microseconds that 99 of 100 took at most.
    pub p99: f64,
    /// Operations without an answer.
    pub failed: usize,
    /// How many were answered.
    pub answered: usize,
    /// Processor time of this process for each of them, in microseconds; `None` where the system
    /// does not tell.
    pub client_cpu: Option<f64>,
}

/// Keys `0..keys` for so many readers.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Read or store.
    pub load: Load,
    /// How many tasks ask at the same time.
    pub readers: usize,
    /// For how long, in milliseconds.
    pub millis: u64,
    /// How many keys there are.
    pub keys: usize,
}

impl Order {
    /// Carries it out: a closed loop, each reader asks again when it has its answer.
    ///
    /// # Panics
    ///
    /// If an answer was wrong.
    pub async fn run<S: Store>(self, store: &S) -> Run {
        let cpu = cpu_time("self");
        let start = Instant::now();
        let end = start + Duration::from_millis(self.millis);
        let reader = |reader| tokio::spawn(self.read(store.clone(), reader, end));
        let readers: Vec<_> = (0..self.readers).map(reader).collect();
        let (mut times, mut failed) = (Vec::new(), 0);
        for reader in readers {
            let (mine, unanswered) = reader.await.expect("right answers");
            times.extend(mine);
            failed += unanswered;
        }
        let took = start.elapsed();
        let cpu = cpu_time("self").zip(cpu).map(|(after, before)| after.saturating_sub(before));
        times.sort_unstable();
        let at = |share: usize| {
            let time = times.get(times.len() * share / 100);
            time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
        };
        Run {
            operations: times.len() as f64 / took.as_secs_f64(),
            p50: at(50),
            p99: at(99),
            failed,
            answered: times.len(),
            client_cpu: cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / times.len() as f64),
        }
    }

    async fn read<S: Store>(
        self,
        mut store: S,
        reader: usize,
        end: Instant,
    ) -> (Vec<Duration>, usize) {
        let (mut times, mut failed) = (Vec::new(), 0);
        let mut number = reader * self.keys / self.readers;
        let mut start = Instant::now();
        while start < end {
            number = after(number, self.keys);
            let answered = match self.load {
                Load::Get => store.get(number).await,
                Load::Put => store.put(number).await,
            };
            let now = Instant::now();
            if answered {
                times.push(now - start);
            } else {
                failed += 1;
            }
            start = now;
        }
        (times, failed)
    }
}

/// The number of the next key of a reader: all `0..keys` evenly, far apart, so that neither the server's
/// memory nor a rival's has it at hand.
pub fn after(number: usize, keys: usize) -> usize {
    // Near the golden section: then the next ones fall into the largest gaps of those before.
    let step = (keys * 618 / 1_000) | 1;
    (number + step) % keys
}

/// Stores every key once, a few at a time.
///
/// # Panics
///
/// If a store refuses one ten times.
pub async fn fill<S: Store>(store: &S, keys: usize) {
    const WRITERS: usize = 16;
    let writer = |first| {
        let mut store = store.clone();
        tokio::spawn(async move {
            for number in (first..keys).step_by(WRITERS) {
                let mut tries = 0;
                while !store.put(number).await {
                    tries += 1;
                    assert!(tries < 10, "the store cannot be filled");
                }
            }
        })
    };
    for writer in (0..WRITERS).map(writer).collect::<Vec<_>>() {
        writer.await.expect("filled");
    }
}
