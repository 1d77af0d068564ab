//! Nothing that began before an invalidation is seen after it.

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use cache_core::RemoteTier;
use cache_dual::{CacheKey, Fulfilled, InsertOptions, Lookup, Source};
use common::{World, bytes, key};
use futures_util::future::poll_fn;
use tokio::sync::Notify;

static K: LazyLock<CacheKey> = LazyLock::new(|| key("k"));

const PLAIN: InsertOptions = InsertOptions::new();

/// A34, F15: the value is invalidated while it is fetched, so it is handed out and not stored.
#[tokio::test]
async fn a_fetch_does_not_outlive_a_remove() {
    let world = World::new();
    let cache = world.process().cache;
    let gate = Notify::new();
    let fetching = cache.get_or_fetch(&K, || async {
        gate.notified().await;
        Ok::<_, Infallible>(bytes("old"))
    });
    let removing = async {
        assert!(!cache.remove(&K).await.unwrap());
        // Whoever asks after the removal gets a fetch of its own.
        let fresh =
            cache.get_or_fetch(&K, || async { Ok::<_, Infallible>(bytes("new")) }).await.unwrap();
        assert_eq!((fresh.value, fresh.source), (bytes("new"), Source::Origin));
        gate.notify_one();
    };
    let (old, ()) = tokio::join!(fetching, removing);
    assert_eq!(old.unwrap().value, "old", "it asked before the removal");
    assert_eq!(cache.get(&K).await.unwrap().value, "new");
    assert_eq!(world.process().cache.get(&K).await.unwrap().value, "new");
    assert_eq!(cache.stats().fenced, 1);
}

/// A34: the same with a ticket.
#[tokio::test]
async fn a_ticket_does_not_outlive_a_remove() {
    let world = World::new();
    let cache = world.process().cache;
    let Lookup::Miss(ticket) = cache.lookup(&K).await else { panic!("a hit") };
    cache.remove(&K).await.unwrap();
    assert_eq!(cache.fulfil(ticket, bytes("old"), PLAIN).await, Fulfilled::Fenced);
    assert!(cache.get(&K).await.is_none());
    assert!(world.remote.get(&K).await.unwrap().entry.is_none());
}

/// A ticket to replace a value does so in both tiers, and gives way to a removal.
#[tokio::test]
async fn a_ticket_replaces_what_is_there_unless_it_is_removed() {
    let world = World::new();
    let cache = world.process().cache;
    let _ = cache.insert(*K, bytes("old"), PLAIN).await;
    let ticket = cache.ticket(&K).await;
    assert_eq!(cache.fulfil(ticket, bytes("new"), PLAIN).await, Fulfilled::Stored);
    assert_eq!(cache.get(&K).await.unwrap().value, "new");
    assert_eq!(world.process().cache.get(&K).await.unwrap().value, "new");

    let ticket = cache.ticket(&K).await;
    cache.remove(&K).await.unwrap();
    assert_eq!(cache.fulfil(ticket, bytes("newer"), PLAIN).await, Fulfilled::Fenced);
    assert!(cache.get(&K).await.is_none());
    assert!(world.process().cache.get(&K).await.is_none());
}

/// A36: an insert is the later word too.
#[tokio::test]
async fn a_ticket_does_not_outlive_an_insert() {
    let world = World::new();
    let cache = world.process().cache;
    let Lookup::Miss(ticket) = cache.lookup(&K).await else { panic!("a hit") };
    let _ = cache.insert(*K, bytes("new"), PLAIN).await;
    assert_eq!(cache.fulfil(ticket, bytes("old"), PLAIN).await, Fulfilled::Fenced);
    assert_eq!(cache.get(&K).await.unwrap().value, "new");
}

/// A34 across processes: the remote tier refuses what was fetched before another's removal, and
/// this process forgets it.
#[tokio::test]
async fn a_ticket_does_not_outlive_another_process_s_remove() {
    let world = World::new();
    let (ours, theirs) = (world.process().cache, world.process().cache);
    let Lookup::Miss(ticket) = ours.lookup(&K).await else { panic!("a hit") };
    theirs.remove(&K).await.unwrap();
    assert_eq!(ours.fulfil(ticket, bytes("old"), PLAIN).await, Fulfilled::Fenced);
    assert!(ours.get(&K).await.is_none());
    assert!(theirs.get(&K).await.is_none());
}

/// Two processes fetch the same key: the first to store wins, and both end up with its value.
#[tokio::test]
async fn processes_converge_on_one_value() {
    let world = World::new();
    let (ours, theirs) = (world.process().cache, world.process().cache);
    let Lookup::Miss(our_ticket) = ours.lookup(&K).await else { panic!("a hit") };
    let Lookup::Miss(their_ticket) = theirs.lookup(&K).await else { panic!("a hit") };
    assert_eq!(theirs.fulfil(their_ticket, bytes("theirs"), PLAIN).await, Fulfilled::Stored);
    assert_eq!(ours.fulfil(our_ticket, bytes("ours"), PLAIN).await, Fulfilled::Fenced);
    for cache in [ours, theirs] {
        assert_eq!(cache.get(&K).await.unwrap().value, "theirs");
    }
}

/// A ticket older than the remote tier's memory of removals is not stored there.
#[tokio::test]
async fn a_ticket_is_void_once_removals_may_be_forgotten() {
    let world = World::new();
    let cache = world.process().cache;
    let Lookup::Miss(ticket) = cache.lookup(&K).await else { panic!("a hit") };
    world.clock.advance(world.remote.capabilities().fence_memory);
    let _ = cache.fulfil(ticket, bytes("v"), PLAIN).await;
    assert!(world.remote.get(&K).await.unwrap().entry.is_none());
}

/// A removal while the remote tier is read: the fill that follows is void.
#[tokio::test]
async fn a_fill_does_not_outlive_a_remove() {
    let world = World::new();
    let _ = world.process().cache.insert(*K, bytes("old"), PLAIN).await;
    let process = world.process();
    // Every interleaving of a reader that is polled `polls` times before the removal.
    for polls in 0..6 {
        let mut reading = Box::pin(process.cache.get(&K));
        for _ in 0..polls {
            if poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx).is_ready())).await {
                break;
            }
        }
        process.cache.remove(&K).await.unwrap();
        if polls < 1 {
            reading.await;
        }
        assert!(process.cache.get(&K).await.is_none(), "after {polls} polls");
        let _ = world.process().cache.insert(*K, bytes("old"), PLAIN).await;
    }
}

/// F61: a removal that the remote tier did not confirm is an error, and memory is rid of the value.
#[tokio::test]
async fn a_failed_remove_says_so() {
    let world = World::new();
    let process = world.process();
    let _ = process.cache.insert(*K, bytes("v"), PLAIN).await;
    process.faults.fail(true);
    assert!(process.cache.remove(&K).await.unwrap_err().is_transient());
    assert!(process.cache.peek(&K).is_none());
    process.faults.fail(false);
    assert!(process.cache.remove(&K).await.unwrap(), "trying again helps");
    assert!(world.process().cache.get(&K).await.is_none());
}

/// A removal may be dropped at any await: memory never keeps the key.
#[tokio::test]
async fn a_dropped_remove_leaves_memory_without_the_key() {
    let process = World::new().process();
    for _ in 0..2 {
        let _ = process.cache.insert(*K, bytes("v"), PLAIN).await;
        process.faults.hang(true);
        let mut removing = Box::pin(process.cache.remove(&K));
        poll_fn(|cx| {
            assert!(removing.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(removing);
        process.faults.hang(false);
        assert!(process.cache.peek(&K).is_none());
    }
}

/// A removal is dropped while it waits for the remote tier. Nobody here reads the old value from there
/// any more, and in the end it is removed.
#[tokio::test]
async fn a_dropped_remove_is_brought_to_its_end() {
    let world = World::new();
    let _ = world.process().cache.insert(*K, bytes("old"), PLAIN).await;
    let process = world.process();
    process.faults.hang(true);
    let mut removing = Box::pin(process.cache.remove(&K));
    poll_fn(|cx| {
        assert!(removing.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    process.faults.hang(false);
    assert!(process.cache.get(&K).await.is_none());
    drop(removing);
    assert!(process.cache.get(&K).await.is_none());
    assert!(world.remote.get(&K).await.unwrap().entry.is_some(), "it was not told yet");
    assert_eq!(process.cache.health().await.owed, 1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.remote.get(&K).await.unwrap().entry.is_none());
    assert_eq!(process.cache.health().await.owed, 0);
}

/// A40, F17: whatever two writers do at once, both tiers end with the same value.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writers_leave_both_tiers_equal() {
    let world = World::new();
    let process = world.process();
    for round in 0..300 {
        let key = CacheKey::from_text(&format!("{round}"));
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let cache = process.cache.clone();
                let value = bytes(&format!("{writer}"));
                tokio::spawn(async move { cache.insert(key, value, PLAIN).await })
            })
            .collect();
        for writer in writers {
            let _ = writer.await.unwrap();
        }
        let remote = world.remote.get(&key).await.unwrap().entry.unwrap().value.bytes;
        assert_eq!(process.cache.peek(&key).unwrap().value, remote, "round {round}");
    }
}

/// A34 under fire: a source changes and is invalidated while many read through the cache. Nobody
/// who asks after the invalidation may see the value from before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_stale_value_survives_raced_keys() {
    const KEYS: u64 = 2_000;
    let world = World::new();
    let cache = world.process().cache;
    for n in 0..KEYS {
        let key = CacheKey::from_text(&format!("{n}"));
        let source = Arc::new(AtomicU64::new(0));
        let read = |cache: cache_dual::DualCache<Bytes>, source: Arc<AtomicU64>| async move {
            let fetch = || async {
                let seen = source.load(Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok::<_, Infallible>(bytes(&seen.to_string()))
            };
            cache.get_or_fetch(&key, fetch).await.unwrap().value
        };
        let readers: Vec<_> =
            (0..3).map(|_| tokio::spawn(read(cache.clone(), source.clone()))).collect();
        source.store(1, Ordering::SeqCst);
        cache.remove(&key).await.unwrap();
        assert_eq!(read(cache.clone(), source.clone()).await, "1", "key {n}");
        for reader in readers {
            reader.await.unwrap();
        }
        assert_eq!(cache.get(&key).await.unwrap().value, "1", "key {n}, after all");
        let remote = world.remote.get(&key).await.unwrap().entry;
        assert_eq!(remote.unwrap().value.bytes, "1", "key {n}, remotely");
    }
}

/// The clock moves on while a value is fetched: its life begins when it is stored (F21).
#[tokio::test]
async fn life_begins_when_the_value_is_there() {
    let world = World::new();
    let cache = world.process().cache;
    let fetch = || async {
        world.clock.advance(Duration::from_secs(30));
        Ok::<_, Infallible>(bytes("v"))
    };
    let outcome = cache.get_or_fetch(&K, fetch).await.unwrap();
    assert_eq!(outcome.remaining(cache.now()), common::TTL);
}
