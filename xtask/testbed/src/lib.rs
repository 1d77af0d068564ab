//! What the tests and the demo run against, all of it on loopback and gone afterwards.
//!
//! * [`redis`]: real `redis-server` processes, alone, as a Cluster or with sentinels, each with its own
//!   port and folder, and a proxy that plays broken networks.
//! * `provider` (feature): a simulated LLM provider that speaks OpenAI's wire format over HTTP.
//! * `traffic` (feature): requests in the shapes that gateways see, generated from a seed.
//! * [`skip`]: how a test says that what it needs is not here.

#[cfg(feature = "provider")]
pub mod provider;
#[cfg(any(feature = "provider", feature = "traffic"))]
mod random;
pub mod redis;
mod skipped;
#[cfg(feature = "traffic")]
pub mod traffic;

pub use skipped::skip;
