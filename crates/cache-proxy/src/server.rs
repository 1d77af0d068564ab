//! [`Server`]: the listening proxy, from its start to its graceful end.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use cache_core::BoxError;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};

use crate::config::Config;
use crate::{app, telemetry};

/// How long a caller may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a connection could not be accepted, e.g. because there are too many.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
    server.serve(shutdown_signal()).await;
    Ok(())
}

/// A proxy that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: Router,
    drain: Duration,
}

impl Server {
    /// Puts a proxy together and starts to listen. Redis may be down.
    ///
    /// # Errors
    ///
    /// If an option makes no sense, the address is taken, or the process has a metrics recorder.
    pub async fn bind(config: Config) -> Result<Self, BoxError> {
        let metrics = telemetry::install_metrics()?; // before the cache, which looks for it
        let cache = app::cache(&config)?;
        let app = app::router(&config, cache, metrics)?;
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, app, drain: config.drain })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then lets requests under way finish within the drain time.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) {
        let Self { listener, app, drain, .. } = self;
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        http.http2().timer(TokioTimer::new());
        let connections = GracefulShutdown::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let stream = tokio::select! {
                stream = accept(&listener) => stream,
                () = &mut shutdown => break,
            };
            let service = TowerToHyperService::new(app.clone());
            let connection = http.serve_connection(TokioIo::new(stream), service).into_owned();
            let connection = connections.watch(connection);
            tokio::spawn(async {
                if let Err(error) = connection.await {
                    tracing::debug!(error = &*error as &dyn std::error::Error, "connection ended");
                }
            });
        }
        drop(listener);
        tracing::info!("stopping; requests under way may finish");
        if tokio::time::timeout(drain, connections.shutdown()).await.is_err() {
            tracing::warn!(?drain, "requests were still under way");
        }
    }
}

/// The next connection, however many attempts fail.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // A stream's chunks are small: Nagle's algorithm would hold each back until the one
                // before it is acknowledged, which clients delay by up to 40 ms.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "answers on this connection may be held back");
                }
                return stream;
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
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
