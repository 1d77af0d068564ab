//! A114: what a listener is told, in the order of each key.
#![allow(clippy::unwrap_used, reason = "what a test's helper unwraps is what it expects")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cache_dual::{DualCache, Event, InsertOptions, ManualClock, Source, Tag};
use common::{Refused, bytes, key};

const PLAIN: InsertOptions = InsertOptions::new();

type Heard = Arc<Mutex<Vec<Event>>>;

fn heard_by(entries: u64) -> (DualCache<Bytes>, Arc<ManualClock>, Heard) {
    let (clock, heard) = (Arc::new(ManualClock::default()), Heard::default());
    let list = Arc::clone(&heard);
    let cache = DualCache::builder()
        .clock(clock.clone())
        .listener(move |event| list.lock().unwrap().push(*event))
        .tune(|options| options.max_entries = entries)
        .build()
        .unwrap();
    (cache, clock, heard)
}

#[tokio::test]
async fn events_of_a_key_come_in_order() {
    let (cache, clock, heard) = heard_by(100);
    let key = key("k");
    cache.get_or_fetch(&key, || async { Ok::<_, Refused>(bytes("v")) }).await.unwrap();
    let _ = cache.get(&key).await;
    cache.remove(&key).await.unwrap();
    let _ = cache.get(&key).await;
    let _ = cache.insert(key, bytes("v"), PLAIN.ttl(Duration::from_secs(1))).await;
    let hit = Event::Hit { key, source: Source::L1 };
    let (miss, set, delete) = (Event::Miss { key }, Event::Set { key }, Event::Delete { key });
    assert_eq!(*heard.lock().unwrap(), [miss, set, hit, delete, miss, set]);
    heard.lock().unwrap().clear();
    clock.advance(Duration::from_secs(2));
    let _ = cache.get(&key).await;
    cache.clear().await.unwrap();
    cache.remove_tag(&Tag::named("t")).await.unwrap();
    let heard = heard.lock().unwrap();
    assert!(heard.contains(&Event::Clear) && heard.contains(&miss), "{heard:?}");
    assert!(matches!(heard.last(), Some(Event::Invalidate { .. })), "{heard:?}");
}

#[tokio::test]
async fn evictions_are_told() {
    let (cache, _clock, heard) = heard_by(10);
    for n in 0..100 {
        let _ = cache.insert(key(&n.to_string()), bytes("v"), PLAIN).await;
    }
    let evicted = |event: &&Event| matches!(event, Event::Evict { .. });
    let count = heard.lock().unwrap().iter().filter(evicted).count();
    assert!(count as u64 >= 90 - 10, "{count}");
}

/// A listener may panic, and may use the cache.
#[tokio::test]
async fn a_listener_may_do_what_it_wants() {
    let slot: Arc<Mutex<Option<DualCache<Bytes>>>> = Arc::default();
    let inside = Arc::clone(&slot);
    let cache: DualCache<Bytes> = DualCache::builder()
        .listener(move |event| {
            let cache = inside.lock().unwrap().clone();
            if let (Some(cache), Event::Set { key }) = (cache, event) {
                assert!(cache.peek(key).is_some());
                panic!("on purpose");
            }
        })
        .build()
        .unwrap();
    *slot.lock().unwrap() = Some(cache.clone());
    for _ in 0..2 {
        cache.get_or_fetch(&key("k"), || async { Ok::<_, Refused>(bytes("v")) }).await.unwrap();
        let _ = cache.insert(key("k"), bytes("w"), PLAIN).await;
        assert_eq!(cache.get(&key("k")).await.unwrap().value, "w");
    }
    *slot.lock().unwrap() = None;
}
