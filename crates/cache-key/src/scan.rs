//! Strings: finding their end, and taking escapes out.

use wide::u8x16;

use crate::error::NotCanonical;

/// How many bytes one step looks at.
pub(crate) const STEP: usize = 16;

/// Where the first quote, backslash or control character of `step` stands; [`STEP`] if there is none.
#[inline]
pub(crate) fn first_special(step: &[u8; STEP]) -> usize {
    let step = u8x16::new(*step);
    let is = |byte: u8| step.cmp_eq(u8x16::splat(byte));
    let is_control = step.min(u8x16::splat(0x1f)).cmp_eq(step);
    let special = is(b'"') | is(b'\\') | is_control;
    (special.move_mask() | 1 << STEP).trailing_zeros() as usize
}

/// How many bytes of `bytes` come before the first quote, backslash or control character.
#[inline]
pub(crate) fn plain_run(bytes: &[u8]) -> usize {
    let mut from = 0;
    // Names and most values end within a few steps.
    while from < 4 * STEP {
        let Some(step) = bytes.get(from..).and_then(<[u8]>::first_chunk) else {
            return from + plain_rest(&bytes[from..]);
        };
        let at = first_special(step);
        from += at;
        if at < STEP {
            return from;
        }
    }
    from + long_run(&bytes[from..])
}

/// The same of a text that is long, such as an image.
#[inline(never)]
fn long_run(bytes: &[u8]) -> usize {
    /// A block is looked at as a whole: the compiler makes vector instructions of it.
    const BLOCK: usize = 64;
    let blocks = bytes.chunks_exact(BLOCK);
    let plain = blocks
        .take_while(|block| !block.iter().fold(false, |found, &byte| found | is_special(byte)));
    let from = plain.count() * BLOCK;
    from + plain_rest(&bytes[from..])
}

#[inline(never)]
fn plain_rest(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| is_special(byte)).unwrap_or(bytes.len())
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Appends the characters of `bytes` from `at` on up to the quote that ends the string, escapes
/// resolved; returns where the quote is. `bytes` are UTF-8, and so is what is appended.
pub(crate) fn unescape(
    bytes: &[u8],
    mut at: usize,
    out: &mut Vec<u8>,
) -> Result<usize, NotCanonical> {
    loop {
        // A whole step is copied, which is one instruction, and what was too much taken back.
        if let Some(step) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
            let plain = first_special(step);
            out.extend_from_slice(step);
            at += plain;
            if plain == STEP {
                continue;
            }
            out.truncate(out.len() - STEP + plain);
        } else {
            let plain = plain_rest(&bytes[at..]);
            out.extend_from_slice(&bytes[at..at + plain]);
            at += plain;
        }
        match bytes.get(at) {
            Some(b'"') => return Ok(at),
            Some(b'\\') => at = escape(bytes, at, out)?,
            Some(_) => {
                return Err(NotCanonical::Syntax { offset: at, expected: "no control character" });
            }
            None => {
                return Err(NotCanonical::Syntax { offset: at, expected: "the end of the string" });
            }
        }
    }
}

/// Appends what the escape at `at`, a backslash, stands for; returns where the text goes on.
#[inline]
fn escape(bytes: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, NotCanonical> {
    let plain = match bytes.get(at + 1) {
        Some(b'n') => b'\n',
        Some(&literal @ (b'"' | b'\\' | b'/')) => literal,
        Some(b't') => b'\t',
        Some(b'r') => b'\r',
        Some(b'b') => 8,
        Some(b'f') => 12,
        Some(b'u') => {
            let (character, end) = unicode(bytes, at)?;
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
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
        for length in 0..300 {
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
            let mut out = Vec::new();
            let end = escape(text.as_bytes(), 0, &mut out)?;
            Ok((String::from_utf8(out).expect("UTF-8"), end))
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
