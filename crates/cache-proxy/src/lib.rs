//! A caching reverse proxy for OpenAI-compatible APIs.
//!
//! The binary is [`run`] with a [`Config`] from flags and environment variables:
//!
//! ```text
//! cache-proxy --upstream https://api.openai.com --listen 127.0.0.1:8080 --redis redis://localhost
//! ```
//!
//! Point a client's base URL at it and change nothing else.
//!
//! * `POST /v1/chat/completions` and `POST /v1/embeddings` are answered from memory or Redis where
//!   an equal request was answered before; identical requests at the same time cost one call.
//! * Everything else passes through untouched. So do answers that are not to be kept: errors,
//!   truncated, filtered or empty ones, broken streams.
//! * `Cache-Status` (RFC 9211) and `Age` tell what happened. `Cache-Control: no-cache` and
//!   `no-store` in a request are honoured.
//! * `GET /metrics` (Prometheus) and `GET /healthz` are the proxy's own.
//! * On SIGTERM or SIGINT it stops listening and lets requests under way finish.

mod app;
mod config;
mod server;
pub mod telemetry;
mod upstream;

pub use config::{Config, Eviction, Secret, Tenants};
pub use server::{Server, run};
pub use upstream::Upstream;
