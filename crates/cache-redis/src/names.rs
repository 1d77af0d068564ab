//! The names of Redis keys: `{prefix}:e1:{64 hex digits}`.
//!
//! `e1` is the version of the stored format. With it in the name, releases that write different
//! formats share one Redis without overwriting or purging each other's entries.

use std::fmt;
use std::io::Write as _;

use cache_core::CacheKey;
use redis::{Cmd, RedisWrite as _};

/// Hex digits of a [`CacheKey`].
const DIGITS: usize = 64;

/// Each byte in hex.
const PAIRS: [[u8; 2]; 256] = {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [HEX[byte >> 4], HEX[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Names keys under one prefix.
pub(crate) struct Names {
    /// Prefix and format version, colons included.
    start: Vec<u8>,
}

/// As text: `Names(llmcache:e1:)`.
impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Names({})", self.start.escape_ascii())
    }
}

impl Names {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { start: format!("{prefix}:e{}:", crate::record::VERSION).into_bytes() }
    }

    /// The name of `key`.
    pub(crate) fn name(&self, key: &CacheKey) -> Vec<u8> {
        let mut name = Vec::with_capacity(self.start.len() + DIGITS);
        name.extend_from_slice(&self.start);
        name.extend_from_slice(&digits(key));
        name
    }

    /// What reads `key`: the commonest command of all, so its name is written where it is sent from.
    pub(crate) fn get(&self, key: &CacheKey) -> Cmd {
        const VERB: &[u8] = b"GET";
        let mut get = Cmd::with_capacity(2, VERB.len() + self.start.len() + DIGITS);
        get.write_arg(VERB);
        {
            let mut name = get.writer_for_next_arg();
            for part in [self.start.as_slice(), &digits(key)] {
                name.write_all(part).expect("a command takes any bytes");
            }
        }
        get
    }

    /// Whether `name` is one that [`Names::name`] gives.
    pub(crate) fn is_ours(&self, name: &[u8]) -> bool {
        name.strip_prefix(self.start.as_slice()).is_some_and(|digits| {
            digits.len() == DIGITS
                && digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        })
    }

    /// The glob pattern for `SCAN`: the prefix escaped, then one `?` a digit, so that a prefix
    /// which begins with this one is not matched.
    pub(crate) fn pattern(&self) -> Vec<u8> {
        let mut pattern = Vec::with_capacity(2 * self.start.len() + DIGITS);
        for &byte in &self.start {
            if matches!(byte, b'*' | b'?' | b'[' | b']' | b'^' | b'-' | b'\\') {
                pattern.push(b'\\');
            }
            pattern.push(byte);
        }
        pattern.resize(pattern.len() + DIGITS, b'?');
        pattern
    }
}

fn digits(key: &CacheKey) -> [u8; DIGITS] {
    let mut digits = [0; DIGITS];
    for (pair, byte) in digits.as_chunks_mut().0.iter_mut().zip(key.as_bytes()) {
        *pair = PAIRS[usize::from(*byte)];
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_prefix_version_and_digits() {
        let key = CacheKey::from_text("k");
        let name = Names::new("p").name(&key);
        assert_eq!(name, format!("p:e1:{key}").into_bytes());

        let mut get = redis::cmd("GET");
        get.arg(&name);
        assert_eq!(Names::new("p").get(&key).get_packed_command(), get.get_packed_command());
    }

    /// A68: the prefix means itself in patterns, and a longer prefix is another namespace.
    #[test]
    fn patterns_are_escaped_and_names_are_told_apart() {
        let pattern = Names::new(r"a*[b]\?").pattern();
        let digits = "?".repeat(DIGITS);
        assert_eq!(pattern, format!(r"a\*\[b\]\\\?:e1:{digits}").into_bytes());

        let (short, long) = (Names::new("a"), Names::new("a:e1"));
        let name = long.name(&CacheKey::from_text("k"));
        assert!(long.is_ours(&name) && !short.is_ours(&name));
        assert!(!short.is_ours(format!("a:e1:{}", "G".repeat(DIGITS)).as_bytes()));
    }
}
