//! A simulated LLM provider: a real HTTP server that speaks OpenAI's wire format.
//!
//! It serves `POST /v1/chat/completions` (plain and streamed, tools, `n`), `POST /v1/embeddings` and
//! `GET /v1/models`. What it says is a function of the request alone, so any answer can be checked;
//! ids are fresh for each call, so a cached answer can be told from a new one. [`Fault`]s are provoked
//! by the request itself, through the model name or a header.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use testbed::provider::{Provider, ProviderOptions};
//!
//! let provider = Provider::start(ProviderOptions::default()).await;
//! assert!(provider.url().starts_with("http://127.0.0.1:"));
//! assert_eq!(provider.calls().total(), 0);
//! provider.stop().await;
//! # }
//! ```

mod chat;
mod delay;
mod embeddings;
mod error;
mod fault;
mod request;
mod server;
mod stream;
mod text;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, Method};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use delay::Delays;
pub use fault::{FAULT_HEADER, FAULT_MODEL_PREFIX, Fault};
pub use server::MODELS;

/// What a [`Provider`] can be told. The default answers at once and lets everybody in.
#[derive(Clone, Debug)]
pub struct ProviderOptions {
    /// The port to listen on; 0 lets the system pick. Default: 0.
    pub port: u16,
    /// Whether a request without `Authorization: Bearer ...` gets a 401. Default: no.
    pub require_credential: bool,
    /// How long answers take. Default: no delay at all.
    pub delays: Delays,
    /// How much longer [`Fault::Slow`] takes. Default: 2 s.
    pub slow: Duration,
}

impl Default for ProviderOptions {
    fn default() -> Self {
        Self {
            port: 0,
            require_credential: false,
            delays: Delays::default(),
            slow: Duration::from_secs(2),
        }
    }
}

/// A running provider. It stops when dropped; [`Provider::stop`] also waits for that.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    shared: Arc<server::Shared>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Provider {
    /// Starts listening on 127.0.0.1, on the current tokio runtime.
    ///
    /// # Panics
    ///
    /// When the port cannot be bound, e.g. because `options.port` is taken.
    pub async fn start(options: ProviderOptions) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await;
        let listener = listener.expect("bind a loopback port for the provider");
        let address = listener.local_addr().expect("a bound listener has an address");
        // Stream chunks are small; Nagle's algorithm would hold each back for the one before it.
        let listener = listener.tap_io(|connection| {
            connection.set_nodelay(true).ok();
        });

        let shared = Arc::new(server::Shared::new(options, address.port()));
        let router = Router::new().fallback(server::answer).with_state(Arc::clone(&shared));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let told_to_stop = async {
                stopped.await.ok(); // an error means that the `Provider` was dropped: stop too
            };
            let served = axum::serve(listener, router).with_graceful_shutdown(told_to_stop).await;
            served.expect("axum::serve returns only when told to stop");
        });
        Self { address, shared, stop, task }
    }

    /// `http://127.0.0.1:PORT`, without a path: clients add `/v1/...`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many requests arrived so far, failed ones included.
    pub fn calls(&self) -> Calls {
        self.shared.calls()
    }

    /// The newest request, as it came over the wire.
    pub fn last_request(&self) -> Option<Received> {
        self.shared.last_request()
    }

    /// Stops accepting connections, finishes the answers under way and frees the port.
    ///
    /// # Panics
    ///
    /// When the server itself panicked, which is a bug in it.
    pub async fn stop(self) {
        drop(self.stop);
        self.task.await.expect("the provider's server does not panic");
    }
}

/// How many requests a [`Provider`] received, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    by_path: BTreeMap<String, u64>,
}

impl Calls {
    /// Requests to this path, e.g. `/v1/chat/completions`.
    pub fn to(&self, path: &str) -> u64 {
        self.by_path.get(path).copied().unwrap_or(0)
    }

    /// All requests.
    pub fn total(&self) -> u64 {
        self.by_path.values().sum()
    }
}

/// A request as a [`Provider`] saw it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Received {
    /// Its method.
    pub method: Method,
    /// Its path and query, as sent.
    pub target: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its whole body.
    pub body: Bytes,
}
