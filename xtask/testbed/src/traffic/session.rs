//! Things that go on over several requests, a few of them at a time.

use std::ops::RangeInclusive;

use super::zipf::Zipf;
use crate::random::Random;

/// How many are under way at a time.
const OPEN: usize = 6;

/// Conversations or agents under way: each follows one script from its first step to its last.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    scripts: Zipf,
    lengths: RangeInclusive<usize>,
    open: Vec<Session>,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    script: usize,
    next_step: usize,
}

impl Sessions {
    pub(super) fn new(scripts: Zipf, lengths: RangeInclusive<usize>) -> Self {
        Self { scripts, lengths, open: Vec::with_capacity(OPEN) }
    }

    /// A script and the number of the step that it takes now, from 0 on.
    pub(super) fn next(&mut self, random: &mut Random) -> (usize, usize) {
        while self.open.len() < OPEN {
            self.open.push(Session { script: self.scripts.draw(random), next_step: 0 });
        }
        let index = random.below(OPEN);
        let session = &mut self.open[index];
        let now = (session.script, session.next_step);
        session.next_step += 1;
        if session.next_step == length_of(session.script, &self.lengths) {
            self.open.swap_remove(index);
        }
        now
    }
}

/// Always the same for the same script: whoever follows it goes the same way.
fn length_of(script: usize, lengths: &RangeInclusive<usize>) -> usize {
    lengths.start() + script % (lengths.end() - lengths.start() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_a_session_come_in_order_and_end() {
        let mut sessions = Sessions::new(Zipf::new(1), 3..=3);
        let mut random = Random::new(5);
        let mut steps = [0; 4];
        for _ in 0..600 {
            let (script, step) = sessions.next(&mut random);
            assert_eq!(script, 0);
            steps[step] += 1;
        }
        assert!(steps[0] >= steps[1] && steps[1] >= steps[2] && steps[2] > 0);
        assert_eq!(steps[3], 0, "a session of three steps has no fourth");
    }
}
