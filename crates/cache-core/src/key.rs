//! [`CacheKey`]: what an answer is stored under.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::str::FromStr;

/// The key of one cached answer: a 256-bit digest.
///
/// It carries no text, so prompts and credentials cannot leak through keys, and it is `Copy`, so
/// it costs nothing to hand around. Requests are turned into keys by the `cache-key` crate; for
/// keys of other things there are [`CacheKey::from_text`] and `cache_key::KeyBuilder`.
///
/// `Hash` writes only the first eight bytes: the digest is uniform already, so maps use the
/// pass-through [`BuildKeyHasher`]. Equality compares all 32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    /// Takes a digest as it is.
    ///
    /// The bytes must come from a cryptographic hash: equality decides which answer is served, and
    /// the first eight bytes decide where maps store it.
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Hashes `text` (BLAKE3, in a domain of its own, so no request's key can equal it).
    ///
    /// ```
    /// use cache_core::CacheKey;
    /// assert_eq!(CacheKey::from_text("a"), CacheKey::from_text("a"));
    /// assert_ne!(CacheKey::from_text("a"), CacheKey::from_text("b"));
    /// ```
    pub fn from_text(text: &str) -> Self {
        Self(blake3::derive_key("cache-core 2026 CacheKey::from_text v1", text.as_bytes()))
    }

    /// All 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 16 hex digits, for logs and error messages.
    pub const fn short(&self) -> ShortKey {
        ShortKey(self.prefix())
    }

    /// The first eight bytes as a number: uniform, so it can pick a shard or a stripe.
    pub const fn prefix(&self) -> u64 {
        match self.0.first_chunk() {
            Some(prefix) => u64::from_be_bytes(*prefix),
            None => unreachable!(), // 8 of 32
        }
    }
}

impl Hash for CacheKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.prefix());
    }
}

/// All 64 hex digits.
impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CacheKey({})", self.short())
    }
}

/// Reads the 64 hex digits that [`CacheKey`] displays as.
impl FromStr for CacheKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(ParseKeyError);
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(digest))
    }
}

fn nibble(digit: u8) -> Result<u8, ParseKeyError> {
    let value = char::from(digit).to_digit(16).ok_or(ParseKeyError)?;
    u8::try_from(value).map_err(|_| ParseKeyError)
}

/// The text is not the 64 hex digits of a [`CacheKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cache key is 64 hex digits")]
pub struct ParseKeyError;

/// The first 16 hex digits of a key: enough to find it in a log, useless to anyone else.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ShortKey(u64);

impl fmt::Display for ShortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for ShortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Builds [`KeyHasher`]s, for maps keyed by [`CacheKey`].
#[derive(Clone, Copy, Debug, Default)]
pub struct BuildKeyHasher;

impl BuildHasher for BuildKeyHasher {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher::default()
    }
}

/// Passes the first eight bytes of a [`CacheKey`] through: hashing a digest again buys nothing.
///
/// Keys of other types still hash soundly (FNV-1a), only slower and without protection against
/// chosen collisions.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn write_u64(&mut self, prefix: u64) {
        self.0 = prefix;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A16: 16 hex digits for logs, no text anywhere.
    #[test]
    fn keys_show_digits_only() {
        let key = CacheKey::from_text("my secret prompt");
        assert_eq!(key.short().to_string(), key.to_string()[..16]);
        assert_eq!(key.to_string().len(), 64);
        assert!(key.to_string().bytes().all(|b| b.is_ascii_hexdigit()));
        assert!(!format!("{key:?}").contains("secret"));
    }

    #[test]
    fn display_reads_back() {
        let key = CacheKey::from_text("x");
        assert_eq!(key.to_string().parse(), Ok(key));
        for bad in ["", "00", &"g".repeat(64), &"0".repeat(65), &"é".repeat(32)] {
            assert_eq!(bad.parse::<CacheKey>(), Err(ParseKeyError), "{bad:?}");
        }
    }

    /// Two keys that agree in the hashed prefix are still two keys.
    #[test]
    fn equality_is_on_all_bytes() {
        let (mut a, mut b) = ([7; 32], [7; 32]);
        (a[31], b[31]) = (0, 1);
        let (a, b) = (CacheKey::from_digest(a), CacheKey::from_digest(b));
        assert_eq!(BuildKeyHasher.hash_one(a), BuildKeyHasher.hash_one(b));
        assert_ne!(a, b);
    }

    /// A changed digest would orphan every stored entry: this vector pins it.
    #[test]
    fn from_text_is_pinned() {
        assert_eq!(CacheKey::from_text("pinned").short().to_string(), "8c626ed36be8c1fa");
    }
}
