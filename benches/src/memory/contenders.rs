//! The caches under test, all behind one small trait, so that all run the same loop.

use std::hash::{BuildHasher, Hash};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_core::{BuildKeyHasher, CacheKey, Entry, Lifetime, LocalTier, Timestamp};
use cache_memory::{LocalCache, MemoryCache, Policy};

/// What is stored: one allocation an entry, as an answer would be.
pub(crate) type Value = Arc<[u8]>;

/// A cache under test.
pub(crate) trait Contender<K>: Send + Sync {
    /// A hit or a miss.
    fn get(&self, key: &K) -> Option<Value>;
    /// Stores a value.
    fn insert(&self, key: K, value: Value);
}

type Ours<K, S> = MemoryCache<K, Value, S>;

impl<K: Eq + Hash + Send + Sync, S: BuildHasher + Clone + Send + Sync> Contender<K> for Ours<K, S> {
    fn get(&self, key: &K) -> Option<Value> {
        self.get(key)
    }
    fn insert(&self, key: K, value: Value) {
        let _ = self.insert(key, value);
    }
}

/// As `DualCache` uses it: whole entries, through the trait.
pub(crate) struct Tier(LocalCache<Value>);

impl Contender<CacheKey> for Tier {
    fn get(&self, key: &CacheKey) -> Option<Value> {
        LocalTier::get(&self.0, key).map(|entry| entry.value)
    }
    fn insert(&self, key: CacheKey, value: Value) {
        let lifetime = Lifetime::new(Duration::MAX);
        let _ = LocalTier::insert(&self.0, key, Entry::new(value, Timestamp::default(), lifetime));
    }
}

type QuickCache<K, S> =
    quick_cache::sync::Cache<K, Value, quick_cache::UnitWeighter, S, DefaultLifecycle<K>>;
type DefaultLifecycle<K> = quick_cache::sync::DefaultLifecycle<K, Value>;

impl<K, S> Contender<K> for QuickCache<K, S>
where
    K: Eq + Hash + Clone + Send + Sync,
    S: BuildHasher + Clone + Send + Sync,
{
    fn get(&self, key: &K) -> Option<Value> {
        self.get(key)
    }
    fn insert(&self, key: K, value: Value) {
        self.insert(key, value);
    }
}

impl<K, S> Contender<K> for moka::sync::Cache<K, Value, S>
where
    K: Eq + Hash + Send + Sync + 'static,
    S: BuildHasher + Clone + Send + Sync + 'static,
{
    fn get(&self, key: &K) -> Option<Value> {
        self.get(key)
    }
    fn insert(&self, key: K, value: Value) {
        self.insert(key, value);
    }
}

/// A map: the floor, since it neither evicts nor expires.
impl<K, S> Contender<K> for dashmap::DashMap<K, Value, S>
where
    K: Eq + Hash + Send + Sync,
    S: BuildHasher + Clone + Send + Sync,
{
    fn get(&self, key: &K) -> Option<Value> {
        self.view(key, |_, value| value.clone())
    }
    fn insert(&self, key: K, value: Value) {
        self.insert(key, value);
    }
}

impl<K: Eq + Hash + Send> Contender<K> for Mutex<lru::LruCache<K, Value>> {
    fn get(&self, key: &K) -> Option<Value> {
        self.lock().expect("nothing panics under it").get(key).cloned()
    }
    fn insert(&self, key: K, value: Value) {
        self.lock().expect("nothing panics under it").put(key, value);
    }
}

/// A contender and what tables call it.
pub(crate) type Named<K> = (&'static str, Box<dyn Contender<K>>);

fn ours<K, S>(capacity: usize, hasher: S, policy: Policy, ttl: Option<Duration>) -> Ours<K, S>
where
    K: Eq + Hash,
    S: BuildHasher + Clone,
{
    let mut options =
        MemoryCache::builder().max_entries(capacity as u64).hasher(hasher).policy(policy);
    if let Some(ttl) = ttl {
        options = options.default_ttl(ttl);
    }
    options.build().expect("good options")
}

fn quick<K, S>(capacity: usize, hasher: S) -> QuickCache<K, S>
where
    K: Eq + Hash + Clone,
    S: BuildHasher + Clone,
{
    let weighter = quick_cache::UnitWeighter;
    let lifecycle = quick_cache::sync::DefaultLifecycle::default();
    QuickCache::with(capacity, capacity as u64, weighter, hasher, lifecycle)
}

/// Caches keyed by `CacheKey`, all with the pass-through hasher.
pub(crate) fn by_cache_key(capacity: usize) -> Vec<Named<CacheKey>> {
    let hasher = BuildKeyHasher;
    let policy = |policy, ttl| Box::new(ours(capacity, hasher, policy, ttl));
    let tier = LocalCache::local().max_entries(capacity as u64).build().expect("good options");
    let moka = moka::sync::Cache::builder().max_capacity(capacity as u64);
    vec![
        ("cache-memory Lru", policy(Policy::Lru, None)),
        ("cache-memory Lru, TTL on", policy(Policy::Lru, Some(Duration::from_secs(3_600)))),
        ("cache-memory Lfu", policy(Policy::Lfu, None)),
        ("cache-memory Fifo", policy(Policy::Fifo, None)),
        ("cache-memory Ttl, TTL on", policy(Policy::Ttl, Some(Duration::from_secs(3_600)))),
        ("cache-memory Lru as tier", Box::new(Tier(tier))),
        ("quick_cache", Box::new(quick(capacity, hasher))),
        ("moka", Box::new(moka.build_with_hasher(hasher))),
        ("DashMap (a map)", Box::new(dashmap::DashMap::with_hasher(hasher))),
    ]
}

/// Caches keyed by `String`, each with the hasher that it comes with.
pub(crate) fn by_string(capacity: usize) -> Vec<Named<String>> {
    let slots = NonZeroUsize::new(capacity).expect("a capacity");
    let policy = Policy::Lru;
    vec![
        ("cache-memory Lru", Box::new(ours(capacity, std::hash::RandomState::new(), policy, None))),
        ("quick_cache", Box::new(quick(capacity, quick_cache::DefaultHashBuilder::default()))),
        ("moka", Box::new(moka::sync::Cache::new(capacity as u64))),
        ("DashMap (a map)", Box::new(dashmap::DashMap::new())),
        ("Mutex<lru::LruCache>", Box::new(Mutex::new(lru::LruCache::new(slots)))),
    ]
}
