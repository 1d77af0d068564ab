//! A34, A36, F15 under fire: readers, loaders and invalidators of the same keys at once. Who asks after an
//! invalidation has returned never sees what was there before, in either tier.
//!
//! `CACHE_DUAL_RACED_KEYS` sets how many keys are raced; the default keeps a debug build quick.
#![allow(clippy::unwrap_used, reason = "what a test's helper unwraps is what it expects")]

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cache_core::RemoteTier;
use cache_dual::{CacheKey, DualCache, InsertOptions, Tag, WriteMode};
use common::World;

#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Key,
    Tag,
    Clear,
}

fn raced_keys(default: usize) -> usize {
    std::env::var("CACHE_DUAL_RACED_KEYS").map_or(default, |n| n.parse().expect("a number"))
}

struct Race {
    cache: DualCache<Bytes>,
    by: By,
    keys: Vec<CacheKey>,
    /// Whether the source of a key has changed.
    changed: Vec<AtomicBool>,
    /// Whether it was invalidated since.
    invalidated: Vec<AtomicBool>,
    /// The key that is being raced now.
    now: AtomicUsize,
}

impl Race {
    fn tag(n: usize) -> Tag {
        let mut tag = [7; 16];
        tag[..8].copy_from_slice(&n.to_le_bytes());
        Tag(tag)
    }

    async fn load(&self, n: usize) -> Bytes {
        let is_changed = self.changed[n].load(Ordering::SeqCst);
        if n.is_multiple_of(3) {
            tokio::task::yield_now().await;
        }
        Bytes::from_static(if is_changed { b"new" } else { b"old" })
    }

    async fn read(&self, n: usize, how: usize) {
        let must_be_new = self.invalidated[n].load(Ordering::SeqCst);
        let (key, tags) = (&self.keys[n], [Self::tag(n)]);
        let query = self.cache.query(key).tags(if self.by == By::Tag { &tags } else { &[] });
        let value = match how % 3 {
            0 => query.get().await.map(|hit| hit.value),
            1 => {
                let fetch = || async { Ok::<_, Infallible>(self.load(n).await) };
                Some(query.get_or_fetch(fetch).await.unwrap().value)
            }
            _ => match query.lookup().await {
                cache_dual::Lookup::Hit(hit) => Some(hit.value),
                cache_dual::Lookup::Miss(ticket) => {
                    let value = self.load(n).await;
                    let _ = self.cache.fulfil(ticket, value, InsertOptions::new()).await;
                    None
                }
            },
        };
        assert!(
            !must_be_new || value.is_none_or(|value| value == "new"),
            "{:?}: key {n} is stale after its invalidation",
            self.by
        );
    }
}

async fn race(by: By, writes: WriteMode, count: usize) {
    let world = World::new();
    let process = world.process_with(None, |options| {
        options.writes = writes;
        options.remote_deadline = Duration::from_secs(60);
    });
    let keys = (0..count).map(|n| CacheKey::from_text(&n.to_string())).collect();
    let flags = || (0..count).map(|_| AtomicBool::new(false)).collect();
    let race = Arc::new(Race {
        cache: process.cache,
        by,
        keys,
        changed: flags(),
        invalidated: flags(),
        now: AtomicUsize::new(0),
    });
    let readers: Vec<_> = (0..3)
        .map(|reader| {
            let race = Arc::clone(&race);
            tokio::spawn(async move {
                let mut turn = reader;
                loop {
                    let n = race.now.load(Ordering::SeqCst);
                    if n == count {
                        return;
                    }
                    race.read(n, turn).await;
                    turn += 1;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for n in 0..count {
        race.changed[n].store(true, Ordering::SeqCst);
        match by {
            By::Key => drop(race.cache.remove(&race.keys[n]).await.unwrap()),
            By::Tag => race.cache.remove_tag(&Race::tag(n)).await.unwrap(),
            By::Clear => race.cache.clear().await.unwrap(),
        }
        race.invalidated[n].store(true, Ordering::SeqCst);
        race.read(n, 0).await;
        race.read(n, 1).await;
        race.now.store(n + 1, Ordering::SeqCst);
    }
    for reader in readers {
        reader.await.unwrap();
    }
    while race.cache.health().await.queued > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let other = world.process().cache;
    for n in 0..count {
        assert!(race.cache.peek(&race.keys[n]).is_none_or(|hit| hit.value == "new"), "key {n}");
        if by == By::Key {
            let remote = world.remote.get(&race.keys[n]).await.unwrap().entry;
            assert!(remote.is_none_or(|entry| entry.value.bytes == "new"), "key {n}, remotely");
        }
    }
    for page in race.keys.chunks(1_000) {
        let found = other.get_many(page).await;
        assert!(found.into_iter().flatten().all(|hit| hit.value == "new"), "{by:?}, remotely");
    }
    assert_eq!(race.cache.in_flight(), 0);
}

const QUEUED: WriteMode = WriteMode::Queued { capacity: 1_000 };

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn removals() {
    race(By::Key, WriteMode::Through, raced_keys(1_500)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn removals_with_queued_writes() {
    race(By::Key, QUEUED, raced_keys(1_500)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tags() {
    race(By::Tag, WriteMode::Through, raced_keys(700)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tags_with_queued_writes() {
    race(By::Tag, QUEUED, raced_keys(700)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clears() {
    race(By::Clear, WriteMode::Through, raced_keys(200)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clears_with_queued_writes() {
    race(By::Clear, QUEUED, raced_keys(200)).await;
}
