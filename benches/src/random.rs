//! Random numbers that are the same on every run, and the Zipf distribution.

/// xorshift64* (Marsaglia, 2003; Vigna, 2014).
pub(crate) struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Uniform in `[0, 1)`.
    #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub(crate) fn fraction(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `0..n`.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below n")]
    #[allow(clippy::cast_precision_loss, reason = "n is small")]
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((self.fraction() * n as f64) as usize).min(n - 1)
    }
}

/// Ranks `0..n`, rank `r` with probability proportional to `1 / (r + 1)^exponent`.
pub(crate) struct Zipf(Vec<f64>);

impl Zipf {
    /// The distribution over `n` ranks.
    #[allow(clippy::cast_precision_loss, reason = "ranks are few")]
    pub(crate) fn new(n: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let mut cumulated: Vec<f64> = (1..=n)
            .map(|rank| {
                sum += (rank as f64).powf(-exponent);
                sum
            })
            .collect();
        for weight in &mut cumulated {
            *weight /= sum;
        }
        Self(cumulated)
    }

    /// A rank.
    pub(crate) fn sample(&self, random: &mut Random) -> usize {
        let at = random.fraction();
        self.0.partition_point(|&sum| sum <= at).min(self.0.len() - 1)
    }
}

/// Sequences of so many key numbers.
pub(crate) fn sequences(
    count: usize,
    lookups: usize,
    draw: impl Fn(&mut Random) -> usize,
) -> Vec<Vec<u32>> {
    let sequence = |seed| {
        let mut random = Random::seeded(seed);
        let number = |_| u32::try_from(draw(&mut random)).expect("keys are few");
        (0..lookups).map(number).collect()
    };
    (1..=count as u64).map(sequence).collect()
}
