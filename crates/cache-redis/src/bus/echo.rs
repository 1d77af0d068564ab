//! [`Echo`]: what comes back of our own messages: how long they take, and whether they come at all.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Shared by the half of the bus that sends and the half that receives.
#[derive(Debug)]
pub(super) struct Echo {
    /// What our messages carry as the time that they were sent counts from here.
    born: Instant,
    /// In microseconds, from 1; 0 for not known.
    delay: AtomicU64,
    /// Heartbeats that the server took since anything came back.
    missing: AtomicU32,
    /// Whether anything came back over this line. The first may have waited for connections.
    is_warm: AtomicBool,
}

impl Echo {
    pub(super) fn new() -> Self {
        Self {
            born: Instant::now(),
            delay: AtomicU64::new(0),
            missing: AtomicU32::new(0),
            is_warm: AtomicBool::new(false),
        }
    }

    /// Now, as our messages say it.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The server took a heartbeat, which is therefore to come back.
    pub(super) fn expect(&self) {
        self.missing.fetch_add(1, Ordering::Relaxed);
    }

    /// There is a new line. What was to come back over the one before will not come any more.
    pub(super) fn begin(&self) {
        self.missing.store(0, Ordering::Relaxed);
        self.is_warm.store(false, Ordering::Relaxed);
    }

    /// How many heartbeats were to come back, since anything did.
    pub(super) fn missing(&self) -> u32 {
        self.missing.load(Ordering::Relaxed)
    }

    /// What was sent at `sent` came back.
    pub(super) fn came(&self, sent: u64) {
        self.missing.store(0, Ordering::Relaxed);
        if !self.is_warm.swap(true, Ordering::Relaxed) {
            return;
        }
        let took = self.now().saturating_sub(sent).max(1);
        // The inbox calls this under its lock: nothing is lost between the load and the store.
        let smoothed = match self.delay.load(Ordering::Relaxed) {
            0 => took,
            before => (before.saturating_mul(7).saturating_add(took) / 8).max(1),
        };
        self.delay.store(smoothed, Ordering::Relaxed);
    }

    /// The smoothed time from sending to hearing.
    pub(super) fn delay(&self) -> Option<Duration> {
        match self.delay.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(Duration::from_micros(micros)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn delays_are_smoothed() {
        let echo = Echo::new();
        assert_eq!(echo.delay(), None);
        tokio::time::advance(Duration::from_millis(80)).await;
        echo.came(0);
        assert_eq!(echo.delay(), None, "it may have waited for a connection");
        echo.came(echo.now() - 800);
        assert_eq!(echo.delay(), Some(Duration::from_micros(800)));
        echo.came(echo.now() - 1_600);
        assert_eq!(echo.delay(), Some(Duration::from_micros(900)));
        echo.came(u64::MAX); // a foreign clock under our name makes no panic
        assert!(echo.delay() < Some(Duration::from_micros(900)));
    }

    #[test]
    fn any_echo_answers_for_all() {
        let echo = Echo::new();
        echo.expect();
        echo.expect();
        assert_eq!(echo.missing(), 2);
        echo.came(0);
        assert_eq!(echo.missing(), 0);
    }
}
