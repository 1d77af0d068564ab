//! [`Error`]: why a tier could not answer.

use std::time::Duration;

use crate::key::ShortKey;

/// The source of an error, whatever it is.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What tiers and codecs return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a tier could not answer. A miss is not an error.
///
/// Messages name keys by digest and never hold prompts, credentials or URLs with passwords; who
/// writes a `source` keeps to that too.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The tier could not be reached, dropped the connection or is not ready to serve.
    #[error("{tier} tier is unavailable")]
    Unavailable {
        /// Which tier, e.g. `redis`.
        tier: &'static str,
        /// What the driver said.
        source: BoxError,
    },
    /// The tier did not answer in time.
    #[error("{tier} tier gave no answer within {limit:?}")]
    TimedOut {
        /// Which tier.
        tier: &'static str,
        /// How long it was given.
        limit: Duration,
    },
    /// The tier was not asked, because it failed shortly before.
    #[error("{tier} tier is being left alone after repeated failures")]
    BreakerOpen {
        /// Which tier.
        tier: &'static str,
    },
    /// The tier answered that it will not do this: wrong credentials, out of memory, read-only.
    #[error("{tier} tier refused the command")]
    Refused {
        /// Which tier.
        tier: &'static str,
        /// What it said.
        source: BoxError,
    },
    /// A value could not be turned into bytes.
    #[error("value could not be encoded")]
    Unencodable {
        /// What the codec said.
        source: BoxError,
    },
    /// Stored bytes could not be turned back into a value.
    #[error("stored value of {key} could not be decoded")]
    Undecodable {
        /// Whose value.
        key: ShortKey,
        /// What the codec said.
        source: BoxError,
    },
}

impl Error {
    /// Whether the same call may succeed later with no change by the caller.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::TimedOut { .. } | Self::BreakerOpen { .. })
    }
}
