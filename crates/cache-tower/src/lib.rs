//! A tower layer that answers LLM API requests from a cache.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use cache_dual::DualCache;
//! use cache_tower::{Body, HttpCache, LlmCacheLayer};
//! use http::{Request, Response};
//! use tower::{Layer, ServiceBuilder, service_fn};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Any service that answers HTTP: a client of the provider, or a whole gateway.
//! let provider = service_fn(|request: Request<Body>| async move {
//!     Ok::<_, Infallible>(Response::new(request.into_body()))
//! });
//!
//! let cache = HttpCache::builder(DualCache::builder().build()?).build()?;
//! let app = ServiceBuilder::new().layer(LlmCacheLayer::new(cache)).service(provider);
//! # let _ = app;
//! # Ok(())
//! # }
//! ```
//!
//! # What it does
//!
//! * `POST` to `.../v1/chat/completions`, `.../v1/completions`, `.../v1/responses`,
//!   `.../v1/messages` and `.../v1/embeddings` is answered from the cache where an equal request of
//!   the same tenant was answered before, streams included: one entry serves plain requests and
//!   streams. Requests to other paths reach the inner service untouched.
//! * Callers with different credentials are different tenants; [`TenantPolicy::Shared`] has to be
//!   asked for.
//! * The path with its query counts in the key, and so does every header but those known to say
//!   nothing about the answer, such as `user-agent` and trace ids (see
//!   [`LlmCacheLayer::ignore_header`]).
//! * `Cache-Control: no-cache` in a request fetches and stores a new answer, `no-store` does neither
//!   look nor store.
//! * Every answer that it handled says so in `Cache-Status` (RFC 9211), hits also in `Age`.
//! * An answer that is not to be stored goes to the caller as it came: status, headers, body.
//!
//! A hit never reaches the inner service, so whatever that does for each request (authentication,
//! limits, guardrails) belongs in a layer outside of this one if it is to be done for hits too.

mod body;
mod headers;
mod layer;
mod origin;
mod route;
mod status;
mod tenant;

pub use body::{Body, BodyError};
pub use layer::{HttpCache, LlmCacheLayer, LlmCacheService};
pub use tenant::TenantPolicy;
