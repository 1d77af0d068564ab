//! [`Undecodable`]: why something in Redis is no entry, and how often.

use std::sync::atomic::{AtomicU64, Ordering};

use super::VERSION;
#[cfg(feature = "encryption")]
use super::encrypt::KeyId;

/// Why bytes are not a record that this tier reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Undecodable {
    #[error("it does not begin as a record does")]
    Foreign,
    #[error("its format version is {0}, not {VERSION}")]
    UnknownVersion(u8),
    #[error("its header is damaged")]
    Header,
    #[error("it was stored under another key")]
    OtherKey,
    #[error("it was cut short or extended")]
    Length,
    #[error("its payload is damaged")]
    Payload,
    #[error("its payload does not decompress to the length it declares")]
    Compression,
    #[error("it is of another Redis type than string")]
    WrongType,
    #[error("it is encrypted, and there are no keys here")]
    Encrypted,
    #[error("it is not encrypted, and only what is encrypted is read here")]
    Plain,
    #[cfg(feature = "encryption")]
    #[error("it is encrypted with the key {0}, which is not in the key ring")]
    UnknownKey(KeyId),
    #[cfg(feature = "encryption")]
    #[error("it was not written with the key it names, or was changed since")]
    NotAuthentic,
    #[cfg(feature = "llmix")]
    #[error("it is no llmix entry")]
    NotLlmix,
}

/// The names of the reasons, in the order of [`Undecodable::index`]. The same whatever features
/// there are, because dashboards are.
const NAMES: [&str; 13] = [
    "foreign",
    "unknown_version",
    "header",
    "other_key",
    "length",
    "payload",
    "compression",
    "wrong_type",
    "encrypted",
    "plain",
    "unknown_key",
    "not_authentic",
    "not_llmix",
];

impl Undecodable {
    const fn index(self) -> usize {
        match self {
            Self::Foreign => 0,
            Self::UnknownVersion(_) => 1,
            Self::Header => 2,
            Self::OtherKey => 3,
            Self::Length => 4,
            Self::Payload => 5,
            Self::Compression => 6,
            Self::WrongType => 7,
            Self::Encrypted => 8,
            Self::Plain => 9,
            #[cfg(feature = "encryption")]
            Self::UnknownKey(_) => 10,
            #[cfg(feature = "encryption")]
            Self::NotAuthentic => 11,
            #[cfg(feature = "llmix")]
            Self::NotLlmix => 12,
        }
    }
}

/// How often each reason was met.
#[derive(Debug, Default)]
pub(crate) struct Reasons([AtomicU64; NAMES.len()]);

impl Reasons {
    pub(crate) fn count(&self, reason: Undecodable) {
        self.0[reason.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// Every reason by name, with how often it was met.
    pub(crate) fn counted(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NAMES.into_iter().zip(self.0.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_by_name() {
        let reasons = Reasons::default();
        reasons.count(Undecodable::Foreign);
        reasons.count(Undecodable::Plain);
        reasons.count(Undecodable::Plain);
        let met: Vec<_> = reasons.counted().filter(|(_, count)| *count > 0).collect();
        assert_eq!(met, [("foreign", 1), ("plain", 2)]);
    }
}
