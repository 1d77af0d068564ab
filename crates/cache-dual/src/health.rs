//! [`Health`]: how the tiers of a cache are.

use cache_core::Error;

use crate::breaker::BreakerState;

/// How the tiers of a cache are. Memory always serves.
#[derive(Debug)]
pub struct Health {
    /// The breaker's state and the answer to a ping; `None` if no remote tier is configured.
    pub remote: Option<(BreakerState, Result<(), Error>)>,
}

impl Health {
    /// Whether every configured tier serves (A67).
    pub const fn is_healthy(&self) -> bool {
        matches!(self.remote, None | Some((BreakerState::Closed, Ok(()))))
    }
}
