//! The parser: strict RFC 8259, without recursion, one pass over the bytes.

use crate::error::NotCanonical;
use crate::number::{self, Decimal};
use crate::scan;
use crate::scratch::{Scratch, buffers};
use crate::tape::{Arrays, Node, Tape};

/// Parses one JSON value that makes up all of `body` and nests no deeper than `max_depth`.
pub(crate) fn parse(body: &[u8], max_depth: usize) -> Result<Tape<'_>, NotCanonical> {
    if u32::try_from(body.len()).is_err() {
        return Err(NotCanonical::TooLong { length: body.len() });
    }
    let text = utf8(body)?;
    let mut parser = Parser {
        bytes: body,
        at: 0,
        max_depth,
        stacks: Scratch::take(),
        tape: Tape::new(text),
        failure: None,
    };
    match parser.run() {
        Ok(()) => Ok(parser.tape),
        Err(Failed) => Err(parser.failure.expect("whoever fails says why")),
    }
}

/// `body` as text. Vector instructions look whether it is UTF-8; if not, where it goes wrong is for
/// the slower way to say.
fn utf8(body: &[u8]) -> Result<&str, NotCanonical> {
    simdutf8::basic::from_utf8(body).or_else(|_| {
        std::str::from_utf8(body)
            .map_err(|error| NotCanonical::InvalidUtf8 { offset: error.valid_up_to() })
    })
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    max_depth: usize,
    stacks: Scratch<Stacks>,
    tape: Tape<'a>,
    /// Why the parse failed.
    failure: Option<NotCanonical>,
}

/// The parse failed: [`Parser::failure`] says why. As a result it fits into a register, which the
/// reason itself does not.
struct Failed;

buffers! {
    /// What a parse has not done with.
    Stacks {
        /// The arrays and objects that have not ended yet.
        open: Open,
        /// The names of the members so far of each of these objects, the innermost last.
        names: Named,
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Open {
    node: u32,
    len: u32,
    /// Where its names begin.
    names: u32,
    object: bool,
}

/// A member to be sorted: the first bytes of its name decide most comparisons.
#[derive(Clone, Copy)]
pub(crate) struct Named {
    prefix: u64,
    node: u32,
}

impl Parser<'_> {
    fn run(&mut self) -> Result<(), Failed> {
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
            Some(_) => Err(self.fail(NotCanonical::TrailingData { offset: self.at })),
            None => Ok(()),
        }
    }

    /// Reads a scalar, an empty container or the beginning of another one up to its first value;
    /// whether it was the last of these.
    fn begin_value(&mut self) -> Result<bool, Failed> {
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
    fn end_value(&mut self) -> Result<bool, Failed> {
        loop {
            self.skip_space();
            let Some(innermost) = self.stacks.open.last_mut() else {
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
    fn begin_container(&mut self, object: bool) -> Result<bool, Failed> {
        if self.stacks.open.len() >= self.max_depth {
            let (offset, limit) = (self.at, self.max_depth);
            return Err(self.fail(NotCanonical::TooDeep { offset, limit }));
        }
        let names = position(self.stacks.names.len());
        let node = self.next_node();
        self.stacks.open.push(Open { node, len: 0, names, object });
        self.tape.arrays.nodes.push(Node::Null); // until its end is known
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
    fn end_container(&mut self) -> Result<(), Failed> {
        self.at += 1;
        let Open { node, len, names, object } =
            self.stacks.open.pop().expect("a container is open");
        let next = self.next_node();
        self.tape.arrays.nodes[node as usize] = if object {
            let sorted = self.sort_members(names as usize)?;
            Node::Object { len, next, sorted }
        } else {
            Node::Array { len, next }
        };
        Ok(())
    }

    /// A member's name and the colon after it.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "measured")]
    fn name(&mut self) -> Result<(), Failed> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("a member name"));
        }
        let node = self.next_node();
        self.string()?;
        let (all, start, end) = self.tape.place(node);
        let prefix = prefix(all, start, end);
        self.stacks.names.push(Named { prefix, node });
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    #[inline(always)] // a call would cost as much as most strings
    #[allow(clippy::inline_always, reason = "measured")]
    fn string(&mut self) -> Result<(), Failed> {
        let start = self.at + 1;
        let end = start + scan::plain_run(&self.bytes[start..]);
        if self.bytes.get(end) != Some(&b'"') {
            return self.escaped_string(start, end);
        }
        self.at = end + 1;
        self.tape.arrays.nodes.push(Node::Plain { start: position(start), end: position(end) });
        Ok(())
    }

    /// A string from `start` whose first escape, or error, is at `end`.
    #[inline(never)]
    fn escaped_string(&mut self, start: usize, end: usize) -> Result<(), Failed> {
        let Arrays { nodes, unescaped: out, .. } = &mut *self.tape.arrays;
        let from = out.len();
        out.extend_from_slice(&self.bytes[start..end]);
        let end = match scan::unescape(self.bytes, end, out) {
            Ok(end) => end,
            Err(reason) => return Err(self.fail(reason)),
        };
        self.at = end + 1;
        nodes.push(Node::Escaped {
            start: position(from),
            end: position(out.len()),
            offset: position(start),
        });
        Ok(())
    }

    fn number(&mut self) -> Result<(), Failed> {
        let start = self.at;
        let (end, exponent) = number::scan(self.bytes, start)
            .map_err(|offset| self.fail(NotCanonical::Syntax { offset, expected: "a number" }))?;
        // Without an exponent of its own, a number's exponent is bounded by its length.
        if exponent && Decimal::of(&self.tape.text[start..end]).is_none() {
            return Err(self.fail(NotCanonical::NumberOutOfRange { offset: start }));
        }
        self.at = end;
        self.tape.arrays.nodes.push(Node::Number { start: position(start), end: position(end) });
        Ok(())
    }

    fn word(&mut self, word: &'static str, node: Node) -> Result<(), Failed> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.expected(word));
        }
        self.at += word.len();
        self.tape.arrays.nodes.push(node);
        Ok(())
    }

    /// Appends the members of the object whose names begin at `names`, sorted by name, to the order;
    /// where they begin there.
    fn sort_members(&mut self, names: usize) -> Result<u32, Failed> {
        let tape = &mut self.tape;
        let members = &mut self.stacks.names[names..];
        let by_name = |a: &Named, b: &Named| {
            let whole = || tape.bytes(a.node).cmp(tape.bytes(b.node));
            a.prefix.cmp(&b.prefix).then_with(whole)
        };
        if !members.is_sorted_by(|a, b| by_name(a, b).is_lt()) {
            members.sort_unstable_by(by_name);
            if let Some(pair) = members.windows(2).find(|pair| by_name(&pair[0], &pair[1]).is_eq())
            {
                let offset = tape.offset(pair[0].node.max(pair[1].node));
                return Err(self.fail(NotCanonical::DuplicateMember { offset }));
            }
        }
        let sorted = position(tape.arrays.order.len());
        tape.arrays.order.extend(members.iter().map(|named| named.node));
        self.stacks.names.truncate(names);
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
        position(self.tape.arrays.nodes.len())
    }

    fn expected(&mut self, expected: &'static str) -> Failed {
        self.fail(NotCanonical::Syntax { offset: self.at, expected })
    }

    #[cold]
    fn fail(&mut self, reason: NotCanonical) -> Failed {
        self.failure = Some(reason);
        Failed
    }
}

/// The first eight bytes of the name `all[start..end]`, or all of it and zeros, as a number that sorts
/// as they do.
#[inline]
fn prefix(all: &[u8], start: usize, end: usize) -> u64 {
    let len = end - start;
    if let Some(&eight) = all[start..].first_chunk() {
        // What stands behind a shorter name is read with it and masked.
        let behind = u64::MAX.checked_shr(8 * u32::try_from(len).unwrap_or(8)).unwrap_or(0);
        return u64::from_be_bytes(eight) & !behind;
    }
    let mut eight = [0; 8];
    eight[..len].copy_from_slice(&all[start..end]);
    u64::from_be_bytes(eight)
}

/// Whatever is counted here, there are no more of it than bytes in the body.
fn position(index: usize) -> u32 {
    u32::try_from(index).expect("a body is shorter than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands behind a name is not part of its prefix, and the prefix sorts as the name does.
    #[test]
    fn prefixes_sort_as_names() {
        let all = "abcdefghij\u{10ffff}".as_bytes();
        for start in 0..=all.len() {
            for end in start..=all.len() {
                let name = &all[start..end];
                let mut eight = [0; 8];
                let len = name.len().min(8);
                eight[..len].copy_from_slice(&name[..len]);
                assert_eq!(prefix(all, start, end), u64::from_be_bytes(eight), "{name:?}");
                assert_eq!(prefix(name, 0, name.len()), u64::from_be_bytes(eight), "{name:?}");
            }
        }
    }
}
