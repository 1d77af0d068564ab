//! Other people's caches, built as their documentation builds them.

use std::hash::{BuildHasher, Hash};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::Duration;

use cache_core::{BuildKeyHasher, CacheKey};
use mini_moka::sync::ConcurrentCacheExt;

use super::{Answer, Contender, Recipe, Role};

type DefaultLifecycle<K, V> = quick_cache::sync::DefaultLifecycle<K, V>;
type QuickCache<K, V, S> =
    quick_cache::sync::Cache<K, V, quick_cache::UnitWeighter, S, DefaultLifecycle<K, V>>;

impl<K, V, S> Contender<K, V> for QuickCache<K, V, S>
where
    K: Eq + Hash + Clone + Send + Sync,
    V: Answer,
    S: BuildHasher + Clone + Send + Sync,
{
    fn look_up(&self, key: &K, number: u32) -> Option<bool> {
        self.get(key).map(|value| value.answers(number))
    }
    fn insert(&self, key: K, value: V) {
        self.insert(key, value);
    }
    fn len(&self) -> usize {
        self.len()
    }
}

impl<K, V, S> Contender<K, V> for moka::sync::Cache<K, V, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Answer,
    S: BuildHasher + Clone + Send + Sync + 'static,
{
    fn look_up(&self, key: &K, number: u32) -> Option<bool> {
        self.get(key).map(|value| value.answers(number))
    }
    fn insert(&self, key: K, value: V) {
        self.insert(key, value);
    }
    fn len(&self) -> usize {
        self.run_pending_tasks();
        usize::try_from(self.entry_count()).expect("fits in memory")
    }
}

impl<K, V, S> Contender<K, V> for mini_moka::sync::Cache<K, V, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Answer,
    S: BuildHasher + Clone + Send + Sync + 'static,
{
    fn look_up(&self, key: &K, number: u32) -> Option<bool> {
        self.get(key).map(|value| value.answers(number))
    }
    fn insert(&self, key: K, value: V) {
        self.insert(key, value);
    }
    fn len(&self) -> usize {
        self.sync();
        usize::try_from(self.entry_count()).expect("fits in memory")
    }
}

impl<K, V, S> Contender<K, V> for foyer_memory::Cache<K, V, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    V: Answer,
    S: BuildHasher + Send + Sync + 'static,
{
    fn look_up(&self, key: &K, number: u32) -> Option<bool> {
        self.get(key).map(|entry| entry.value().answers(number))
    }
    fn insert(&self, key: K, value: V) {
        self.insert(key, value);
    }
    fn len(&self) -> usize {
        self.entries()
    }
}

impl<K, V, S> Contender<K, V> for Mutex<lru::LruCache<K, V, S>>
where
    K: Eq + Hash + Clone + Send,
    V: Answer,
    S: BuildHasher + Send,
{
    fn look_up(&self, key: &K, number: u32) -> Option<bool> {
        // A clone leaves the lock before it is read, as it would in a program.
        let value = self.lock().expect("nothing panics under it").get(key).cloned();
        value.map(|value| value.answers(number))
    }
    fn insert(&self, key: K, value: V) {
        self.lock().expect("nothing panics under it").put(key, value);
    }
    fn len(&self) -> usize {
        self.lock().expect("nothing panics under it").len()
    }
}

impl<K, V, S> Contender<K, V> for dashmap::DashMap<K, V, S>
where
    K: Eq + Hash + Clone + Send + Sync,
    V: Answer,
    S: BuildHasher + Clone + Send + Sync,
{
    fn look_up(&self, key: &K, number: u32) -> Option<bool> {
        let value = self.view(key, |_, value| value.clone());
        value.map(|value| value.answers(number))
    }
    fn insert(&self, key: K, value: V) {
        self.insert(key, value);
    }
    fn len(&self) -> usize {
        self.len()
    }
}

fn quick<K, V, S>(capacity: usize, hasher: S) -> QuickCache<K, V, S>
where
    K: Eq + Hash + Clone,
    V: Answer,
    S: BuildHasher + Clone,
{
    let weighter = quick_cache::UnitWeighter;
    QuickCache::with(capacity, capacity as u64, weighter, hasher, DefaultLifecycle::default())
}

fn slots(capacity: usize) -> NonZeroUsize {
    NonZeroUsize::new(capacity).expect("a capacity")
}

/// The type of its options is not exported, only the variant that holds them.
#[allow(clippy::default_trait_access, reason = "it cannot be named")]
fn sieve() -> foyer_memory::EvictionConfig {
    foyer_memory::EvictionConfig::Sieve(Default::default())
}

/// One of foyer's algorithms as it is configured by default.
fn foyer<V: Answer>(
    name: &'static str,
    algorithm: impl Into<foyer_memory::EvictionConfig>,
) -> Recipe<CacheKey, V> {
    let algorithm = algorithm.into();
    Recipe::new(name, Role::Rival, move |capacity| -> foyer_memory::Cache<_, _, _> {
        let options = foyer_memory::CacheBuilder::new(capacity);
        options.with_eviction_config(algorithm.clone()).with_hash_builder(BuildKeyHasher).build()
    })
}

fn foyer_by_string<V: Answer>(
    name: &'static str,
    algorithm: impl Into<foyer_memory::EvictionConfig>,
) -> Recipe<String, V> {
    let algorithm = algorithm.into();
    Recipe::new(name, Role::Rival, move |capacity| -> foyer_memory::Cache<_, _, _> {
        foyer_memory::CacheBuilder::new(capacity).with_eviction_config(algorithm.clone()).build()
    })
}

/// Those whose policies are worth a replay.
pub(super) fn by_policy<V: Answer>() -> Vec<Recipe<CacheKey, V>> {
    vec![
        quick_cache(),
        moka(),
        mini_moka(),
        foyer("foyer w-tinylfu", foyer_memory::LfuConfig::default()),
        foyer("foyer s3fifo", foyer_memory::S3FifoConfig::default()),
        foyer("foyer sieve", sieve()),
        foyer("foyer lru", foyer_memory::LruConfig::default()),
        lru(),
    ]
}

pub(super) fn by_cache_key<V: Answer>() -> Vec<Recipe<CacheKey, V>> {
    let hour = Duration::from_secs(3_600);
    vec![
        quick_cache(),
        moka(),
        Recipe::new("moka, TTL and TTI on", Role::Rival, move |capacity| {
            let moka = moka::sync::Cache::builder().max_capacity(capacity as u64);
            moka.time_to_live(hour).time_to_idle(hour).build_with_hasher(BuildKeyHasher)
        }),
        foyer("foyer s3fifo", foyer_memory::S3FifoConfig::default()),
        foyer("foyer w-tinylfu", foyer_memory::LfuConfig::default()),
        mini_moka(),
        lru(),
        Recipe::new("DashMap (a map)", Role::Floor, |_| {
            dashmap::DashMap::with_hasher(BuildKeyHasher)
        }),
    ]
}

pub(super) fn by_string<V: Answer>() -> Vec<Recipe<String, V>> {
    vec![
        Recipe::new("quick_cache", Role::Rival, |capacity| {
            quick(capacity, quick_cache::DefaultHashBuilder::default())
        }),
        Recipe::new("moka", Role::Rival, |capacity| moka::sync::Cache::new(capacity as u64)),
        foyer_by_string("foyer s3fifo", foyer_memory::S3FifoConfig::default()),
        foyer_by_string("foyer w-tinylfu", foyer_memory::LfuConfig::default()),
        Recipe::new("mini-moka", Role::Rival, |capacity| {
            mini_moka::sync::Cache::new(capacity as u64)
        }),
        Recipe::new("Mutex<lru::LruCache>", Role::Rival, |capacity| {
            Mutex::new(lru::LruCache::new(slots(capacity)))
        }),
        Recipe::new("DashMap (a map)", Role::Floor, |_| dashmap::DashMap::new()),
    ]
}

fn quick_cache<V: Answer>() -> Recipe<CacheKey, V> {
    Recipe::new("quick_cache", Role::Rival, |capacity| quick(capacity, BuildKeyHasher))
}

fn moka<V: Answer>() -> Recipe<CacheKey, V> {
    Recipe::new("moka", Role::Rival, |capacity| {
        let moka = moka::sync::Cache::builder().max_capacity(capacity as u64);
        moka.build_with_hasher(BuildKeyHasher)
    })
}

fn mini_moka<V: Answer>() -> Recipe<CacheKey, V> {
    Recipe::new("mini-moka", Role::Rival, |capacity| {
        let mini_moka = mini_moka::sync::Cache::builder().max_capacity(capacity as u64);
        mini_moka.build_with_hasher(BuildKeyHasher)
    })
}

fn lru<V: Answer>() -> Recipe<CacheKey, V> {
    Recipe::new("Mutex<lru::LruCache>", Role::Rival, |capacity| {
        Mutex::new(lru::LruCache::with_hasher(slots(capacity), BuildKeyHasher))
    })
}
