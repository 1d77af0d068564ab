//! The proxy put together: tiers, cache, layer, provider.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::get;
use cache_core::BoxError;
use cache_dual::DualCache;
use cache_dual::codec::Raw;
use cache_dual::memory::{LocalCache, Policy};
use cache_dual::redis::{RedisTier, Tls};
use cache_llm::{RequestPolicy, ResponsePolicy};
use cache_tower::{HttpCache, LlmCacheLayer, TenantPolicy};
use metrics_exporter_prometheus::PrometheusHandle;
use tower::Layer;
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::config::{Config, Eviction, RedisMode, Secret, Tenants};
use crate::upstream::Upstream;

/// How long a caller may pause in the middle of a body.
const BODY_IDLE: Duration = Duration::from_secs(30);

pub(crate) type Cache = DualCache<bytes::Bytes>;

/// Both tiers as one.
pub(crate) fn cache(config: &Config) -> Result<Cache, BoxError> {
    let memory = LocalCache::local()
        .max_entries(config.memory_entries.get())
        .max_weight(config.memory_weight.get())
        .policy(match config.memory_policy {
            Eviction::TinyLfu => Policy::TinyLfu,
            Eviction::Lru => Policy::Lru,
            Eviction::Lfu => Policy::Lfu,
            Eviction::Fifo => Policy::Fifo,
            Eviction::Ttl => Policy::Ttl,
        })
        .build()?;
    let mut builder = DualCache::builder()
        .memory(memory)
        .weigher(|answer: &bytes::Bytes| answer.len() as u64)
        .tune(|options| {
            options.remote_deadline = config.redis_deadline;
            options.namespace.clone_from(&config.namespace);
        });
    if let Some(redis) = redis(config)? {
        // What one proxy replaces leaves the memory of the others.
        builder = builder.bus(Arc::new(redis.bus())).remote(Arc::new(redis), Raw);
    }
    Ok(builder.build()?)
}

/// The shared tier, if there is to be one.
fn redis(config: &Config) -> Result<Option<RedisTier>, BoxError> {
    let urls: Vec<&str> = config.redis.iter().map(Secret::reveal).collect();
    let mut redis = match (config.redis_mode, urls.as_slice()) {
        (_, []) => return Ok(None),
        (RedisMode::Single, [url]) => RedisTier::builder(url)?,
        (RedisMode::Single, _) => {
            return Err("--redis has several URLs, so --redis-mode has to say of what".into());
        }
        (RedisMode::Cluster, urls) => RedisTier::cluster(urls)?,
        (RedisMode::Sentinel, urls) => {
            let service = config.redis_service.as_deref().unwrap_or_default(); // clap requires it
            RedisTier::sentinel(urls, service)?
        }
    };
    if let Some(password) = &config.redis_password {
        redis = redis.password(password.reveal());
    }
    if let Some(file) = &config.redis_roots {
        let roots = std::fs::read(file)
            .map_err(|error| format!("--redis-roots {}: {error}", file.display()))?;
        redis = redis.tls(Tls::new().roots(roots));
    }
    let redis = redis
        .client_name("cache-proxy")
        .prefix(&config.namespace)
        .command_timeout(config.redis_deadline);
    Ok(Some(redis.build()?))
}

/// Every route: the proxy's own, and the cached provider behind all others.
pub(crate) fn router(
    config: &Config,
    cache: Cache,
    metrics: PrometheusHandle,
) -> Result<Router, BoxError> {
    let requests = RequestPolicy::default()
        .chat_ttl(config.chat_ttl)
        .embedding_ttl(config.embedding_ttl)
        .max_temperature(config.max_temperature);
    let answers = ResponsePolicy::default().max_answer(config.max_answer.get());
    let llm = HttpCache::builder(cache.clone())
        .request_policy(requests)
        .response_policy(answers)
        .build()?;
    let layer = LlmCacheLayer::new(llm)
        .name("cache-proxy")
        .namespace(&config.namespace)
        .base_url(&config.upstream.to_string())
        .max_body(config.max_body.get())
        .tenants(match config.tenant {
            Tenants::Credential => TenantPolicy::Credential,
            Tenants::Shared => TenantPolicy::Shared,
        });
    let layer = config.ignore_headers.iter().fold(layer, |layer, name| layer.ignore_header(name));
    let timed = RequestBodyTimeoutLayer::new(BODY_IDLE);
    Ok(Router::new()
        .route("/healthz", get(health).with_state(cache))
        .route("/metrics", get(render).with_state(metrics))
        .fallback_service(timed.layer(layer.layer(Upstream::new(&config.upstream)?))))
}

/// 200 for as long as the proxy serves, which it does without Redis too; the body says how the
/// tiers are.
async fn health(State(cache): State<Cache>) -> impl IntoResponse {
    let health = cache.health().await;
    let status = if health.is_healthy() { "ok" } else { "degraded" };
    let redis = match &health.remote {
        None => "not configured",
        Some((_, Ok(()))) => "ok",
        Some((_, Err(_))) => "down",
    };
    let body = format!(r#"{{"status":"{status}","memory":"ok","redis":"{redis}"}}"#);
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body)
}

async fn render(State(metrics): State<PrometheusHandle>) -> impl IntoResponse {
    metrics.run_upkeep();
    let text = HeaderValue::from_static("text/plain; version=0.0.4");
    ([(header::CONTENT_TYPE, text)], metrics.render())
}
