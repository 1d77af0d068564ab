//! Many tasks that miss the same key at the same time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use super::Scale;
use super::contenders::Dual;
use super::far::{Lane, fresh};
use super::origin::Origin;
use super::values::{Value, values};
use crate::contenders::Role;
use crate::turns::{in_turns, middle};

/// How many ask, and how long a fetch takes.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Crowd {
    pub(super) tasks: usize,
    pub(super) millis: u64,
}

/// What one key came to.
pub(super) struct Stampede {
    fetches: usize,
    /// Until all had the value, from when the first was told to ask.
    all: Duration,
    /// What 99 of 100 waited at most after the fetch had the value.
    p99: Duration,
}

/// Medians over the rounds; times are in milliseconds.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) contender: &'static str,
    pub(super) role: Role,
    /// In the order of the crowds.
    pub(super) figures: Vec<Figures>,
}

#[derive(Serialize)]
pub(super) struct Figures {
    /// The most of any round.
    pub(super) fetches: usize,
    pub(super) all: f64,
    pub(super) p99: f64,
}

impl Crowd {
    /// All ask this cache for a key that it does not have.
    pub(super) async fn ask<D: Dual>(self, cache: &D, value: D::Value) -> Stampede {
        let key = fresh::<D>();
        let call = |origin| {
            let (cache, key) = (cache.clone(), key.clone());
            async move { cache.get_or_fetch(&key, &origin).await }
        };
        self.call(value, call).await
    }

    /// All wait for the one value that there is: what the runtime takes to wake them.
    async fn floor(self, value: Bytes) -> Stampede {
        let cell = Arc::new(OnceCell::new());
        let call = |origin: Origin<Bytes>| {
            let cell = Arc::clone(&cell);
            async move { Some(cell.get_or_init(|| origin.fetch()).await.clone()) }
        };
        self.call(value, call).await
    }

    async fn call<V, Fut>(self, value: V, call: impl Fn(Origin<V>) -> Fut) -> Stampede
    where
        V: Value,
        Fut: Future<Output = Option<V>> + Send + 'static,
    {
        let right = value.clone();
        let origin = Origin::new(value, Duration::from_millis(self.millis));
        let start = Instant::now();
        let ask = |_| {
            let (call, right) = (call(origin.clone()), right.clone());
            tokio::spawn(async move {
                let asked = Instant::now();
                let found = call.await;
                let answered = Instant::now();
                let found = found.expect("an answer");
                assert!(found.bytes() == right.bytes(), "a wrong answer");
                (asked, answered)
            })
        };
        let tasks: Vec<_> = (0..self.tasks).map(ask).collect();
        let mut times = Vec::with_capacity(tasks.len());
        for task in tasks {
            times.push(task.await.expect("right answers"));
        }
        let fetched = origin.answered().expect("it was asked");
        // Who asked later waited from then on.
        let waited = |(asked, answered): &(Instant, Instant)| {
            answered.saturating_duration_since(fetched.max(*asked))
        };
        let mut waits: Vec<Duration> = times.iter().map(waited).collect();
        waits.sort_unstable();
        let last = times.iter().map(|(_, answered)| *answered).max().expect("a task");
        Stampede {
            fetches: origin.fetches(),
            all: last - start,
            p99: waits[(waits.len() * 99 / 100).min(waits.len() - 1)],
        }
    }
}

/// Everyone in turns.
pub(super) fn measure(lanes: &[Box<dyn Lane>], runtime: &Runtime, scale: &Scale) -> Vec<Row> {
    // By contender, round and crowd.
    let value = &values(1)[0];
    let results = in_turns(lanes.len() + 1, scale.rounds, |_, at| {
        let stampede = |&crowd: &Crowd| match lanes.get(at) {
            Some(lane) => lane.stampede(runtime, crowd),
            None => runtime.block_on(crowd.floor(value.clone())),
        };
        scale.crowds.iter().map(stampede).collect::<Vec<_>>()
    });
    let names = lanes.iter().map(|lane| lane.name()).chain([("tokio's OnceCell", Role::Floor)]);
    let rows = names.zip(&results).map(|((contender, role), rounds)| {
        let figures = (0..scale.crowds.len()).map(|which| {
            let millis = |number: &dyn Fn(&Stampede) -> Duration| {
                middle(rounds, |crowds| number(&crowds[which]).as_secs_f64() * 1e3)
            };
            Figures {
                fetches: rounds.iter().map(|crowds| crowds[which].fetches).max().unwrap_or(0),
                all: millis(&|stampede| stampede.all),
                p99: millis(&|stampede| stampede.p99),
            }
        });
        Row { contender, role, figures: figures.collect() }
    });
    rows.collect()
}
