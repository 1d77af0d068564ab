//! A72: the contract, against real servers: plain, through both pointers to `dyn`, in a Cluster, and over
//! TLS.

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};

use bytes::Bytes;
use cache_conformance::{Harness, foreign_bytes_suite, remote_tier_suite};
use cache_core::RemoteTier;
use cache_redis::{RedisBuilder, RedisTier, Tls};
use testbed::redis::{self, Certificates, RedisCluster, RedisServer, RedisServerOptions};

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

/// One Cluster for all cases that run at a time: it takes seconds to form.
fn cluster() -> Option<Arc<RedisCluster>> {
    static SHARED: Mutex<Weak<RedisCluster>> = Mutex::new(Weak::new());
    redis::available()?; // said by `server`
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = shared.upgrade() {
        return Some(running);
    }
    let started = Arc::new(redis::cluster_or_skip("cache-redis/conformance")?);
    *shared = Arc::downgrade(&started);
    Some(started)
}

fn clustered() -> Option<Harness<RedisTier>> {
    static NAMESPACES: AtomicU32 = AtomicU32::new(0);
    let cluster = cluster()?;
    let prefix = format!("case {}", NAMESPACES.fetch_add(1, Ordering::Relaxed));
    let tier = RedisTier::cluster(cluster.urls()).expect("valid URLs").prefix(&prefix);
    let tier = tier.command_timeout(common::SLACK).build().expect("valid options");
    let planter = Arc::clone(&cluster);
    let harness =
        Harness::with_own_clock(tier).keeping(cluster).plant_with(move |key, bytes: Bytes| {
            let (cluster, name) = (Arc::clone(&planter), common::name(&prefix, &key));
            async move {
                let master =
                    cluster.master_of_key(name.as_bytes()).expect("every slot has a master");
                common::plant(cluster.node(master), &name, &bytes).await;
            }
        });
    Some(harness)
}

fn over_tls() -> Option<Harness<RedisTier>> {
    redis::available()?; // said by `server`
    let certificates = Certificates::generate().expect("certificates can be made");
    let options = RedisServerOptions::default().mutual_tls(&certificates);
    let server = redis::server_with_or_skip("cache-redis/conformance", &options)?;
    let tls = Tls::new()
        .roots(certificates.ca_pem())
        .client(certificates.client_pem(), certificates.client_key_pem());
    Some(
        Harness::with_own_clock(common::builder(&server).tls(tls).build().expect("valid"))
            .keeping(server),
    )
}

remote_tier_suite!(in_cluster, clustered());
foreign_bytes_suite!(foreign_in_cluster, clustered());
remote_tier_suite!(in_tls, over_tls());
#[cfg(feature = "encryption")]
remote_tier_suite!(encrypted, built(encrypted));
