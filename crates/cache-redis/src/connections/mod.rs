//! A few multiplexed connections that all calls share.
//!
//! Calls pipeline over whichever connection is next; none is ever checked out. Each connection has
//! a slot, and each slot a keeper: a task that connects, watches and replaces it (see [`keeper`]).
//! A call therefore never connects and holds no lock while anybody does: without a connection it
//! waits for the keeper's first attempt, within its own time limit, and fails at once while the
//! keeper pauses between attempts.

mod keeper;
mod request;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use cache_core::{CacheKey, Result};
use deadpool::managed::Pool;
use redis::{RedisError, RedisResult, Value};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use crate::errors;
use crate::random::Random;
use crate::server::{Link, Master, Server};
use crate::skew::Skew;
pub(crate) use request::{Request, To};

/// What no call takes: clocks have no room for the longest limits that can be given.
const ENDLESS: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The connections of one tier. Dropping it ends them and their keepers.
#[derive(Debug)]
pub(crate) struct Connections {
    slots: Box<[Slot]>,
    /// Which slot the next call takes that is about no one key.
    next: AtomicUsize,
    /// Told whenever a slot got a connection or failed to get one.
    changed: Notify,
    pool: Pool<Server>,
    connect_limit: Duration,
    /// Hosts and ports, for logs.
    address: String,
    skew: Arc<Skew>,
    random: Arc<Random>,
}

/// The place of one connection.
#[derive(Debug, Default)]
struct Slot {
    live: ArcSwapOption<Link>,
    /// Why the last attempt failed; `None` while one may still succeed for the first time.
    failure: ArcSwapOption<RedisError>,
    /// Tells the keeper to look after the connection now.
    wake: Arc<Notify>,
    keeper: Mutex<Option<AbortHandle>>,
}

/// On what terms something is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    limit: Duration,
    until: Instant,
    lane: Option<u64>,
}

impl Call {
    /// One that may take `limit` from now on in all, however many steps it has.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, until: Instant::now() + limit.min(ENDLESS), lane: None }
    }

    /// How long it may take in all.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// One about `key`. All of a key go over one connection for as long as that lasts, so a write
    /// that timed out or was dropped is not overtaken by a later one.
    pub(crate) fn about(mut self, key: &CacheKey) -> Self {
        self.lane = Some(key.prefix());
        self
    }

    /// One of several that are to go over one connection for as long as that lasts.
    pub(crate) fn on_one_lane(mut self) -> Self {
        self.lane = Some(0);
        self
    }
}

/// The connection that a reply came over.
pub(crate) struct Via {
    index: usize,
    live: Arc<Link>,
}

impl Via {
    /// Whether both are one connection, which was not replaced in between.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.live, &other.live)
    }
}

impl Connections {
    /// Connects nothing yet, so it needs no runtime.
    pub(crate) fn new(
        pool: Pool<Server>,
        address: String,
        connect_limit: Duration,
        skew: Arc<Skew>,
        random: Arc<Random>,
    ) -> Self {
        let slots = (0..pool.status().max_size).map(|_| Slot::default());
        Self {
            slots: slots.collect(),
            next: AtomicUsize::new(0),
            changed: Notify::new(),
            pool,
            connect_limit,
            address,
            skew,
            random,
        }
    }

    /// Hosts and ports.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// How many connections there are now.
    pub(crate) fn live(&self) -> usize {
        let open = |slot: &&Slot| slot.live.load().is_some();
        self.slots.iter().filter(open).count()
    }

    /// Sends `request` over one of the connections and waits for the reply, in time.
    ///
    /// When this future is dropped the command may or may not be run; its connection stays sound.
    pub(crate) async fn send<R: Request>(
        self: &Arc<Self>,
        request: &R,
        call: Call,
    ) -> Result<R::Reply> {
        self.exchange(request, call).await.map(|(reply, _)| reply)
    }

    /// The same, and over which connection the reply came.
    pub(crate) async fn exchange<R: Request>(
        self: &Arc<Self>,
        request: &R,
        call: Call,
    ) -> Result<(R::Reply, Via)> {
        let mut found = self.any(call.lane);
        loop {
            let (index, live) = match found.take() {
                Some(found) => found,
                // Boxed because it is rare: without it the future of every call would be larger.
                None => Box::pin(self.acquire_in_time(call)).await?,
            };
            let error = match self.send_over(index, &live, request, call).await? {
                Err(error) if error.is_unrecoverable_error() => error,
                Ok(reply) => {
                    if R::is_of_replica(&reply) {
                        // A master no more: whoever knows the new one is asked again.
                        self.slots[index].retire(&live);
                    }
                    return Ok((reply, Via { index, live }));
                }
                Err(error) => return Err(errors::from_driver(error)),
            };
            self.slots[index].retire(&live);
            if !error.is_connection_dropped() {
                return Err(errors::from_driver(error));
            }
            // Ends: every round takes a connection away, and the time limit bounds new ones.
        }
    }

    /// Sends `request` over the connection of slot `index`, in time.
    async fn send_over<R: Request>(
        &self,
        index: usize,
        live: &Link,
        request: &R,
        call: Call,
    ) -> Result<RedisResult<R::Reply>> {
        let mut link = live.clone();
        let mut waits = Waits { slot: &self.slots[index], is_answered: false };
        match timeout_at(call.until, request.send(&mut link)).await {
            Ok(outcome) => {
                waits.is_answered = true;
                Ok(outcome)
            }
            Err(_) => Err(errors::timed_out(call.limit)),
        }
    }

    /// All servers that hold keys of their own.
    pub(crate) async fn masters(self: &Arc<Self>, call: Call) -> Result<Vec<Master>> {
        self.send(&request::Masters, call).await
    }

    /// Waits until the server's clock has been read once, which every connection begins with.
    pub(crate) async fn clock_known(self: &Arc<Self>, call: Call) -> Result<()> {
        if self.skew.is_measured() {
            return Ok(());
        }
        self.acquire_in_time(call).await.map(drop)
    }

    /// Has the keeper look at a connection and at the clocks now.
    pub(crate) fn look_after(&self, via: &Via) {
        self.slots[via.index].wake.notify_one();
    }

    /// Examines a connection over which the record of another key came in reply to a question about
    /// `name`, and gives it up if its replies are out of step with its requests. They are not if it
    /// repeats what it was never sent before: then somebody moved the record, and however often
    /// that is read, it costs no connection.
    pub(crate) async fn examine(&self, via: &Via, name: &[u8], call: Call) {
        let nonce = self.random.fence().0;
        let mut echo = redis::cmd("EVAL"); // by the name of the key, so that a cluster asks the same node
        echo.arg("return ARGV[1]").arg(1).arg(name).arg(&nonce);
        let reply = Box::pin(self.send_over(via.index, &via.live, &echo, call)).await;
        if !matches!(reply, Ok(Ok(Value::BulkString(said))) if said == nonce) {
            tracing::warn!(address = %self.address, slot = via.index, "replies out of step");
            self.slots[via.index].retire(&via.live);
        }
    }

    async fn acquire_in_time(self: &Arc<Self>, call: Call) -> Result<(usize, Arc<Link>)> {
        match timeout_at(call.until, self.acquire(call.lane)).await {
            Ok(acquired) => acquired.map_err(errors::from_driver),
            Err(_) => Err(errors::timed_out(call.limit)),
        }
    }

    /// A connection, waiting for one only while none has failed to come about.
    async fn acquire(self: &Arc<Self>, lane: Option<u64>) -> RedisResult<(usize, Arc<Link>)> {
        loop {
            if let Some(found) = self.any(lane) {
                return Ok(found);
            }
            self.ensure_keepers();
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed; what changed before is seen by looking again.
            changed.as_mut().enable();
            if let Some(found) = self.any(lane) {
                return Ok(found);
            }
            if let Some(failure) = self.failure() {
                return Err(failure);
            }
            changed.await;
        }
    }

    /// The connection of the lane, else the next in turn; if that is missing, the one after it.
    fn any(&self, lane: Option<u64>) -> Option<(usize, Arc<Link>)> {
        let count = self.slots.len();
        let turn = match lane {
            #[allow(clippy::cast_possible_truncation, reason = "any bits of a digest will do")]
            Some(lane) => lane as usize,
            None => self.next.fetch_add(1, Ordering::Relaxed),
        };
        (0..count)
            .map(|step| turn.wrapping_add(step) % count)
            .find_map(|index| Some((index, self.slots[index].live.load_full()?)))
    }

    /// Why there is no connection, once every slot has failed to get one.
    fn failure(&self) -> Option<RedisError> {
        let mut last = None;
        for slot in &self.slots {
            last = Some(slot.failure.load_full()?);
        }
        last.map(|failure| RedisError::clone(&failure))
    }

    /// Sees to it that every slot has a running keeper. The first call starts them; they have to be
    /// started again if the runtime that they ran on was shut down.
    fn ensure_keepers(self: &Arc<Self>) {
        for (index, slot) in self.slots.iter().enumerate() {
            let mut keeper = slot.keeper.lock().unwrap_or_else(PoisonError::into_inner);
            if keeper.as_ref().is_none_or(AbortHandle::is_finished) {
                let wake = Arc::clone(&slot.wake);
                let task = keeper::keep(Arc::downgrade(self), index, wake);
                *keeper = Some(tokio::spawn(task).abort_handle());
            }
        }
    }
}

/// Somebody waits for a reply. Who gives up, by its time limit or by being dropped, has the keeper
/// ask the connection itself: is it slow, or dead without a sign?
struct Waits<'c> {
    slot: &'c Slot,
    is_answered: bool,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.slot.wake.notify_one();
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        for slot in &mut self.slots {
            let keeper = slot.keeper.get_mut();
            if let Some(keeper) = keeper.unwrap_or_else(PoisonError::into_inner) {
                keeper.abort();
            }
        }
    }
}

impl Slot {
    fn open(&self, connection: Link) {
        self.failure.store(None);
        self.live.store(Some(Arc::new(connection)));
    }

    /// Takes a broken connection away, unless it was replaced already, and wakes the keeper.
    fn retire(&self, broken: &Arc<Link>) {
        let before = self.live.compare_and_swap(broken, None);
        if before.as_ref().is_some_and(|held| Arc::ptr_eq(held, broken)) {
            self.wake.notify_one();
        }
    }
}
