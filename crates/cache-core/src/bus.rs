//! [`InvalidationBus`]: how instances tell each other what is no longer true.

use async_trait::async_trait;

use crate::entry::Tag;
use crate::error::Result;
use crate::key::CacheKey;

/// Carries invalidations between the instances that share a remote tier.
///
/// # Contract
///
/// * **Best effort, and honest about it.** A message may be lost when the connection is; every
///   subscriber whose stream may have a gap then receives [`Invalidation::Gap`] before anything
///   that came after the gap.
/// * **In order** per publisher.
/// * **Not echoed.** A subscriber does not receive what the same bus handle published.
/// * **Futures may be dropped**: a message is then published or not, never in part.
#[async_trait]
pub trait InvalidationBus: std::fmt::Debug + Send + Sync + 'static {
    /// Tells every other instance.
    ///
    /// # Errors
    ///
    /// If the bus did not take the message; the caller keeps and repeats it or says so.
    async fn publish(&self, message: Invalidation) -> Result<()>;

    /// Everything that other instances publish from now on.
    ///
    /// # Errors
    ///
    /// If the bus cannot be reached.
    async fn subscribe(&self) -> Result<Box<dyn InvalidationStream>>;
}

/// One subscription. Dropping it ends it.
#[async_trait]
pub trait InvalidationStream: std::fmt::Debug + Send {
    /// The next message; `None` when the bus is gone for good. Cancel safe.
    async fn next(&mut self) -> Option<Invalidation>;
}

/// What is no longer true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Invalidation {
    /// What was stored under this key.
    Key(CacheKey),
    /// Everything under this tag.
    Tag(Tag),
    /// Everything.
    All,
    /// Unknown: messages may have been missed, so anything held may be out of date.
    Gap,
}
