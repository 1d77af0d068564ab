//! The caches under test, all behind one small trait, so that all run the same loops.

#[cfg(feature = "slow-rivals")]
pub(crate) mod litellm;
mod ours;
mod rivals;

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cache_core::CacheKey;
use serde::Serialize;

/// What caches store here: something that knows which key it answers.
pub(crate) trait Answer: Clone + Send + Sync + 'static {
    /// Whether this is what was stored under key `number`.
    fn answers(&self, number: u32) -> bool;
}

/// A number that answers itself: for replays, where only hits and misses count.
impl Answer for u32 {
    fn answers(&self, number: u32) -> bool {
        *self == number
    }
}

/// A cache under test.
///
/// The loops are provided methods, not functions that take a `dyn Contender`: so each is compiled
/// for each cache, and one call through a table is paid a loop, not one a lookup.
pub(crate) trait Contender<K: Clone, V: Answer>: Send + Sync {
    /// `None` is a miss; a hit says whether the value is the answer. Each cache hands values out
    /// in its own way (a copy, a guard, a handle), and none is made to pay for another's.
    fn look_up(&self, key: &K, number: u32) -> Option<bool>;

    /// Stores a value.
    fn insert(&self, key: K, value: V);

    /// How many entries it holds, after whatever it had put off.
    fn len(&self) -> usize;

    /// Looks up the keys of these numbers; returns how many were hits.
    fn look_up_all(&self, keys: &[K], sequence: &[u32]) -> usize {
        let mut hits = 0;
        for &number in sequence {
            if let Some(right) = self.look_up(&keys[number as usize], number) {
                assert!(right, "a wrong answer");
                hits += 1;
            }
        }
        hits
    }

    /// The same, and stores what was missing; returns how many were hits.
    fn read_through(&self, keys: &[K], values: &[V], sequence: &[u32]) -> usize {
        let mut hits = 0;
        for &number in sequence {
            let key = &keys[number as usize];
            if let Some(right) = self.look_up(key, number) {
                assert!(right, "a wrong answer");
                hits += 1;
            } else {
                self.insert(key.clone(), values[number as usize].clone());
            }
        }
        hits
    }

    /// Stores all of these.
    fn insert_all(&self, entries: Vec<(K, V)>) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

/// Why a contender is in a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub(crate) enum Role {
    /// Ours as it comes.
    Default,
    /// The same with every entry's time limited: to live, and idle.
    Timed,
    /// Ours with another option.
    Ours,
    /// Somebody else's.
    Rival,
    /// A map that neither evicts nor expires: what a cache costs at least.
    Floor,
}

impl Role {
    /// Whether it is one of ours.
    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Default | Self::Timed | Self::Ours)
    }
}

type Build<K, V> = Box<dyn Fn(usize) -> Box<dyn Contender<K, V>> + Send + Sync>;

/// How to build a contender, and what tables call it.
pub(crate) struct Recipe<K, V> {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    /// From its capacity in entries.
    pub(crate) build: Build<K, V>,
}

impl<K: Clone, V: Answer> Recipe<K, V> {
    fn new<C: Contender<K, V> + 'static>(
        name: &'static str,
        role: Role,
        build: impl Fn(usize) -> C + Send + Sync + 'static,
    ) -> Self {
        Self { name, role, build: Box::new(move |capacity| Box::new(build(capacity))) }
    }
}

/// Caches keyed by `CacheKey`, all with its pass-through hasher; our default comes first.
pub(crate) fn by_cache_key<V: Answer>() -> Vec<Recipe<CacheKey, V>> {
    let mut all = ours::policies();
    all.extend(ours::variants());
    all.extend(rivals::by_cache_key());
    all
}

/// Caches keyed by `String`, each with the hasher that it comes with; our default comes first.
pub(crate) fn by_string<V: Answer>() -> Vec<Recipe<String, V>> {
    let mut all = ours::by_string();
    all.extend(rivals::by_string());
    all
}

/// For replays of traces: every eviction policy, keyed by `CacheKey`; our default comes first.
pub(crate) fn by_policy<V: Answer>() -> Vec<Recipe<CacheKey, V>> {
    let mut all = ours::policies();
    all.extend(rivals::by_policy());
    all
}

/// The cheapest way to wait: no runtime, which would cost more than the lookup.
pub(crate) fn finished<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
            return done;
        }
        std::thread::yield_now();
    }
}
