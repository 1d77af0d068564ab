//! The task behind one connection: connects, watches, replaces.
//!
//! It owns the lease from the pool and holds the tier only weakly, so it ends with the tier.

use std::sync::{Arc, Weak};
use std::time::Duration;

use deadpool::managed::{Object, Pool, PoolError};
use redis::{RedisError, RedisResult};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::Connections;
use crate::backoff::{Backoff, FIRST_PAUSE};
use crate::errors::connect_timed_out;
use crate::random::Random;
use crate::server::{Link, Server};
use crate::skew::{Sample, Skew};

/// How often a connection is looked at unasked: servers drop idle ones, and clocks drift.
const CHECK_EVERY: Duration = Duration::from_secs(10);
/// The least time from one look to the next: calls that are given up ask for one each.
const REST: Duration = Duration::from_millis(50);
/// The clocks are compared this often for each new connection; the quickest answer counts.
const SAMPLES: usize = 3;

/// Keeps the connection of slot `index` for as long as `owner` lives.
pub(super) async fn keep(owner: Weak<Connections>, index: usize, wake: Arc<Notify>) {
    let mut backoff = Backoff::default();
    while let Some(means) = Means::of(&owner) {
        match means.connect().await {
            Ok((lease, sample)) => {
                if !announce(&owner, index, &lease, &sample) {
                    return;
                }
                backoff.reset();
                let again = Instant::now() + FIRST_PAUSE;
                watch(&owner, index, &wake, &means).await;
                // Taken, not returned: the pool would keep the broken connection for the next one.
                drop(Object::take(lease));
                // Callers are waiting, so the next attempt is made at once, unless a server that
                // accepts and then hangs up would make it a loop.
                sleep_until(again).await;
            }
            Err(error) => {
                report(&owner, index, error);
                sleep(backoff.pause(&means.random)).await;
            }
        }
    }
}

/// What an attempt needs of the tier, without keeping the tier alive.
struct Means {
    pool: Pool<Server>,
    limit: Duration,
    skew: Arc<Skew>,
    random: Arc<Random>,
}

impl Means {
    fn of(owner: &Weak<Connections>) -> Option<Self> {
        let owner = owner.upgrade()?;
        Some(Self {
            pool: owner.pool.clone(),
            limit: owner.connect_limit,
            skew: Arc::clone(&owner.skew),
            random: Arc::clone(&owner.random),
        })
    }

    /// A connection that has answered, with the time of the server.
    async fn connect(&self) -> RedisResult<(Object<Server>, Sample)> {
        let attempt = async {
            let lease = self.pool.get().await.map_err(into_driver_error)?;
            let mut quickest = self.sample(&lease).await?;
            for _ in 1..SAMPLES {
                let sample = self.sample(&lease).await?;
                if sample.round_trip() < quickest.round_trip() {
                    quickest = sample;
                }
            }
            Ok((lease, quickest))
        };
        timeout(self.limit, attempt).await.unwrap_or_else(|_| Err(connect_timed_out(self.limit)))
    }

    /// Asks for the server's time: a sign of life and a measurement in one.
    async fn sample(&self, link: &Link) -> RedisResult<Sample> {
        let (local, asked) = (self.skew.local_now(), Instant::now().into_std());
        let server = link.time().await?;
        Ok(Sample { local, asked, server, answered: Instant::now().into_std() })
    }
}

/// Hands a new connection to the callers; whether there still are any.
fn announce(
    owner: &Weak<Connections>,
    index: usize,
    lease: &Object<Server>,
    sample: &Sample,
) -> bool {
    let Some(owner) = owner.upgrade() else {
        return false;
    };
    owner.skew.observe(sample);
    let slot = &owner.slots[index];
    if slot.failure.load().is_some() {
        tracing::info!(address = %owner.address, slot = index, "connected to redis again");
    }
    slot.open(Link::clone(lease));
    owner.changed.notify_waiters();
    true
}

/// Returns when the connection is no longer of use.
async fn watch(owner: &Weak<Connections>, index: usize, wake: &Notify, means: &Means) {
    let mut rested = Instant::now();
    let mut next = rested + CHECK_EVERY;
    loop {
        // Timing out is as good a reason to look as being woken.
        let is_asked = timeout_at(next, wake.notified()).await.is_ok();
        let Some(live) = (|| owner.upgrade()?.slots[index].live.load_full())() else {
            return; // a call found it broken, or the tier is gone
        };
        if is_asked && Instant::now() < rested {
            next = next.min(rested);
            continue;
        }
        let checked = timeout(means.limit, means.sample(&live)).await;
        let Some(owner) = owner.upgrade() else { return };
        if let Ok(Ok(sample)) = checked {
            owner.skew.observe(&sample);
        } else {
            owner.slots[index].retire(&live);
        }
        rested = Instant::now() + REST;
        next = Instant::now() + CHECK_EVERY;
    }
}

/// Lets callers fail at once from now on. Said once, not at each attempt.
fn report(owner: &Weak<Connections>, index: usize, error: RedisError) {
    let Some(owner) = owner.upgrade() else { return };
    let slot = &owner.slots[index];
    if slot.failure.load().is_none() {
        tracing::warn!(address = %owner.address, slot = index, %error, "redis is unavailable");
    }
    slot.failure.store(Some(Arc::new(error)));
    owner.changed.notify_waiters();
}

fn into_driver_error(error: PoolError<RedisError>) -> RedisError {
    match error {
        PoolError::Backend(error) => error,
        other => std::io::Error::other(other.to_string()).into(),
    }
}
