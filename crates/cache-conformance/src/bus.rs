//! [`LocalBus`]: invalidations between caches of one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use cache_core::{Invalidation, InvalidationBus, InvalidationStream, Result};
use tokio::sync::broadcast::{self, error::RecvError};

/// Messages that a subscriber may be behind before it has a gap, unless told otherwise.
const CAPACITY: usize = 1_024;

/// An [`InvalidationBus`] inside one process: each handle plays one instance.
///
/// A clone is the same instance; [`LocalBus::peer`] is another one on the same bus. A subscriber
/// that falls behind by more than the bus's capacity is told so by [`Invalidation::Gap`].
///
/// ```
/// # use cache_conformance::LocalBus;
/// # use cache_core::{CacheKey, Invalidation, InvalidationBus, InvalidationStream};
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// let here = LocalBus::new();
/// let there = here.peer();
/// let mut heard = there.subscribe().await?;
/// here.publish(Invalidation::All).await?;
/// assert_eq!(heard.next().await, Some(Invalidation::All));
/// # Ok::<(), cache_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct LocalBus {
    instance: u64,
    instances: Arc<AtomicU64>,
    sender: broadcast::Sender<(u64, Invalidation)>,
}

impl LocalBus {
    /// A bus with one instance on it.
    pub fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    /// A bus whose subscribers may be `messages` behind (rounded up to a power of two).
    ///
    /// # Panics
    ///
    /// If `messages` is 0.
    pub fn with_capacity(messages: usize) -> Self {
        Self {
            instance: 0,
            instances: Arc::new(AtomicU64::new(1)),
            sender: broadcast::Sender::new(messages),
        }
    }

    /// Another instance on the same bus.
    #[must_use]
    pub fn peer(&self) -> Self {
        Self { instance: self.instances.fetch_add(1, Ordering::Relaxed), ..self.clone() }
    }
}

impl Default for LocalBus {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl InvalidationBus for LocalBus {
    async fn publish(&self, message: Invalidation) -> Result<()> {
        // An error means that nobody listens, and nobody is who has to be told then.
        let _ = self.sender.send((self.instance, message));
        Ok(())
    }

    async fn subscribe(&self) -> Result<Box<dyn InvalidationStream>> {
        Ok(Box::new(LocalStream { instance: self.instance, receiver: self.sender.subscribe() }))
    }
}

/// One subscription to a [`LocalBus`].
#[derive(Debug)]
struct LocalStream {
    instance: u64,
    receiver: broadcast::Receiver<(u64, Invalidation)>,
}

#[async_trait]
impl InvalidationStream for LocalStream {
    async fn next(&mut self) -> Option<Invalidation> {
        loop {
            match self.receiver.recv().await {
                Ok((publisher, _)) if publisher == self.instance => {}
                Ok((_, message)) => return Some(message),
                Err(RecvError::Lagged(_)) => return Some(Invalidation::Gap),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cache_core::{CacheKey, Tag};

    use super::*;

    fn numbered(n: u8) -> Invalidation {
        Invalidation::Key(CacheKey::from_digest([n; 32]))
    }

    #[tokio::test]
    async fn messages_come_in_order_and_are_not_echoed() {
        let here = LocalBus::new();
        let there = here.peer();
        let mut own = here.clone().subscribe().await.unwrap();
        let mut other = there.subscribe().await.unwrap();
        for n in 0..100 {
            here.publish(numbered(n)).await.unwrap();
        }
        let tag = Invalidation::Tag(Tag::named("t"));
        there.publish(tag).await.unwrap();
        for n in 0..100 {
            assert_eq!(other.next().await, Some(numbered(n)));
        }
        assert_eq!(own.next().await, Some(tag), "what a clone publishes is an echo too");
    }

    #[tokio::test]
    async fn a_subscriber_that_falls_behind_is_told_first() {
        let here = LocalBus::with_capacity(4);
        let mut other = here.peer().subscribe().await.unwrap();
        for n in 0..10 {
            here.publish(numbered(n)).await.unwrap();
        }
        assert_eq!(other.next().await, Some(Invalidation::Gap));
        for n in 6..10 {
            assert_eq!(other.next().await, Some(numbered(n)));
        }
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_bus_and_not_before() {
        let here = LocalBus::new();
        let mut heard = here.peer().subscribe().await.unwrap();
        here.publish(Invalidation::All).await.unwrap();
        drop(here);
        assert_eq!(heard.next().await, Some(Invalidation::All));
        assert_eq!(heard.next().await, None);
    }

    #[tokio::test]
    async fn publishing_to_nobody_is_no_error() {
        LocalBus::new().publish(Invalidation::All).await.unwrap();
    }
}
