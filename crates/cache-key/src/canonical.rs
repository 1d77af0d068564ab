//! The canonical form, version 1: `docs/key-format.md` gives it byte by byte.

use crate::number::Decimal;
use crate::options::{Equivalence, KeyOptions};
use crate::rules::{Place, Rules};
use crate::scratch::{Scratch, buffers};
use crate::sink::Sink;
use crate::tape::{Node, Tape};

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const POSITIVE: u8 = 3;
const NEGATIVE: u8 = 4;
const STRING: u8 = 5;
const ARRAY: u8 = 6;
const OBJECT: u8 = 7;
/// A number as it was written: only without [`Equivalence::NumberSpelling`].
const SPELLED_NUMBER: u8 = 8;
/// An object in the order of the text: only without [`Equivalence::MemberOrder`].
const ORDERED_OBJECT: u8 = 9;

/// Writes canonical forms of parts of one body.
pub(crate) struct Writer<'a, S> {
    tape: &'a Tape<'a>,
    rules: Rules<'a>,
    out: &'a mut S,
    sorted: bool,
    by_value: bool,
    stack: Scratch<Stack>,
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
        Self { tape, rules, out, sorted, by_value, stack: Scratch::take() }
    }

    /// Writes the body of a request: as [`Writer::value`], but for what the rules say.
    pub(crate) fn request(&mut self) {
        self.object(0, Place::Body, Self::body_member);
    }

    /// Writes the value of a member of the body.
    pub(crate) fn body_member(&mut self, member: u32) {
        match self.rules.place_below(self.tape, member) {
            Some(Place::Message) => self.messages(member + 1),
            Some(place) => self.object(member + 1, place, |this, member| this.value(member + 1)),
            None => self.value(member + 1),
        }
    }

    /// Writes the array of chat messages at `array`.
    fn messages(&mut self, array: u32) {
        let Node::Array { len, next } = self.tape.node(array) else {
            return self.value(array);
        };
        self.begin(ARRAY, len as usize);
        let mut node = array + 1;
        while node < next {
            self.message(node);
            node = self.tape.after(node);
        }
    }

    /// Writes one chat message.
    pub(crate) fn message(&mut self, node: u32) {
        match self.tape.node(node) {
            Node::Object { .. } => self.object(node, Place::Message, |this, member| {
                this.value(this.rules.stands_for(this.tape, member));
            }),
            _ => self.value(node),
        }
    }

    /// Writes the object at `object` at a place that rules know: the members that count, their
    /// values by `write`.
    fn object(&mut self, object: u32, place: Place, mut write: impl FnMut(&mut Self, u32)) {
        if self.sorted {
            let members = self.tape.members(object).iter().copied();
            self.members(OBJECT, members, place, &mut write);
        } else {
            let members = self.tape.members_in_text(object);
            self.members(ORDERED_OBJECT, members, place, &mut write);
        }
    }

    fn members(
        &mut self,
        tag: u8,
        members: impl Iterator<Item = u32> + Clone,
        place: Place,
        write: &mut impl FnMut(&mut Self, u32),
    ) {
        let (tape, rules) = (self.tape, self.rules);
        let counts = |member: u32| rules.leave_out(place, tape, member).is_none();
        // What counts is asked twice, since the count comes first; of the first members a bit is
        // kept instead.
        let mut count = 0;
        let mut kept: u64 = 0;
        for (i, member) in members.clone().enumerate() {
            if counts(member) {
                count += 1;
                kept |= 1_u64.checked_shl(i.try_into().unwrap_or(u32::MAX)).unwrap_or(0);
            }
        }
        self.begin(tag, count);
        for (i, member) in members.enumerate() {
            if if i < 64 { kept >> i & 1 == 1 } else { counts(member) } {
                self.name(member);
                write(self, member);
            }
        }
    }

    /// Writes the value at `root`, whatever it is. No recursion: nesting costs heap, not stack.
    pub(crate) fn value(&mut self, root: u32) {
        let tape = self.tape;
        let mut node = root;
        loop {
            match tape.node(node) {
                Node::Null => self.out.put(&[NULL]),
                Node::False => self.out.put(&[FALSE]),
                Node::True => self.out.put(&[TRUE]),
                Node::Number { start, end } => {
                    self.number(&tape.text[start as usize..end as usize]);
                }
                Node::Plain { start, end } => {
                    self.string(tape.text.as_bytes(), start as usize, end as usize);
                }
                Node::Escaped { start, end, .. } => {
                    self.string(&tape.arrays.unescaped, start as usize, end as usize);
                }
                Node::Array { len, next } => {
                    self.begin(ARRAY, len as usize);
                    self.stack.open.push(Rest::Items { next: node + 1, end: next });
                }
                Node::Object { len, sorted, .. } if self.sorted => {
                    self.begin(OBJECT, len as usize);
                    self.stack.open.push(Rest::Members { next: sorted, end: sorted + len });
                }
                Node::Object { len, next, .. } => {
                    self.begin(ORDERED_OBJECT, len as usize);
                    self.stack.open.push(Rest::InText { next: node + 1, end: next });
                }
            }
            node = loop {
                let name = match self.stack.open.last_mut() {
                    None => return,
                    Some(Rest::Items { next, end }) if *next < *end => {
                        let item = *next;
                        *next = tape.after(item);
                        break item;
                    }
                    Some(Rest::Members { next, end }) if *next < *end => {
                        *next += 1;
                        tape.arrays.order[*next as usize - 1]
                    }
                    Some(Rest::InText { next, end }) if *next < *end => {
                        let name = *next;
                        *next = tape.after(name + 1);
                        name
                    }
                    Some(_) => {
                        self.stack.open.pop();
                        continue;
                    }
                };
                self.name(name);
                break name + 1;
            };
        }
    }

    fn name(&mut self, member: u32) {
        let (all, start, end) = self.tape.place(member);
        self.out.put(&length(end - start));
        self.out.put_part(all, start, end);
    }

    fn string(&mut self, all: &[u8], start: usize, end: usize) {
        self.begin(STRING, end - start);
        self.out.put_part(all, start, end);
    }

    fn number(&mut self, literal: &str) {
        if !self.by_value {
            self.begin(SPELLED_NUMBER, literal.len());
            return self.out.put(literal.as_bytes());
        }
        let decimal = Decimal::of(literal).expect("the parser refuses exponents that do not fit");
        self.begin(if decimal.negative { NEGATIVE } else { POSITIVE }, decimal.len());
        self.out.put(&decimal.exponent.to_le_bytes());
        decimal.digits.into_iter().filter(|digits| !digits.is_empty()).for_each(|digits| {
            self.out.put(digits);
        });
    }

    /// A tag and a length or count.
    #[inline]
    fn begin(&mut self, tag: u8, len: usize) {
        let [a, b, c, d] = length(len);
        self.out.put(&[tag, a, b, c, d]);
    }
}

/// Writes the value at `node` by no rules but those of JSON.
pub(crate) fn value(tape: &Tape<'_>, node: u32, out: &mut impl Sink) {
    let options = KeyOptions::new();
    let rules = Rules::new(crate::EndpointKind::Generic, &options);
    Writer::new(tape, rules, out).value(node);
}

/// A length or count: 32 bits, little endian.
fn length(len: usize) -> [u8; 4] {
    u32::try_from(len).expect("a body, hence each part of it, is shorter than 4 GiB").to_le_bytes()
}
