//! The parser: strict RFC 8259, without recursion, one pass over the bytes.

use crate::error::NotCanonical;
use crate::number::{self, Decimal};
use crate::scan;
use crate::tape::{Node, Tape};

/// Parses one JSON value that makes up all of `body` and nests no deeper than `max_depth`.
pub(crate) fn parse(body: &[u8], max_depth: usize) -> Result<Tape<'_>, NotCanonical> {
    if u32::try_from(body.len()).is_err() {
        return Err(NotCanonical::TooLong { length: body.len() });
    }
    let text = std::str::from_utf8(body)
        .map_err(|error| NotCanonical::InvalidUtf8 { offset: error.valid_up_to() })?;
    let mut parser = Parser {
        bytes: body,
        at: 0,
        max_depth,
        open: Vec::with_capacity(8),
        by_name: Vec::new(),
        tape: Tape {
            text,
            // A guess that suits short bodies; long ones grow it a few times.
            nodes: Vec::with_capacity((body.len() / 16 + 4).min(1024)),
            order: Vec::with_capacity((body.len() / 48 + 4).min(512)),
            unescaped: String::new(),
        },
    };
    parser.run()?;
    Ok(parser.tape)
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    max_depth: usize,
    /// The arrays and objects that have not ended yet.
    open: Vec<Open>,
    /// Room to sort the members of one object in.
    by_name: Vec<Named>,
    tape: Tape<'a>,
}

#[derive(Clone, Copy)]
struct Open {
    node: u32,
    len: u32,
    object: bool,
}

/// A member to be sorted: the first bytes of its name decide most comparisons.
#[derive(Clone, Copy)]
struct Named {
    prefix: u64,
    node: u32,
}

impl Parser<'_> {
    fn run(&mut self) -> Result<(), NotCanonical> {
        self.skip_space();
        loop {
            if self.begin_value()? {
                continue; // an array or object has begun: its first value is next
            }
            if !self.end_value()? {
                break;
            }
        }
        match self.bytes.get(self.at) {
            Some(_) => Err(NotCanonical::TrailingData { offset: self.at }),
            None => Ok(()),
        }
    }

    /// Reads a scalar, an empty container or the beginning of another one up to its first value;
    /// whether it was the last of these.
    fn begin_value(&mut self) -> Result<bool, NotCanonical> {
        match self.peek() {
            Some(b'"') => self.string()?,
            Some(b'{') => return self.begin_container(true),
            Some(b'[') => return self.begin_container(false),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Node::True)?,
            Some(b'f') => self.word("false", Node::False)?,
            Some(b'n') => self.word("null", Node::Null)?,
            _ => return Err(self.expected("a value")),
        }
        Ok(false)
    }

    /// After a value: ends the containers that end here and reads up to the next value; whether
    /// there is one.
    fn end_value(&mut self) -> Result<bool, NotCanonical> {
        loop {
            self.skip_space();
            let Some(innermost) = self.open.last_mut() else {
                return Ok(false);
            };
            innermost.len += 1;
            let object = innermost.object;
            match (self.peek(), object) {
                (Some(b','), false) => {
                    self.at += 1;
                    self.skip_space();
                    return Ok(true);
                }
                (Some(b','), true) => {
                    self.at += 1;
                    self.skip_space();
                    self.name()?;
                    return Ok(true);
                }
                (Some(b']'), false) | (Some(b'}'), true) => self.end_container()?,
                (_, false) => return Err(self.expected("`,` or `]`")),
                (_, true) => return Err(self.expected("`,` or `}`")),
            }
        }
    }

    /// Whether a value is to follow; an empty container is complete at once.
    fn begin_container(&mut self, object: bool) -> Result<bool, NotCanonical> {
        if self.open.len() >= self.max_depth {
            return Err(NotCanonical::TooDeep { offset: self.at, limit: self.max_depth });
        }
        self.open.push(Open { node: self.next_node(), len: 0, object });
        self.tape.nodes.push(Node::Null); // until its end is known
        self.at += 1;
        self.skip_space();
        match (self.peek(), object) {
            (Some(b'}'), true) | (Some(b']'), false) => {
                self.end_container()?;
                Ok(false)
            }
            (_, true) => self.name().map(|()| true),
            (_, false) => Ok(true),
        }
    }

    /// Fills in the node of the innermost container, whose closing bracket is next.
    fn end_container(&mut self) -> Result<(), NotCanonical> {
        self.at += 1;
        let Open { node, len, object } = self.open.pop().expect("a container is open");
        let next = self.next_node();
        self.tape.nodes[node as usize] = if object {
            let sorted = self.sort_members(node, next)?;
            Node::Object { len, next, sorted }
        } else {
            Node::Array { len, next }
        };
        Ok(())
    }

    /// A member's name and the colon after it.
    fn name(&mut self) -> Result<(), NotCanonical> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("a member name"));
        }
        self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    fn string(&mut self) -> Result<(), NotCanonical> {
        let start = self.at + 1;
        let end = start + scan::plain_run(&self.bytes[start..]);
        if self.bytes.get(end) != Some(&b'"') {
            return self.escaped_string(start, end);
        }
        self.at = end + 1;
        self.tape.nodes.push(Node::Plain { start: position(start), end: position(end) });
        Ok(())
    }

    /// A string from `start` whose first escape, or error, is at `end`.
    fn escaped_string(&mut self, start: usize, mut end: usize) -> Result<(), NotCanonical> {
        let out = &mut self.tape.unescaped;
        let from = out.len();
        out.push_str(&self.tape.text[start..end]);
        loop {
            match self.bytes.get(end) {
                Some(b'\\') => end = scan::unescape(self.bytes, end, out)?,
                Some(b'"') => break,
                found => {
                    return Err(NotCanonical::Syntax {
                        offset: end,
                        expected: match found {
                            Some(_) => "no control character",
                            None => "the end of the string",
                        },
                    });
                }
            }
            let plain = scan::plain_run(&self.bytes[end..]);
            out.push_str(&self.tape.text[end..end + plain]);
            end += plain;
        }
        self.at = end + 1;
        self.tape.nodes.push(Node::Escaped {
            start: position(from),
            end: position(out.len()),
            offset: position(start),
        });
        Ok(())
    }

    fn number(&mut self) -> Result<(), NotCanonical> {
        let start = self.at;
        let (end, exponent) = number::scan(self.bytes, start)
            .map_err(|offset| NotCanonical::Syntax { offset, expected: "a number" })?;
        // Without an exponent of its own, a number's exponent is bounded by its length.
        if exponent && Decimal::of(&self.tape.text[start..end]).is_none() {
            return Err(NotCanonical::NumberOutOfRange { offset: start });
        }
        self.at = end;
        self.tape.nodes.push(Node::Number { start: position(start), end: position(end) });
        Ok(())
    }

    fn word(&mut self, word: &'static str, node: Node) -> Result<(), NotCanonical> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.expected(word));
        }
        self.at += word.len();
        self.tape.nodes.push(node);
        Ok(())
    }

    /// Appends the members of the object at `object`, sorted by name, to the order; where they
    /// begin there.
    fn sort_members(&mut self, object: u32, end: u32) -> Result<u32, NotCanonical> {
        let tape = &mut self.tape;
        self.by_name.clear();
        let mut node = object + 1;
        while node < end {
            let prefix = prefix(tape.name(node));
            self.by_name.push(Named { prefix, node });
            node = tape.after(node + 1);
        }
        let by_name = |a: &Named, b: &Named| {
            let whole = || tape.name(a.node).cmp(tape.name(b.node));
            a.prefix.cmp(&b.prefix).then_with(whole)
        };
        self.by_name.sort_unstable_by(by_name);
        for pair in self.by_name.windows(2) {
            if by_name(&pair[0], &pair[1]).is_eq() {
                let second = pair[0].node.max(pair[1].node);
                let (Node::Plain { start: offset, .. } | Node::Escaped { offset, .. }) =
                    tape.node(second)
                else {
                    unreachable!("names are strings");
                };
                return Err(NotCanonical::DuplicateMember { offset: offset as usize });
            }
        }
        let sorted = position(tape.order.len());
        tape.order.extend(self.by_name.iter().map(|named| named.node));
        Ok(sorted)
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next_node(&self) -> u32 {
        position(self.tape.nodes.len())
    }

    fn expected(&self, expected: &'static str) -> NotCanonical {
        NotCanonical::Syntax { offset: self.at, expected }
    }
}

/// The first eight bytes of a name as a number that sorts as they do.
fn prefix(name: &str) -> u64 {
    let mut bytes = [0; 8];
    let len = name.len().min(8);
    bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
    u64::from_be_bytes(bytes)
}

/// Whatever is counted here, there are no more of it than bytes in the body.
fn position(index: usize) -> u32 {
    u32::try_from(index).expect("a body is shorter than 4 GiB")
}
