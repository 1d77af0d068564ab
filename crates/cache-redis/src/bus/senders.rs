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
}

impl Known {
    fn is_silent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) > self.interval.saturating_mul(PATIENCE)
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
        let Message { sender, number, interval, subject, .. } = *message;
        // How many numbers were used before this message was sent.
        let before = match subject {
            Subject::Invalidation(_) => number.saturating_sub(1),
            Subject::Heartbeat | Subject::Farewell => number,
        };
        let order = match self.known.get_mut(&sender) {
            Some(known) if before < known.last => {
                known.heard = now;
                return Order::Old;
            }
            Some(known) if before == known.last => Order::Next,
            Some(_) => Order::AfterGap,
            // Who has said nothing before has nothing missing. Who was here before us is heard
            // within its interval, and what it said by then was said before we listened. Anyone
            // else said something in our time that we did not hear.
            None if before == 0 => Order::Next,
            None if now.saturating_duration_since(since) <= interval.saturating_mul(PATIENCE) => {
                Order::Next
            }
            None => Order::AfterGap,
        };
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
        self.known.insert(sender, Known { last: number, heard: now, interval });
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
        Message { sender: Sender([sender; 16]), number, sent: 0, interval: INTERVAL, subject }
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
        for late in [said(1, 5), said(1, 3), beat(1, 4)] {
            assert_eq!(senders.note(&late, now, now), Order::Old, "{late:?}");
        }
        assert_eq!(senders.note(&said(1, 6), now, now), Order::Next);
    }

    #[test]
    fn strangers_were_here_before_us_or_have_a_gap() {
        let since = Instant::now();
        let (soon, later) = (since + INTERVAL, since + 4 * INTERVAL);
        for (stranger, now, order) in [
            (said(1, 9), soon, Order::Next),
            (beat(1, 9), soon, Order::Next),
            (said(1, 9), later, Order::AfterGap),
            (beat(1, 9), later, Order::AfterGap),
            (said(1, 1), later, Order::Next),
            (beat(1, 0), later, Order::Next),
        ] {
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
                        Order::AfterGap => prop_assert!(message.number > accounted[at]),
                    }
                    accounted[at] = accounted[at].max(message.number);
                }
            }
        }
    }
}
