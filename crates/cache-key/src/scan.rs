//! Strings: finding their end, and taking escapes out.

use crate::error::NotCanonical;

/// How many bytes of `bytes` come before the first quote, backslash or control character.
pub(crate) fn plain_run(bytes: &[u8]) -> usize {
    /// A block is looked at as a whole: the compiler makes vector instructions of it.
    const BLOCK: usize = 32;
    let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';

    // Names and short values end within a few bytes.
    let near = bytes.len().min(16);
    if let Some(at) = bytes[..near].iter().position(|&byte| special(byte)) {
        return at;
    }
    let mut from = near;
    for block in bytes[near..].chunks_exact(BLOCK) {
        if block.iter().fold(false, |found, &byte| found | special(byte)) {
            break;
        }
        from += BLOCK;
    }
    let rest = &bytes[from..];
    from + rest.iter().position(|&byte| special(byte)).unwrap_or(rest.len())
}

/// Appends what the escape at `at`, a backslash, stands for; returns where the text goes on.
pub(crate) fn unescape(bytes: &[u8], at: usize, out: &mut String) -> Result<usize, NotCanonical> {
    let plain = match bytes.get(at + 1) {
        Some(&literal @ (b'"' | b'\\' | b'/')) => char::from(literal),
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let (character, end) = unicode(bytes, at)?;
            out.push(character);
            return Ok(end);
        }
        _ => {
            return Err(NotCanonical::Syntax { offset: at + 1, expected: "an escape character" });
        }
    };
    out.push(plain);
    Ok(at + 2)
}

/// The character of the `\uXXXX`, or pair of them, at `at`, and where it ends.
fn unicode(bytes: &[u8], at: usize) -> Result<(char, usize), NotCanonical> {
    let lone = NotCanonical::LoneSurrogate { offset: at };
    let first = hex4(bytes, at + 2)?;
    if let Some(character) = char::from_u32(first) {
        return Ok((character, at + 6));
    }
    // `first` is a surrogate: RFC 8259, section 7, pairs a high one with a low one.
    if first >= 0xdc00 || bytes.get(at + 6..at + 8) != Some(b"\\u") {
        return Err(lone);
    }
    let second = hex4(bytes, at + 8)?;
    let low = second.checked_sub(0xdc00).filter(|&low| low < 0x400).ok_or(lone)?;
    let character = char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + low).ok_or(lone)?;
    Ok((character, at + 12))
}

fn hex4(bytes: &[u8], at: usize) -> Result<u32, NotCanonical> {
    let mut value = 0;
    for offset in at..at + 4 {
        let digit = bytes.get(offset).and_then(|&byte| char::from(byte).to_digit(16));
        let digit = digit.ok_or(NotCanonical::Syntax { offset, expected: "four hex digits" })?;
        value = value << 4 | digit;
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every special byte is found at every distance, in the near part, a block and the rest.
    #[test]
    fn plain_runs_end_at_the_first_special_byte() {
        for length in 0..100 {
            let mut text = vec![b'a'; length];
            text.extend("é🙂".bytes());
            assert_eq!(plain_run(&text), text.len());
            for special in [b'"', b'\\', 0, 0x1f] {
                let mut text = vec![0x7f; length];
                text.push(special);
                text.extend([b'"'; 40]);
                assert_eq!(plain_run(&text), length);
            }
        }
    }

    /// A13: pairs of surrogates are one character, halves are none.
    #[test]
    fn surrogates() {
        let read = |text: &str| {
            let mut out = String::new();
            unescape(text.as_bytes(), 0, &mut out).map(|end| (out, end))
        };
        assert_eq!(read(r"\ud83d\ude42"), Ok(("🙂".into(), 12)));
        assert_eq!(read(r"\uDBFF\uDFFF"), Ok(("\u{10ffff}".into(), 12)));
        assert_eq!(read(r"\u00e9x"), Ok(("é".into(), 6)));
        for lone in [
            r"\ud83d",
            r"\ude42",
            r"\ud83dx",
            r"\ud83d\n",
            r"\ud83d\ud83d",
            r"\ud83d\ue000",
            r"\ud83d\u0041",
            r"\udc00\ud800",
        ] {
            assert_eq!(read(lone), Err(NotCanonical::LoneSurrogate { offset: 0 }), "{lone}");
        }
        for (bad, offset) in [(r"\u12", 4), (r"\u12g4", 4), (r"\u+123", 2), (r"\ud83d\u1", 9)] {
            assert!(
                matches!(read(bad), Err(NotCanonical::Syntax { offset: at, .. }) if at == offset),
                "{bad}"
            );
        }
    }
}
