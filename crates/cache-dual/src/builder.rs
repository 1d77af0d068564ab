//! [`DualBuilder`]: every option and part of a cache, checked once.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use cache_core::{Clock, Codec, InvalidationBus, LocalTier, RemoteTier, SystemClock};
use cache_memory::LocalCache;

use crate::cache::DualCache;
use crate::counters::Counters;
use crate::epochs::Epochs;
use crate::events::{Event, Events, Listener};
use crate::fence::Fences;
use crate::flight::Flights;
use crate::inner::Inner;
use crate::negative::Negatives;
use crate::options::{BuildError, DualOptions, WriteMode};
use crate::order::WriteOrder;
use crate::pauses::Pauses;
use crate::peers::Peers;
use crate::queue::Queue;
use crate::remote::Remote;
use crate::repairs::Repairs;
use crate::room::Room;
use crate::stamps::Stamps;
use crate::strategy::Strategy;

/// What values weigh.
pub(crate) type Weigher<V> = Box<dyn Fn(&V) -> u64 + Send + Sync>;

/// What a [`DualCache`] is built of. Made by [`DualCache::builder`].
///
/// Whatever is data stands in [`DualOptions`], whether it comes [from configuration](Self::options) or
/// is [set in code](Self::tune); the builder's other methods take the parts: tiers, bus, clock,
/// weigher, listener.
#[must_use = "nothing is built until `build` is called"]
pub struct DualBuilder<V, L = LocalCache<V>> {
    memory: Memory<L>,
    remote: Option<RemoteParts<V>>,
    bus: Option<Arc<dyn InvalidationBus>>,
    options: DualOptions,
    weigher: Weigher<V>,
    listener: Option<Listener>,
    clock: Arc<dyn Clock>,
}

/// A remote tier, and how values are encoded for it.
type RemoteParts<V> = (Arc<dyn RemoteTier>, Arc<dyn Codec<V>>);

/// The memory tier: the caller's, or one that is yet to be made on the cache's own clock.
enum Memory<L> {
    Given(L),
    Default(fn(&DualOptions, Events, Arc<dyn Clock>) -> L),
}

impl<V: Clone + Send + Sync + 'static> DualBuilder<V> {
    pub(crate) fn new() -> Self {
        Self {
            memory: Memory::Default(default_memory),
            remote: None,
            bus: None,
            options: DualOptions::default(),
            weigher: Box::new(length),
            listener: None,
            clock: Arc::new(SystemClock),
        }
    }
}

/// What a value weighs whose type is one that says so.
fn length<V: 'static>(value: &V) -> u64 {
    let value: &dyn Any = value;
    let length = None
        .or_else(|| value.downcast_ref::<Bytes>().map(Bytes::len))
        .or_else(|| value.downcast_ref::<Vec<u8>>().map(Vec::len))
        .or_else(|| value.downcast_ref::<String>().map(String::len))
        .or_else(|| value.downcast_ref::<Arc<str>>().map(|text| text.len()))
        .or_else(|| value.downcast_ref::<Arc<[u8]>>().map(|bytes| bytes.len()));
    length.map_or(0, |length| length as u64)
}

fn default_memory<V>(options: &DualOptions, events: Events, clock: Arc<dyn Clock>) -> LocalCache<V>
where
    V: Clone + Send + Sync + 'static,
{
    use cache_memory::{Cause, Event as Local};
    // Zero is possible where the strategy caches nothing.
    let memory = LocalCache::local().max_entries(options.max_entries.max(1)).clock(clock);
    let memory = match options.max_weight {
        Some(bytes) => memory.max_weight(bytes),
        None => memory,
    };
    let memory = if events.is_heard() {
        memory.listener(move |event| match event {
            Local::Left(entry, Cause::Expired) => events.tell(&Event::Expire { key: *entry.key() }),
            Local::Left(entry, Cause::Evicted) => events.tell(&Event::Evict { key: *entry.key() }),
            _ => {}
        })
    } else {
        memory
    };
    memory.build().expect("bounds that were checked are valid options")
}

impl<V: Clone + Send + Sync + 'static, L: LocalTier<V>> DualBuilder<V, L> {
    /// The memory tier. Default: a [`LocalCache`] of [`max_entries`](DualOptions::max_entries) entries,
    /// and of [`max_weight`](DualOptions::max_weight) bytes if that is set.
    ///
    /// It has to be on the same clock as the cache.
    pub fn memory<M: LocalTier<V>>(self, memory: M) -> DualBuilder<V, M> {
        let Self { memory: _, remote, bus, options, weigher, listener, clock } = self;
        let memory = Memory::Given(memory);
        DualBuilder { memory, remote, bus, options, weigher, listener, clock }
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
    /// of it. Whoever may have missed something, as when the bus was down, has each entry in memory
    /// confirmed by the remote tier before it serves it again; for as long as that does not answer,
    /// unconfirmed ones are served, and counted. Without a remote tier memory is cleared instead.
    ///
    /// The bus is listened to from the first use of the cache on, on the runtime of that call. What memory
    /// holds when that begins, such as entries that it was warmed with, is confirmed once more. Without a
    /// remote tier, what was being fetched by then is handed out but not stored.
    pub fn bus(mut self, bus: Arc<dyn InvalidationBus>) -> Self {
        self.bus = Some(bus);
        self
    }

    /// All options that are data, as read from configuration; [`tune`](Self::tune) changes some of them.
    /// Replaces what was set before.
    pub fn options(mut self, options: DualOptions) -> Self {
        self.options = options;
        self
    }

    /// Changes some of the options that are data: see [`DualOptions`] for what there is.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use cache_dual::DualCache;
    ///
    /// let cache: DualCache<String> =
    ///     DualCache::builder().tune(|options| options.grace = Duration::from_secs(60)).build()?;
    /// # Ok::<(), cache_dual::BuildError>(())
    /// ```
    pub fn tune(mut self, change: impl FnOnce(&mut DualOptions)) -> Self {
        change(&mut self.options);
        self
    }

    /// What a value weighs in bytes where [`InsertOptions::weight`](crate::InsertOptions::weight) does not
    /// say so, for a memory tier that is bounded in weight. The memory tier adds what it spends on an entry
    /// itself. Default: the length of `Bytes`, `Vec<u8>`, `String`, `Arc<str>` and `Arc<[u8]>`; of other types
    /// 0.
    pub fn weigher(mut self, weigher: impl Fn(&V) -> u64 + Send + Sync + 'static) -> Self {
        self.weigher = Box::new(weigher);
        self
    }

    /// Told of every [`Event`], by whoever caused it, while nothing is locked: it may use the cache. One
    /// caller's events come in their order; of two callers who did something at the same time, either
    /// may be told of first. Its panics are logged and go no further. Default: none, and no cost.
    pub fn listener(mut self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
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
        let Self { memory, remote, bus, options, weigher, listener, clock } = self;
        options.check(remote.is_some())?;
        let strategy = options.strategy;
        if strategy == Strategy::RedisOrMemory && remote.is_none() {
            tracing::warn!(
                "no remote tier is configured: the cache is in this process's memory only"
            );
        }
        let events = Events::new(listener);
        let memory = match memory {
            Memory::Given(memory) => memory,
            Memory::Default(make) => make(&options, events.clone(), Arc::clone(&clock)),
        };
        let counters = Arc::new(Counters::new(&options.namespace));
        let l2 = remote.filter(|_| strategy.is_remote()).map(|(tier, codec)| {
            let (clock, counters) = (Arc::clone(&clock), Arc::clone(&counters));
            Remote::new(tier, codec, options.remote_deadline, options.breaker, clock, counters)
        });
        let peers =
            bus.filter(|_| strategy.caches()).map(|bus| Peers::new(bus, Arc::clone(&counters)));
        let queue = match options.writes {
            WriteMode::Queued { capacity } if l2.is_some() => Some(Queue::new(capacity)),
            WriteMode::Queued { .. } | WriteMode::Through => None,
        };
        let (capacity, recheck) = (options.known_tags.max(1), options.recheck);
        let stamps = Stamps::new(&options.namespace, capacity, recheck, Arc::clone(&clock));
        let negatives = options.negative_ttl.filter(|_| strategy.caches());
        Ok(DualCache {
            inner: Arc::new(Inner {
                l1: memory,
                l2,
                peers,
                open: AtomicBool::new(strategy.caches()),
                epochs: Epochs::new(),
                stamps,
                fences: Fences::new(),
                stores: Fences::new(),
                flights: Flights::new(),
                tagged: Flights::new(),
                negatives: negatives.map(|ttl| Negatives::new(ttl, Arc::clone(&clock))),
                pauses: Pauses::new(),
                room: options.fetches_while_down.map(Room::new),
                writers: WriteOrder::new(),
                queue,
                repairs: Repairs::default(),
                events,
                options,
                weigher,
                clock,
                counters,
            }),
        })
    }
}

impl<V, L> fmt::Debug for DualBuilder<V, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DualBuilder")
            .field("remote", &self.remote.as_ref().map(|(tier, _)| tier))
            .field("bus", &self.bus)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
