//! Few things often, many things seldom.

use crate::random::Random;

/// Zipf's law with exponent 1: the thing of rank `r` comes with a probability proportional to `1 / r`.
///
/// Breslau et al., "Web caching and Zipf-like distributions" (INFOCOM 1999), found exponents from 0.6
/// to 0.8 for web pages; questions to assistants repeat no less within one application.
#[derive(Clone, Debug)]
pub(super) struct Zipf {
    /// `cumulative[r]` is the sum of the weights of all ranks up to `r`.
    cumulative: Vec<f64>,
}

impl Zipf {
    /// Ranks from 0 to `count - 1`; `count` must not be 0.
    pub(super) fn new(count: u32) -> Self {
        let mut sum = 0.0;
        let weights = (1..=count).map(|rank| {
            sum += 1.0 / f64::from(rank);
            sum
        });
        Self { cumulative: weights.collect() }
    }

    pub(super) fn draw(&self, random: &mut Random) -> usize {
        let total = self.cumulative.last().expect("at least one rank");
        let point = random.unit() * total;
        self.cumulative.partition_point(|sum| *sum <= point).min(self.cumulative.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rank_comes_twice_as_often_as_the_second() {
        let (zipf, mut random) = (Zipf::new(100), Random::new(3));
        let mut counts = [0_u32; 100];
        for _ in 0..100_000 {
            counts[zipf.draw(&mut random)] += 1;
        }
        let ratio = f64::from(counts[0]) / f64::from(counts[1]);
        assert!((1.8..2.2).contains(&ratio), "{ratio}");
        assert!(counts.iter().all(|count| *count > 0));
    }
}
