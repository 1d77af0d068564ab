//! Reproducible numbers: the same seed gives the same run on every machine.

/// The `SplitMix64` generator (Steele, Lea, Flood: "Fast splittable pseudorandom number generators",
/// OOPSLA 2014). Good enough to draw lengths and words from; not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A whole number below `bound`, which must not be 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("usize has at most 64 bits");
        usize::try_from(self.next() % bound).expect("below a usize")
    }

    /// A number from 0 (included) to 1 (excluded).
    pub(crate) fn unit(&mut self) -> f64 {
        // The upper 53 bits: every one of them fits into the mantissa.
        #[expect(clippy::cast_precision_loss, reason = "53 bits are exact in an f64")]
        let numerator = (self.next() >> 11) as f64;
        numerator / 9_007_199_254_740_992.0
    }

    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// `count` words of plain English in one line.
    pub(crate) fn words(&mut self, count: usize) -> String {
        let words: Vec<&str> = (0..count).map(|_| *self.pick(WORDS)).collect();
        words.join(" ")
    }
}

const WORDS: &[&str] = &[
    "the",
    "answer",
    "depends",
    "on",
    "how",
    "you",
    "read",
    "a",
    "river",
    "that",
    "carries",
    "small",
    "stones",
    "to",
    "its",
    "mouth",
    "every",
    "spring",
    "and",
    "leaves",
    "them",
    "where",
    "water",
    "slows",
    "so",
    "when",
    "people",
    "build",
    "near",
    "banks",
    "they",
    "learn",
    "which",
    "years",
    "were",
    "wet",
    "from",
    "layers",
    "of",
    "sand",
    "clay",
    "each",
    "one",
    "thin",
    "as",
    "paper",
    "but",
    "clear",
    "in",
    "order",
    "first",
    "measure",
    "then",
    "compare",
    "with",
    "what",
    "neighbours",
    "wrote",
    "down",
    "before",
    "rain",
    "came",
    "again",
    "this",
    "is",
    "simple",
    "slow",
    "work",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_numbers_are_those_of_the_reference_implementation() {
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn draws_stay_in_their_ranges() {
        let mut random = Random::new(7);
        for _ in 0..1000 {
            assert!(random.below(3) < 3);
            assert!((0.0..1.0).contains(&random.unit()));
        }
        assert_eq!(random.words(5).split(' ').count(), 5);
    }
}
