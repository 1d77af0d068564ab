//! No lock is held while user code runs: all of it may call the cache. A deadlock here would be a
//! test that never ends.

use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cache_memory::{Cause, Compute, Event, InsertOptions, Inserted, MemoryCache};

mod common;
use common::POLICIES;

/// A key whose every method calls the cache, and whose hashes all collide.
#[derive(Debug)]
struct Key(u64);

type Nested = MemoryCache<Key, Value>;

thread_local! {
    static NESTED: RefCell<Option<Nested>> = const { RefCell::new(None) };
    static DEPTH: RefCell<u32> = const { RefCell::new(0) };
    static CALLS: RefCell<u64> = const { RefCell::new(0) };
}

/// Uses the cache in every way, unless it is in use by this already. Now and then only: an `Eq` that
/// overwrites what it compares every time, or a listener that makes more events than it hears of,
/// would never come to an end.
fn meddle(key: u64) {
    let Ok(Some(cache)) = NESTED.try_with(|nested| nested.borrow().clone()) else { return };
    let calls = CALLS.with_borrow_mut(|calls| {
        *calls += 1;
        *calls
    });
    if DEPTH.with_borrow(|depth| *depth > 0) || !calls.is_multiple_of(499) {
        return;
    }
    DEPTH.set(1);
    let _ = cache.insert(Key(key + 1), Value(key));
    drop(cache.get(&Key(key)));
    drop(cache.remove(&Key(key + 2)));
    let _ = cache.insert_with(Key(key), Value(key), Duration::from_secs(60));
    cache.compute(&Key(key + 3), |_| Compute::Put(Value(key)));
    assert!(cache.iter().count() <= 8);
    cache.retain(|_, value| value.0 % 2 == 0);
    DEPTH.set(0);
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        meddle(self.0);
        state.write_u64(self.0 % 2); // nearly all alike
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        meddle(self.0);
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Clone for Key {
    fn clone(&self) -> Self {
        meddle(self.0);
        Self(self.0)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        meddle(self.0);
    }
}

#[derive(Debug)]
struct Value(u64);

impl Clone for Value {
    fn clone(&self) -> Self {
        meddle(self.0);
        Self(self.0)
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        meddle(self.0);
    }
}

/// Hash, Eq, Clone and Drop of keys and values, weigher, expiry, listener, predicates and
/// initialisers: all of them meddle with the cache that calls them.
#[test]
fn all_user_code_may_call_the_cache() {
    for policy in POLICIES {
        let cache: Nested = MemoryCache::builder()
            .max_entries(8)
            .max_weight(50)
            .policy(policy)
            .weigher(|key: &Key, _: &Value| {
                meddle(key.0);
                key.0 % 5 + 1
            })
            .lookup_listener(|event: &Event<Key, Value>| {
                if let Event::Stored(handle) | Event::Hit(handle) | Event::Left(handle, _) = event {
                    meddle(handle.key().0);
                }
            })
            .build()
            .expect("good options");
        NESTED.set(Some(cache.clone()));
        for key in 0..600 {
            let _ = cache.insert(Key(key % 13), Value(key));
            let _ = cache.get(&Key(key % 11)).map(|hit| hit.to_value());
            drop(cache.remove_if(&Key(key % 7), |value| {
                meddle(value.0);
                value.0 % 3 == 0
            }));
            drop(cache.get_or_insert_with(Key(key % 17), || {
                meddle(key);
                Value(key)
            }));
            cache.compute(&Key(key % 5), |_| {
                meddle(key);
                Compute::Put(Value(key))
            });
            let _ = cache.insert_with(Key(key % 3), Value(key), InsertOptions::new().weight(51));
            if key % 20 == 0 {
                cache.clear();
            }
            assert!(cache.len() <= 8 && cache.weight() <= 50);
        }
        cache.clear();
        NESTED.set(None);
        assert_eq!(cache.listener_panics(), 0);
    }
}

/// Keys of one hash are told apart, whatever is done to them, also by many threads at once.
#[test]
fn colliding_keys_are_kept_apart() {
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Same(u64);
    impl Hash for Same {
        fn hash<H: Hasher>(&self, state: &mut H) {
            state.write_u64(7);
        }
    }
    let cache: MemoryCache<Same, u64> =
        MemoryCache::builder().max_entries(50).build().expect("good options");
    std::thread::scope(|threads| {
        for thread in 0..4 {
            let cache = &cache;
            threads.spawn(move || {
                for step in 0..2_000_u64 {
                    let key = (step * (thread + 3)) % 20;
                    match step % 5 {
                        0 => drop(cache.remove(&Same(key))),
                        1 | 2 => {
                            let value = cache.get(&Same(key));
                            assert!(value.is_none_or(|value| *value % 100 == key));
                        }
                        _ => {
                            let value = key + step * 100;
                            assert_eq!(cache.insert(Same(key), value), Inserted::Stored);
                        }
                    }
                }
            });
        }
    });
    let keys: std::collections::HashSet<u64> = cache.iter().map(|entry| entry.key().0).collect();
    assert_eq!(keys.len(), cache.len(), "a key is there twice");
    for key in 0..20 {
        let _ = cache.insert(Same(key), key);
    }
    assert_eq!(
        (0..20).filter(|key| cache.get(&Same(*key)).is_some_and(|v| *v == *key)).count(),
        20
    );
}

/// A listener that panics is told of the next event all the same, and hurts nobody.
#[test]
fn a_panicking_listener_is_contained() {
    let told = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&told);
    let cache: MemoryCache<u64, u64> = MemoryCache::builder()
        .max_entries(4)
        .listener(move |event: &Event<u64, u64>| {
            counter.fetch_add(1, Ordering::Relaxed);
            assert!(!matches!(event, Event::Left(..)), "a listener that cannot bear losses");
        })
        .build()
        .expect("good options");
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for key in 0..10 {
        assert_eq!(cache.insert(key, key), Inserted::Stored);
    }
    std::panic::set_hook(hook);
    assert_eq!(told.load(Ordering::Relaxed), 16);
    assert_eq!(cache.listener_panics(), 6);
    assert_eq!((cache.len(), cache.stats().evictions.capacity), (4, 6));
}

/// What an initialiser's value displaces may itself initialise that key when it is dropped: the turn is
/// over by then.
#[test]
fn a_drop_may_initialise_what_displaced_it() {
    struct Again(Arc<OnceLock<MemoryCache<u64, Again>>>, u64);
    impl Drop for Again {
        fn drop(&mut self) {
            if let (Some(cache), true) = (self.0.get(), self.1 > 0) {
                for key in 0..20 {
                    cache.get_or_insert_with(key, || Again(Arc::clone(&self.0), 0));
                }
            }
        }
    }
    let cell = Arc::new(OnceLock::new());
    let cache = MemoryCache::builder().max_entries(1).build().expect("good options");
    assert!(cell.set(cache.clone()).is_ok());
    for key in 0..20 {
        cache.get_or_insert_with(key, || Again(Arc::clone(&cell), 1));
    }
    cache.clear();
}

/// A value whose drop writes to its cache, while it is evicted from a cache of one entry: the room
/// of what left is free by then.
#[test]
fn a_drop_finds_room() {
    struct Echo(Arc<OnceLock<MemoryCache<u64, Echo>>>, u64);
    impl Drop for Echo {
        fn drop(&mut self) {
            if let (Some(cache), true) = (self.0.get(), self.1 > 0) {
                let _ = cache.insert(self.1 + 100, Echo(Arc::clone(&self.0), 0));
            }
        }
    }
    let cell = Arc::new(OnceLock::new());
    let cache = MemoryCache::builder().max_entries(1).build().expect("good options");
    assert!(cell.set(cache.clone()).is_ok());
    for key in 1..50 {
        let _ = cache.insert(key, Echo(Arc::clone(&cell), key));
        assert!(cache.len() <= 1);
    }
    while !cache.is_empty() {
        cache.clear(); // values that hold their cache would leak
    }
}

/// A114: a listener hears of everything that happens to a key in the order in which it happened,
/// by however many threads.
#[test]
fn events_of_a_key_come_in_order() {
    let heard: Arc<log::Log> = Arc::default();
    let log = Arc::clone(&heard);
    let cache: MemoryCache<u64, u64> = MemoryCache::builder()
        .max_entries(16)
        .lookup_listener(move |event: &Event<u64, u64>| {
            log.push(match event {
                Event::Stored(handle) => (*handle.key(), Heard::Stored(**handle)),
                Event::Left(handle, cause) => (*handle.key(), Heard::Left(**handle, *cause)),
                Event::Hit(handle) => (*handle.key(), Heard::Hit(**handle)),
                _ => return,
            });
        })
        .build()
        .expect("good options");
    std::thread::scope(|threads| {
        for thread in 0..4_u64 {
            let cache = &cache;
            threads.spawn(move || {
                for step in 0..3_000_u64 {
                    let key = (step * 7 + thread) % 24;
                    match step % 5 {
                        0 => drop(cache.remove(&key)),
                        1 | 2 => drop(cache.get(&key)),
                        3 if step % 500 == 3 => cache.clear(),
                        _ => drop(cache.insert(key, step * 4 + thread)),
                    }
                }
            });
        }
    });
    for key in 0..24 {
        let mut there = None;
        for event in heard.of(key) {
            match event {
                Heard::Stored(value) => {
                    assert_eq!(there.replace(value), None, "key {key} was there when it came");
                }
                Heard::Hit(value) => assert_eq!(there, Some(value), "a hit on what is not there"),
                Heard::Left(value, _) => {
                    assert_eq!(there.take(), Some(value), "what was not there left");
                }
            }
        }
        assert_eq!(there, cache.peek(&key).as_deref().copied());
    }
}

/// A114: hit, miss, set, delete, expire, clear, evict, replace: each is told, with its cause.
#[test]
fn every_cause_is_told() {
    let clock = Arc::new(cache_core::ManualClock::default());
    let heard: Arc<log::Log> = Arc::default();
    let misses = Arc::new(AtomicU64::new(0));
    let (log, absent) = (Arc::clone(&heard), Arc::clone(&misses));
    let cache: MemoryCache<u64, u64> = MemoryCache::builder()
        .max_entries(2)
        .clock(clock.clone())
        .lookup_listener(move |event: &Event<u64, u64>| match event {
            Event::Stored(handle) => log.push((*handle.key(), Heard::Stored(**handle))),
            Event::Left(handle, cause) => log.push((*handle.key(), Heard::Left(**handle, *cause))),
            Event::Hit(handle) => log.push((*handle.key(), Heard::Hit(**handle))),
            Event::Missed(hash) => absent.store(*hash, Ordering::Relaxed),
            _ => {}
        })
        .build()
        .expect("good options");
    drop(cache.get(&1));
    assert_eq!(misses.load(Ordering::Relaxed), cache.key_hash(&1));
    let _ = cache.insert(1, 10);
    drop(cache.get(&1));
    let _ = cache.insert(1, 11);
    drop(cache.remove(&1));
    let _ = cache.insert_with(1, 12, Duration::from_millis(5));
    clock.advance(Duration::from_millis(5));
    cache.remove_expired();
    let _ = cache.insert(1, 13);
    cache.clear();
    let _ = cache.insert(1, 14);
    let _ = cache.insert_with(1, 15, Duration::ZERO);
    assert_eq!(
        heard.of(1),
        [
            Heard::Stored(10),
            Heard::Hit(10),
            Heard::Left(10, Cause::Replaced),
            Heard::Stored(11),
            Heard::Left(11, Cause::Removed),
            Heard::Stored(12),
            Heard::Left(12, Cause::Expired),
            Heard::Stored(13),
            Heard::Left(13, Cause::Removed),
            Heard::Stored(14),
            Heard::Left(14, Cause::Replaced),
        ]
    );
    for key in 2..5 {
        let _ = cache.insert(key, key);
    }
    let evicted =
        (2..5).filter(|key| heard.of(*key).contains(&Heard::Left(*key, Cause::Evicted))).count();
    assert_eq!(evicted, 1);
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Heard {
    Stored(u64),
    Hit(u64),
    Left(u64, Cause),
}

mod log {
    use std::sync::Mutex;

    use super::Heard;

    /// What a listener heard.
    #[derive(Default)]
    pub(crate) struct Log(Mutex<Vec<(u64, Heard)>>);

    impl Log {
        pub(crate) fn push(&self, event: (u64, Heard)) {
            self.0.lock().expect("nothing panics under it").push(event);
        }

        pub(crate) fn of(&self, key: u64) -> Vec<Heard> {
            let log = self.0.lock().expect("nothing panics under it");
            log.iter().filter(|(of, _)| *of == key).map(|(_, heard)| *heard).collect()
        }
    }
}
