//! The canonical form, version 1: `docs/key-format.md` gives it byte by byte.

use crate::endpoint::EndpointKind;
use crate::number::Decimal;
use crate::rules;
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

/// Writes the body of a request of `kind`: as [`value`], but for the declared equivalences.
pub(crate) fn request(tape: &Tape<'_>, kind: EndpointKind, out: &mut impl Sink) {
    let left_out = rules::left_out(kind);
    let optional = rules::null_is_absent(kind);
    let counts =
        |member| !rules::leaves_out(left_out, tape, member) && !is_absent(tape, member, optional);
    members(tape, 0, counts, out, |member, out| {
        let node = member + 1;
        match (tape.name(member), tape.node(node)) {
            ("messages", Node::Array { .. }) if rules::has_chat_messages(kind) => {
                messages(tape, node, kind, out);
            }
            ("extra_body", Node::Object { .. }) => {
                let left_out = rules::left_out_of_extra_body(kind);
                let counts = |member| !rules::leaves_out(left_out, tape, member);
                members(tape, node, counts, out, |member, out| {
                    value(tape, member + 1, out);
                });
            }
            _ => value(tape, node, out),
        }
    });
}

/// Writes the array of chat messages at `array`.
fn messages(tape: &Tape<'_>, array: u32, kind: EndpointKind, out: &mut impl Sink) {
    let Node::Array { len, next } = tape.node(array) else {
        return value(tape, array, out);
    };
    let optional = rules::null_is_absent_in_message(kind);
    begin(ARRAY, len as usize, out);
    let mut node = array + 1;
    while node < next {
        if let Node::Object { .. } = tape.node(node) {
            let counts = |member| !is_absent(tape, member, optional);
            members(tape, node, counts, out, |member, out| {
                let content = member + 1;
                let text = (tape.name(member) == "content").then(|| only_text(tape, content));
                value(tape, text.flatten().unwrap_or(content), out);
            });
        } else {
            value(tape, node, out);
        }
        node = tape.after(node);
    }
}

/// The text of `[{"type":"text","text":…}]`: the same as the text alone.
fn only_text(tape: &Tape<'_>, content: u32) -> Option<u32> {
    let Node::Array { len: 1, .. } = tape.node(content) else {
        return None;
    };
    let part = content + 1;
    let Node::Object { len: 2, .. } = tape.node(part) else {
        return None;
    };
    let is_text = tape.string(tape.member(part, "type")?) == Some("text");
    let text = tape.member(part, "text")?;
    (is_text && tape.string(text).is_some()).then_some(text)
}

/// Whether a member is null and one of those for which that means absence.
fn is_absent(tape: &Tape<'_>, member: u32, optional: &[&str]) -> bool {
    matches!(tape.node(member + 1), Node::Null) && optional.contains(&tape.name(member))
}

/// Writes the object at `object`: the members that count, their values by `write`.
fn members<S: Sink>(
    tape: &Tape<'_>,
    object: u32,
    counts: impl Fn(u32) -> bool,
    out: &mut S,
    mut write: impl FnMut(u32, &mut S),
) {
    let all = tape.members(object).iter().copied();
    begin(OBJECT, all.clone().filter(|&member| counts(member)).count(), out);
    for member in all.filter(|&member| counts(member)) {
        name(tape, member, out);
        write(member, out);
    }
}

/// Writes the value at `root`, whatever it is. No recursion: nesting costs heap, not stack.
pub(crate) fn value(tape: &Tape<'_>, root: u32, out: &mut impl Sink) {
    let mut open: Vec<Rest> = Vec::new();
    let mut node = root;
    loop {
        match tape.node(node) {
            Node::Null => out.put(&[NULL]),
            Node::False => out.put(&[FALSE]),
            Node::True => out.put(&[TRUE]),
            Node::Number { .. } => number(tape, node, out),
            Node::Plain { .. } | Node::Escaped { .. } => {
                let string = tape.name(node);
                begin(STRING, string.len(), out);
                out.put(string.as_bytes());
            }
            Node::Array { len, next } => {
                begin(ARRAY, len as usize, out);
                open.push(Rest::Items { next: node + 1, end: next });
            }
            Node::Object { len, sorted, .. } => {
                begin(OBJECT, len as usize, out);
                open.push(Rest::Members { next: sorted, end: sorted + len });
            }
        }
        node = loop {
            match open.last_mut() {
                None => return,
                Some(Rest::Items { next, end }) if *next < *end => {
                    let item = *next;
                    *next = tape.after(item);
                    break item;
                }
                Some(Rest::Members { next, end }) if *next < *end => {
                    let member = tape.order[*next as usize];
                    *next += 1;
                    name(tape, member, out);
                    break member + 1;
                }
                Some(_) => open.pop(),
            };
        };
    }
}

/// What is still to be written of an array or object.
enum Rest {
    /// Nodes.
    Items { next: u32, end: u32 },
    /// Places in the order.
    Members { next: u32, end: u32 },
}

fn name(tape: &Tape<'_>, member: u32, out: &mut impl Sink) {
    let name = tape.name(member);
    out.put_len(name.len());
    out.put(name.as_bytes());
}

fn number(tape: &Tape<'_>, node: u32, out: &mut impl Sink) {
    let decimal = tape.literal(node).and_then(Decimal::of);
    let decimal = decimal.expect("the parser refuses exponents that do not fit");
    begin(if decimal.negative { NEGATIVE } else { POSITIVE }, decimal.len(), out);
    out.put(&decimal.exponent.to_le_bytes());
    out.put(decimal.digits[0]);
    out.put(decimal.digits[1]);
}

/// A tag and a length or count.
fn begin(tag: u8, len: usize, out: &mut impl Sink) {
    let len = u32::try_from(len).expect("a body, hence each part of it, is shorter than 4 GiB");
    let [a, b, c, d] = len.to_le_bytes();
    out.put(&[tag, a, b, c, d]);
}
