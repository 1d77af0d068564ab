//! The caches of two tiers under test, each used as its users would.

mod hitbox;
#[cfg(feature = "slow-rivals")]
mod litellm;
mod multi_tier;
mod ours;

use std::error::Error;
use std::future::Future;

pub(super) use self::hitbox::Hitbox;
#[cfg(feature = "slow-rivals")]
pub(super) use self::litellm::Litellm;
pub(super) use self::multi_tier::MultiTier;
pub(super) use self::ours::{Ours, with_recorder};

use super::origin::Origin;
use super::values::Value;
use crate::contenders::Role;

/// A cache of memory and Redis. Clones share everything.
pub(super) trait Dual: Clone + Send + Sync + 'static {
    type Key: Clone + Send + Sync + 'static;
    type Value: Value;

    const NAME: &'static str;
    const ROLE: Role;

    /// One of so many entries in memory; with Redis behind it, if there is a URL.
    fn build(
        entries: usize,
        url: Option<&str>,
    ) -> impl Future<Output = Result<Self, Box<dyn Error>>>;

    /// The key of this text, which is 64 hex digits.
    fn key(digits: &str) -> Self::Key;

    /// What is stored; `None` is a miss.
    fn get(&self, key: &Self::Key) -> impl Future<Output = Option<Self::Value>> + Send;

    /// The same, or else what the origin gives, which is then stored in both tiers; `None` is an error.
    fn get_or_fetch(
        &self,
        key: &Self::Key,
        origin: &Origin<Self::Value>,
    ) -> impl Future<Output = Option<Self::Value>> + Send;
}
