//! Tags and clearing: one write invalidates any number of entries, in both tiers.

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache_core::RemoteTier;
use cache_dual::codec::Raw;
use cache_dual::{DualCache, Fulfilled, InsertOptions, Lookup, Source, Tag};
use common::{TTL, World, bytes, key};

const PLAIN: InsertOptions = InsertOptions::new();

fn tenant() -> Tag {
    Tag::named("tenant:acme")
}

fn model() -> Tag {
    Tag::named("model:small")
}

async fn put(cache: &DualCache<Bytes>, name: &str, tags: &[Tag]) {
    let _ = cache.query(&key(name)).tags(tags).insert(bytes(name), PLAIN).await;
}

async fn has(cache: &DualCache<Bytes>, name: &str) -> bool {
    cache.get(&key(name)).await.is_some()
}

/// A38: a tag takes its own with it, and nothing else, in memory and in the remote tier.
#[tokio::test]
async fn a_tag_takes_its_own() {
    let world = World::new();
    let cache = world.process().cache;
    put(&cache, "both", &[tenant(), model()]).await;
    put(&cache, "tenant", &[tenant()]).await;
    put(&cache, "model", &[model()]).await;
    put(&cache, "none", &[]).await;
    cache.remove_tag(&tenant()).await.unwrap();
    for cache in [&cache, &world.process().cache] {
        assert!(!has(cache, "both").await && !has(cache, "tenant").await);
        assert!(has(cache, "model").await && has(cache, "none").await);
    }
    put(&cache, "tenant", &[tenant()]).await;
    assert!(has(&cache, "tenant").await && has(&world.process().cache, "tenant").await);
}

/// What holds is checked once after an invalidation, and is in memory as before.
#[tokio::test]
async fn what_holds_stays_in_memory() {
    let process = World::new().process();
    put(&process.cache, "a", &[model()]).await;
    process.cache.remove_tag(&tenant()).await.unwrap();
    let calls = process.faults.calls();
    for _ in 0..3 {
        assert_eq!(process.cache.get(&key("a")).await.unwrap().source, Source::L1);
    }
    assert_eq!(process.faults.calls(), calls, "nobody had to be asked");
}

/// A37, F16: clearing takes everything in both tiers, for processes of later too, and nothing of
/// another namespace.
#[tokio::test]
async fn clearing_takes_all_of_a_namespace() {
    let world = World::new();
    let in_namespace = |name: &str| -> DualCache<Bytes> {
        let name = name.to_owned();
        DualCache::builder()
            .remote(world.remote.clone(), Raw)
            .clock(world.clock.clone())
            .tune(|options| options.namespace = name)
            .build()
            .unwrap()
    };
    let (chat, embeddings) = (in_namespace("chat"), in_namespace("embeddings"));
    put(&chat, "a", &[model()]).await;
    put(&chat, "b", &[]).await;
    put(&embeddings, "c", &[model()]).await;
    chat.clear().await.unwrap();
    for chat in [&chat, &in_namespace("chat")] {
        assert!(!has(chat, "a").await && !has(chat, "b").await);
    }
    assert!(has(&embeddings, "c").await && has(&in_namespace("embeddings"), "c").await);
    chat.remove_tag(&model()).await.unwrap();
    assert!(has(&embeddings, "c").await, "a tag of one namespace means nothing to another");
    put(&chat, "a", &[]).await;
    assert!(has(&chat, "a").await && has(&in_namespace("chat"), "a").await);
}

/// A34: what was being fetched when its tag was invalidated is handed to who asked before, and to
/// nobody else.
#[tokio::test]
async fn a_fetch_does_not_outlive_its_tag() {
    for clears in [false, true] {
        let world = World::new();
        let cache = world.process().cache;
        let k = key("k");
        let tags = [tenant()];
        let gate = tokio::sync::Notify::new();
        let fetching = cache.query(&k).tags(&tags).get_or_fetch(|| async {
            gate.notified().await;
            Ok::<_, Infallible>(bytes("old"))
        });
        let invalidating = async {
            if clears {
                cache.clear().await.unwrap();
            } else {
                cache.remove_tag(&tenant()).await.unwrap();
            }
            let fetch = || async { Ok::<_, Infallible>(bytes("new")) };
            let new = cache.query(&k).tags(&tags).get_or_fetch(fetch).await.unwrap();
            assert_eq!((new.value, new.source), (bytes("new"), Source::Origin));
            gate.notify_one();
        };
        let (old, ()) = tokio::join!(fetching, invalidating);
        assert_eq!(old.unwrap().value, bytes("old"));
        for cache in [&cache, &world.process().cache] {
            assert!(cache.get(&k).await.is_none_or(|hit| hit.value == "new"), "clears: {clears}");
        }
    }
}

/// A34: the same with a ticket, whoever invalidates.
#[tokio::test]
async fn a_ticket_does_not_outlive_its_tag() {
    let world = World::new();
    let (here, there) = (world.process().cache, world.process().cache);
    for (by, is_here) in [(&here, true), (&there, false)] {
        let k = key("k");
        let tags = [tenant()];
        let Lookup::Miss(ticket) = here.query(&k).tags(&tags).lookup().await else { panic!() };
        by.remove_tag(&tenant()).await.unwrap();
        let _ = here.fulfil(ticket, bytes("old"), PLAIN).await;
        assert!(
            world.process().cache.get(&k).await.is_none(),
            "it was fetched under another stamp"
        );
        world.clock.advance(Duration::from_secs(2)); // past `recheck`
        if is_here {
            assert!(here.get(&k).await.is_none());
        }
        here.remove(&k).await.unwrap();
    }
}

/// Without a bus, another process notices within `recheck` where it asks the remote tier at all.
#[tokio::test]
async fn another_process_reads_nothing_old_after_a_while() {
    let world = World::new();
    let (here, there) = (world.process().cache, world.process().cache);
    put(&here, "a", &[tenant()]).await;
    put(&there, "b", &[tenant()]).await; // `there` knows the tag now
    here.remove_tag(&tenant()).await.unwrap();
    world.clock.advance(Duration::from_secs(2));
    assert!(!has(&there, "a").await);
}

/// A Redis that lost a stamp, or all of its memory, does not bring back what was invalidated: stamps are
/// never used again.
#[tokio::test]
async fn a_lost_stamp_revives_nothing() {
    let world = World::new();
    let cache = world.process().cache;
    put(&cache, "a", &[tenant()]).await;
    let k = key("a");
    let kept = world.remote.get(&k).await.unwrap().entry.expect("it is stored");
    cache.remove_tag(&tenant()).await.unwrap();
    world.remote.purge().await.unwrap();
    world.remote.put(&k, &kept).await.unwrap(); // as if only the stamps had been evicted
    assert!(!has(&world.process().cache, "a").await);
    assert!(!has(&cache, "a").await);
}

/// The same where the process that meets the loss does not know of the change.
#[tokio::test]
async fn who_missed_a_change_does_not_undo_it_when_the_stamp_is_lost() {
    let world = World::new();
    let (here, there) = (world.process().cache, world.process().cache);
    let k = key("a");
    put(&here, "a", &[tenant()]).await;
    put(&there, "b", &[tenant()]).await; // `there` knows the stamp of now
    let kept = world.remote.get(&k).await.unwrap().entry.expect("it is stored");
    here.remove_tag(&tenant()).await.unwrap();
    world.remote.purge().await.unwrap();
    world.remote.put(&k, &kept).await.unwrap();
    world.clock.advance(Duration::from_secs(2)); // past `recheck`: `there` asks, and finds no stamp
    put(&there, "c", &[tenant()]).await;
    assert!(!has(&there, "a").await && !has(&world.process().cache, "a").await);
    assert!(has(&world.process().cache, "c").await);
}

/// A61: tags do not make a dead remote tier cost more: one deadline a lookup, and everything works in
/// memory.
#[tokio::test(start_paused = true)]
async fn tags_work_in_memory_while_the_remote_tier_is_out() {
    let process = World::new().process();
    process.faults.hang(true);
    let cache = &process.cache;
    let started = tokio::time::Instant::now();
    let tags = [tenant()];
    let fetch = || async { Ok::<_, Infallible>(bytes("v")) };
    cache.query(&key("a")).tags(&tags).get_or_fetch(fetch).await.unwrap();
    assert!(started.elapsed() <= Duration::from_millis(100), "{:?}", started.elapsed());
    assert!(has(cache, "a").await);
    assert!(cache.remove_tag(&tenant()).await.is_err(), "F61: it says that others do not know");
    assert!(!has(cache, "a").await);
    let fetched = cache.query(&key("a")).tags(&tags).get_or_fetch(fetch).await.unwrap();
    assert_eq!(fetched.source, Source::Origin);
    assert!(has(cache, "a").await);
    assert_eq!(process.cache.health().await.owed, 1, "they are told later");
}

/// An invalidation that the remote tier did not take is made up for, and until then nothing old is
/// read from it.
#[tokio::test]
async fn what_the_remote_tier_missed_is_made_up_for() {
    let world = World::new();
    let process = world.process();
    put(&process.cache, "a", &[tenant()]).await;
    put(&process.cache, "b", &[]).await;
    process.faults.fail(true);
    assert!(process.cache.remove_tag(&tenant()).await.is_err());
    assert!(process.cache.remove(&key("b")).await.is_err());
    process.faults.fail(false);
    for name in ["a", "b"] {
        assert!(!has(&process.cache, name).await, "{name} is still in the remote tier");
    }
    assert!(has(&world.process().cache, "a").await, "others were not told yet");
    let start = std::time::Instant::now();
    while process.cache.health().await.owed > 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "it is never made up for");
        world.clock.advance(Duration::from_secs(1)); // the breaker probes
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for name in ["a", "b"] {
        assert!(!has(&world.process().cache, name).await, "{name}");
        assert!(!has(&process.cache, name).await, "{name}");
    }
}

/// Any number of tags can be invalidated: what is remembered of them is bounded, and what is forgotten
/// is not taken for valid.
#[tokio::test]
async fn tags_are_remembered_in_bounded_space() {
    let cache: DualCache<Bytes> = DualCache::builder()
        .tune(|options| options.ttl = TTL)
        .tune(|options| options.known_tags = 100)
        .build()
        .unwrap();
    let named = |n: u32| Tag::named(&format!("conversation:{n}"));
    for n in 0..50 {
        put(&cache, &format!("{n}"), &[named(n)]).await;
    }
    for n in 0..5_000 {
        cache.remove_tag(&named(n)).await.unwrap();
    }
    for n in 0..50 {
        assert!(!has(&cache, &format!("{n}")).await, "{n}");
    }
    put(&cache, "kept", &[named(60)]).await;
    for n in 100..5_000 {
        cache.remove_tag(&named(n)).await.unwrap();
    }
    assert!(has(&cache, "kept").await, "nobody invalidated it");
    put(&cache, "new", &[named(1)]).await;
    assert!(has(&cache, "new").await);
    let fetched = cache.query(&key("f")).tags(&[named(2)]).lookup().await;
    let Lookup::Miss(ticket) = fetched else { panic!("a hit") };
    assert_eq!(cache.fulfil(ticket, bytes("f"), PLAIN).await, Fulfilled::Stored);
    assert!(has(&cache, "f").await);
}

/// Two processes that meet an unknown tag at once agree on its stamp.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn new_tags_are_agreed_on() {
    let world = Arc::new(World::new());
    for round in 0..100 {
        let tag = Tag::named(&format!("{round}"));
        let tasks: Vec<_> = (0..4)
            .map(|n| {
                let world = Arc::clone(&world);
                tokio::spawn(async move {
                    let cache = world.process().cache;
                    put(&cache, &format!("{round} {n}"), &[tag]).await;
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let reader = world.process().cache;
        for n in 0..4 {
            assert!(has(&reader, &format!("{round} {n}")).await, "round {round}, writer {n}");
        }
    }
}

/// Steady invalidation of some tags does not keep others from being read from the remote tier, nor does
/// listening that begins in the middle of the first lookup.
#[tokio::test]
async fn lookups_are_not_disturbed_by_other_tags() {
    let world = World::new();
    put(&world.process().cache, "a", &[model()]).await;
    let reader = world.process().cache;
    let busy = async {
        for n in 0..200_u32 {
            reader.remove_tag(&Tag::named(&format!("other {n}"))).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let reading = async {
        tokio::task::yield_now().await;
        has(&reader, "a").await
    };
    let ((), found) = tokio::join!(busy, reading);
    assert!(found);
}
