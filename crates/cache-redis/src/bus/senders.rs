//! [`Senders`]: who was heard on the channel, up to which number. Finds what is missing.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::message::{Message, Sender, Subject};

/// How many senders are remembered. Beyond that the longest silent one is forgotten, and when it is
/// heard again it is taken to have a gap: too much is told then, never too little.
const MOST: usize = 4_096;
/// Who is silent for so many of its own intervals is gone.
pub(super) const PATIENCE: u32 = 3;

/// Every other sender that is known to be there.
#[derive(Debug, Default)]
pub(super) struct Senders {
    known: HashMap<Sender, Known>,
}

#[derive(Debug)]
struct Known {
    /// The highest number that it is known to have used.
    last: u64,
    heard: Instant,
    interval: Duration,
    /// Since when it says of itself to have used fewer numbers than `last`, and nothing else.
    doubted: Option<Instant>,
}

impl Known {
    fn is_silent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) > self.interval.saturating_mul(PATIENCE)
    }

    /// Takes what it says of itself: that it has used fewer numbers than we have heard of. If that is
    /// not merely late, then it is not alone under its name, or a number was forged or damaged; and
    /// what it says has counted as old since.
    fn doubt(&mut self, number: u64, now: Instant) {
        let since = *self.doubted.get_or_insert(now);
        if now.saturating_duration_since(since) > self.interval.saturating_mul(PATIENCE) {
            self.last = number;
            self.doubted = None;
        }
    }
}

/// What a message says about those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Nothing is missing.
    Next,
    /// Something between the one before and this one was not heard.
    AfterGap,
    /// It was heard, or counted as missing, before: a repetition, or a late one.
    Old,
}

impl Senders {
    /// Notes that `message` was heard at `now` by somebody who listens since `since`.
    pub(super) fn note(&mut self, message: &Message, now: Instant, since: Instant) -> Order {
        let Message { sender, number, interval, idle, subject, .. } = *message;
        // How many numbers were used before this message was sent.
        let is_numbered = matches!(subject, Subject::Invalidation(_));
        let before = if is_numbered { number.saturating_sub(1) } else { number };
        let is_next = match self.known.get_mut(&sender) {
            Some(known) if before < known.last && subject != Subject::Farewell => {
                known.heard = now;
                if is_numbered {
                    return Order::Old;
                }
                known.doubt(number, now);
                return Order::AfterGap;
            }
            Some(known) => before == known.last,
            // Who has said nothing before has nothing missing, and who has said nothing since we
            // listen has nothing missing for us. The message was under way for a time that nobody
            // knows: it makes what was said before appear later, and never earlier.
            None => before == 0 || now.checked_sub(idle).is_none_or(|said| said < since),
        };
        let order = if is_next { Order::Next } else { Order::AfterGap };
        if subject == Subject::Farewell {
            self.known.remove(&sender);
            return order;
        }
        if self.known.len() >= MOST && !self.known.contains_key(&sender) {
            let longest_silent = self.known.iter().min_by_key(|(_, known)| known.heard);
            if let Some((&longest_silent, _)) = longest_silent {
                self.known.remove(&longest_silent);
            }
        }
        self.known.insert(sender, Known { last: number, heard: now, interval, doubted: None });
        order
    }

    /// Forgets who has been silent for too long, and says whether there was any: it may be cut off
    /// from us and go on saying things.
    pub(super) fn forget_silent(&mut self, now: Instant) -> bool {
        let before = self.known.len();
        self.known.retain(|_, known| !known.is_silent(now));
        self.known.len() < before
    }

    /// Counts nobody's silence before `now`: it was we who could not hear.
    pub(super) fn excuse(&mut self, now: Instant) {
        for known in self.known.values_mut() {
            known.heard = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use cache_core::Invalidation;
    use proptest::prelude::*;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(1);

    fn message(sender: u8, number: u64, subject: Subject) -> Message {
        let (sender, idle) = (Sender([sender; 16]), Duration::ZERO);
        Message { sender, number, sent: 0, interval: INTERVAL, idle, subject }
    }

    fn said(sender: u8, number: u64) -> Message {
        message(sender, number, Subject::Invalidation(Invalidation::All))
    }

    fn beat(sender: u8, number: u64) -> Message {
        message(sender, number, Subject::Heartbeat)
    }

    #[test]
    fn numbers_in_a_row_have_no_gap() {
        let (mut senders, now) = (Senders::default(), Instant::now());
        for next in [beat(1, 0), said(1, 1), beat(1, 1), said(1, 2), said(2, 1), beat(1, 2)] {
            assert_eq!(senders.note(&next, now, now), Order::Next, "{next:?}");
        }
    }

    #[test]
    fn jumps_are_gaps_once() {
        let (mut senders, now) = (Senders::default(), Instant::now());
        senders.note(&said(1, 1), now, now);
        assert_eq!(senders.note(&said(1, 3), now, now), Order::AfterGap);
        assert_eq!(senders.note(&said(1, 4), now, now), Order::Next);
        assert_eq!(senders.note(&beat(1, 5), now, now), Order::AfterGap, "the last one was lost");
        assert_eq!(senders.note(&beat(1, 5), now, now), Order::Next);
    }

    #[test]
    fn what_comes_again_or_late_is_old() {
        let (mut senders, now) = (Senders::default(), Instant::now());
        senders.note(&said(1, 1), now, now);
        senders.note(&said(1, 5), now, now);
        for late in [said(1, 5), said(1, 3)] {
            assert_eq!(senders.note(&late, now, now), Order::Old, "{late:?}");
        }
        assert_eq!(senders.note(&said(1, 6), now, now), Order::Next);
    }

    /// A number that its sender never used makes what it says old, which every heartbeat shows; and
    /// that not for long.
    #[test]
    fn a_forged_number_silences_nobody() {
        let (mut senders, since) = (Senders::default(), Instant::now());
        senders.note(&said(1, 1), since, since);
        assert_eq!(senders.note(&said(1, u64::MAX), since, since), Order::AfterGap, "forged");
        for beats in 0..=PATIENCE {
            let now = since + beats * (INTERVAL + Duration::from_millis(1));
            assert_eq!(senders.note(&said(1, 2), now, since), Order::Old);
            assert_eq!(senders.note(&beat(1, 2), now, since), Order::AfterGap, "2 was dropped");
        }
        assert_eq!(senders.note(&said(1, 3), since, since), Order::Next);

        senders.note(&said(1, u64::MAX), since, since);
        let farewell = message(1, 3, Subject::Farewell);
        assert_eq!(senders.note(&farewell, since, since), Order::AfterGap);
    }

    /// Heartbeats that were held up and come together change nothing but for a gap.
    #[test]
    fn late_heartbeats_bring_nothing_back() {
        let (mut senders, since) = (Senders::default(), Instant::now());
        senders.note(&said(1, 9), since, since);
        let later = since + 9 * INTERVAL;
        for late in [beat(1, 6), beat(1, 7), beat(1, 8)] {
            assert_eq!(senders.note(&late, since, since), Order::AfterGap);
        }
        assert_eq!(senders.note(&beat(1, 9), since, since), Order::Next);
        assert_eq!(senders.note(&beat(1, 8), later, since), Order::AfterGap);
        assert_eq!(senders.note(&said(1, 9), later, since), Order::Old);
    }

    #[test]
    fn strangers_were_here_before_us_or_have_a_gap() {
        let since = Instant::now();
        let now = since + 9 * INTERVAL;
        for (stranger, intervals, order) in [
            (said(1, 9), 0, Order::AfterGap),
            (said(1, 9), 8, Order::AfterGap),
            (said(1, 9), 10, Order::Next),
            (beat(1, 9), 8, Order::AfterGap),
            (beat(1, 9), 10, Order::Next),
            (beat(1, 9), u32::MAX / 1_000, Order::Next),
            (said(1, 1), 0, Order::Next),
            (beat(1, 0), 0, Order::Next),
        ] {
            let stranger = Message { idle: intervals * INTERVAL, ..stranger };
            assert_eq!(Senders::default().note(&stranger, now, since), order, "{stranger:?}");
        }
    }

    #[test]
    fn silence_is_noticed_once_and_excused() {
        let (mut senders, since) = (Senders::default(), Instant::now());
        senders.note(&said(1, 1), since, since);
        assert!(!senders.forget_silent(since + 3 * INTERVAL));
        senders.excuse(since + 3 * INTERVAL);
        assert!(!senders.forget_silent(since + 6 * INTERVAL));
        let late = since + 6 * INTERVAL + Duration::from_millis(1);
        assert!(senders.forget_silent(late) && !senders.forget_silent(late));
        assert_eq!(senders.note(&said(1, 2), late, since), Order::AfterGap, "who knows");
    }

    #[test]
    fn who_says_farewell_is_not_missed() {
        let (mut senders, now) = (Senders::default(), Instant::now());
        senders.note(&said(1, 1), now, now);
        let farewell = message(1, 1, Subject::Farewell);
        assert_eq!(senders.note(&farewell, now, now), Order::Next);
        assert!(!senders.forget_silent(now + 9 * INTERVAL));

        senders.note(&said(2, 1), now, now);
        let farewell = message(2, 2, Subject::Farewell);
        assert_eq!(senders.note(&farewell, now, now), Order::AfterGap, "its last was lost");
    }

    #[test]
    fn the_table_is_bounded_and_forgetting_is_told() {
        let (mut senders, since) = (Senders::default(), Instant::now());
        let stranger = |n: usize| {
            let mut sender = [0; 16];
            sender[..8].copy_from_slice(&n.to_le_bytes());
            Message { sender: Sender(sender), ..said(0, 1) }
        };
        for n in 0..MOST + 10 {
            let now = since + 5 * INTERVAL + Duration::from_micros(n.try_into().unwrap());
            assert_eq!(senders.note(&stranger(n), now, since), Order::Next);
        }
        assert_eq!(senders.known.len(), MOST);
        let back = Message { number: 2, ..stranger(0) };
        assert_eq!(senders.note(&back, since + 6 * INTERVAL, since), Order::AfterGap);
    }

    proptest! {
        /// Whenever somebody begins to listen: of what is said from then on nothing is missing in
        /// silence at the first meeting, however long messages are under way.
        #[test]
        fn nothing_is_missing_at_the_first_meeting(
            pauses in prop::collection::vec(1..50_u64, 2..20),
            begins in 0..400_u64,
            way in 0..30_u64,
        ) {
            let zero = Instant::now();
            let at = |millis| zero + Duration::from_millis(millis);
            let mut sent = 0;
            for (number, pause) in (1..).zip(pauses) {
                let before = sent;
                sent += pause;
                let first = Message { idle: Duration::from_millis(pause), ..said(1, number) };
                let order = Senders::default().note(&first, at(sent + way), at(begins));
                if number > 1 && before >= begins {
                    prop_assert_eq!(order, Order::AfterGap, "{} was said at {}", number - 1, before);
                }
                if before + way < begins {
                    prop_assert_eq!(order, Order::Next, "{} was said at {}", number - 1, before);
                }
            }
        }

        /// Whatever a channel loses, repeats and delays: each number is heard once, in order, or a
        /// gap is told no later than with the next thing that is heard of its sender.
        #[test]
        fn nothing_goes_missing_in_silence(
            fates in prop::collection::vec((0..3_u8, 0..10_u8), 1..200),
        ) {
            let (mut senders, now) = (Senders::default(), Instant::now());
            let mut used = [0_u64; 3];
            let mut accounted = [0_u64; 3];
            let mut late = Vec::new();
            for (sender, fate) in fates {
                let at = usize::from(sender);
                if fate < 8 {
                    used[at] += 1;
                }
                let sent = if fate < 8 { said(sender, used[at]) } else { beat(sender, used[at]) };
                let heard = match fate {
                    0 | 1 => vec![],
                    2 => { late.push(sent); vec![] }
                    3 => vec![sent, sent],
                    4 => { let mut all = vec![sent]; all.append(&mut late); all }
                    _ => vec![sent],
                };
                for message in heard {
                    let at = usize::from(message.sender.0[0]);
                    let is_beat = message.subject == Subject::Heartbeat;
                    match senders.note(&message, now, now) {
                        Order::Old => prop_assert!(message.number <= accounted[at]),
                        // The very first that is heard of a sender tells nothing of what was before.
                        Order::Next => prop_assert!(
                            accounted[at] == 0 || message.number == accounted[at] + u64::from(!is_beat)
                        ),
                        Order::AfterGap => prop_assert!(is_beat || message.number > accounted[at]),
                    }
                    accounted[at] = accounted[at].max(message.number);
                }
            }
        }
    }
}
