//! [`Value`]: a look at one node of a parsed request.

use std::fmt;

use crate::canonical;
use crate::number::Decimal;
use crate::sink::HashSink;
use crate::tape::{Node, Tape};

/// A JSON value of a parsed [`Request`](crate::Request): two words, borrowed, free to copy.
///
/// ```
/// use cache_key::{EndpointKind, Request};
///
/// let request = Request::parse(EndpointKind::Embeddings, br#"{"model":"m","input":["a","b"]}"#)?;
/// let input = request.member("input").expect("it is there");
/// assert_eq!(input.len(), 2);
/// assert!(input.items().map(|item| item.as_str()).eq([Some("a"), Some("b")]));
/// # Ok::<(), cache_key::NotCanonical>(())
/// ```
#[derive(Clone, Copy)]
pub struct Value<'r> {
    tape: &'r Tape<'r>,
    node: u32,
}

impl<'r> Value<'r> {
    pub(crate) fn new(tape: &'r Tape<'r>, node: u32) -> Self {
        Self { tape, node }
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        matches!(self.tape.node(self.node), Node::Null)
    }

    /// Whether it is an array.
    pub fn is_array(self) -> bool {
        matches!(self.tape.node(self.node), Node::Array { .. })
    }

    /// Whether it is an object.
    pub fn is_object(self) -> bool {
        matches!(self.tape.node(self.node), Node::Object { .. })
    }

    /// `true` or `false`, if it is one of them.
    pub fn as_bool(self) -> Option<bool> {
        match self.tape.node(self.node) {
            Node::True => Some(true),
            Node::False => Some(false),
            _ => None,
        }
    }

    /// The characters of a string, escapes resolved.
    pub fn as_str(self) -> Option<&'r str> {
        self.tape.string(self.node)
    }

    /// A number as it was written.
    pub fn as_number(self) -> Option<&'r str> {
        self.tape.literal(self.node)
    }

    /// The nearest floating-point value of a number; infinite if there is none near.
    pub fn as_f64(self) -> Option<f64> {
        self.as_number()?.parse().ok()
    }

    /// A number whose exact value is whole, not negative and fits, however it was written: `1e3` is
    /// 1000.
    pub fn as_u64(self) -> Option<u64> {
        Decimal::of(self.as_number()?)?.as_u64()
    }

    /// The member `name` of an object. Found by binary search.
    pub fn get(self, name: &str) -> Option<Value<'r>> {
        let node = self.tape.member(self.node, name)?;
        Some(Self { node, ..self })
    }

    /// The items of an array in order; none of anything else.
    pub fn items(self) -> Items<'r> {
        let next = self.node + 1;
        match self.tape.node(self.node) {
            Node::Array { len, .. } => Items { tape: self.tape, next, left: len },
            _ => Items { tape: self.tape, next, left: 0 },
        }
    }

    /// The members of an object, sorted by name; none of anything else.
    pub fn members(self) -> Members<'r> {
        Members { tape: self.tape, names: self.tape.members(self.node).iter() }
    }

    /// How many items an array, members an object or bytes a string has; 0 of anything else.
    pub fn len(self) -> usize {
        match self.tape.node(self.node) {
            Node::Array { len, .. } | Node::Object { len, .. } => len as usize,
            Node::Plain { start, end } | Node::Escaped { start, end, .. } => (end - start) as usize,
            _ => 0,
        }
    }

    /// Whether [`Value::len`] is 0.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// BLAKE3 of the canonical form of this value: equal for equal values, however they are
    /// written. No rule of an endpoint kind applies: nothing is left out.
    pub fn digest(self) -> [u8; 32] {
        let mut sink = HashSink::of_part();
        canonical::value(self.tape, self.node, &mut sink);
        sink.finish()
    }
}

/// Says what it is and how long, never what is in it: requests hold prompts.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.tape.node(self.node) {
            Node::Null => "null",
            Node::False | Node::True => "bool",
            Node::Number { .. } => "number",
            Node::Plain { .. } | Node::Escaped { .. } => "string",
            Node::Array { .. } => "array",
            Node::Object { .. } => "object",
        };
        write!(f, "Value({what}, len {})", self.len())
    }
}

/// The items of an array. See [`Value::items`].
#[derive(Clone)]
pub struct Items<'r> {
    tape: &'r Tape<'r>,
    next: u32,
    left: u32,
}

impl<'r> Iterator for Items<'r> {
    type Item = Value<'r>;

    fn next(&mut self) -> Option<Value<'r>> {
        self.left = self.left.checked_sub(1)?;
        let node = self.next;
        self.next = self.tape.after(node);
        Some(Value::new(self.tape, node))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl ExactSizeIterator for Items<'_> {}

impl fmt::Debug for Items<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Items({} left)", self.left)
    }
}

/// The members of an object. See [`Value::members`].
#[derive(Clone)]
pub struct Members<'r> {
    tape: &'r Tape<'r>,
    names: std::slice::Iter<'r, u32>,
}

impl<'r> Iterator for Members<'r> {
    type Item = (&'r str, Value<'r>);

    fn next(&mut self) -> Option<Self::Item> {
        let &name = self.names.next()?;
        Some((self.tape.name(name), Value::new(self.tape, name + 1)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.names.size_hint()
    }
}

impl ExactSizeIterator for Members<'_> {}

impl fmt::Debug for Members<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Members({} left)", self.names.len())
    }
}
