//! The tape: a parsed body as one flat list of nodes that borrow from it.

/// A parsed body. Nodes stand in the order of the text; node 0 is the body itself.
pub(crate) struct Tape<'a> {
    pub(crate) text: &'a str,
    pub(crate) nodes: Vec<Node>,
    /// The name nodes of each object's members, sorted by name; every object has a range of it.
    pub(crate) order: Vec<u32>,
    /// The strings that had escapes, without them.
    pub(crate) unescaped: String,
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

impl Tape<'_> {
    pub(crate) fn node(&self, index: u32) -> Node {
        self.nodes[index as usize]
    }

    /// The node after `index` and everything within it.
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
            Node::Escaped { start, end, .. } => Some(&self.unescaped[start as usize..end as usize]),
            _ => None,
        }
    }

    /// The name of a member, given its node.
    pub(crate) fn name(&self, index: u32) -> &str {
        self.string(index).expect("the parser puts only strings before values")
    }

    /// The text of a number, as it was written.
    pub(crate) fn literal(&self, index: u32) -> Option<&str> {
        match self.node(index) {
            Node::Number { start, end } => Some(&self.text[start as usize..end as usize]),
            _ => None,
        }
    }

    /// The name nodes of an object's members, sorted by name; none of anything else.
    pub(crate) fn members(&self, index: u32) -> &[u32] {
        match self.node(index) {
            Node::Object { len, sorted, .. } => &self.order[sorted as usize..][..len as usize],
            _ => &[],
        }
    }

    /// The value of the member `name` of an object.
    pub(crate) fn member(&self, index: u32, name: &str) -> Option<u32> {
        let members = self.members(index);
        let found = members.binary_search_by(|&member| self.name(member).cmp(name));
        Some(members[found.ok()?] + 1)
    }
}
