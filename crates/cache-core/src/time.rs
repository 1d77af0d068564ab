//! [`Timestamp`] and [`Clock`]: time is handed in, so that tests set it and never sleep.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[cfg(target_os = "linux")]
use nix::time::ClockId;

/// A moment, in milliseconds since the Unix epoch.
///
/// All arithmetic saturates: a clock that steps back or a time from a host far away can shorten a
/// life, never wrap it round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Later than every other moment: what "never expires" compares as.
    pub const MAX: Self = Self(u64::MAX);

    /// The moment `millis` milliseconds after the Unix epoch.
    pub const fn from_unix_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_unix_millis(self) -> u64 {
        self.0
    }

    /// The moment `duration` later, at most [`Timestamp::MAX`].
    ///
    /// Part milliseconds count as whole ones, so a life of 300 µs is 1 ms and never 0.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        // Not `as_nanos`, which divides 128 bits.
        let millis = u64::from(duration.subsec_nanos().div_ceil(1_000_000));
        let millis = duration.as_secs().saturating_mul(1_000).saturating_add(millis);
        Self(self.0.saturating_add(millis))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Tells the time to everything that expires.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Now. Never earlier than an answer already given.
    fn now(&self) -> Timestamp;

    /// A moment that has passed, at most [`RECENT`] ago, for those who would rather not pay for
    /// the exact time. Default: [`now`](Self::now).
    ///
    /// Whoever is alive a second after this moment is alive now; the others ask `now`.
    fn recent(&self) -> Timestamp {
        self.now()
    }
}

/// How far [`Clock::recent`] may lag behind [`Clock::now`].
pub const RECENT: Duration = Duration::from_secs(1);

/// The time of this machine: the wall clock as it stood when the process first asked, moved on by
/// the monotonic clock.
///
/// It neither jumps nor goes back when the wall clock is set. All `SystemClock`s of a process
/// agree. `now` costs one monotonic clock read, no system call. `recent` is, on Linux, the time of
/// the kernel's last tick, a few milliseconds ago: it costs a fifth of that, and unlike the exact
/// clock it does not hold up the processor's work on what comes before and after.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// The moment that all `SystemClock`s count from.
struct Origin {
    wall: u64,
    at: Instant,
    #[cfg(target_os = "linux")]
    tick: Duration,
}

static ORIGIN: std::sync::LazyLock<Origin> = std::sync::LazyLock::new(|| {
    // A wall clock before 1970 counts as 1970: entries of other hosts are then merely fresher.
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Origin {
        wall: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
        at: Instant::now(),
        // Read after `at`, so that what has passed since is never more: `recent` is not ahead.
        #[cfg(target_os = "linux")]
        tick: monotonic(ClockId::CLOCK_MONOTONIC),
    }
});

/// What Linux's monotonic clocks show; `Instant` reads the exact one of them.
#[cfg(target_os = "linux")]
fn monotonic(clock: ClockId) -> Duration {
    // Linux has had both since 2.6.32.
    nix::time::clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

impl Origin {
    fn after(&self, elapsed: Duration) -> Timestamp {
        // Not `as_millis`, which divides 128 bits.
        let millis = elapsed.as_secs().saturating_mul(1_000);
        Timestamp(self.wall.saturating_add(millis + u64::from(elapsed.subsec_millis())))
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // `Instant::elapsed` saturates at zero (Rust 1.60), so no underflow (F19).
        ORIGIN.after(ORIGIN.at.elapsed())
    }

    #[cfg(target_os = "linux")]
    fn recent(&self) -> Timestamp {
        let ticks = monotonic(ClockId::CLOCK_MONOTONIC_COARSE);
        ORIGIN.after(ticks.saturating_sub(ORIGIN.tick))
    }
}

/// A clock that stands still until it is moved: for tests.
///
/// ```
/// use cache_core::{Clock, ManualClock};
/// use std::time::Duration;
///
/// let clock = ManualClock::default();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(1));
/// assert_eq!(clock.now().saturating_since(before), Duration::from_secs(1));
/// ```
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that stands at `start`.
    pub const fn at(start: Timestamp) -> Self {
        Self(AtomicU64::new(start.0))
    }

    /// Moves the clock forward, by whole milliseconds rounded up.
    pub fn advance(&self, by: Duration) {
        let step = |now| Some(Timestamp(now).saturating_add(by).0);
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, step);
    }
}

/// Starts in 2026, as far from zero as real clocks are.
impl Default for ManualClock {
    fn default() -> Self {
        Self::at(Timestamp(1_767_225_600_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Acquire))
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn recent(&self) -> Timestamp {
        (**self).recent()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F19: nothing wraps, nothing panics, at either end of time.
    #[test]
    fn arithmetic_saturates() {
        let early = Timestamp::from_unix_millis(5);
        assert_eq!(early.saturating_since(Timestamp::MAX), Duration::ZERO);
        assert_eq!(early.saturating_add(Duration::MAX), Timestamp::MAX);
    }

    /// A25: a life below a millisecond is still a life.
    #[test]
    fn part_milliseconds_round_up() {
        let start = Timestamp::from_unix_millis(10);
        assert_eq!(start.saturating_add(Duration::from_micros(300)).as_unix_millis(), 11);
        assert_eq!(start.saturating_add(Duration::ZERO), start);
    }

    #[test]
    fn system_clock_is_near_the_wall_clock_and_never_goes_back() {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let first = SystemClock.now();
        assert!(u128::from(first.as_unix_millis()).abs_diff(wall) < 60_000);
        assert!(SystemClock.now() >= first);
    }

    /// What is recent has passed, and not long ago.
    #[test]
    fn recent_is_behind_now_but_not_far() {
        for _ in 0..100_000 {
            let recent = SystemClock.recent();
            let now = SystemClock.now();
            assert!(recent <= now, "{recent:?} after {now:?}");
            assert!(now.saturating_since(recent) <= RECENT, "{recent:?} long before {now:?}");
        }
    }
}
