//! People's own typed providers, cached.

mod api;
mod cached;
mod chunks;
mod error;
mod function;
mod preset;

pub use api::{ChunkStream, LlmProvider};
pub use cached::CachedProvider;
pub use error::{CachedError, CallError};
pub use function::{Served, ServedBy, cached};
pub use preset::Preset;

use crate::cache::LlmCache;

/// The cache of typed providers whose calls fail with `E`.
pub type ProviderCache<E> = LlmCache<(), CallError<E>>;
