//! The circuit breaker that keeps a dead remote tier from costing anything.

use std::time::Duration;

use cache_core::Timestamp;
use parking_lot::Mutex;

/// When the remote tier is left alone, and how often it is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, default))]
#[must_use]
pub struct BreakerOptions {
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::failures"))]
    pub(crate) failures: u32,
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::probe_interval"))]
    pub(crate) probe_interval: Duration,
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::slow_call"))]
    pub(crate) slow_call: Option<Duration>,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self { failures: 3, probe_interval: Duration::from_secs(1), slow_call: None }
    }
}

impl BreakerOptions {
    /// How many failures in a row, of any operation, open it. Default: 3.
    pub const fn failures(mut self, failures: u32) -> Self {
        self.failures = failures;
        self
    }

    /// While it is open, one call an interval is let through to probe the tier. Default: 1 s.
    pub const fn probe_interval(mut self, interval: Duration) -> Self {
        self.probe_interval = interval;
        self
    }

    /// A call that takes longer than this counts as a failure although its answer is used. Default:
    /// none does; those beyond the deadline fail anyway.
    pub const fn slow_call(mut self, limit: Duration) -> Self {
        self.slow_call = Some(limit);
        self
    }
}

/// Whether the remote tier is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// Calls are spared, but for one probe an interval.
    Open,
}

/// `failures` in a row open it; then one probe an interval; a success closes it (A62, A63).
#[derive(Debug)]
pub(crate) struct Breaker {
    options: BreakerOptions,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { failures: u32 },
    Open { next_probe: Timestamp, probing: bool },
}

/// Leave to make one call. Dropped without a verdict, it says nothing about the tier, but the
/// probe's place becomes free again.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

impl Breaker {
    pub(crate) fn new(options: BreakerOptions) -> Self {
        Self { options, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    pub(crate) fn state(&self) -> BreakerState {
        match *self.state.lock() {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
        }
    }

    /// Whether a call may be made now.
    pub(crate) fn admit(&self, now: Timestamp) -> Option<Permit<'_>> {
        let probe = match &mut *self.state.lock() {
            State::Closed { .. } => false,
            State::Open { next_probe, probing } if !*probing && now >= *next_probe => {
                *probing = true;
                true
            }
            State::Open { .. } => return None,
        };
        Some(Permit { breaker: self, probe })
    }
}

impl Permit<'_> {
    /// The tier answered. True if that closed the breaker.
    pub(crate) fn succeeded(mut self) -> bool {
        let mut state = self.breaker.state.lock();
        let before = std::mem::replace(&mut *state, State::Closed { failures: 0 });
        drop(state);
        self.probe = false; // closed: there is no place to free
        matches!(before, State::Open { .. })
    }

    /// The tier failed. True if that opened the breaker.
    pub(crate) fn failed(mut self, now: Timestamp) -> bool {
        let options = self.breaker.options;
        let mut state = self.breaker.state.lock();
        let opened = match *state {
            State::Closed { failures } if failures + 1 < options.failures => {
                *state = State::Closed { failures: failures + 1 };
                return false;
            }
            State::Closed { .. } => true,
            State::Open { .. } if self.probe => false,
            // A call from before the breaker opened, or from before a failed probe: old news.
            State::Open { .. } => return false,
        };
        let next_probe = now.saturating_add(options.probe_interval);
        *state = State::Open { next_probe, probing: false };
        drop(state);
        self.probe = false; // its place is free already
        opened
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.probe {
            return;
        }
        if let State::Open { probing, .. } = &mut *self.breaker.state.lock() {
            *probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_unix_millis(0);
    const T1: Timestamp = Timestamp::from_unix_millis(1_000);
    const T2: Timestamp = Timestamp::from_unix_millis(2_000);

    fn breaker() -> Breaker {
        Breaker::new(BreakerOptions::default())
    }

    fn fail(breaker: &Breaker, now: Timestamp) -> bool {
        breaker.admit(now).expect("admitted").failed(now)
    }

    /// A63: the first and second failure do not open it; a success resets the run.
    #[test]
    fn opens_at_the_third_failure_in_a_row() {
        let breaker = breaker();
        assert!(!fail(&breaker, T0) && !fail(&breaker, T0));
        assert!(!breaker.admit(T0).unwrap().succeeded());
        assert!(!fail(&breaker, T0) && !fail(&breaker, T0));
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert!(fail(&breaker, T0));
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    /// A62: open, it lets one probe an interval through; a success closes it.
    #[test]
    fn probes_once_an_interval() {
        let breaker = breaker();
        while !fail(&breaker, T0) {}
        assert!(breaker.admit(T0).is_none());
        let probe = breaker.admit(T1).expect("the probe");
        assert!(breaker.admit(T1).is_none(), "one probe at a time");
        assert!(!probe.failed(T1));
        assert!(breaker.admit(T1).is_none(), "the next interval begins at the failure");
        assert!(breaker.admit(T2).unwrap().succeeded());
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    /// A probe whose future was dropped leaves its place to the next.
    #[test]
    fn a_dropped_probe_frees_its_place() {
        let breaker = breaker();
        while !fail(&breaker, T0) {}
        drop(breaker.admit(T1).expect("the probe"));
        assert!(breaker.admit(T1).is_some());
    }

    /// Calls under way when the breaker opened neither reopen it nor take the probe's place.
    #[test]
    fn late_failures_are_old_news() {
        let breaker = breaker();
        let late: Vec<_> = (0..2).map(|_| breaker.admit(T0).unwrap()).collect();
        while !fail(&breaker, T0) {}
        let probe = breaker.admit(T1).expect("the probe");
        for permit in late {
            assert!(!permit.failed(T1));
        }
        assert!(breaker.admit(T1).is_none(), "the probe still has its place");
        assert!(probe.succeeded());
    }
}
