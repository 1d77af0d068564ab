//! Two tiers that behave as one.

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use cache_core::{Entry, Lifetime, LocalTier, Payload, RemoteTier};
use cache_dual::codec::{Bincode, Raw};
use cache_dual::{
    BreakerOptions, BuildError, Clock, CodecId, DualCache, Fetched, Fulfilled, InsertOptions,
    Inserted, Lookup, ManualClock, Source,
};
use common::{TTL, World, bytes, key};

/// A17: a miss is stored; a fresh process hits L2 once, then its own memory.
#[tokio::test]
async fn a_fresh_process_finds_l2_then_l1() {
    let world = World::new();
    let first = world.process().cache;
    assert!(first.get(&key("k")).await.is_none());
    let fetched =
        first.get_or_fetch(&key("k"), || async { Ok::<_, Infallible>(bytes("v")) }).await.unwrap();
    assert_eq!(fetched.source, Source::Origin);
    assert_eq!(first.get(&key("k")).await.unwrap().source, Source::L1);

    let restarted = world.process().cache;
    for source in [Source::L2, Source::L1] {
        let outcome = restarted.get(&key("k")).await.unwrap();
        assert_eq!((outcome.value, outcome.source), (bytes("v"), source));
    }
}

/// A23, F13, F14: what a fill keeps is what is left, in both tiers, to the millisecond.
#[tokio::test]
async fn a_fill_keeps_the_remaining_life() {
    let world = World::new();
    let options = InsertOptions::default().ttl(Duration::from_millis(1500));
    assert_eq!(world.process().cache.insert(key("k"), bytes("v"), options).await, Inserted::Stored);

    world.clock.advance(Duration::from_secs(1));
    let late = world.process();
    let filled = late.cache.get(&key("k")).await.unwrap();
    let now = late.cache.now();
    assert_eq!(filled.age(now), Duration::from_secs(1));
    assert_eq!(filled.remaining(now), Duration::from_millis(500));

    world.clock.advance(Duration::from_millis(499));
    assert_eq!(late.cache.get(&key("k")).await.unwrap().source, Source::L1);
    world.clock.advance(Duration::from_millis(1));
    assert!(late.cache.get(&key("k")).await.is_none());
    assert!(world.process().cache.get(&key("k")).await.is_none());
}

/// A26: what the remote tier's clock holds to be alive is still absent once its time is up here.
#[tokio::test]
async fn a_slow_remote_clock_lengthens_no_life() {
    let world = World::new();
    let cache = DualCache::builder()
        .remote(world.remote.clone(), Raw)
        .clock(Arc::new(ManualClock::at(world.clock.now().saturating_add(TTL))))
        .build()
        .unwrap();
    let _ = world.process().cache.insert(key("k"), bytes("v"), InsertOptions::new()).await;
    assert!(world.remote.get(&key("k")).await.unwrap().entry.is_some());
    assert!(cache.get(&key("k")).await.is_none());
}

/// A24 as options: a fetch says how long its value is good.
#[tokio::test]
async fn a_fetch_sets_its_own_ttl() {
    let world = World::new();
    let cache = world.process().cache;
    let short = InsertOptions::default().ttl(Duration::from_secs(1));
    let fetch = || async { Ok::<_, Infallible>(Fetched::new(bytes("v")).options(short)) };
    let outcome = cache.get_or_fetch(&key("k"), fetch).await.unwrap();
    assert_eq!(outcome.remaining(cache.now()), Duration::from_secs(1));
    world.clock.advance(Duration::from_secs(1));
    assert!(cache.get(&key("k")).await.is_none());
}

/// What has no time to live is handed out and not kept.
#[tokio::test]
async fn a_ttl_of_zero_stores_nothing() {
    let world = World::new();
    let cache = world.process().cache;
    let never = InsertOptions::default().ttl(Duration::ZERO);
    let fetch = || async { Ok::<_, Infallible>(Fetched::new(bytes("v")).options(never)) };
    assert_eq!(cache.get_or_fetch(&key("k"), fetch).await.unwrap().value, "v");
    assert!(cache.get(&key("k")).await.is_none());
    assert!(world.remote.get(&key("k")).await.unwrap().entry.is_none());
}

/// A29: what another codec wrote is a counted miss, and is left alone.
#[tokio::test]
async fn an_entry_of_another_codec_is_a_counted_miss() {
    let world = World::new();
    let payload = Payload { codec: CodecId(99), bytes: bytes("?") };
    let foreign = Entry::new(payload, world.clock.now(), Lifetime::new(TTL));
    world.remote.put(&key("k"), &foreign).await.unwrap();
    let cache = world.process().cache;
    assert!(cache.get(&key("k")).await.is_none());
    let stats = cache.stats();
    assert_eq!((stats.misses, stats.l2.undecodable, stats.l2.errors), (1, 1, 0));
    assert!(world.remote.get(&key("k")).await.unwrap().entry.is_some());
}

/// A29: so is a payload that does not decode; the next fetch replaces it.
#[tokio::test]
async fn a_broken_payload_is_replaced_by_the_next_fetch() {
    let world = World::new();
    let broken = Payload { codec: CodecId::BINCODE, bytes: bytes("\u{7f}") };
    let entry = Entry::new(broken, world.clock.now(), Lifetime::new(TTL));
    world.remote.put(&key("k"), &entry).await.unwrap();
    let cache: DualCache<String> = DualCache::builder()
        .clock(world.clock.clone())
        .remote(world.remote.clone(), Bincode)
        .build()
        .unwrap();
    let fetch = || async { Ok::<_, Infallible>("whole".to_owned()) };
    assert_eq!(cache.get_or_fetch(&key("k"), fetch).await.unwrap().source, Source::Origin);
    let restarted: DualCache<String> = DualCache::builder()
        .clock(world.clock.clone())
        .remote(world.remote.clone(), Bincode)
        .build()
        .unwrap();
    assert_eq!(restarted.get(&key("k")).await.unwrap().value, "whole");
}

/// A32: hits share one allocation.
#[tokio::test]
async fn hits_share_one_allocation() {
    let cache: DualCache<Arc<str>> = DualCache::builder().build().unwrap();
    let value: Arc<str> = "v".into();
    let _ = cache.insert(key("k"), value.clone(), InsertOptions::default()).await;
    for _ in 0..2 {
        assert!(Arc::ptr_eq(&cache.get(&key("k")).await.unwrap().value, &value));
    }
}

/// A value heavier than memory may be still goes to the remote tier, and is found there.
#[tokio::test]
async fn what_is_too_heavy_for_memory_is_kept_remotely() {
    let world = World::new();
    let memory = cache_dual::LocalCache::local()
        .max_weight(10_000)
        .clock(world.clock.clone())
        .build()
        .unwrap();
    let cache = DualCache::builder()
        .memory(memory)
        .remote(world.remote.clone(), Raw)
        .clock(world.clock.clone())
        .weigher(|value: &bytes::Bytes| value.len() as u64)
        .build()
        .unwrap();
    let Lookup::Miss(ticket) = cache.lookup(&key("k")).await else { panic!("a hit") };
    let big = bytes(&"x".repeat(10_001));
    let fulfilled = cache.fulfil(ticket, big.clone(), InsertOptions::default()).await;
    assert_eq!(fulfilled, Fulfilled::TooHeavy);
    assert_eq!(cache.stats().l1.evictions.too_heavy, 1);
    let outcome = cache.get(&key("k")).await.unwrap();
    assert_eq!((outcome.value, outcome.source), (big, Source::L2));
}

/// A18: memory is bounded in bytes by an option, and texts and bytes weigh what they are long, whoever
/// brought them.
#[tokio::test]
async fn memory_is_bounded_in_bytes() {
    const BOUND: u64 = 64 << 10;
    let world = World::new();
    let writer = world.process().cache;
    for number in 0..100 {
        let _ = writer
            .insert(key(&number.to_string()), bytes(&"x".repeat(4_096)), InsertOptions::new())
            .await;
    }
    let cache = DualCache::builder()
        .tune(|options| options.max_weight = Some(BOUND))
        .remote(world.remote.clone(), Raw)
        .clock(world.clock.clone())
        .build()
        .unwrap();
    for number in 0..100 {
        assert!(cache.get(&key(&number.to_string())).await.is_some(), "it is kept remotely");
        assert!(cache.stats().l1.weight <= BOUND, "{:?}", cache.stats().l1);
    }
    assert!((8..16).contains(&cache.stats().l1.entries), "{:?}", cache.stats().l1);

    let texts = || {
        DualCache::<String>::builder()
            .tune(|options| options.max_weight = Some(BOUND))
            .build()
            .unwrap()
    };
    let texts = texts();
    for number in 0..100 {
        let _ =
            texts.insert(key(&number.to_string()), "x".repeat(4_096), InsertOptions::new()).await;
    }
    assert!((8..16).contains(&texts.stats().l1.entries), "{:?}", texts.stats().l1);

    let nothing =
        DualCache::<String>::builder().tune(|options| options.max_weight = Some(0)).build();
    assert!(matches!(nothing, Err(cache_dual::BuildError::Zero("max_weight"))));
}

/// A18: memory weighs what it fills itself with by its own measure, whatever the writer's was.
#[tokio::test]
async fn a_fill_is_weighed_here() {
    let world = World::new();
    let _ = world.process().cache.insert(key("k"), bytes("0123456789"), InsertOptions::new()).await;
    let memory = cache_dual::LocalCache::local().max_weight(1 << 20);
    let memory = memory.clock(world.clock.clone()).build().unwrap();
    let cache = DualCache::builder()
        .memory(memory.clone())
        .remote(world.remote.clone(), Raw)
        .clock(world.clock.clone())
        .weigher(|value: &bytes::Bytes| value.len() as u64 * 1000)
        .build()
        .unwrap();
    assert_eq!(cache.get(&key("k")).await.unwrap().source, Source::L2);
    assert!(memory.weight() >= 10_000, "{}", memory.weight());
}

/// A71: clones share state.
#[tokio::test]
async fn clones_share_state() {
    let cache = World::new().process().cache;
    let _ = cache.clone().insert(key("k"), bytes("v"), InsertOptions::default()).await;
    assert!(cache.get(&key("k")).await.is_some());
    assert_eq!(cache.clone().stats(), cache.stats());
}

/// A70: nothing keeps a dropped cache alive.
#[tokio::test]
async fn dropping_the_cache_frees_it() {
    let process = World::new().process();
    let value: Arc<str> = "v".into();
    let cache: DualCache<Arc<str>> = DualCache::builder().build().unwrap();
    let _ = cache.insert(key("k"), value.clone(), InsertOptions::default()).await;
    drop((process, cache));
    assert_eq!(Arc::strong_count(&value), 1);
}

/// A70: nor does the memory tier that was handed in outlive its last handle by accident.
#[tokio::test]
async fn memory_that_was_handed_in_is_the_one_in_use() {
    let process = World::new().process();
    let _ = process.cache.insert(key("k"), bytes("v"), InsertOptions::default()).await;
    assert_eq!(LocalTier::len(&process.memory), 1);
}

/// A116: options that make no sense are refused when the cache is built.
#[test]
fn senseless_options_are_refused() {
    let builder = DualCache::<bytes::Bytes>::builder;
    let zero = Duration::ZERO;
    let cases = [
        (builder().tune(|options| options.ttl = zero), BuildError::Zero("ttl")),
        (
            builder().tune(|options| options.remote_deadline = zero),
            BuildError::Zero("remote_deadline"),
        ),
        (
            builder().tune(|options| options.breaker = BreakerOptions::default().failures(0)),
            BuildError::Zero("breaker.failures"),
        ),
        (
            builder()
                .tune(|options| options.breaker = BreakerOptions::default().probe_interval(zero)),
            BuildError::Zero("breaker.probe_interval"),
        ),
    ];
    for (builder, expected) in cases {
        assert_eq!(builder.build().unwrap_err(), expected);
    }
}

/// A34, A73: many keys looked up at once: each counts once, and each miss has a ticket of its own that an
/// invalidation voids.
#[tokio::test]
async fn tickets_of_many_keys() {
    let cache = World::new().process().cache;
    let _ = cache.insert(key("a"), bytes("1"), InsertOptions::new()).await;
    let mut found = cache.lookup_many(&[key("a"), key("b"), key("c")], &[]).await.into_iter();
    assert!(matches!(found.next(), Some(Lookup::Hit(outcome)) if outcome.value == bytes("1")));
    cache.remove(&key("b")).await.unwrap();
    let mut stored = Vec::new();
    for lookup in found {
        let Lookup::Miss(ticket) = lookup else { panic!("{lookup:?}") };
        let options = InsertOptions::new().ttl(Duration::from_secs(5));
        stored.push(cache.fulfil(ticket, bytes("2"), options).await);
    }
    assert_eq!(stored, [Fulfilled::Fenced, Fulfilled::Stored]);
    assert_eq!(cache.ttl(&key("c")).await, Some(Duration::from_secs(5)));
    let stats = cache.stats();
    assert_eq!((stats.l1_hits, stats.misses), (1, 2));
}
