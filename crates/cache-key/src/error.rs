//! [`NotCanonical`]: why a body has no key.

/// Why a body has no canonical form, hence no key: the request is then not to be cached.
///
/// Offsets count bytes from the start of the body. Nothing of the body is quoted, so a reason is
/// safe to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotCanonical {
    /// The body is not JSON (RFC 8259).
    #[error("byte {offset} of the body: expected {expected}")]
    Syntax {
        /// Where it stops being JSON.
        offset: usize,
        /// What could have stood there.
        expected: &'static str,
    },
    /// The body is not UTF-8 (RFC 3629).
    #[error("byte {offset} of the body: not UTF-8")]
    InvalidUtf8 {
        /// The first byte that is not.
        offset: usize,
    },
    /// Something follows the value.
    #[error("byte {offset} of the body: data after the end of the value")]
    TrailingData {
        /// Where it begins.
        offset: usize,
    },
    /// An object has two members of one name. Parsers differ in which one they believe.
    #[error("byte {offset} of the body: second member of the same name")]
    DuplicateMember {
        /// Where the text of the second name begins.
        offset: usize,
    },
    /// A `\u` escape is half of a surrogate pair, so the string has no characters to compare.
    #[error("byte {offset} of the body: lone surrogate")]
    LoneSurrogate {
        /// Where the escape begins.
        offset: usize,
    },
    /// Arrays and objects are nested too deeply.
    #[error("byte {offset} of the body: nested more than {limit} deep")]
    TooDeep {
        /// Where the value begins that is one too deep.
        offset: usize,
        /// The limit.
        limit: usize,
    },
    /// The exponent of a number does not fit in 64 bits.
    #[error("byte {offset} of the body: exponent out of range")]
    NumberOutOfRange {
        /// Where the number begins.
        offset: usize,
    },
    /// The body is JSON, but not an object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// The body has 4 GiB or more.
    #[error("the body has {length} bytes, more than can be keyed")]
    TooLong {
        /// How many bytes it has.
        length: usize,
    },
}
