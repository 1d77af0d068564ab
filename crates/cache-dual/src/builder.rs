//! [`DualBuilder`]: every option of a cache, checked once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cache_core::{Clock, Codec, InvalidationBus, LocalTier, RemoteTier, SystemClock};
use cache_memory::LocalCache;

use crate::breaker::BreakerOptions;
use crate::cache::DualCache;
use crate::counters::Counters;
use crate::peers::Peers;
use crate::remote::Remote;

/// What values weigh.
pub(crate) type Weigher<V> = Box<dyn Fn(&V) -> u64 + Send + Sync>;

/// What a [`DualCache`] can be told. Made by [`DualCache::builder`].
#[must_use = "nothing is built until `build` is called"]
pub struct DualBuilder<V, L = LocalCache<V>> {
    memory: Memory<L>,
    remote: Option<RemoteParts<V>>,
    bus: Option<Arc<dyn InvalidationBus>>,
    ttl: Duration,
    remote_deadline: Duration,
    breaker: BreakerOptions,
    weigher: Weigher<V>,
    clock: Arc<dyn Clock>,
}

/// A remote tier, and how values are encoded for it.
type RemoteParts<V> = (Arc<dyn RemoteTier>, Arc<dyn Codec<V>>);

/// The memory tier: the caller's, or one that is yet to be made on the cache's own clock.
enum Memory<L> {
    Given(L),
    Default(fn(Arc<dyn Clock>) -> L),
}

/// How many entries the default memory tier holds.
const DEFAULT_ENTRIES: u64 = 10_000;

impl<V: Clone + Send + Sync + 'static> DualBuilder<V> {
    pub(crate) fn new() -> Self {
        let memory = |clock| {
            LocalCache::local()
                .max_entries(DEFAULT_ENTRIES)
                .clock(clock)
                .build()
                .expect("a bound of 10,000 entries is a valid option")
        };
        Self {
            memory: Memory::Default(memory),
            remote: None,
            bus: None,
            ttl: Duration::from_secs(3600),
            remote_deadline: Duration::from_millis(100),
            breaker: BreakerOptions::default(),
            weigher: Box::new(|_| 0),
            clock: Arc::new(SystemClock),
        }
    }
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> DualBuilder<V, L> {
    /// The memory tier. Default: a [`LocalCache`] of 10,000 entries.
    ///
    /// It has to be on the same clock as the cache.
    pub fn memory<M: LocalTier<V>>(self, memory: M) -> DualBuilder<V, M> {
        let Self { memory: _, remote, bus, ttl, remote_deadline, breaker, weigher, clock } = self;
        let memory = Memory::Given(memory);
        DualBuilder { memory, remote, bus, ttl, remote_deadline, breaker, weigher, clock }
    }

    /// The remote tier and how values are encoded for it. Default: none.
    pub fn remote(mut self, tier: Arc<dyn RemoteTier>, codec: impl Codec<V>) -> Self {
        self.remote = Some((tier, Arc::new(codec)));
        self
    }

    /// The bus to the other instances that share the remote tier, such as `RedisTier::bus`. Default:
    /// none.
    ///
    /// What is removed or replaced by one of them leaves the memory of all others as soon as they hear
    /// of it. Whoever may have missed something, as when the bus was down, forgets all that it has in
    /// memory and reads it from the remote tier again; while that is down too, from the origin. The bus is listened to from the first use of the cache on, on the runtime
    /// of that call.
    pub fn bus(mut self, bus: Arc<dyn InvalidationBus>) -> Self {
        self.bus = Some(bus);
        self
    }

    /// How long values are good that say nothing else. Default: 1 hour.
    pub fn default_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How long a call to the remote tier may take before it is given up. Default: 100 ms.
    pub fn remote_deadline(mut self, deadline: Duration) -> Self {
        self.remote_deadline = deadline;
        self
    }

    /// When a failing remote tier is left alone. Default: see [`BreakerOptions`].
    pub fn breaker(mut self, options: BreakerOptions) -> Self {
        self.breaker = options;
        self
    }

    /// What a value weighs in bytes, for a memory tier that is bounded in weight. Default: 0, to
    /// which the memory tier adds what it spends on an entry itself.
    pub fn weigher(mut self, weigher: impl Fn(&V) -> u64 + Send + Sync + 'static) -> Self {
        self.weigher = Box::new(weigher);
        self
    }

    /// The clock. Default: [`SystemClock`].
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Builds the cache. Touches no network: a remote tier that is down is joined when it appears.
    ///
    /// Metrics go to the `metrics` recorder that is installed by now.
    ///
    /// # Errors
    ///
    /// [`BuildError`] names the option that makes no sense.
    pub fn build(self) -> Result<DualCache<V, L>, BuildError> {
        let Self { memory, remote, bus, ttl, remote_deadline, breaker, weigher, clock } = self;
        if ttl.is_zero() {
            return Err(BuildError::ZeroTtl);
        }
        if remote_deadline.is_zero() {
            return Err(BuildError::ZeroDeadline);
        }
        if breaker.failures == 0 || breaker.probe_interval.is_zero() {
            return Err(BuildError::ZeroBreaker);
        }
        let memory = match memory {
            Memory::Given(memory) => memory,
            Memory::Default(make) => make(Arc::clone(&clock)),
        };
        let counters = Arc::new(Counters::new());
        let remote = remote.map(|(tier, codec)| {
            let (clock, counters) = (Arc::clone(&clock), Arc::clone(&counters));
            Remote::new(tier, codec, remote_deadline, breaker, clock, counters)
        });
        let peers = bus.map(|bus| Peers::new(bus, Arc::clone(&counters)));
        Ok(DualCache::from_parts(memory, remote, peers, ttl, weigher, clock, counters))
    }
}

impl<V, L> fmt::Debug for DualBuilder<V, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DualBuilder")
            .field("remote", &self.remote.as_ref().map(|(tier, _)| tier))
            .field("bus", &self.bus)
            .field("ttl", &self.ttl)
            .field("remote_deadline", &self.remote_deadline)
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}

/// An option that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The default time to live is zero: nothing would ever be stored.
    #[error("the default time to live is zero")]
    ZeroTtl,
    /// The remote deadline is zero: the remote tier would never answer.
    #[error("the remote deadline is zero")]
    ZeroDeadline,
    /// The breaker opens after no failure, or probes all the time.
    #[error("the breaker's failures or probe interval is zero")]
    ZeroBreaker,
}
