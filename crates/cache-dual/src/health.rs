//! [`Health`]: how the tiers of a cache are.

use cache_core::Error;

use crate::remote::BreakerState;

/// How the tiers of a cache are. Memory always serves.
#[derive(Debug)]
#[non_exhaustive]
pub struct Health {
    /// Whether anything is cached: not by every strategy, and no more once the cache is closed.
    pub is_open: bool,
    /// The breaker's state and the answer to a ping; `None` if no remote tier is configured.
    pub remote: Option<(BreakerState, Result<(), Error>)>,
    /// How many writes to the remote tier are queued.
    pub queued: usize,
    /// How many invalidations the remote tier or other instances have yet to learn of.
    pub owed: usize,
}

impl Health {
    /// Whether every configured tier serves.
    pub const fn is_healthy(&self) -> bool {
        matches!(self.remote, None | Some((BreakerState::Closed, Ok(()))))
    }
}
