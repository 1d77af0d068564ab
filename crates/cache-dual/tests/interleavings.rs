//! A34, A36, A40: whatever the order of steps, nothing that began before an invalidation is seen after
//! it. All orders are tried, as far as there is time for.

mod common;

use std::cell::Cell;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache_core::RemoteTier;
use cache_dual::codec::Raw;
use cache_dual::{DetachedOptions, DualCache, DualOptions, InsertOptions, Lookup, Tag, WriteMode};
use common::steps::{Actor, Stepped, every_order, step};
use common::{TTL, World, bytes, key};

const PLAIN: InsertOptions = InsertOptions::new();

/// How many orders of each scenario are tried: some hundreds take a second. `INTERLEAVINGS` sets another
/// number.
fn most() -> usize {
    std::env::var("INTERLEAVINGS").map_or(500, |number| number.parse().expect("a number"))
}

fn tag() -> Tag {
    Tag::named("t")
}

fn cache(world: &World, change: impl FnOnce(&mut DualOptions)) -> DualCache<Bytes> {
    DualCache::builder()
        .remote(Arc::new(Stepped(Arc::clone(&world.remote))), Raw)
        .clock(world.clock.clone())
        .tune(|options| options.ttl = TTL)
        .tune(change)
        .build()
        .expect("valid options")
}

/// How a value is invalidated once the origin has another.
#[derive(Clone, Copy, Debug)]
enum By {
    Remove,
    RemoveMany,
    Tag,
    Clear,
    Insert,
}

const ALL: [By; 5] = [By::Remove, By::RemoveMany, By::Tag, By::Clear, By::Insert];

async fn invalidate(cache: &DualCache<Bytes>, origin: &Cell<&'static str>, by: By) {
    origin.set("new");
    match by {
        By::Remove => drop(cache.remove(&key("k")).await.expect("it is up")),
        By::RemoveMany => drop(cache.remove_many(&[key("k")]).await.expect("it is up")),
        By::Tag => cache.remove_tag(&tag()).await.expect("it is up"),
        By::Clear => cache.clear().await.expect("it is up"),
        By::Insert => {
            let query = &key("k");
            let _ = cache.query(query).tags(&[tag()]).insert(bytes("new"), PLAIN).await;
        }
    }
}

/// What this process and another one find by now is new, or nothing.
async fn check(world: &World, caches: &[&DualCache<Bytes>], what: &str) {
    let other = world.process().cache;
    for cache in caches.iter().copied().chain([&other]) {
        for _ in 0..2 {
            let actor: Actor<'_> = Box::pin(async {
                let found = cache.get(&key("k")).await.map(|hit| hit.value);
                assert!(found.as_ref().is_none_or(|value| value == "new"), "{what}: {found:?}");
            });
            drive(actor).await;
        }
    }
}

async fn drive(mut actor: Actor<'_>) {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    while actor.as_mut().poll(&mut cx).is_pending() {
        tokio::task::yield_now().await;
    }
}

async fn fetch(cache: &DualCache<Bytes>, origin: &Cell<&'static str>) {
    let ask = || async {
        step().await;
        let value = origin.get();
        step().await;
        Ok::<_, Infallible>(bytes(value))
    };
    let fetched = cache.query(&key("k")).tags(&[tag()]).get_or_fetch(ask).await;
    fetched.expect("the origin answers");
}

/// An invalidation against a fetch of the same process.
#[tokio::test(start_paused = true)]
async fn fetches() {
    for by in ALL {
        let runs = every_order(most(), async |schedule| {
            let world = World::new();
            let cache = cache(&world, |_| ());
            let origin = Cell::new("old");
            let actors: Vec<Actor<'_>> =
                vec![Box::pin(fetch(&cache, &origin)), Box::pin(invalidate(&cache, &origin, by))];
            schedule.drive(actors).await;
            check(&world, &[&cache], &format!("{by:?}")).await;
            assert_eq!(cache.in_flight(), 0);
        })
        .await;
        assert!(runs > 100, "{by:?}: {runs}");
    }
}

/// The same against a copy from the remote tier into memory.
#[tokio::test(start_paused = true)]
async fn fills() {
    for by in ALL {
        every_order(most(), async |schedule| {
            let world = World::new();
            let before = world.process().cache;
            let _ = before.query(&key("k")).tags(&[tag()]).insert(bytes("old"), PLAIN).await;
            let cache = cache(&world, |_| ());
            let origin = Cell::new("old");
            let actors: Vec<Actor<'_>> = vec![
                Box::pin(async { drop(cache.get(&key("k")).await) }),
                Box::pin(invalidate(&cache, &origin, by)),
            ];
            schedule.drive(actors).await;
            check(&world, &[&cache], &format!("{by:?}")).await;
        })
        .await;
    }
}

/// The same against a ticket: looked up, fetched, handed in.
#[tokio::test(start_paused = true)]
async fn tickets() {
    for by in ALL {
        every_order(most(), async |schedule| {
            let world = World::new();
            let cache = cache(&world, |_| ());
            let origin = Cell::new("old");
            let k = key("k");
            let streaming = async {
                let tags = [tag()];
                if let Lookup::Miss(ticket) = cache.query(&k).tags(&tags).lookup().await {
                    let value = origin.get();
                    step().await;
                    let _ = cache.fulfil(ticket, bytes(value), PLAIN).await;
                }
            };
            let actors: Vec<Actor<'_>> =
                vec![Box::pin(streaming), Box::pin(invalidate(&cache, &origin, by))];
            schedule.drive(actors).await;
            check(&world, &[&cache], &format!("{by:?}")).await;
        })
        .await;
    }
}

/// The same against a refresh behind a stale hit, which is a task.
#[tokio::test(start_paused = true)]
async fn refreshes() {
    for by in ALL {
        every_order(most(), async |schedule| {
            let world = World::new();
            let cache = cache(&world, |options| options.grace = TTL);
            let at_once = DetachedOptions::new().soft_timeout(Duration::ZERO);
            let origin = Arc::new(parking_lot::Mutex::new("old"));
            let k = key("k");
            drive(Box::pin(async {
                let _ = cache.query(&k).tags(&[tag()]).insert(bytes("old"), PLAIN).await;
            }))
            .await;
            world.clock.advance(TTL);
            let refreshing = async {
                let origin = Arc::clone(&origin);
                let tags = [tag()];
                let asked =
                    cache.query(&k).tags(&tags).get_or_fetch_detached(at_once, || async move {
                        let value = *origin.lock();
                        step().await;
                        Ok::<_, Infallible>(bytes(value))
                    });
                asked.await.expect("there is a stale value");
            };
            let invalidating = async {
                *origin.lock() = "new";
                invalidate(&cache, &Cell::new(""), by).await;
            };
            schedule.drive(vec![Box::pin(refreshing), Box::pin(invalidating)]).await;
            while cache.in_flight() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            check(&world, &[&cache], &format!("{by:?}")).await;
        })
        .await;
    }
}

/// The same against writes that are queued.
#[tokio::test(start_paused = true)]
async fn queued_writes() {
    for by in ALL {
        every_order(most(), async |schedule| {
            let world = World::new();
            let queued = cache(&world, |options| {
                options.writes = WriteMode::Queued { capacity: 100 };
            });
            let origin = Cell::new("old");
            let writing = async {
                let k = key("k");
                let _ = queued.query(&k).tags(&[tag()]).insert(bytes("old"), PLAIN).await;
            };
            drive(Box::pin(writing)).await;
            let actors: Vec<Actor<'_>> = vec![
                Box::pin(async {
                    for _ in 0..4 {
                        step().await;
                    }
                    drop(queued.get(&key("k")).await);
                }),
                Box::pin(async {
                    step().await;
                    step().await;
                    invalidate(&queued, &origin, by).await;
                }),
            ];
            schedule.drive(actors).await;
            while queued.health().await.queued > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            check(&world, &[&queued], &format!("{by:?}")).await;
        })
        .await;
    }
}

/// A40: two writers leave both tiers with the same value.
#[tokio::test(start_paused = true)]
async fn two_writers() {
    every_order(most(), async |schedule| {
        let world = World::new();
        let cache = cache(&world, |_| ());
        let k = key("k");
        let write = async |value: &str| {
            let _ = cache.insert(k, bytes(value), PLAIN).await;
        };
        schedule.drive(vec![Box::pin(write("a")), Box::pin(write("b"))]).await;
        let near = cache.peek(&k).map(|hit| hit.value);
        let far = world.remote.get(&k).await.expect("it is up").entry.expect("it is stored");
        assert!(near.is_none_or(|near| near == far.value.bytes), "the tiers differ");
    })
    .await;
}

/// A fetch, a reader and an invalidation at once: more orders than can be tried, so the first of them.
#[tokio::test(start_paused = true)]
async fn three_at_once() {
    for by in ALL {
        every_order(most(), async |schedule| {
            let world = World::new();
            let cache = cache(&world, |_| ());
            let origin = Cell::new("old");
            let actors: Vec<Actor<'_>> = vec![
                Box::pin(fetch(&cache, &origin)),
                Box::pin(fetch(&cache, &origin)),
                Box::pin(invalidate(&cache, &origin, by)),
            ];
            schedule.drive(actors).await;
            check(&world, &[&cache], &format!("{by:?}")).await;
            assert_eq!(cache.in_flight(), 0);
        })
        .await;
    }
}
