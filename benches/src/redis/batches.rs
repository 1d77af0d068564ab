//! A hundred keys by one call, and by a call each.

use std::io;
use std::time::{Duration, Instant};

use cache_benches_readers::after;
use cache_core::RemoteTier as _;
use serde::Serialize;
use tokio::runtime::Runtime;

use super::Scale;
use super::contenders::{Floor, Ours};
use super::figures::middle;
use super::server::Server;

/// Keys of a batch.
pub(super) const BATCH: usize = 100;

/// Medians over the rounds; one reader.
#[derive(Serialize)]
pub(super) struct Batches {
    pub(super) how: &'static str,
    /// Microseconds for all keys.
    pub(super) us: f64,
    /// How often the server read from the connection for them.
    pub(super) reads: f64,
}

#[derive(Clone, Copy)]
enum How {
    Batch,
    Singles,
    Pipeline,
}

/// All three ways, in turns.
pub(super) fn measure(
    server: &Server,
    runtime: &Runtime,
    ours: &Ours,
    floor: &Floor,
    scale: &Scale,
) -> io::Result<Vec<Batches>> {
    let ways = [
        ("cache-redis, `get_many` of 100", How::Batch),
        ("cache-redis, 100 times `get`", How::Singles),
        ("redis-rs, a pipeline of 100 `GET`", How::Pipeline),
    ];
    let mut results = [const { Vec::new() }; 3];
    for round in 0..=scale.rounds {
        for turn in 0..ways.len() {
            let at = (round + turn) % ways.len();
            let mut reader = Reader { ours: ours.clone(), floor: floor.clone(), number: round };
            server.forget()?;
            let (count, took) = runtime.block_on(reader.read(ways[at].1, scale));
            let reads = server.reads()? / f64::from(count);
            if round > 0 {
                // the first round warms up
                results[at].push((took.as_secs_f64() * 1e6 / f64::from(count), reads));
            }
        }
    }
    let row = |(&(how, _), results): (&(&'static str, How), &Vec<(f64, f64)>)| Batches {
        how,
        us: middle(results, |result| result.0),
        reads: middle(results, |result| result.1),
    };
    Ok(ways.iter().zip(&results).map(row).collect())
}

struct Reader {
    ours: Ours,
    floor: Floor,
    number: usize,
}

impl Reader {
    /// For a slice of time; how many batches, and how long they took.
    async fn read(&mut self, how: How, scale: &Scale) -> (u32, Duration) {
        let start = Instant::now();
        let end = start + Duration::from_millis(scale.millis);
        let mut batches = 0;
        while Instant::now() < end {
            let numbers: [usize; BATCH] = std::array::from_fn(|_| {
                self.number = after(self.number, scale.keys);
                self.number
            });
            match how {
                How::Batch => {
                    let keys = numbers.map(|number| *self.ours.key(number));
                    let found = self.ours.tier.get_many(&keys).await.expect("the server runs");
                    assert_eq!(found.len(), BATCH);
                    for (&number, found) in numbers.iter().zip(&found) {
                        self.ours.check(number, found);
                    }
                }
                How::Singles => {
                    for number in numbers {
                        let found = self.ours.tier.get(self.ours.key(number)).await;
                        self.ours.check(number, &found.expect("the server runs"));
                    }
                }
                How::Pipeline => assert!(self.floor.get_many(&numbers).await, "the server runs"),
            }
            batches += 1;
        }
        (batches, start.elapsed())
    }
}
