//! [`KeyOptions`]: which requests count as equal, where the default is not what is wanted.

use crate::endpoint::EndpointKind;
use crate::rules;

/// What makes two requests equal that are not the same text, each with a reason in
/// `docs/key-format.md`. Each can be switched off by [`KeyOptions::without`].
///
/// White space and escapes are not among them: JSON itself gives them no meaning to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Equivalence {
    /// `stream` does not count, so one entry serves both transports.
    Stream,
    /// `stream_options` does not count.
    StreamOptions,
    /// `request_id` does not count.
    RequestId,
    /// Null of a known optional member is its absence.
    NullIsAbsent,
    /// Content of one text part is that text.
    OneTextPart,
    /// Numbers count by value: `1`, `1.0` and `1e0` are one.
    NumberSpelling,
    /// The order of members does not count. Without it, it does at every depth: providers that
    /// write structured answers in the order of the schema make that a difference. Only content of one
    /// text part is that whatever their order, while [`OneTextPart`](Self::OneTextPart) is on.
    MemberOrder,
}

impl Equivalence {
    pub(crate) const fn bit(self) -> u8 {
        match self {
            Self::Stream => 1,
            Self::StreamOptions => 1 << 1,
            Self::RequestId => 1 << 2,
            Self::NullIsAbsent => 1 << 3,
            Self::OneTextPart => 1 << 4,
            Self::NumberSpelling => 1 << 5,
            Self::MemberOrder => 1 << 6,
        }
    }
}

/// Which requests count as equal, beyond or short of the default: more members left out, or
/// equivalences switched off. The default changes nothing.
///
/// What is set here goes into the key as far as it can make a difference for a kind of endpoint: keys
/// of two rules never meet by accident, and a rule that changes nothing changes no key.
///
/// ```
/// use cache_key::{EndpointKind, Equivalence, KeyOptions, KeyScope, Request, Tenant};
///
/// let options = KeyOptions::new()
///     .leave_out(EndpointKind::ChatCompletions, "user") // ours is a random id
///     .without(Equivalence::MemberOrder);
/// let scope = KeyScope::new(Tenant::Shared).options(options);
///
/// let key = |body: &str| Ok::<_, cache_key::NotCanonical>(
///     Request::parse(EndpointKind::ChatCompletions, body.as_bytes())?.key(&scope)
/// );
/// assert_eq!(key(r#"{"model":"m","user":"1"}"#)?, key(r#"{"model":"m","user":"2"}"#)?);
/// assert_ne!(key(r#"{"model":"m","n":1}"#)?, key(r#"{"n":1,"model":"m"}"#)?);
/// # Ok::<(), cache_key::NotCanonical>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct KeyOptions {
    /// Sorted, each once.
    left_out: Vec<(u8, String)>,
    /// The bits of the equivalences that are switched off.
    off: u8,
}

impl KeyOptions {
    /// The default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also leaves the top-level member `name` out of keys of `kind`, whatever its value. Requests
    /// that differ in nothing else then share one answer.
    pub fn leave_out(mut self, kind: EndpointKind, name: &str) -> Self {
        let entry = (kind.code(), name.to_owned());
        if let Err(at) = self.left_out.binary_search(&entry) {
            self.left_out.insert(at, entry);
        }
        self
    }

    /// Switches an equivalence off.
    pub fn without(mut self, equivalence: Equivalence) -> Self {
        self.off |= equivalence.bit();
        self
    }

    /// The equivalences that are switched off and exist for `kind`.
    pub(crate) fn off(&self, kind: EndpointKind) -> u8 {
        if self.off == 0 { 0 } else { self.off & rules::equivalences(kind) }
    }

    /// The further members that are left out of keys of `kind`, with the code of the kind.
    pub(crate) fn left_out(&self, kind: EndpointKind) -> &[(u8, String)] {
        let code = kind.code();
        let from = self.left_out.partition_point(|(other, _)| *other < code);
        let to = self.left_out.partition_point(|(other, _)| *other <= code);
        &self.left_out[from..to]
    }
}
