//! [`Request`]: one parse of a body.

use std::fmt;

use cache_core::CacheKey;

use crate::canonical::Writer;
use crate::endpoint::EndpointKind;
use crate::error::NotCanonical;
use crate::explain::{self, Explanation};
use crate::limits::ParseLimits;
use crate::options::KeyOptions;
use crate::parser;
use crate::rules::Rules;
use crate::scope::KeyScope;
use crate::sink::HashSink;
use crate::tape::{Node, Tape};
use crate::value::Value;

/// One parse of the JSON body of a request: its key, and what later layers ask about it, so that
/// nobody parses it again.
///
/// It borrows the body. Only strings with escapes are copied, into one buffer.
pub struct Request<'a> {
    kind: EndpointKind,
    tape: Tape<'a>,
}

impl<'a> Request<'a> {
    /// Parses `body` within the default [`ParseLimits`].
    ///
    /// # Errors
    ///
    /// Why the body has no canonical form: see [`NotCanonical`].
    pub fn parse(kind: EndpointKind, body: &'a [u8]) -> Result<Self, NotCanonical> {
        Self::parse_with(kind, body, &ParseLimits::default())
    }

    /// Parses `body` within `limits`.
    ///
    /// # Errors
    ///
    /// Why the body has no canonical form: see [`NotCanonical`].
    pub fn parse_with(
        kind: EndpointKind,
        body: &'a [u8],
        limits: &ParseLimits,
    ) -> Result<Self, NotCanonical> {
        let tape = parser::parse(body, limits.max_depth)?;
        match tape.node(0) {
            Node::Object { .. } => Ok(Self { kind, tape }),
            _ => Err(NotCanonical::NotAnObject),
        }
    }

    /// Whose rules it was read by.
    pub fn kind(&self) -> EndpointKind {
        self.kind
    }

    /// The `model` member, if it is a string.
    pub fn model(&self) -> Option<&str> {
        self.member("model")?.as_str()
    }

    /// Whether the caller asked for a stream: `"stream": true`.
    pub fn streams(&self) -> bool {
        self.member("stream").and_then(Value::as_bool) == Some(true)
    }

    /// A top-level member.
    pub fn member(&self, name: &str) -> Option<Value<'_>> {
        self.body().get(name)
    }

    /// The whole body.
    pub fn body(&self) -> Value<'_> {
        Value::new(&self.tape, 0)
    }

    /// The key of this request in `scope`.
    #[must_use]
    pub fn key(&self, scope: &KeyScope) -> CacheKey {
        let mut sink = HashSink::new(Some(scope.digest()));
        scope.write_head(self.kind, &mut sink);
        let rules = Rules::new(self.kind, scope.key_options());
        Writer::new(&self.tape, rules, &mut sink).request();
        CacheKey::from_digest(sink.finish())
    }

    /// The canonical form of the body, as it goes into the key: to compare two requests, or another
    /// implementation with this one. It holds the text of the prompt.
    pub fn canonical_form(&self) -> Vec<u8> {
        self.canonical_form_with(&KeyOptions::new())
    }

    /// The same under other options.
    pub fn canonical_form_with(&self, options: &KeyOptions) -> Vec<u8> {
        let mut out = Vec::new();
        Writer::new(&self.tape, Rules::new(self.kind, options), &mut out).request();
        out
    }

    /// What the key is made of under `options`: the members that enter, those left out and why, and
    /// a digest of each section.
    ///
    /// ```
    /// use cache_key::{EndpointKind, Equivalence, KeyOptions, Request, Rule};
    ///
    /// let body = br#"{"model":"m","stream":true,"messages":[]}"#;
    /// let request = Request::parse(EndpointKind::ChatCompletions, body)?;
    /// let explanation = request.explain(&KeyOptions::new());
    /// assert_eq!(explanation.left_out[0].pointer, "/stream");
    /// assert_eq!(explanation.left_out[0].rule, Rule::Equivalence(Equivalence::Stream));
    /// # Ok::<(), cache_key::NotCanonical>(())
    /// ```
    pub fn explain(&self, options: &KeyOptions) -> Explanation {
        explain::explain(&self.tape, self.kind, options)
    }

    pub(crate) fn tape(&self) -> &Tape<'a> {
        &self.tape
    }
}

/// Leaves the body out: it is the caller's prompt.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("kind", &self.kind)
            .field("bytes", &self.tape.text.len())
            .field("nodes", &self.tape.arrays.nodes.len())
            .finish()
    }
}
