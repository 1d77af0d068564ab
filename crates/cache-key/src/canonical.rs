//! The canonical form, version 1: `docs/key-format.md` gives it byte by byte.

use std::mem;

use crate::number::{Decimal, Form, Short};
use crate::options::{Equivalence, KeyOptions};
use crate::rules::{Place, Rules};
use crate::scratch::{Scratch, buffers};
use crate::sink::Sink;
use crate::tape::{Node, Tape};
use crate::varint;

// Each value begins with a varint: eight times a number, plus one of these.
/// The number says which.
const WORD: u64 = 0;
/// As many digits.
const POSITIVE: u64 = 1;
const NEGATIVE: u64 = 2;
/// As many bytes.
const STRING: u64 = 3;
/// As many items.
const ARRAY: u64 = 4;
/// 0; behind it the members and [`END`].
const OBJECT: u64 = 5;
/// A number as it was written, of as many bytes: only without [`Equivalence::NumberSpelling`].
const SPELLED_NUMBER: u64 = 6;
/// An object in the order of the text: only without [`Equivalence::MemberOrder`].
const ORDERED_OBJECT: u64 = 7;

/// What stands where else a name does, which begins with its length and one more.
const END: u64 = 0;

const NULL: u32 = 0;
const FALSE: u32 = 1;
const TRUE: u32 = 2;

/// Writes canonical forms of parts of one body.
pub(crate) struct Writer<'a, S> {
    tape: &'a Tape<'a>,
    rules: Rules<'a>,
    out: &'a mut S,
    sorted: bool,
    by_value: bool,
    /// Taken when an array or object is within another one that no rule knows.
    stack: Option<Scratch<Stack>>,
}

buffers! {
    /// What a writer has not done with.
    Stack {
        /// The arrays and objects that have begun.
        open: Rest,
    }
}

/// What is still to be written of an array or object.
pub(crate) enum Rest {
    /// Nodes of values.
    Items { next: u32, end: u32 },
    /// Places in the order.
    Members { next: u32, end: u32 },
    /// Nodes of names.
    InText { next: u32, end: u32 },
}

impl<'a, S: Sink> Writer<'a, S> {
    pub(crate) fn new(tape: &'a Tape<'a>, rules: Rules<'a>, out: &'a mut S) -> Self {
        let sorted = rules.hold(Equivalence::MemberOrder);
        let by_value = rules.hold(Equivalence::NumberSpelling);
        Self { tape, rules, out, sorted, by_value, stack: None }
    }

    /// Writes the body of a request: as [`Writer::value`], but for what the rules say.
    pub(crate) fn request(&mut self) {
        self.object(0, Place::Body);
    }

    /// Writes the value of a member of the body.
    #[inline]
    pub(crate) fn body_member(&mut self, member: u32) {
        match self.rules.place_below(self.tape, member) {
            Some(Place::Message) => self.messages(member + 1),
            Some(place) => self.object(member + 1, place),
            None => self.value(member + 1),
        }
    }

    /// Writes the array of chat messages at `array`.
    fn messages(&mut self, array: u32) {
        let Node::Array { len, next } = self.tape.node(array) else {
            return self.value(array);
        };
        self.begin(ARRAY, len);
        let mut node = array + 1;
        while node < next {
            self.message(node);
            node = self.tape.after(node);
        }
    }

    /// Writes one chat message.
    pub(crate) fn message(&mut self, node: u32) {
        match self.tape.node(node) {
            Node::Object { .. } => self.object(node, Place::Message),
            _ => self.value(node),
        }
    }

    /// Writes the object at `object` at a place that rules know: the members that count.
    fn object(&mut self, object: u32, place: Place) {
        if self.sorted {
            self.members(OBJECT, self.tape.members(object), place);
        } else {
            let members: Vec<u32> = self.tape.members_in_text(object).collect();
            self.members(ORDERED_OBJECT, &members, place);
        }
    }

    fn members(&mut self, tag: u64, members: &[u32], place: Place) {
        let tape = self.tape;
        let rules = self.rules.at(place);
        self.out.put_varint(tag);
        for &member in members {
            let (all, start, end) = tape.place(member);
            let value = tape.node(member + 1);
            if rules.leave_out(&all[start..end], value).is_some() {
                continue;
            }
            self.name(all, start, end);
            match (value, place) {
                (Node::Array { .. } | Node::Object { .. }, Place::Body) => self.body_member(member),
                (Node::Array { .. }, Place::Message) => {
                    self.value(self.rules.stands_for(tape, member));
                }
                (Node::Array { .. } | Node::Object { .. }, _) => self.container(member + 1),
                (scalar, _) => self.scalar(scalar),
            }
        }
        self.out.put_varint(END);
    }

    /// Writes the value at `node`, whatever it is.
    #[inline]
    pub(crate) fn value(&mut self, node: u32) {
        match self.tape.node(node) {
            Node::Array { .. } | Node::Object { .. } => self.container(node),
            scalar => self.scalar(scalar),
        }
    }

    /// Writes anything but an array or object.
    #[inline]
    fn scalar(&mut self, node: Node) {
        match node {
            Node::Plain { start, end } => {
                self.string(self.tape.text.as_bytes(), start as usize, end as usize);
            }
            Node::Escaped { start, end, .. } => {
                self.string(&self.tape.arrays.unescaped, start as usize, end as usize);
            }
            Node::Number { start, end, form } => {
                self.number(start as usize, end as usize, form);
            }
            Node::Null => self.begin(WORD, NULL),
            Node::False => self.begin(WORD, FALSE),
            Node::True => self.begin(WORD, TRUE),
            Node::Array { .. } | Node::Object { .. } => unreachable!("these are no scalars"),
        }
    }

    /// Writes the array or object at `root`. No recursion: nesting costs heap, not stack.
    fn container(&mut self, root: u32) {
        let tape = self.tape;
        let mut rest = self.begin_container(root);
        loop {
            match self.next(&mut rest) {
                Some(node) => match tape.node(node) {
                    Node::Array { .. } | Node::Object { .. } => {
                        let inner = self.begin_container(node);
                        let outer = mem::replace(&mut rest, inner);
                        self.stack.get_or_insert_with(Scratch::take).open.push(outer);
                    }
                    scalar => self.scalar(scalar),
                },
                None => match self.stack.as_mut().and_then(|stack| stack.open.pop()) {
                    Some(outer) => rest = outer,
                    None => return,
                },
            }
        }
    }

    /// Writes what the array or object at `node` begins with; what is still to be written of it.
    #[inline]
    fn begin_container(&mut self, node: u32) -> Rest {
        match self.tape.node(node) {
            Node::Object { len, sorted, .. } if self.sorted => {
                self.out.put_varint(OBJECT);
                Rest::Members { next: sorted, end: sorted + len }
            }
            Node::Object { next, .. } => {
                self.out.put_varint(ORDERED_OBJECT);
                Rest::InText { next: node + 1, end: next }
            }
            Node::Array { len, next } => {
                self.begin(ARRAY, len);
                Rest::Items { next: node + 1, end: next }
            }
            _ => unreachable!("only containers are begun"),
        }
    }

    /// Takes the next value off `rest`, its name written; what an object ends with if there is none.
    #[inline]
    fn next(&mut self, rest: &mut Rest) -> Option<u32> {
        let tape = self.tape;
        let name = match rest {
            Rest::Items { next, end } => {
                let item = *next;
                return (item < *end).then(|| {
                    *next = tape.after(item);
                    item
                });
            }
            Rest::Members { next, end } => (*next < *end).then(|| {
                *next += 1;
                tape.arrays.order[*next as usize - 1]
            }),
            Rest::InText { next, end } => (*next < *end).then(|| {
                let name = *next;
                *next = tape.after(name + 1);
                name
            }),
        };
        if let Some(name) = name {
            let (all, start, end) = tape.place(name);
            self.name(all, start, end);
        } else {
            self.out.put_varint(END);
        }
        name.map(|name| name + 1)
    }

    #[inline]
    fn name(&mut self, all: &[u8], start: usize, end: usize) {
        self.out.put_part((end - start) as u64 + 1, all, start, end);
    }

    #[inline]
    fn string(&mut self, all: &[u8], start: usize, end: usize) {
        self.out.put_part(head(STRING, end - start), all, start, end);
    }

    /// The number `text[start..end]`.
    fn number(&mut self, start: usize, end: usize, form: Form) {
        let text = self.tape.text.as_bytes();
        if !self.by_value {
            return self.out.put_part(head(SPELLED_NUMBER, end - start), text, start, end);
        }
        match Short::of(text, start, end, form) {
            Some(short) => self.short_number(short),
            None => self.long_number(&self.tape.text[start..end]),
        }
    }

    /// All of it at once.
    #[inline]
    fn short_number(&mut self, Short { negative, digits, len, exponent }: Short) {
        // Far below 64, the exponent is a varint of one byte; it stands behind the digits.
        let exponent = u128::from(varint::zigzag(exponent)) << (8 * len);
        let all = u128::from(digits) | exponent;
        self.out.put_few(head(sign(negative), len), all, len + 1);
    }

    #[inline(never)]
    fn long_number(&mut self, literal: &str) {
        let decimal = Decimal::of(literal).expect("the parser refuses exponents that do not fit");
        self.out.put_varint(head(sign(decimal.negative), decimal.len()));
        decimal.digits.into_iter().for_each(|digits| self.out.put(digits));
        self.out.put_varint(varint::zigzag(decimal.exponent));
    }

    /// The head of what has no bytes of its own behind it.
    #[inline]
    fn begin(&mut self, tag: u64, number: u32) {
        self.out.put_varint(head(tag, number as usize));
    }
}

/// Writes the value at `node` by no rules but those of JSON.
pub(crate) fn value(tape: &Tape<'_>, node: u32, out: &mut impl Sink) {
    let options = KeyOptions::new();
    let rules = Rules::new(crate::EndpointKind::Generic, &options);
    Writer::new(tape, rules, out).value(node);
}

/// The tag of a number.
#[inline]
fn sign(negative: bool) -> u64 {
    if negative { NEGATIVE } else { POSITIVE }
}

/// What a value begins with.
#[inline]
fn head(tag: u64, number: usize) -> u64 {
    (number as u64) << 3 | tag
}
