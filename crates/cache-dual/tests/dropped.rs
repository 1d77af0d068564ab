//! A45, F22: every future is dropped at every await point. Nothing hangs, nothing leaks, nothing stale is
//! served, and both tiers agree.
#![allow(clippy::unwrap_used, reason = "what a test's helper unwraps is what it expects")]

mod common;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cache_core::{Clock as _, CodecId, Entry, Lifetime, Payload, RemoteTier};
use cache_dual::codec::Raw;
use cache_dual::{CacheKey, DualCache, InsertOptions, LeaseOptions, Lookup, Tag, WriteMode};
use common::steps::Stepped;
use common::{Refused, TTL, World, bytes, key, polled};

const PLAIN: InsertOptions = InsertOptions::new();

/// More polls than any call here takes.
const MOST: usize = 60;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Plain,
    Queued,
    Leased,
    Hedged,
}

const KINDS: [Kind; 4] = [Kind::Plain, Kind::Queued, Kind::Leased, Kind::Hedged];

fn cache(world: &World, kind: Kind) -> DualCache<Bytes> {
    DualCache::builder()
        .remote(Arc::new(Stepped(Arc::clone(&world.remote))), Raw)
        .clock(world.clock.clone())
        .tune(|options| options.ttl = TTL)
        .tune(|options| match kind {
            Kind::Plain => {}
            Kind::Queued => options.writes = WriteMode::Queued { capacity: 10 },
            Kind::Leased => {
                let (ttl, wait) = (Duration::from_secs(5), Duration::from_secs(2));
                options.lease = Some(LeaseOptions { ttl, wait });
            }
            Kind::Hedged => options.hedge_after = Some(Duration::ZERO),
        })
        .build()
        .unwrap()
}

/// Waits, on a paused clock, until whatever goes on in the background is over.
async fn quiet(cache: &DualCache<Bytes>) {
    tokio::time::sleep(Duration::from_secs(30)).await;
    let health = cache.health().await;
    assert_eq!((health.owed, health.queued, cache.in_flight()), (0, 0, 0));
}

async fn value(cache: &DualCache<Bytes>, key: &CacheKey) -> Option<Bytes> {
    cache.get(key).await.map(|hit| hit.value)
}

/// Invalidations: once begun, they come to their end.
#[tokio::test(start_paused = true)]
async fn dropped_invalidations_are_brought_to_their_end() {
    for kind in [Kind::Plain, Kind::Queued] {
        for way in ["remove", "remove_many", "remove_tag", "clear", "withdraw"] {
            let mut ended = false;
            for polls in 1..MOST {
                let world = World::new();
                let cache = cache(&world, kind);
                let (k, tag) = (key("k"), Tag::named("t"));
                let _ = cache.query(&k).tags(&[tag]).insert(bytes("old"), PLAIN).await;
                quiet(&cache).await;
                let keys = [k, key("other")];
                ended = match way {
                    "remove" => polled(polls, cache.remove(&k)).await,
                    "remove_many" => polled(polls, cache.remove_many(&keys)).await,
                    "remove_tag" => polled(polls, cache.remove_tag(&tag)).await,
                    "clear" => polled(polls, cache.clear()).await,
                    // A later value in memory only takes the old one from the remote tier.
                    _ => {
                        let options = PLAIN.tiers(cache_dual::Tiers::Memory);
                        if !polled(polls, cache.insert(k, bytes("new"), options)).await {
                            continue; // of a dropped insert, the old value or the new one is left
                        }
                        true
                    }
                };
                let at_once = value(&cache, &k).await;
                assert!(at_once.is_none_or(|v| v == "new"), "{kind:?} {way} {polls}, at once");
                quiet(&cache).await;
                for cache in [&cache, &self::cache(&world, Kind::Plain)] {
                    let left = value(cache, &k).await;
                    assert!(left.is_none_or(|v| v == "new"), "{kind:?} {way} {polls}");
                }
                if ended {
                    break;
                }
            }
            assert!(ended, "{kind:?} {way}");
        }
    }
}

/// Writes leave the old value or the new one, the same everywhere.
#[tokio::test(start_paused = true)]
async fn dropped_writes_leave_both_tiers_equal() {
    for kind in [Kind::Plain, Kind::Queued] {
        for way in ["insert", "fulfil", "replace"] {
            let mut ended = false;
            for polls in 1..MOST {
                let world = World::new();
                let cache = cache(&world, kind);
                let k = key("k");
                if way != "fulfil" {
                    let _ = cache.insert(k, bytes("old"), PLAIN).await;
                    quiet(&cache).await;
                }
                ended = match way {
                    "insert" => polled(polls, cache.insert(k, bytes("new"), PLAIN)).await,
                    "replace" => {
                        let ticket = cache.ticket(&k).await;
                        polled(polls, cache.fulfil(ticket, bytes("new"), PLAIN)).await
                    }
                    _ => {
                        let Lookup::Miss(ticket) = cache.lookup(&k).await else { panic!("a hit") };
                        polled(polls, cache.fulfil(ticket, bytes("new"), PLAIN)).await
                    }
                };
                quiet(&cache).await;
                let here = value(&cache, &k).await;
                let there = value(&self::cache(&world, Kind::Plain), &k).await;
                if ended {
                    assert_eq!(here.unwrap(), "new", "{kind:?} {way} {polls}");
                    assert_eq!(there.unwrap(), "new", "{kind:?} {way} {polls}");
                    break;
                }
                let is_kept = here.as_ref().is_none_or(|v| v == "new");
                assert!(here == there || is_kept, "{kind:?} {way} {polls}: {here:?}, {there:?}");
            }
            assert!(ended, "{kind:?} {way}");
        }
    }
}

/// The leader goes away at any point: somebody else leads, with at most one more fetch.
#[tokio::test(start_paused = true)]
async fn dropped_leaders_hand_over() {
    for kind in KINDS {
        for many in [false, true] {
            for tagged in [false, true] {
                let mut ended = false;
                for polls in 1..MOST {
                    let world = World::new();
                    let cache = cache(&world, kind);
                    let (k, tag) = (key("k"), Tag::named("t"));
                    let tags: &[Tag] = if tagged { &[tag] } else { &[] };
                    let calls = AtomicU64::new(0);
                    let fetch = || async {
                        calls.fetch_add(1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        Ok::<_, Refused>(bytes("v"))
                    };
                    let fetch_many = |keys: Vec<CacheKey>| async {
                        fetch().await?;
                        let value = |k| (k, bytes("v"));
                        Ok::<HashMap<_, _>, Refused>(keys.into_iter().map(value).collect())
                    };
                    let following = cache.query(&k).tags(tags).get_or_fetch(fetch);
                    let mut has_followed = false;
                    let mut following = Box::pin(async {
                        tokio::task::yield_now().await; // the other one leads
                        following.await
                    });
                    {
                        let keys = [k, key("more")];
                        let mut leading: std::pin::Pin<Box<dyn Future<Output = ()>>> = if many {
                            Box::pin(async {
                                drop(cache.get_or_fetch_many(&keys, fetch_many).await);
                            })
                        } else {
                            Box::pin(async {
                                drop(cache.query(&k).tags(tags).get_or_fetch(fetch).await);
                            })
                        };
                        for _ in 0..polls {
                            ended = std::future::poll_fn(|cx| {
                                let ended = leading.as_mut().poll(cx).is_ready();
                                if !has_followed {
                                    has_followed = following.as_mut().poll(cx).is_ready();
                                }
                                std::task::Poll::Ready(ended)
                            })
                            .await;
                            if ended {
                                break;
                            }
                            tokio::task::yield_now().await;
                        }
                        drop(leading);
                    }
                    drop(following);
                    let asked = cache.query(&k).tags(tags).get_or_fetch(fetch);
                    let asked = tokio::time::timeout(Duration::from_secs(10), asked).await;
                    let asked = asked.expect("nothing hangs").unwrap();
                    assert_eq!(asked.value, "v");
                    assert!(calls.load(Ordering::SeqCst) <= 3, "{kind:?} {many} {tagged} {polls}");
                    quiet(&cache).await;
                    assert_eq!(value(&cache, &k).await.unwrap(), "v");
                    if ended {
                        break;
                    }
                }
                assert!(ended, "{kind:?} {many} {tagged}");
            }
        }
    }
}

/// Lookups, followers and tickets leave nothing behind.
#[tokio::test(start_paused = true)]
async fn dropped_reads_leave_nothing() {
    for kind in KINDS {
        for way in ["get", "get_many", "follow", "ticket", "ttl", "warm"] {
            let mut ended = false;
            for polls in 1..MOST {
                let world = World::new();
                let cache = cache(&world, kind);
                let k = key("k");
                let payload = Payload { codec: CodecId::RAW, bytes: bytes("foreign") };
                let entry = Entry::new(payload, world.clock.now(), Lifetime::new(TTL));
                world.remote.put(&key("x"), &entry).await.unwrap();
                let _ = self::cache(&world, Kind::Plain).insert(k, bytes("v"), PLAIN).await;
                let keys = [k, key("x")];
                ended = match way {
                    "get" => polled(polls, cache.get(&k)).await,
                    "get_many" => polled(polls, cache.get_many(&keys)).await,
                    "ticket" => polled(polls, async { drop(cache.ticket(&k).await) }).await,
                    "ttl" => polled(polls, cache.ttl(&k)).await,
                    "warm" => polled(polls, cache.warm_from_remote(&keys)).await,
                    _ => {
                        let fetch =
                            || async { Err::<Bytes, _>(Refused { status: 1, retry_after: 0 }) };
                        let both = async {
                            tokio::join!(
                                cache.get_or_fetch(&k, fetch),
                                cache.get_or_fetch(&k, fetch)
                            )
                        };
                        polled(polls, both).await
                    }
                };
                quiet(&cache).await;
                cache.remove(&k).await.unwrap();
                assert!(value(&cache, &k).await.is_none(), "{kind:?} {way} {polls}");
                if ended {
                    break;
                }
            }
            assert!(ended, "{kind:?} {way}");
        }
    }
}
