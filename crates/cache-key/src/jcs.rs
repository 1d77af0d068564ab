//! RFC 8785 text: the JSON Canonicalization Scheme.

use crate::error::NotCanonical;
use crate::limits::ParseLimits;
use crate::parser;
use crate::tape::{Node, Tape};

/// The canonical text of a JSON value by RFC 8785 (JCS): to sign it, or to compare it with what others
/// compute. Keys are not made of it.
///
/// ```
/// let text = cache_key::to_jcs(br#"{"b": [1.0, 4.50, 2e-3], "a": "\u20ac"}"#)?;
/// assert_eq!(text, r#"{"a":"€","b":[1,4.5,0.002]}"#);
/// # Ok::<(), cache_key::NotCanonical>(())
/// ```
///
/// Unlike in keys, numbers are those of IEEE 754 here (RFC 8785, section 3.2.2.3): digits beyond the
/// nearest one are lost, and integers above 2^53 with them.
///
/// # Errors
///
/// As [`Request::parse`](crate::Request::parse), but any value may stand alone;
/// [`NotCanonical::NumberOutOfRange`] also for numbers that no finite double is near.
pub fn to_jcs(json: &[u8]) -> Result<String, NotCanonical> {
    let tape = parser::parse(json, ParseLimits::default().max_depth)?;
    let mut out = String::with_capacity(json.len());
    write(&tape, 0, Numbers::Double, &mut out)?;
    Ok(out)
}

/// How numbers are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// Each as ECMAScript writes the nearest double.
    Double,
    /// Integers as they are, so that large ones stay exact; others likewise.
    #[cfg(feature = "llmix")]
    IntegersAsWritten,
}

/// Appends the value at `root`. No recursion: nesting costs heap, not stack.
pub(crate) fn write(
    tape: &Tape<'_>,
    root: u32,
    numbers: Numbers,
    out: &mut String,
) -> Result<(), NotCanonical> {
    let mut open: Vec<Rest> = Vec::new();
    let mut node = root;
    loop {
        match tape.node(node) {
            Node::Null => out.push_str("null"),
            Node::False => out.push_str("false"),
            Node::True => out.push_str("true"),
            Node::Number { start, end, .. } => {
                number(&tape.text[start as usize..end as usize], start as usize, numbers, out)?;
            }
            Node::Plain { .. } | Node::Escaped { .. } => string(tape.name(node), out),
            Node::Array { next, .. } => {
                out.push('[');
                open.push(Rest::Items { first: true, next: node + 1, end: next });
            }
            Node::Object { .. } => {
                out.push('{');
                open.push(Rest::Members { first: true, left: by_utf16(tape, node) });
            }
        }
        node = loop {
            match open.last_mut() {
                None => return Ok(()),
                Some(Rest::Items { first, next, end }) if *next < *end => {
                    comma(first, out);
                    let item = *next;
                    *next = tape.after(item);
                    break item;
                }
                Some(Rest::Members { first, left }) if !left.is_empty() => {
                    comma(first, out);
                    let member = left.pop().expect("it is not empty");
                    string(tape.name(member), out);
                    out.push(':');
                    break member + 1;
                }
                Some(Rest::Items { .. }) => out.push(']'),
                Some(Rest::Members { .. }) => out.push('}'),
            }
            open.pop();
        };
    }
}

/// What is still to be written of an array or object.
enum Rest {
    Items {
        first: bool,
        next: u32,
        end: u32,
    },
    /// Nodes of names, the next one last.
    Members {
        first: bool,
        left: Vec<u32>,
    },
}

fn comma(first: &mut bool, out: &mut String) {
    if !std::mem::take(first) {
        out.push(',');
    }
}

/// The members of an object sorted by the UTF-16 units of their names (section 3.2.3), last first.
fn by_utf16(tape: &Tape<'_>, object: u32) -> Vec<u32> {
    let mut members: Vec<u32> = tape.members(object).iter().rev().copied().collect();
    // The order of code points, which they are in, is another one only where there are surrogates.
    if members.iter().any(|&member| tape.bytes(member).iter().any(|&byte| byte >= 0xf0)) {
        let units = |member: u32| tape.name(member).encode_utf16();
        members.sort_by(|&a, &b| units(b).cmp(units(a)));
    }
    members
}

/// Section 3.2.2.2: only what must be escaped is, in the shortest way.
pub(crate) fn string(text: &str, out: &mut String) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            8 => "\\b",
            b'\t' => "\\t",
            b'\n' => "\\n",
            12 => "\\f",
            b'\r' => "\\r",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[from..at]);
        from = at + 1;
        if short.is_empty() {
            let hex = |digit: u8| char::from(b"0123456789abcdef"[usize::from(digit)]);
            out.push_str("\\u00");
            out.extend([hex(byte >> 4), hex(byte & 15)]);
        } else {
            out.push_str(short);
        }
    }
    out.push_str(&text[from..]);
    out.push('"');
}

fn number(
    literal: &str,
    offset: usize,
    numbers: Numbers,
    out: &mut String,
) -> Result<(), NotCanonical> {
    #[cfg(feature = "llmix")]
    if numbers == Numbers::IntegersAsWritten
        && literal != "-0"
        && literal.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit())
    {
        out.push_str(literal);
        return Ok(());
    }
    let _ = numbers; // there is one way without the feature
    let value: f64 = literal.parse().unwrap_or(f64::INFINITY);
    if !value.is_finite() {
        return Err(NotCanonical::NumberOutOfRange { offset });
    }
    // ECMA-262, `Number::toString`: the fewest digits that give the value back, of those the nearest,
    // and of two equally near the even one, which is where Rust's own formatting differs.
    out.push_str(ryu_js::Buffer::new().format_finite(value));
    Ok(())
}
