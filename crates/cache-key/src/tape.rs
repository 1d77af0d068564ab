//! The tape: a parsed body as one flat list of nodes that borrow from it.

use crate::members::Named;
use crate::number::Form;
use crate::scratch::{Scratch, buffers};

/// A parsed body. Nodes stand in the order of the text; node 0 is the body itself.
pub(crate) struct Tape<'a> {
    pub(crate) text: &'a str,
    pub(crate) arrays: Scratch<Arrays>,
}

buffers! {
    /// What a tape is made of, and with.
    Arrays {
        /// Values and names.
        nodes: Node,
        /// The name nodes of each object's members, sorted by name; every object has a range of it.
        order: u32,
        /// The strings that had escapes, without them: UTF-8.
        unescaped: u8,
        /// While it is made: the arrays and objects around what is read now, but for the innermost.
        open: Open,
        /// Likewise: the names so far of the members of each of these objects, the innermost last.
        names: Named,
    }
}

/// What values are read into.
#[derive(Clone, Copy)]
pub(crate) struct Open {
    pub(crate) node: u32,
    /// How many values have ended.
    pub(crate) len: u32,
    /// Where its names begin.
    pub(crate) names: u32,
    pub(crate) within: Within,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    /// The value is the whole text.
    Nothing,
    Array,
    Object,
}

/// One value, or the name of a member: the value of a member follows its name.
///
/// Positions are 32 bits wide, which makes a node 16 bytes and bounds a body at 4 GiB.
#[derive(Clone, Copy)]
pub(crate) enum Node {
    Null,
    False,
    True,
    /// `text[start..end]`, as it was written.
    Number {
        start: u32,
        end: u32,
        form: Form,
    },
    /// A string without escapes: `text[start..end]`.
    Plain {
        start: u32,
        end: u32,
    },
    /// A string that had escapes: `unescaped[start..end]`; its text began at `offset`.
    Escaped {
        start: u32,
        end: u32,
        offset: u32,
    },
    /// `len` items, up to the node `next`.
    Array {
        len: u32,
        next: u32,
    },
    /// `len` members, up to the node `next`; their names in order from `order[sorted]` on.
    Object {
        len: u32,
        next: u32,
        sorted: u32,
    },
}

impl<'a> Tape<'a> {
    /// With room for an ordinary body; one of many short values makes it grow.
    pub(crate) fn new(text: &'a str) -> Self {
        let mut arrays = Scratch::<Arrays>::take();
        arrays.nodes.reserve((text.len() / 16 + 4).min(1024));
        arrays.order.reserve((text.len() / 48 + 4).min(512));
        Self { text, arrays }
    }

    #[inline]
    pub(crate) fn node(&self, index: u32) -> Node {
        self.arrays.nodes[index as usize]
    }

    /// The node after `index` and everything within it.
    #[inline]
    pub(crate) fn after(&self, index: u32) -> u32 {
        match self.node(index) {
            Node::Array { next, .. } | Node::Object { next, .. } => next,
            _ => index + 1,
        }
    }

    /// The characters of a string or a member's name.
    pub(crate) fn string(&self, index: u32) -> Option<&str> {
        match self.node(index) {
            Node::Plain { start, end } => Some(&self.text[start as usize..end as usize]),
            Node::Escaped { start, end, .. } => {
                let bytes = &self.arrays.unescaped[start as usize..end as usize];
                Some(simdutf8::basic::from_utf8(bytes).expect("escapes stand for characters"))
            }
            _ => None,
        }
    }

    /// The same in UTF-8; nothing of any other node. Quicker: nothing is looked at.
    #[inline]
    pub(crate) fn bytes(&self, index: u32) -> &[u8] {
        let (all, start, end) = self.place(index);
        &all[start..end]
    }

    /// The bytes that those of a string or name are part of, and from where to where.
    #[inline]
    pub(crate) fn place(&self, index: u32) -> (&[u8], usize, usize) {
        match self.node(index) {
            Node::Plain { start, end } => (self.text.as_bytes(), start as usize, end as usize),
            Node::Escaped { start, end, .. } => {
                (&self.arrays.unescaped, start as usize, end as usize)
            }
            _ => (b"", 0, 0),
        }
    }

    /// Whether it is a string.
    pub(crate) fn is_string(&self, index: u32) -> bool {
        matches!(self.node(index), Node::Plain { .. } | Node::Escaped { .. })
    }

    /// Whether it is this string.
    pub(crate) fn string_is(&self, index: u32, text: &str) -> bool {
        self.is_string(index) && self.bytes(index) == text.as_bytes()
    }

    /// The nodes of an array's items.
    pub(crate) fn items(&self, array: u32) -> impl Iterator<Item = u32> {
        let end = self.after(array);
        let mut next = array + 1;
        std::iter::from_fn(move || {
            let item = next;
            (item < end).then(|| {
                next = self.after(item);
                item
            })
        })
    }

    /// The name nodes of an object's members, in the order of the text.
    pub(crate) fn members_in_text(&self, object: u32) -> impl Iterator<Item = u32> + Clone {
        let end = match self.node(object) {
            Node::Object { next, .. } => next,
            _ => object + 1,
        };
        let mut next = object + 1;
        std::iter::from_fn(move || {
            let name = next;
            (name < end).then(|| {
                next = self.after(name + 1);
                name
            })
        })
    }

    /// Where in the text a string begins.
    pub(crate) fn offset(&self, index: u32) -> usize {
        match self.node(index) {
            Node::Plain { start: offset, .. } | Node::Escaped { offset, .. } => offset as usize,
            _ => unreachable!("only strings are asked for"),
        }
    }

    /// The name of a member, given its node.
    pub(crate) fn name(&self, index: u32) -> &str {
        self.string(index).expect("the parser puts only strings before values")
    }

    /// The text of a number, as it was written.
    pub(crate) fn literal(&self, index: u32) -> Option<&str> {
        match self.node(index) {
            Node::Number { start, end, .. } => Some(&self.text[start as usize..end as usize]),
            _ => None,
        }
    }

    /// The name nodes of an object's members, sorted by name; none of anything else.
    pub(crate) fn members(&self, index: u32) -> &[u32] {
        match self.node(index) {
            Node::Object { len, sorted, .. } => {
                &self.arrays.order[sorted as usize..][..len as usize]
            }
            _ => &[],
        }
    }

    /// The value of the member `name` of an object.
    pub(crate) fn member(&self, index: u32, name: &str) -> Option<u32> {
        let members = self.members(index);
        let found = members.binary_search_by(|&member| self.bytes(member).cmp(name.as_bytes()));
        Some(members[found.ok()?] + 1)
    }
}
