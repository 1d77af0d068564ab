//! The parser: strict RFC 8259, without recursion, one pass over the bytes.

use std::mem;

use crate::error::NotCanonical;
use crate::members::{self, Named};
use crate::number::{self, Decimal, Form};
use crate::scan;
use crate::tape::{Arrays, Node, Open, Tape, Within};

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
        inner: Open { node: 0, len: 0, names: 0, within: Within::Nothing },
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
    /// What values are read into now.
    inner: Open,
    tape: Tape<'a>,
    /// Why the parse failed.
    failure: Option<NotCanonical>,
}

/// The parse failed: [`Parser::failure`] says why. As a result it fits into a register, which the
/// reason itself does not.
struct Failed;

impl Parser<'_> {
    fn run(&mut self) -> Result<(), Failed> {
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
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "measured")]
    fn begin_value(&mut self) -> Result<bool, Failed> {
        match self.token() {
            b'"' => self.string()?,
            b'{' => return self.begin_container(Within::Object),
            b'[' => return self.begin_container(Within::Array),
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.word("true", Node::True)?,
            b'f' => self.word("false", Node::False)?,
            b'n' => self.word("null", Node::Null)?,
            _ => return Err(self.expected("a value")),
        }
        Ok(false)
    }

    /// After a value: ends the containers that end here and reads up to the next value; whether
    /// there is one.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "measured")]
    fn end_value(&mut self) -> Result<bool, Failed> {
        loop {
            let token = self.token();
            self.inner.len += 1;
            match self.inner.within {
                Within::Object => match token {
                    b',' => {
                        self.at += 1;
                        self.name()?;
                        return Ok(true);
                    }
                    b'}' => self.end_object()?,
                    _ => return Err(self.expected("`,` or `}`")),
                },
                Within::Array => match token {
                    b',' => {
                        self.at += 1;
                        return Ok(true);
                    }
                    b']' => self.end_array(),
                    _ => return Err(self.expected("`,` or `]`")),
                },
                Within::Nothing => return Ok(false),
            }
        }
    }

    /// Whether a value is to follow; an empty container is complete at once.
    fn begin_container(&mut self, within: Within) -> Result<bool, Failed> {
        if self.tape.arrays.open.len() >= self.max_depth {
            let (offset, limit) = (self.at, self.max_depth);
            return Err(self.fail(NotCanonical::TooDeep { offset, limit }));
        }
        let node = self.next_node();
        let arrays = &mut *self.tape.arrays;
        let names = position(arrays.names.len());
        arrays.open.push(mem::replace(&mut self.inner, Open { node, len: 0, names, within }));
        arrays.nodes.push(Node::Null); // until its end is known
        self.at += 1;
        match (self.token(), within) {
            (b'}', Within::Object) => self.end_object().map(|()| false),
            (_, Within::Object) => self.name().map(|()| true),
            (b']', _) => {
                self.end_array();
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    /// Fills in the node of the innermost object, whose closing bracket is next.
    fn end_object(&mut self) -> Result<(), Failed> {
        self.at += 1;
        let Open { node, len, names, .. } = self.inner;
        let (next, sorted) = (self.next_node(), position(self.tape.arrays.order.len()));
        if let Err(second) = members::sort(&mut self.tape, names as usize) {
            let offset = self.tape.offset(second);
            return Err(self.fail(NotCanonical::DuplicateMember { offset }));
        }
        self.tape.arrays.nodes[node as usize] = Node::Object { len, next, sorted };
        self.leave_container();
        Ok(())
    }

    /// The same of an array.
    fn end_array(&mut self) {
        self.at += 1;
        let Open { node, len, .. } = self.inner;
        let next = self.next_node();
        self.tape.arrays.nodes[node as usize] = Node::Array { len, next };
        self.leave_container();
    }

    #[inline]
    fn leave_container(&mut self) {
        self.inner = self.tape.arrays.open.pop().expect("a container is open");
    }

    /// A member's name and the colon after it.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "measured")]
    fn name(&mut self) -> Result<(), Failed> {
        if self.token() != b'"' {
            return Err(self.expected("a member name"));
        }
        let node = self.next_node();
        let start = self.at + 1;
        let prefix = match scan::short_string(self.bytes, start) {
            Some((step, len)) => {
                self.plain_string(start, start + len);
                members::prefix_of_step(step, len)
            }
            None => self.long_name(node)?,
        };
        self.tape.arrays.names.push(Named { prefix, node });
        if self.token() != b':' {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        Ok(())
    }

    /// A name that is long, has escapes or stands at the end of the body; its prefix.
    #[inline(never)]
    fn long_name(&mut self, node: u32) -> Result<u64, Failed> {
        self.string()?;
        Ok(members::prefix(self.tape.bytes(node)))
    }

    #[inline(always)] // a call would cost as much as most strings
    #[allow(clippy::inline_always, reason = "measured")]
    fn string(&mut self) -> Result<(), Failed> {
        let start = self.at + 1;
        let end = start + scan::plain_run(&self.bytes[start..]);
        if self.bytes.get(end) != Some(&b'"') {
            return self.escaped_string(start, end);
        }
        self.plain_string(start, end);
        Ok(())
    }

    /// The string without escapes `bytes[start..end]`, behind which is a quote.
    #[inline]
    fn plain_string(&mut self, start: usize, end: usize) {
        self.at = end + 1;
        self.tape.arrays.nodes.push(Node::Plain { start: position(start), end: position(end) });
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

    #[inline(never)]
    fn number(&mut self) -> Result<(), Failed> {
        let start = self.at;
        let (end, form) = number::scan(self.bytes, start)
            .map_err(|offset| self.fail(NotCanonical::Syntax { offset, expected: "a number" }))?;
        // Without an exponent of its own, a number's exponent is bounded by its length.
        if form == Form::Exponent && Decimal::of(&self.tape.text[start..end]).is_none() {
            return Err(self.fail(NotCanonical::NumberOutOfRange { offset: start }));
        }
        self.at = end;
        self.tape.arrays.nodes.push(Node::Number {
            start: position(start),
            end: position(end),
            form,
        });
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

    /// The first byte behind white space, which is skipped; 0, which begins nothing, at the end.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "measured")]
    fn token(&mut self) -> u8 {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(&token) => return token,
                None => return 0,
            }
        }
    }

    #[inline]
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

/// Whatever is counted here, there are no more of it than bytes in the body, which [`parse`] bounds.
#[inline]
#[allow(
    clippy::cast_possible_truncation,
    reason = "bounded; a check would be the most of some steps"
)]
fn position(index: usize) -> u32 {
    debug_assert!(u32::try_from(index).is_ok());
    index as u32
}
