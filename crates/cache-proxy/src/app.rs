//! The proxy put together: tiers, cache, layer, provider, server.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::serve::ListenerExt;
use cache_core::BoxError;
use cache_dual::DualCache;
use cache_dual::codec::Raw;
use cache_dual::memory::{LocalCache, Policy};
use cache_dual::redis::RedisTier;
use cache_llm::{RequestPolicy, ResponsePolicy};
use cache_tower::{HttpCache, LlmCacheLayer, TenantPolicy};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::Layer;

use crate::config::{Config, Eviction, Tenants};
use crate::telemetry;
use crate::upstream::Upstream;

type Cache = DualCache<bytes::Bytes>;

/// Serves until SIGTERM or SIGINT, then lets requests under way finish.
///
/// Prints `listening on http://ADDRESS` on standard output once it can be reached.
///
/// # Errors
///
/// If it cannot start: an option that makes no sense, an address that is taken.
pub async fn run(config: Config) -> Result<(), BoxError> {
    let server = Server::bind(config).await?;
    println!("listening on http://{}", server.address());
    server.serve(shutdown_signal()).await
}

/// A proxy that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: Router,
    drain: std::time::Duration,
}

impl Server {
    /// Puts a proxy together and starts to listen. Redis may be down.
    ///
    /// # Errors
    ///
    /// If an option makes no sense, the address is taken, or the process has a metrics recorder.
    pub async fn bind(config: Config) -> Result<Self, BoxError> {
        let metrics = telemetry::install_metrics()?; // before the cache, which looks for it
        let cache = cache(&config)?;
        let app = router(&config, cache, metrics)?;
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, app, drain: config.drain })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then lets requests under way finish within the drain time.
    ///
    /// # Errors
    ///
    /// If the listener fails.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), BoxError> {
        let (stop, mut stopped) = watch::channel(false);
        let graceful = async move {
            // An error says that `stop` is gone, which is a reason to stop too.
            let _ = stopped.wait_for(|&stopped| stopped).await;
        };
        // A stream's chunks are small: Nagle's algorithm would hold each back until the one before
        // it is acknowledged, which clients delay by up to 40 ms.
        let listener = self.listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "answers on this connection may be held back");
            }
        });
        let serving = axum::serve(listener, self.app).with_graceful_shutdown(graceful);
        let mut serving = std::pin::pin!(serving.into_future());
        tokio::select! {
            ended = &mut serving => return Ok(ended?),
            () = shutdown => {}
        }
        tracing::info!("stopping; requests under way may finish");
        stop.send_replace(true);
        if let Ok(ended) = tokio::time::timeout(self.drain, serving).await {
            ended?;
        } else {
            tracing::warn!(drain = ?self.drain, "requests were still under way");
        }
        Ok(())
    }
}

fn cache(config: &Config) -> Result<Cache, BoxError> {
    let memory = LocalCache::local()
        .max_entries(config.memory_entries.get())
        .max_weight(config.memory_weight.get())
        .policy(match config.memory_policy {
            Eviction::Lru => Policy::Lru,
            Eviction::Lfu => Policy::Lfu,
            Eviction::Fifo => Policy::Fifo,
            Eviction::Ttl => Policy::Ttl,
        })
        .build()?;
    let mut builder = DualCache::builder()
        .memory(memory)
        .weigher(|answer: &bytes::Bytes| answer.len() as u64)
        .remote_deadline(config.redis_deadline);
    if let Some(url) = &config.redis {
        let redis = RedisTier::builder(url.reveal())?
            .prefix(&config.namespace)
            .command_timeout(config.redis_deadline)
            .build()?;
        builder = builder.remote(Arc::new(redis), Raw);
    }
    Ok(builder.build()?)
}

fn router(config: &Config, cache: Cache, metrics: PrometheusHandle) -> Result<Router, BoxError> {
    let requests = RequestPolicy::default()
        .chat_ttl(config.chat_ttl)
        .embedding_ttl(config.embedding_ttl)
        .max_temperature(config.max_temperature);
    let answers = ResponsePolicy::default().max_answer(config.max_answer);
    let llm = HttpCache::builder(cache.clone())
        .request_policy(requests)
        .response_policy(answers)
        .build()?;
    let layer = LlmCacheLayer::new(llm)
        .name("cache-proxy")
        .namespace(&config.namespace)
        .base_url(&config.upstream.to_string())
        .max_body(config.max_body)
        .tenants(match config.tenant {
            Tenants::Credential => TenantPolicy::Credential,
            Tenants::Shared => TenantPolicy::Shared,
        });
    Ok(Router::new()
        .route("/healthz", get(health).with_state(cache))
        .route("/metrics", get(render).with_state(metrics))
        .fallback_service(layer.layer(Upstream::new(&config.upstream)?)))
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

async fn shutdown_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            },
            Err(error) => {
                tracing::warn!(%error, "SIGTERM will not be graceful");
                let _ = tokio::signal::ctrl_c().await;
            }
        }
    }
    #[cfg(not(unix))]
    let _ = tokio::signal::ctrl_c().await;
}
