//! The `cache-proxy` binary: see `cache-proxy --help`.

use std::process::ExitCode;

use cache_proxy::{Config, telemetry};
use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::parse();
    telemetry::init_logs();
    match cache_proxy::run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = &*error as &dyn std::error::Error, "cannot serve");
            ExitCode::FAILURE
        }
    }
}
