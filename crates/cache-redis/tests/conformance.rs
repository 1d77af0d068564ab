//! A72: the contract, against a real server: plain, and through both pointers to `dyn`.

mod common;

use std::sync::{Arc, Once};

use bytes::Bytes;
use cache_conformance::{Harness, foreign_bytes_suite, remote_tier_suite};
use cache_core::RemoteTier;
use cache_redis::{RedisBuilder, RedisTier};
use testbed::redis::{self, RedisServer};

/// A server for one case. Without `redis-server` all cases are skipped, which is said once.
fn server() -> Option<Arc<RedisServer>> {
    static SAID: Once = Once::new();
    if redis::available().is_none() {
        SAID.call_once(|| drop(redis::server_or_skip("cache-redis/conformance")));
        return None;
    }
    redis::server_or_skip("cache-redis/conformance").map(Arc::new)
}

fn with<T: RemoteTier>(wrap: impl FnOnce(RedisTier) -> T) -> Option<Harness<T>> {
    built(|builder| wrap(builder.build().expect("valid options")))
}

fn built<T: RemoteTier>(build: impl FnOnce(RedisBuilder) -> T) -> Option<Harness<T>> {
    let server = server()?;
    let planter = Arc::clone(&server);
    let tier = build(common::builder(&server));
    let harness =
        Harness::with_own_clock(tier).keeping(server).plant_with(move |key, bytes: Bytes| {
            let server = Arc::clone(&planter);
            async move { common::plant(&server, &common::name("llmcache", &key), &bytes).await }
        });
    Some(harness)
}

#[cfg(feature = "encryption")]
fn encrypted(builder: RedisBuilder) -> RedisTier {
    let keys = cache_redis::KeyRing::new(cache_redis::KeyId(1), [1; 32]);
    builder.encrypt(keys).build().expect("valid options")
}

remote_tier_suite!(plain, with(|tier| tier));
remote_tier_suite!(in_arc, with(|tier| -> Arc<dyn RemoteTier> { Arc::new(tier) }));
remote_tier_suite!(in_box, with(|tier| -> Box<dyn RemoteTier> { Box::new(tier) }));
foreign_bytes_suite!(foreign, with(|tier| tier));
#[cfg(feature = "encryption")]
remote_tier_suite!(encrypted, built(encrypted));
