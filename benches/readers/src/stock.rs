//! What is stored: the same for everyone, and for every run.

use std::sync::Arc;

/// The length of a value.
pub const VALUE_BYTES: usize = 2_048;

/// The values of keys `0..`.
#[derive(Clone, Debug)]
pub struct Stock(Arc<[String]>);

impl Stock {
    /// Random printable characters: six bits a byte, so there is little for a compressor to gain.
    pub fn random(keys: usize) -> Self {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let value = |number: usize| {
            let mut random = Random(number as u64);
            (0..VALUE_BYTES).map(|_| char::from(ALPHABET[random.below(64)])).collect()
        };
        Self((0..keys).map(value).collect())
    }

    /// Words, as models answer.
    pub fn prose(keys: usize) -> Self {
        let value = |number: usize| {
            let mut random = Random(number as u64);
            let mut text = String::with_capacity(VALUE_BYTES + 16);
            while text.len() < VALUE_BYTES {
                text.push_str(WORDS[random.below(WORDS.len())]);
                text.push(' ');
            }
            text.truncate(VALUE_BYTES);
            text
        };
        Self((0..keys).map(value).collect())
    }

    /// The value of key `number`.
    pub fn value(&self, number: usize) -> &str {
        &self.0[number]
    }

    /// How many there are.
    pub fn keys(&self) -> usize {
        self.0.len()
    }
}

/// 64 hex digits for key `number`: what every contender's name of a key ends with.
pub fn digits(number: usize) -> String {
    let mut random = Random(number as u64);
    let mut next = || random.next();
    format!("{:016x}{:016x}{:016x}{:016x}", next(), next(), next(), next())
}

const WORDS: [&str; 40] = [
    "the",
    "request",
    "answer",
    "cache",
    "token",
    "with",
    "model",
    "should",
    "return",
    "value",
    "of",
    "each",
    "question",
    "while",
    "streaming",
    "error",
    "then",
    "tool",
    "calls",
    "without",
    "context",
    "and",
    "response",
    "prompt",
    "when",
    "user",
    "asks",
    "for",
    "memory",
    "a",
    "is",
    "stored",
    "server",
    "time",
    "first",
    "because",
    "is",
    "not",
    "function",
    "list",
];

/// `SplitMix64` (Steele, Lea, Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).expect("below n")
    }
}
