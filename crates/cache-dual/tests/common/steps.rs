//! Every order of steps: futures driven by hand, over a remote tier whose calls take two steps each.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use cache_conformance::MemoryRemote;
use cache_core::{
    CacheKey, Capabilities, Fence, Lookup, PutFenced, RemoteTier, Result, StoredEntry,
};

/// Lets others take a step.
pub(crate) async fn step() {
    let mut has_yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref(); // for tasks; whoever is driven by hand is asked again anyway
        Poll::Pending
    })
    .await;
}

/// A remote tier each of whose calls is under way for a while before and after it takes effect.
#[derive(Debug)]
pub(crate) struct Stepped(pub(crate) Arc<MemoryRemote>);

macro_rules! stepped {
    ($call:expr) => {{
        step().await;
        let answer = $call.await;
        step().await;
        answer
    }};
}

#[async_trait]
impl RemoteTier for Stepped {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    async fn get(&self, key: &CacheKey) -> Result<Lookup> {
        stepped!(self.0.get(key))
    }
    async fn get_many(&self, keys: &[CacheKey]) -> Result<Vec<Lookup>> {
        stepped!(self.0.get_many(keys))
    }
    async fn put(&self, key: &CacheKey, entry: &StoredEntry) -> Result<()> {
        stepped!(self.0.put(key, entry))
    }
    async fn put_many(&self, entries: &[(CacheKey, StoredEntry)]) -> Result<()> {
        stepped!(self.0.put_many(entries))
    }
    async fn put_fenced(
        &self,
        key: &CacheKey,
        entry: &StoredEntry,
        fence: Fence,
    ) -> Result<PutFenced> {
        stepped!(self.0.put_fenced(key, entry, fence))
    }
    async fn remove(&self, key: &CacheKey) -> Result<bool> {
        stepped!(self.0.remove(key))
    }
    async fn remove_many(&self, keys: &[CacheKey]) -> Result<u64> {
        stepped!(self.0.remove_many(keys))
    }
    async fn remove_if_equals(&self, key: &CacheKey, fence: Fence) -> Result<bool> {
        stepped!(self.0.remove_if_equals(key, fence))
    }
    async fn ttl(&self, key: &CacheKey) -> Result<Option<Duration>> {
        stepped!(self.0.ttl(key))
    }
    async fn purge(&self) -> Result<u64> {
        stepped!(self.0.purge())
    }
    async fn ping(&self) -> Result<()> {
        stepped!(self.0.ping())
    }
}

/// Somebody who takes steps beside others.
pub(crate) type Actor<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Which of several could take the next step, and which did.
#[derive(Clone, Copy)]
struct Choice {
    taken: usize,
    of: usize,
}

/// Runs `scenario` once for every order in which its actors can take their steps, up to `most` times;
/// how often it ran. The scenario makes actors and has them driven by [`Schedule::drive`].
pub(crate) async fn every_order<F>(most: usize, scenario: F) -> usize
where
    F: AsyncFn(&mut Schedule),
{
    let mut choices: Vec<Choice> = Vec::new();
    for run in 1..=most {
        let mut schedule = Schedule { choices, at: 0 };
        scenario(&mut schedule).await;
        choices = schedule.choices;
        // The last step at which somebody else could have gone, did not yet.
        while let Some(last) = choices.pop() {
            if last.taken + 1 < last.of {
                choices.push(Choice { taken: last.taken + 1, ..last });
                break;
            }
        }
        if choices.is_empty() {
            return run;
        }
    }
    most
}

/// One order of steps: a given beginning, and after it whoever comes first.
pub(crate) struct Schedule {
    choices: Vec<Choice>,
    at: usize,
}

impl Schedule {
    /// Sees all actors to their end. Between two steps of theirs, tasks take one each.
    pub(crate) async fn drive(&mut self, actors: Vec<Actor<'_>>) {
        let mut actors: Vec<Option<Actor<'_>>> = actors.into_iter().map(Some).collect();
        for _ in 0..10_000 {
            let alive: Vec<usize> = (0..actors.len()).filter(|n| actors[*n].is_some()).collect();
            if alive.is_empty() {
                return;
            }
            if self.at == self.choices.len() {
                self.choices.push(Choice { taken: 0, of: alive.len() });
            }
            let choice = self.choices[self.at];
            assert_eq!(choice.of, alive.len(), "the scenario is not the same each time");
            self.at += 1;
            let next = alive[choice.taken];
            let actor = actors[next].as_mut().expect("it is alive");
            let polled = actor.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            if polled.is_ready() {
                actors[next] = None;
            }
            tokio::task::yield_now().await;
        }
        panic!("some actor never comes to its end");
    }
}
