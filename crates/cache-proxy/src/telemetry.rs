//! Logs and metrics of the process.

use std::io::IsTerminal;

use cache_core::BoxError;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Upper bounds of the latency histograms' buckets, in seconds: from 100 ns, a hit in memory, to a
/// minute, a long answer of a provider.
const SECONDS: [f64; 16] = [
    1e-7, 2.5e-7, 1e-6, 1e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 0.1, 1.0, 10.0,
    60.0,
];

/// Writes logs to standard error, filtered by `RUST_LOG` (default: `info`).
pub fn init_logs() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

/// Installs the recorder that `/metrics` reads. Comes before the cache is built.
///
/// # Errors
///
/// If the process has a recorder already.
pub fn install_metrics() -> Result<PrometheusHandle, BoxError> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?;
    Ok(builder.install_recorder()?)
}
