//! The text of strings, as it stands between their quotes.

use std::borrow::Cow;

/// The characters of a string; `None` if half a surrogate pair stands alone in it.
pub(crate) fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('\\') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let unit = unit(&rest[at..])?;
        let escape = &rest[at..at + unit];
        rest = &rest[at + unit..];
        out.push(match escape.as_bytes()[1] {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => match (code(escape)?, escape.get(6..).and_then(code)) {
                (high, Some(low)) => {
                    char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?
                }
                (code, None) => char::from_u32(code)?,
            },
            other => char::from(other),
        });
    }
    out.push_str(rest);
    Some(Cow::Owned(out))
}

/// Cuts text into pieces of about `size` characters, none of which ends inside an escape or between
/// the halves of a surrogate pair. Together they are the text.
pub(crate) fn pieces(text: &str, size: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let size = size.max(1);
        let is_char = |&byte: &u8| byte.is_ascii() && byte != b'\\';
        // Mostly each character is a byte.
        let mut end = rest.bytes().take(size).take_while(is_char).count();
        for _ in end..size {
            match unit(&rest[end..]) {
                Some(length) if length > 0 => end += length,
                _ => break,
            }
        }
        let (piece, tail) = rest.split_at(if end == 0 { rest.len() } else { end });
        rest = tail;
        Some(piece)
    })
}

/// How long the first character or escape is. `None` if an escape is cut.
pub(crate) fn unit(text: &str) -> Option<usize> {
    let first = text.chars().next();
    if first != Some('\\') {
        return Some(first.map_or(0, char::len_utf8));
    }
    if text.as_bytes().get(1)? != &b'u' {
        return Some(2);
    }
    let is_low = |at: usize| {
        text.get(at..).and_then(code).is_some_and(|code| (0xdc00..0xe000).contains(&code))
    };
    let high = (0xd800..0xdc00).contains(&code(text)?);
    Some(if high && is_low(6) { 12 } else { 6 })
}

/// The code of the `\u` escape that `text` begins with.
fn code(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_resolved() {
        let all = r#"a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00z"#;
        assert_eq!(unescape(all).unwrap(), "a\"\\/\u{8}\u{c}\n\r\té😀z");
        for alone in [r"\ud83d", r"\ude00", r"\ud83dA", r"\ud83d\ud83d\ude00", r"\ud83d\n"] {
            assert_eq!(unescape(alone), None, "{alone}");
        }
    }

    /// No piece ends inside an escape or a pair, at any size.
    #[test]
    fn pieces_hold_whole_characters() {
        let text = r#"aé😀\n\u00e9\ud83d\ude00\\\""#;
        for size in 0..10 {
            let all: Vec<_> = pieces(text, size).collect();
            assert_eq!(all.concat(), text);
            assert!(all.iter().all(|piece| unescape(piece).is_some()), "{all:?}");
        }
        assert_eq!(pieces(text, 1).count(), 8);
        assert_eq!(pieces(r"\ud83d", 1).count(), 1, "half a pair is passed on as it is");
    }
}
