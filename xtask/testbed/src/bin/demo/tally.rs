//! Counting what happened.

use std::collections::BTreeMap;
use std::time::Duration;

use testbed::traffic::{Request, Shape};

use crate::answer::Answer;
use crate::client::{Sent, Source};

/// List prices in dollars per million tokens, of the models that the traffic names: `gpt-4o-mini` in
/// and out, `text-embedding-3-small`.
pub(crate) const CHAT_IN: f64 = 0.15;
pub(crate) const CHAT_OUT: f64 = 0.60;
pub(crate) const EMBEDDING: f64 = 0.02;

/// Tokens and what they cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bill {
    pub(crate) tokens: u64,
    pub(crate) dollars: f64,
}

impl Bill {
    fn add(&mut self, shape: Shape, answer: &Answer) {
        let (price_in, price_out) = match shape {
            Shape::Embedding => (EMBEDDING, 0.0),
            _ => (CHAT_IN, CHAT_OUT),
        };
        #[expect(clippy::cast_precision_loss, reason = "token counts of one answer are small")]
        let million_dollars =
            answer.prompt_tokens as f64 * price_in + answer.output_tokens as f64 * price_out;
        self.tokens += answer.prompt_tokens + answer.output_tokens;
        self.dollars += million_dollars / 1e6;
    }
}

/// What came of many requests.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    times: BTreeMap<Source, Vec<Duration>>,
    pub(crate) paid: Bill,
    pub(crate) saved: Bill,
    pub(crate) wrong: usize,
    /// In words, one for each failed request.
    pub(crate) failures: Vec<String>,
}

impl Tally {
    /// Counts one request; `is_right` says whether its answer, if any, is the provider's.
    pub(crate) fn add(&mut self, request: &Request, sent: Sent, is_right: bool) {
        match sent.answer {
            Ok(answer) => {
                let bill = match sent.source {
                    Source::Provider => &mut self.paid,
                    _ => &mut self.saved,
                };
                bill.add(request.shape, &answer);
                self.wrong += usize::from(!is_right);
                self.times.entry(sent.source).or_default().push(sent.took);
            }
            Err(why) => self.failures.push(format!("{} ({})", why, request.shape)),
        }
    }

    /// Takes in what another one counted.
    pub(crate) fn merge(&mut self, other: Self) {
        for (source, times) in other.times {
            self.times.entry(source).or_default().extend(times);
        }
        for (bill, more) in [(&mut self.paid, other.paid), (&mut self.saved, other.saved)] {
            bill.tokens += more.tokens;
            bill.dollars += more.dollars;
        }
        self.wrong += other.wrong;
        self.failures.extend(other.failures);
    }

    /// Whether every request got its right answer.
    pub(crate) fn is_flawless(&self) -> bool {
        self.failures.is_empty() && self.wrong == 0
    }

    /// Answers from this source.
    pub(crate) fn count(&self, source: Source) -> usize {
        self.times.get(&source).map_or(0, Vec::len)
    }

    /// All answers.
    pub(crate) fn answered(&self) -> usize {
        self.times.values().map(Vec::len).sum()
    }

    /// The share of answers that came from this source, in percent.
    #[expect(clippy::cast_precision_loss, reason = "a demo counts thousands, not quadrillions")]
    pub(crate) fn percent(&self, source: Source) -> f64 {
        100.0 * self.count(source) as f64 / self.answered().max(1) as f64
    }

    /// The time within which this percentage of the answers from a source came (nearest rank).
    pub(crate) fn percentile(&self, source: Source, percent: usize) -> Option<Duration> {
        let mut times = self.times.get(&source).filter(|times| !times.is_empty())?.clone();
        times.sort_unstable();
        let rank = (times.len() * percent).div_ceil(100).max(1);
        Some(times[rank - 1])
    }
}

#[cfg(test)]
mod tests {
    use testbed::traffic::Traffic;

    use super::*;

    fn sent(source: Source, milliseconds: u64) -> Sent {
        let answer = Answer { meaning: String::new(), prompt_tokens: 1000, output_tokens: 0 };
        Sent { source, took: Duration::from_millis(milliseconds), answer: Ok(answer) }
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let request = Traffic::new(1).next().expect("endless");
        let mut tally = Tally::default();
        for milliseconds in 1..=200 {
            tally.add(&request, sent(Source::Memory, milliseconds), true);
        }
        tally.add(&request, sent(Source::Provider, 900), false);
        assert_eq!(tally.percentile(Source::Memory, 50), Some(Duration::from_millis(100)));
        assert_eq!(tally.percentile(Source::Memory, 99), Some(Duration::from_millis(198)));
        assert_eq!(tally.percentile(Source::Redis, 50), None);
        assert_eq!((tally.answered(), tally.wrong), (201, 1));
        assert_eq!((tally.saved.tokens, tally.paid.tokens), (200_000, 1000));
    }
}
