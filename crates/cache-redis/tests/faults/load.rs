//! Callers that read and write while something goes wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cache_core::{CacheKey, Error, RemoteTier as _};
use cache_redis::RedisTier;
use tokio::task::JoinHandle;

use crate::common::{entry, key};

/// The time limit of every call.
pub(crate) const LIMIT: Duration = Duration::from_millis(100);
/// A busy machine wakes tasks late, ours among them.
const LATE: Duration = Duration::from_millis(400);
/// Longer than any of them takes to heal.
const PATIENCE: Duration = Duration::from_secs(30);
const CALLERS: usize = 8;
/// So many calls in a row have to succeed before all is well.
const WELL: usize = 32;

pub(crate) fn keys() -> Vec<CacheKey> {
    (0..64).map(|number| key(&format!("fault {number}"))).collect()
}

fn value(number: usize) -> String {
    format!("the value of {number}").repeat(20)
}

/// What callers saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) stored: u64,
    pub(crate) errors: BTreeMap<&'static str, u64>,
    pub(crate) took: Vec<Duration>,
    pub(crate) healed_after: Duration,
}

/// Callers at work, from before a fault until it has healed.
pub(crate) struct Trial {
    tier: RedisTier,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    callers: Vec<JoinHandle<()>>,
}

impl Trial {
    /// Begins while all is well.
    pub(crate) async fn begin(tier: &RedisTier) -> Self {
        until_well(tier).await;
        Self::begin_unwell(tier)
    }

    pub(crate) fn begin_unwell(tier: &RedisTier) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::default()));
        let caller = |number| {
            let (tier, stop, seen) = (tier.clone(), Arc::clone(&stop), Arc::clone(&seen));
            tokio::spawn(keep_calling(tier, number, stop, seen))
        };
        let callers = (0..CALLERS).map(caller).collect();
        Self { tier: tier.clone(), stop, seen, callers }
    }

    /// The fault is over: what was seen until all is well again, and how long that took.
    pub(crate) async fn end(self) -> Seen {
        let healed_after = until_well(&self.tier).await;
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.expect("no wrong answer");
        }
        let mut seen = std::mem::take(&mut *self.seen.lock().expect("nobody panicked"));
        seen.healed_after = healed_after;
        seen.took.sort_unstable();
        seen
    }
}

async fn keep_calling(
    tier: RedisTier,
    caller: usize,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
) {
    let keys = keys();
    let mut number = caller;
    while !stop.load(Ordering::Relaxed) {
        number = (number * 5 + 3 + caller) % keys.len();
        let start = Instant::now();
        let found = tier.get(&keys[number]).await;
        let took = start.elapsed();
        {
            let mut seen = seen.lock().expect("nobody panicked");
            seen.took.push(took);
            match found {
                Ok(found) => match found.entry {
                    Some(found) => {
                        assert_eq!(found.value.bytes, value(number), "another's value");
                        seen.hits += 1;
                    }
                    None => seen.misses += 1,
                },
                Err(error) => *seen.errors.entry(kind(&error)).or_default() += 1,
            }
        }
        let start = Instant::now();
        let stored = tier.put(&keys[number], &entry(value(number))).await;
        let took = start.elapsed();
        {
            let mut seen = seen.lock().expect("nobody panicked");
            seen.took.push(took);
            match stored {
                Ok(()) => seen.stored += 1,
                Err(error) => *seen.errors.entry(kind(&error)).or_default() += 1,
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::Unavailable { .. } => "unavailable",
        Error::TimedOut { .. } => "timed out",
        Error::Refused { .. } => "refused",
        _ => "other",
    }
}

/// Waits until calls about every key succeed.
async fn until_well(tier: &RedisTier) -> Duration {
    let start = Instant::now();
    let keys = keys();
    let mut in_a_row = 0;
    let mut last = start;
    while in_a_row < WELL {
        let number = (in_a_row * 2) % keys.len();
        let asked = Instant::now();
        let well = tier.put(&keys[number], &entry(value(number))).await.is_ok()
            && tier.get(&keys[number]).await.is_ok();
        if in_a_row == 0 {
            last = asked;
        }
        in_a_row = if well { in_a_row + 1 } else { 0 };
        if !well {
            assert!(start.elapsed() < PATIENCE, "not healed");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    last.duration_since(start)
}

/// Whether all calls ended in time.
pub(crate) fn in_time(seen: &Seen) -> bool {
    seen.took.last().is_none_or(|worst| *worst < LIMIT + LATE)
}
