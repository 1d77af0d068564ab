//! [`Pauses`]: for which keys the origin is left alone for a while.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cache_core::{CacheKey, Timestamp};

/// How many keys are remembered at most. One that takes another's place costs the origin a call.
const SLOTS: usize = 1024;

/// Bits of a key that a slot names it by. The rest of a slot is a time in milliseconds since 1970,
/// good for 557 years.
const NAME_BITS: u32 = 20;

/// A lossy table of keys whose origin failed, and until when it is left alone about them.
#[derive(Debug)]
pub(crate) struct Pauses(Box<[AtomicU64]>);

impl Pauses {
    pub(crate) fn new() -> Self {
        Self((0..SLOTS).map(|_| AtomicU64::new(0)).collect())
    }

    pub(crate) fn begin(&self, key: &CacheKey, now: Timestamp, pause: Duration) {
        let until = now.saturating_add(pause).as_unix_millis().min(u64::MAX >> NAME_BITS);
        self.slot(key).store(until << NAME_BITS | name(key), Ordering::Relaxed);
    }

    pub(crate) fn is_paused(&self, key: &CacheKey, now: Timestamp) -> bool {
        let slot = self.slot(key).load(Ordering::Relaxed);
        slot & ((1 << NAME_BITS) - 1) == name(key) && now.as_unix_millis() < slot >> NAME_BITS
    }

    pub(crate) fn end(&self, key: &CacheKey) {
        self.slot(key).store(0, Ordering::Relaxed);
    }

    #[allow(clippy::cast_possible_truncation, reason = "the low bits are all that is wanted")]
    fn slot(&self, key: &CacheKey) -> &AtomicU64 {
        &self.0[key.prefix() as usize % SLOTS]
    }
}

/// Other bits than those that choose the slot.
fn name(key: &CacheKey) -> u64 {
    key.prefix() >> (u64::BITS - NAME_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_of_one_key_and_ends() {
        let (pauses, key) = (Pauses::new(), CacheKey::from_text("k"));
        let now = Timestamp::from_unix_millis(1_767_225_600_000);
        let later = |millis| now.saturating_add(Duration::from_millis(millis));
        assert!(!pauses.is_paused(&key, now));
        pauses.begin(&key, now, Duration::from_millis(10));
        assert!(pauses.is_paused(&key, later(9)) && !pauses.is_paused(&key, later(10)));
        assert!(!pauses.is_paused(&CacheKey::from_text("another"), now));
        pauses.end(&key);
        assert!(!pauses.is_paused(&key, now));
        pauses.begin(&key, Timestamp::MAX, Duration::MAX);
        assert!(pauses.is_paused(&key, now), "F19: the end of time does not wrap");
    }
}
