//! Redis as the second tier of a cache.

mod config;
mod connections;
mod errors;
mod names;
mod purge;
mod random;
mod record;
mod script;
mod skew;
mod tier;

pub use config::{ConfigError, RedisBuilder};
pub use tier::RedisTier;
