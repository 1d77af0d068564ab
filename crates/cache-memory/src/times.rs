//! [`Times`]: when entries expire, and how little of a clock that takes to know.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cache_core::{Clock, RECENT, SystemClock, Timestamp};

use crate::record::{Record, Uses};

/// A moment in milliseconds since the cache was made: smaller numbers than since 1970, which the
/// order of deadlines gains from. [`NEVER`] is later than all others.
pub(crate) type Moment = u64;

pub(crate) const NEVER: Moment = u64::MAX;
const SLACK: u64 = RECENT.as_secs() * 1_000;

/// What tells the time, and how long entries may stand idle.
pub(crate) struct Times {
    clock: Source,
    made: Timestamp,
    /// Milliseconds; 0 for ever.
    idle: u64,
    /// Whether any entry may end: a hint, to have the time at hand.
    may_end: AtomicBool,
}

/// The system's clock is known by name, so that a hit reads it without a virtual call.
enum Source {
    System,
    Other(Arc<dyn Clock>),
}

impl Times {
    pub(crate) fn new(clock: Option<Arc<dyn Clock>>, time_to_idle: Option<Duration>) -> Self {
        let clock = clock.map_or(Source::System, Source::Other);
        let idle = time_to_idle.map_or(0, |idle| {
            Timestamp::default().saturating_add(idle).as_unix_millis() // rounds up
        });
        let may_end = AtomicBool::new(idle > 0);
        let mut times = Self { clock, made: Timestamp::default(), idle, may_end };
        times.made = times.timestamp();
        times
    }

    pub(crate) fn timestamp(&self) -> Timestamp {
        match &self.clock {
            Source::System => SystemClock.now(),
            Source::Other(clock) => clock.now(),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        self.moment(self.timestamp())
    }

    /// An entry that ends is stored.
    pub(crate) fn expect_ends(&self) {
        if !self.may_end.load(Ordering::Relaxed) {
            self.may_end.store(true, Ordering::Relaxed);
        }
    }

    /// The time of the last tick, if it may be wanted and takes no code of the user's to tell: for
    /// who waits for memory meanwhile, it costs next to nothing.
    #[inline]
    pub(crate) fn glance(&self) -> Option<Moment> {
        match &self.clock {
            Source::System if self.may_end.load(Ordering::Relaxed) => {
                Some(self.moment(SystemClock.recent()))
            }
            _ => None,
        }
    }

    fn recent(&self) -> Timestamp {
        match &self.clock {
            Source::System => SystemClock.recent(),
            Source::Other(clock) => clock.recent(),
        }
    }

    /// The moment of an absolute time; one before the cache was made counts as its beginning.
    pub(crate) fn moment(&self, at: Timestamp) -> Moment {
        if at == Timestamp::MAX {
            return NEVER;
        }
        at.as_unix_millis().saturating_sub(self.made.as_unix_millis())
    }

    /// The first uses of an entry stored at `now`.
    pub(crate) fn first_use(&self, marks: u32, now: Moment) -> Uses {
        Uses::new(marks, if self.idle == 0 { 0 } else { now })
    }

    pub(crate) fn has_idle(&self) -> bool {
        self.idle > 0
    }

    /// When an entry ends if it is not used again.
    pub(crate) fn deadline(&self, expires_at: Timestamp, last_use: Moment) -> Moment {
        let end = self.moment(expires_at);
        if self.idle == 0 { end } else { end.min(last_use.saturating_add(self.idle)) }
    }

    /// Whether an entry is live at `now`.
    pub(crate) fn is_live<K, V>(&self, record: &Record<K, V>, now: Moment) -> bool {
        now < self.deadline(record.expires_at, record.last_use())
    }

    /// If an entry is live, the moment of this use of it (0 where idleness does not matter).
    ///
    /// What has a second left is told from the kernel's last tick, at a fifth of the cost, which may
    /// be known from a `glance`; a use is then dated by the tick too, a few milliseconds early.
    #[inline]
    pub(crate) fn seen(
        &self,
        expires_at: Timestamp,
        uses: Uses,
        glance: Option<Moment>,
    ) -> Option<Moment> {
        if expires_at == Timestamp::MAX && self.idle == 0 {
            return Some(0);
        }
        let deadline = self.deadline(expires_at, uses.last());
        let mut now = glance.unwrap_or_else(|| self.moment(self.recent()));
        if deadline.saturating_sub(now) <= SLACK {
            now = self.now();
            if now >= deadline {
                return None;
            }
        }
        Some(if self.idle == 0 { 0 } else { now.max(uses.last()) })
    }
}
