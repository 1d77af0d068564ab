//! This crate alone is enough: nothing here names `cache_core`, whatever the signatures do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cache_redis::{
    BoxError, CacheKey, Capabilities, Clock, CodecId, ConfigError, Entry, Error, Fence,
    Invalidation, InvalidationBus, InvalidationStream, Lifetime, Lookup, Payload, PutFenced,
    RedisTier, RemoteTier, StoredEntry, SystemClock, Tag, TagStamp, Tags, Timestamp,
};

/// A clock of the caller's.
#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(1_000)
    }
}

fn entry(value: &'static str) -> StoredEntry {
    let payload = Payload { codec: CodecId::RAW, bytes: Bytes::from_static(value.as_bytes()) };
    let tags: Tags = [TagStamp { tag: Tag::named("t"), stamp: [0; 16] }].into_iter().collect();
    Entry::new(payload, SystemClock.now(), Lifetime::new(Duration::from_secs(60))).with_tags(tags)
}

/// Uses whatever a tier can do, by the types that it says.
async fn every_call(tier: &dyn RemoteTier) -> Result<(), Error> {
    let (key, described): (CacheKey, Capabilities) =
        (CacheKey::from_text("k"), tier.capabilities());
    assert_eq!(described.name, "redis");
    let Lookup { entry: _, fence } = tier.get(&key).await?;
    let put: PutFenced = tier.put_fenced(&key, &entry("v"), fence).await?;
    assert_eq!(put, PutFenced::Stored);
    tier.remove_if_equals(&key, Fence::ABSENT).await.map(drop)
}

/// Uses whatever a bus can do.
async fn every_message(bus: &dyn InvalidationBus) -> Result<Option<Invalidation>, Error> {
    let mut stream: Box<dyn InvalidationStream> = bus.subscribe().await?;
    bus.publish(Invalidation::Tag(Tag::named("t"))).await?;
    Ok(stream.next().await)
}

#[tokio::test]
async fn this_crate_alone_is_enough() -> Result<(), ConfigError> {
    // Nobody listens there: what is shown is that the calls can be written, and the errors named.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let tier = RedisTier::builder(&format!("redis://127.0.0.1:{port}"))?
        .clock(Arc::new(Fixed))
        .command_timeout(Duration::from_millis(50))
        .build()?;
    let unreachable = |error: Error| match error {
        Error::Unavailable { source, .. } => {
            let _: BoxError = source;
            true
        }
        error => error.is_transient(),
    };
    assert!(every_call(&tier).await.is_err_and(unreachable));
    assert!(every_message(&tier.bus()).await.is_err_and(unreachable));
    Ok(())
}
