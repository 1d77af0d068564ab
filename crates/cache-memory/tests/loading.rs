//! Reading through: one initialiser per key, and none that brings back what was removed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use cache_memory::{Compute, Computed, InsertOptions, Inserted, MemoryCache};

fn cache() -> MemoryCache<u64, u64> {
    MemoryCache::builder().max_entries(100).build().expect("good options")
}

/// F30: as many threads as there may be, one initialiser; and the next time none.
#[test]
fn one_initialiser_runs_per_key() {
    let (cache, runs, start) = (cache(), AtomicUsize::new(0), Barrier::new(8));
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                start.wait();
                let value = cache.get_or_insert_with(1, || {
                    std::thread::yield_now();
                    runs.fetch_add(1, Ordering::Relaxed);
                    7
                });
                assert_eq!(*value, 7);
            });
        }
    });
    assert_eq!(runs.into_inner(), 1);
}

/// Different keys do not wait for each other: one initialiser may wait for another's.
#[test]
fn initialisers_of_other_keys_do_not_wait() {
    let (cache, both) = (cache(), Barrier::new(2));
    std::thread::scope(|threads| {
        for key in [1, 2] {
            let (cache, both) = (&cache, &both);
            threads.spawn(move || {
                cache.get_or_insert_with(key, || {
                    both.wait(); // for ever, if the two took turns
                    key
                })
            });
        }
    });
    // One may even use another key itself.
    assert_eq!(*cache.get_or_insert_with(3, || *cache.get_or_insert_with(4, || 40) + 1), 41);
}

/// A failure is its caller's; the next one runs an initialiser of its own.
#[test]
fn failures_and_panics_hand_over() {
    let cache = cache();
    let failed = cache.try_get_or_insert_with(1, || Err::<(u64, InsertOptions), _>("no"));
    assert_eq!(failed.err(), Some("no"));
    assert!(!cache.contains(&1));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        cache.get_or_insert_with(1, || panic!("an initialiser that panics"))
    }));
    assert!(panicked.is_err());
    assert_eq!(*cache.get_or_insert_with(1, || 1), 1);

    let waiting = Barrier::new(2);
    std::thread::scope(|threads| {
        let first = threads.spawn(|| {
            cache.try_get_or_insert_with(2, || {
                waiting.wait();
                Err::<(u64, InsertOptions), _>("no")
            })
        });
        waiting.wait();
        assert_eq!(*cache.get_or_insert_with(2, || 22), 22, "it waits, then runs its own");
        assert!(first.join().expect("no panic").is_err());
    });
}

/// Asking for one's own key would be to wait for oneself.
#[test]
#[should_panic(expected = "initialise its own key")]
fn recursion_is_told_and_does_not_hang() {
    let cache = cache();
    cache.get_or_insert_with(1, || *cache.get_or_insert_with(1, || 1));
}

/// A34, F15: whoever writes, removes or clears while an initialiser runs has the last word, whatever
/// the way; the initialiser's caller gets its value all the same.
#[test]
fn what_was_removed_meanwhile_is_not_brought_back() {
    type Write = fn(&MemoryCache<u64, u64>);
    let ways: [(&str, Write, Option<u64>); 7] = [
        ("remove", |cache| drop(cache.remove(&1)), None),
        ("clear", MemoryCache::clear, None),
        ("insert", |cache| assert_eq!(cache.insert(1, 5), Inserted::Stored), Some(5)),
        (
            "insert_if",
            |cache| assert_eq!(cache.insert_if(1, 5, || true), Inserted::Stored),
            Some(5),
        ),
        (
            "expired",
            |cache| assert_eq!(cache.insert_with(1, 5, Duration::ZERO), Inserted::Expired),
            None,
        ),
        ("compute", |cache| drop(cache.compute(&1, |_| Compute::Put(5))), Some(5)),
        ("remove_many", |cache| assert_eq!(cache.remove_many(&[1]), 0), None),
    ];
    for (way, write, there) in ways {
        let cache = cache();
        let (loading, written) = (Barrier::new(2), Barrier::new(2));
        std::thread::scope(|threads| {
            let loader = threads.spawn(|| {
                cache.get_or_insert_with(1, || {
                    loading.wait(); // has read the old value from wherever
                    written.wait();
                    3
                })
            });
            loading.wait();
            write(&cache);
            written.wait();
            assert_eq!(*loader.join().expect("no panic"), 3, "{way}");
        });
        assert_eq!(cache.get(&1).as_deref().copied(), there, "{way}");
    }
}

/// The same by the thousand: a source that changes, then the cache is told; nobody may find an older
/// value afterwards than the source had when the telling returned.
#[test]
fn no_stale_value_survives_an_invalidation() {
    let (cache, source) = (cache(), AtomicUsize::new(0));
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while source.load(Ordering::SeqCst) < 20_000 {
                    cache.get_or_insert_with(1, || source.load(Ordering::SeqCst) as u64);
                }
            });
        }
        for version in 1..=20_000 {
            source.store(version, Ordering::SeqCst);
            drop(cache.remove(&1));
            if let Some(found) = cache.get(&1) {
                assert_eq!(*found, version as u64, "stale after an invalidation");
            }
        }
    });
}

/// An initialiser may say how long its value is to live.
#[test]
fn initialisers_bring_options() {
    let cache = cache();
    let options = InsertOptions::new().ttl(Duration::from_secs(9)).weight(5);
    let made = cache.try_get_or_insert_with(1, || Ok::<_, ()>((1, options))).expect("it is made");
    assert_eq!(*made, 1);
    assert!(cache.ttl(&1).is_some_and(|left| left <= Duration::from_secs(9)));
    assert_eq!(cache.weight(), 5);
}

/// No count is lost, however many threads count: each decides on what it saw, or decides again.
#[test]
fn computing_is_atomic() {
    let cache = cache();
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for _ in 0..1_000 {
                    cache.compute(&1, |count| Compute::Put(count.map_or(1, |count| count + 1)));
                }
            });
        }
    });
    assert_eq!(cache.get(&1).as_deref().copied(), Some(4_000));
}

#[test]
fn computing_says_what_it_did() {
    let cache: MemoryCache<u64, u64> = MemoryCache::builder()
        .max_weight(100)
        .weigher(|_, &weight| weight)
        .build()
        .expect("good options");
    assert!(matches!(cache.compute(&1, |_| Compute::Keep), Computed::Kept(None)));
    assert!(matches!(cache.compute(&1, |_| Compute::Remove), Computed::Kept(None)));
    assert!(
        matches!(cache.compute(&1, |_| Compute::Put(9)), Computed::Stored(value) if *value == 9)
    );
    assert!(
        matches!(cache.compute(&1, |_| Compute::Keep), Computed::Kept(Some(value)) if *value == 9)
    );
    let refused = cache.compute(&1, |_| Compute::Put(101));
    assert!(matches!(refused, Computed::Refused(Inserted::TooHeavy)));
    assert!(!cache.contains(&1));
    let options = InsertOptions::new().ttl(Duration::ZERO);
    let expired = cache.compute(&1, |_| Compute::PutWith(1, options));
    assert!(matches!(expired, Computed::Refused(Inserted::Expired)));
    let _ = cache.insert(1, 4);
    assert!(
        matches!(cache.compute(&1, |_| Compute::Remove), Computed::Removed(value) if *value == 4)
    );
    assert!(cache.is_empty());

    // The decision is made on what is there when it is carried out.
    let mut asked = 0;
    let _ = cache.insert(1, 4);
    let done = cache.compute(&1, |seen| {
        asked += 1;
        if asked == 1 {
            let _ = cache.insert(1, 6);
        }
        Compute::Put(seen.map_or(0, |seen| seen + 1))
    });
    assert!(matches!(done, Computed::Stored(value) if *value == 7));
    assert_eq!(asked, 2);
}

/// Initialisers of one cache on many keys leave nothing behind.
#[test]
fn turns_are_given_back() {
    let cache: Arc<MemoryCache<u64, u64>> = Arc::new(cache());
    std::thread::scope(|threads| {
        for thread in 0..4 {
            let cache = Arc::clone(&cache);
            threads.spawn(move || {
                for step in 0..2_000_u64 {
                    let key = (step * 7 + thread) % 150;
                    assert_eq!(*cache.get_or_insert_with(key, || key), key);
                }
            });
        }
    });
    for key in 0..150 {
        drop(cache.remove(&key));
        assert_eq!(*cache.get_or_insert_with(key, || key + 1), key + 1);
    }
}

/// F15, F64: an insert that returned while an initialiser ran is not overwritten by what that made,
/// however late the insert took its place.
#[test]
fn a_slow_insert_has_the_last_word_too() {
    let (weighing, go) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (at, then) = (Arc::clone(&weighing), Arc::clone(&go));
    let cache: MemoryCache<u64, u64> = MemoryCache::builder()
        .max_entries(10)
        .weigher(move |_, value| {
            if *value == 5 {
                at.wait();
                then.wait();
            }
            1
        })
        .build()
        .expect("good options");
    std::thread::scope(|threads| {
        let insert = threads.spawn(|| cache.insert(1, 5));
        weighing.wait(); // it began before the initialiser did
        cache.get_or_insert_with(1, || {
            go.wait();
            assert_eq!(insert.join().expect("no panic"), Inserted::Stored);
            3
        });
    });
    assert_eq!(cache.get(&1).as_deref().copied(), Some(5));
}

/// A listener that waits for an initialiser which makes more events than may wait: nobody waits for
/// ever.
#[test]
fn a_listener_may_wait_for_an_initialiser() {
    type Cell = Arc<std::sync::OnceLock<MemoryCache<u64, u64>>>;
    let cell = Cell::default();
    let (inner, once) = (Arc::downgrade(&cell), AtomicUsize::new(0)); // no circle: it would leak
    let cache: MemoryCache<u64, u64> = MemoryCache::builder()
        .max_entries(10_000)
        .listener(move |event: &cache_memory::Event<u64, u64>| {
            let cache_memory::Event::Stored(stored) = event else { return };
            if *stored.key() == 1 && once.fetch_add(1, Ordering::Relaxed) == 0 {
                let cell = inner.upgrade().expect("the test holds it");
                cell.get().expect("set").get_or_insert_with(7, || 0);
            }
        })
        .build()
        .expect("good options");
    assert!(cell.set(cache.clone()).is_ok());
    let begun = Barrier::new(2);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            cache.get_or_insert_with(7, || {
                begun.wait();
                for key in 100..1_400 {
                    let _ = cache.insert(key, key);
                }
                7
            });
        });
        begun.wait();
        let _ = cache.insert(1, 1);
    });
    assert_eq!(cache.get(&7).as_deref().copied(), Some(7));
}
