//! Times on the server's clock, so that hosts whose clocks differ agree on every entry's end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use cache_core::{Clock, StoredEntry, Timestamp};

/// What a write may be late by the server's clock beyond its time limit: more than the usual error
/// in what is known of that clock, which would refuse writes that are in time.
const TOLERANCE: Duration = Duration::from_millis(10);

/// How far in the future an entry may say that it was stored, for what hosts are wrong by. One from
/// further on is of a clock that was set since, and nobody can tell how old it is.
const BELIEVED: Duration = Duration::from_secs(1);

/// The local clock and how far the server's is ahead of it.
#[derive(Debug)]
pub(crate) struct Skew {
    clock: Arc<dyn Clock>,
    /// Server time minus local time, in milliseconds.
    ahead: AtomicI64,
    /// Server time minus what has passed since `start`, in milliseconds: good for the near future,
    /// whatever is done to the local clock.
    at_start: AtomicI64,
    start: Instant,
    measured: AtomicBool,
}

/// One measurement: the server's time, and when it was asked and answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// The local time when it was asked.
    pub(crate) local: Timestamp,
    pub(crate) asked: Instant,
    pub(crate) server: Timestamp,
    pub(crate) answered: Instant,
}

impl Sample {
    /// How long the answer took, in milliseconds: twice the largest possible error.
    pub(crate) fn round_trip(&self) -> i64 {
        whole_millis(self.answered.saturating_duration_since(self.asked))
    }

    /// Cristian's algorithm (1989): the server read its clock in the middle of the round trip.
    fn ahead_of(&self, asked: i64) -> i64 {
        millis(self.server).saturating_sub(asked.saturating_add(self.round_trip() / 2))
    }
}

impl Skew {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            ahead: AtomicI64::new(0),
            at_start: AtomicI64::new(0),
            start: Instant::now(),
            measured: AtomicBool::new(false),
        }
    }

    /// Takes a measurement over, if it says more than its own error: times that are written and
    /// read back should be equal, not off by a millisecond each way.
    pub(crate) fn observe(&self, sample: &Sample) {
        let since_start = whole_millis(sample.asked.saturating_duration_since(self.start));
        for (known, asked) in [(&self.ahead, millis(sample.local)), (&self.at_start, since_start)] {
            let measured = sample.ahead_of(asked);
            let differs = measured.abs_diff(known.load(Ordering::Relaxed));
            if differs > sample.round_trip().unsigned_abs() / 2 + 2 {
                known.store(measured, Ordering::Relaxed);
            }
        }
        // Pairs with the load in `is_measured`: who sees it sees what was measured.
        self.measured.store(true, Ordering::Release);
    }

    /// Whether the server's clock was ever read.
    pub(crate) fn is_measured(&self) -> bool {
        self.measured.load(Ordering::Acquire)
    }

    /// The moment on the server's clock after which a write is late that may take `limit` from now
    /// on. Reckoned from what has passed since the measurement, not from the local clock, so that
    /// setting that one refuses no write.
    pub(crate) fn not_after(&self, limit: Duration) -> Timestamp {
        let now = self
            .at_start
            .load(Ordering::Relaxed)
            .saturating_add(whole_millis(self.start.elapsed()));
        let now = Timestamp::from_unix_millis(u64::try_from(now).unwrap_or(0));
        now.saturating_add(limit).saturating_add(TOLERANCE)
    }

    /// Now, on the local clock.
    pub(crate) fn local_now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Now, on the server's clock.
    pub(crate) fn server_now(&self) -> Timestamp {
        shift(self.local_now(), self.ahead.load(Ordering::Relaxed))
    }

    /// `entry` with its times as the server's clock has them, none of them out of order, and how
    /// long it has left; `None` if its time is up.
    pub(crate) fn to_server(&self, entry: &StoredEntry) -> Option<(StoredEntry, Duration)> {
        let now = self.local_now();
        let mut stored = entry.clone();
        stored.fresh_until = stored.fresh_until.min(stored.expires_at);
        if stored.is_expired(now) {
            return None;
        }
        let stored = moved(stored, premature(entry, now).saturating_neg());
        let left = stored.remaining(now);
        let ahead = self.ahead.load(Ordering::Relaxed);
        (!left.is_zero()).then(|| (moved(stored, ahead), left))
    }

    /// A time on the server's clock, on the local one.
    #[cfg(feature = "llmix")]
    pub(crate) fn local(&self, server: Timestamp) -> Timestamp {
        shift(server, self.ahead.load(Ordering::Relaxed).saturating_neg())
    }

    /// Whether something may have been stored then, as far as clocks agree.
    pub(crate) fn is_believable(stored_at: Timestamp, now: Timestamp) -> bool {
        stored_at.saturating_since(now) <= BELIEVED
    }

    /// What is left at `now`, on the server's clock, of what was stored and expires at these times
    /// on it; zero if that was stored too far in the future to be believed.
    pub(crate) fn left(stored_at: Timestamp, expires_at: Timestamp, now: Timestamp) -> Duration {
        if !Self::is_believable(stored_at, now) {
            return Duration::ZERO;
        }
        expires_at.saturating_since(now.max(stored_at))
    }

    /// `entry`, as it was stored, with its times on the local clock; `None` if its time is up, or
    /// if it was stored too far in the future to be believed.
    pub(crate) fn to_local(&self, entry: StoredEntry) -> Option<StoredEntry> {
        let ahead = self.ahead.load(Ordering::Relaxed);
        let now = shift(self.local_now(), ahead);
        if Self::left(entry.stored_at, entry.expires_at, now).is_zero() {
            return None;
        }
        let back = ahead.saturating_add(premature(&entry, now));
        Some(moved(entry, back.saturating_neg()))
    }
}

/// How far into the future an entry says that it was stored, in milliseconds.
///
/// Such an entry counts as stored just now, so that it never gets more than the life it was given,
/// however wrong the clock of its writer was. That holds once, when it is written. Whoever reads it
/// would begin its life again each time, and so believes no more than a small difference.
fn premature(entry: &StoredEntry, now: Timestamp) -> i64 {
    millis(entry.stored_at).saturating_sub(millis(now)).max(0)
}

fn moved(mut entry: StoredEntry, by: i64) -> StoredEntry {
    entry.stored_at = shift(entry.stored_at, by);
    entry.fresh_until = shift(entry.fresh_until, by);
    entry.expires_at = shift(entry.expires_at, by);
    entry
}

/// [`Timestamp::MAX`] is no moment but "never" and stays where it is.
fn shift(time: Timestamp, by: i64) -> Timestamp {
    if time == Timestamp::MAX {
        return time;
    }
    Timestamp::from_unix_millis(time.as_unix_millis().saturating_add_signed(by))
}

fn whole_millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.as_unix_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use cache_core::{CodecId, Entry, Lifetime, ManualClock, Payload};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn skew_at(local: Timestamp, server: Timestamp) -> Skew {
        let skew = Skew::new(Arc::new(ManualClock::at(local)));
        skew.observe(&sample(local, server));
        skew
    }

    /// One that took no time.
    fn sample(local: Timestamp, server: Timestamp) -> Sample {
        let now = Instant::now();
        Sample { local, asked: now, server, answered: now }
    }

    fn entry(now: Timestamp) -> StoredEntry {
        let value = Payload { codec: CodecId::RAW, bytes: Bytes::from_static(b"v") };
        Entry::new(value, now, Lifetime::new(HOUR))
    }

    /// A26: hosts that are hours apart see the same remaining life.
    #[test]
    fn hosts_agree_on_what_is_left() {
        let server = Timestamp::from_unix_millis(1_800_000_000_000);
        let (slow, fast) = (
            Timestamp::from_unix_millis(1_800_000_000_000 - 7_200_000),
            server.saturating_add(HOUR),
        );
        let (writer, reader) = (skew_at(slow, server), skew_at(fast, server));
        let (stored, left) = writer.to_server(&entry(slow)).unwrap();
        assert_eq!(left, HOUR);
        let read = reader.to_local(stored.clone()).unwrap();
        assert_eq!(read.remaining(fast), HOUR);
        assert_eq!(read.age(fast), Duration::ZERO);
        assert_eq!(writer.to_local(stored).unwrap(), entry(slow));
    }

    /// A26: an entry from the future gets the life it was given, not more, when it is written.
    #[test]
    fn the_future_lengthens_no_life() {
        let now = Timestamp::from_unix_millis(1_800_000_000_000);
        let writer = skew_at(now, now);
        let (stored, left) = writer.to_server(&entry(now.saturating_add(HOUR))).unwrap();
        assert_eq!(left, HOUR);
        assert_eq!(stored.stored_at, now);
    }

    /// A26: nor is its life begun again at every read of it: beyond what clocks are wrong by, nobody
    /// knows when it was stored, so it is a miss.
    #[test]
    fn what_was_stored_in_the_future_is_not_believed() {
        let now = Timestamp::from_unix_millis(1_800_000_000_000);
        let reader = skew_at(now, now);
        let read = reader.to_local(entry(now.saturating_add(BELIEVED))).unwrap();
        assert_eq!(read.remaining(now), HOUR);
        assert_eq!(read.stored_at, now);

        let beyond = now.saturating_add(BELIEVED + Duration::from_millis(1));
        assert_eq!(reader.to_local(entry(beyond)), None);
        let mut eternal = entry(beyond);
        (eternal.fresh_until, eternal.expires_at) = (Timestamp::MAX, Timestamp::MAX);
        assert_eq!(reader.to_local(eternal), None);
        assert_eq!(Skew::left(beyond, beyond.saturating_add(HOUR), now), Duration::ZERO);
    }

    #[test]
    fn nothing_is_left_of_the_expired() {
        let now = Timestamp::from_unix_millis(1_800_000_000_000);
        let skew = skew_at(now.saturating_add(HOUR), now);
        assert_eq!(skew.to_server(&entry(now)), None);
        let mut lasting_nothing = entry(now.saturating_add(HOUR + HOUR));
        lasting_nothing.expires_at = lasting_nothing.stored_at;
        assert_eq!(skew.to_server(&lasting_nothing), None);
    }

    #[test]
    fn never_stays_never() {
        let now = Timestamp::from_unix_millis(1_800_000_000_000);
        let skew = skew_at(now, now.saturating_add(HOUR));
        let mut eternal = entry(now);
        (eternal.fresh_until, eternal.expires_at) = (Timestamp::MAX, Timestamp::MAX);
        let (stored, _) = skew.to_server(&eternal).unwrap();
        assert_eq!(skew.to_local(stored).unwrap(), eternal);
    }

    /// The end of a write is told by the server's clock, and no setting of the local one moves it.
    #[test]
    fn lateness_is_told_by_the_server_s_clock() {
        let server = Timestamp::from_unix_millis(1_800_000_000_000);
        let clock = Arc::new(ManualClock::at(server.saturating_add(HOUR)));
        let skew = Skew::new(clock.clone());
        assert!(!skew.is_measured());
        skew.observe(&sample(clock.now(), server));
        assert!(skew.is_measured());
        clock.advance(HOUR);
        let earliest = server.saturating_add(HOUR + TOLERANCE);
        let not_after = skew.not_after(HOUR);
        assert!(not_after >= earliest, "{not_after:?}");
        let latest = earliest.saturating_add(Duration::from_secs(60)); // what this test took
        assert!(not_after <= latest, "{not_after:?}");
    }

    /// A measurement within its own error changes nothing; a better one does.
    #[test]
    fn small_differences_are_noise() {
        let now = Timestamp::from_unix_millis(1_800_000_000_000);
        let skew = skew_at(now, now);
        let late = |by| sample(now, now.saturating_add(Duration::from_millis(by)));
        skew.observe(&late(2));
        assert_eq!(skew.server_now(), now);
        skew.observe(&late(5));
        assert_eq!(skew.server_now(), late(5).server);
    }
}
