//! [`Backoff`]: how long to wait between attempts to connect.

use std::time::Duration;

use crate::random::Random;

/// The pause after the first failure; and the least time from a success to the next attempt, since a
/// server that accepts and then hangs up would make it a loop.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Exponential backoff, half of it by chance, so that many clients do not come back at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after another failure.
    pub(crate) fn pause(&mut self, random: &Random) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let half = FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE) / 2;
        let by_chance = u64::try_from(half.as_millis()).unwrap_or(u64::MAX).max(1);
        half + Duration::from_millis(random.below(by_chance))
    }

    /// An attempt succeeded; whether any had failed before.
    pub(crate) fn reset(&mut self) -> bool {
        std::mem::take(&mut self.failures) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_second_and_begin_anew() {
        let (random, mut backoff) = (Random::new(), Backoff::default());
        assert!(!backoff.reset());
        for doubled in [50, 100, 200, 400, 800, 1_000, 1_000] {
            let pause = backoff.pause(&random);
            let longest = Duration::from_millis(doubled);
            assert!((longest / 2..longest).contains(&pause), "{pause:?} of {longest:?}");
        }
        backoff.failures = u32::MAX;
        assert!(backoff.pause(&random) < LONGEST_PAUSE);
        assert!(backoff.reset());
        assert!(backoff.pause(&random) < FIRST_PAUSE);
    }
}
