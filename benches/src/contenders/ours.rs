//! Every call that the benchmarks make to `cache-memory`.

use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

use cache_core::{BuildKeyHasher, CacheKey, Entry, Lifetime, LocalTier, Timestamp};
use cache_memory::{LocalCache, MemoryCache, Policy};

use super::{Answer, Contender, Recipe, Role};

/// What tables call ours as it comes: with its default policy, which they name.
const DEFAULT: &str = "cache-memory TinyLfu";

/// Long enough that nothing expires while it is measured.
const HOUR: Duration = Duration::from_secs(3_600);

/// What of an entry's time is limited.
#[derive(Clone, Copy)]
enum Times {
    None,
    ToLive,
    ToLiveAndIdle,
}

impl<K, V, S> Contender<K, V> for MemoryCache<K, V, S>
where
    K: Eq + Hash + Clone + Send + Sync,
    V: Answer,
    S: BuildHasher + Clone + Send + Sync,
{
    fn look_up(&self, key: &K, number: u32) -> Option<bool> {
        self.get(key).map(|value| value.answers(number))
    }
    fn insert(&self, key: K, value: V) {
        let _ = self.insert(key, value);
    }
    fn len(&self) -> usize {
        self.len()
    }
}

/// As `DualCache` uses it: whole entries, through the trait.
struct Tier<V>(LocalCache<V>);

impl<V: Answer> Contender<CacheKey, V> for Tier<V> {
    fn look_up(&self, key: &CacheKey, number: u32) -> Option<bool> {
        LocalTier::get(&self.0, key).map(|entry| entry.value.answers(number))
    }
    fn insert(&self, key: CacheKey, value: V) {
        let lifetime = Lifetime::new(Duration::MAX);
        let _ = LocalTier::insert(&self.0, key, Entry::new(value, Timestamp::default(), lifetime));
    }
    fn len(&self) -> usize {
        LocalTier::len(&self.0)
    }
}

fn build<K, V, S>(capacity: usize, hasher: S, policy: Policy, times: Times) -> MemoryCache<K, V, S>
where
    K: Eq + Hash,
    S: BuildHasher + Clone,
{
    let options = MemoryCache::builder().max_entries(capacity as u64).hasher(hasher).policy(policy);
    let options = match times {
        Times::None => options,
        Times::ToLive => options.default_ttl(HOUR),
        Times::ToLiveAndIdle => options.default_ttl(HOUR).time_to_idle(HOUR),
    };
    options.build().expect("good options")
}

fn recipe<V: Answer>(
    name: &'static str,
    role: Role,
    policy: Policy,
    times: Times,
) -> Recipe<CacheKey, V> {
    Recipe::new(name, role, move |capacity| build(capacity, BuildKeyHasher, policy, times))
}

/// Each policy as it comes; the default first.
pub(super) fn policies<V: Answer>() -> Vec<Recipe<CacheKey, V>> {
    vec![
        recipe(DEFAULT, Role::Default, Policy::default(), Times::None),
        recipe("cache-memory Lru", Role::Ours, Policy::Lru, Times::None),
        recipe("cache-memory Lfu", Role::Ours, Policy::Lfu, Times::None),
        recipe("cache-memory Fifo", Role::Ours, Policy::Fifo, Times::None),
        recipe("cache-memory Ttl, TTL on", Role::Ours, Policy::Ttl, Times::ToLive),
    ]
}

/// What else has its price: limits on time, and use through the trait of a tier.
pub(super) fn variants<V: Answer>() -> Vec<Recipe<CacheKey, V>> {
    let timed = |name, times| recipe(name, Role::Timed, Policy::default(), times);
    vec![
        timed("cache-memory, TTL on", Times::ToLive),
        timed("cache-memory, TTL and TTI on", Times::ToLiveAndIdle),
        Recipe::new("cache-memory as tier", Role::Ours, |capacity| {
            let options = LocalCache::local().max_entries(capacity as u64);
            Tier(options.build().expect("good options"))
        }),
    ]
}

/// The default with keys that must be hashed.
pub(super) fn by_string<V: Answer>() -> Vec<Recipe<String, V>> {
    vec![Recipe::new(DEFAULT, Role::Default, |capacity| {
        build(capacity, RandomState::new(), Policy::default(), Times::None)
    })]
}
