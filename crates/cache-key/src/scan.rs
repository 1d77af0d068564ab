//! Strings: finding their end, and taking escapes out.

use wide::u8x16;

use crate::error::NotCanonical;

/// How many bytes one step looks at.
pub(crate) const STEP: usize = 16;

/// How many bytes a long step looks at.
const BLOCK: usize = 4 * STEP;

/// A bit for each byte of `step`: set for quotes, backslashes and control characters.
#[inline]
fn specials(step: &[u8; STEP]) -> u64 {
    let step = u8x16::new(*step);
    let is = |byte: u8| step.cmp_eq(u8x16::splat(byte));
    let is_control = step.min(u8x16::splat(0x1f)).cmp_eq(step);
    let special = is(b'"') | is(b'\\') | is_control;
    u64::from(special.move_mask().cast_unsigned())
}

/// The same of a block.
#[inline]
fn specials_of_block(block: &[u8; BLOCK]) -> u64 {
    let (steps, _) = block.as_chunks();
    steps.iter().rev().fold(0, |bits, step| bits << STEP | specials(step))
}

/// The step from `start` on and how many bytes of it come before a quote, if a string without escapes
/// ends there.
#[inline]
pub(crate) fn short_string(bytes: &[u8], start: usize) -> Option<(&[u8; STEP], usize)> {
    let step: &[u8; STEP] = bytes.get(start..)?.first_chunk()?;
    let len = specials(step).trailing_zeros() as usize;
    (step.get(len) == Some(&b'"')).then_some((step, len))
}

/// How many bytes of `bytes` come before the first quote, backslash or control character.
#[inline]
pub(crate) fn plain_run(bytes: &[u8]) -> usize {
    // Names and many values end within a step.
    match bytes.first_chunk().map(specials) {
        Some(0) => STEP + long_run(&bytes[STEP..]),
        Some(specials) => specials.trailing_zeros() as usize,
        None => plain_rest(bytes),
    }
}

/// The same of a text that is longer.
#[inline(never)]
fn long_run(bytes: &[u8]) -> usize {
    let mut from = 0;
    while let Some(block) = bytes[from..].first_chunk() {
        let specials = specials_of_block(block);
        if specials != 0 {
            return from + specials.trailing_zeros() as usize;
        }
        from += BLOCK;
    }
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
        // A whole block can be copied from any place in this one.
        match bytes[at..].first_chunk() {
            Some(window) => match unescape_block(bytes, at, window, out)? {
                Reached::Quote(at) => return Ok(at),
                Reached::Text(next) => at = next,
            },
            None => return unescape_rest(bytes, at, out),
        }
    }
}

/// How far the text of a string was read.
enum Reached {
    Quote(usize),
    Text(usize),
}

/// Appends what the block at the beginning of `window`, which is at `at`, stands for.
///
/// Between two escapes a whole block is copied, which is a few instructions, and what was too much is
/// written over: where the next escape is cannot be foretold, so branches that depend on it are slow.
#[inline]
fn unescape_block(
    bytes: &[u8],
    at: usize,
    window: &[u8; 2 * BLOCK],
    out: &mut Vec<u8>,
) -> Result<Reached, NotCanonical> {
    let block: &[u8; BLOCK] = window.first_chunk().expect("it is as long as two of them");
    let mut specials = specials_of_block(block);
    let before = out.len();
    if specials == 0 {
        out.extend_from_slice(block);
        return Ok(Reached::Text(at + BLOCK));
    }
    out.extend_from_slice(window); // room; what an escape stands for is shorter than the escape
    let room: &mut [u8; 2 * BLOCK] = (&mut out[before..]).try_into().expect("that long");
    // Up to where the block was read and the room is written.
    let (mut read, mut written) = (0, 0);
    while specials != 0 {
        let special = specials.trailing_zeros() as usize;
        copy_block(window, read, room, written);
        written += special - read;
        if window[special] != b'\\' {
            out.truncate(before + written);
            return end_of_string(bytes, at + special).map(Reached::Quote);
        }
        let plain = ESCAPES[usize::from(window[special + 1])];
        if plain == 0 {
            let (character, end) = unicode(bytes, at + special)?;
            written += character.encode_utf8(&mut room[written..]).len();
            read = end - at;
            // What is read of a pair may lie behind the block.
            specials &= u64::MAX.checked_shl(read.try_into().unwrap_or(u32::MAX)).unwrap_or(0);
        } else {
            room[written] = plain;
            written += 1;
            read = special + 2;
            specials &= u64::MAX << special << 2; // the escaped one may look special
        }
    }
    if let Some(rest) = BLOCK.checked_sub(read) {
        copy_block(window, read, room, written);
        written += rest;
        read = BLOCK;
    }
    out.truncate(before + written);
    Ok(Reached::Text(at + read))
}

/// Copies a block from `window[from..]` to `room[to..]`.
#[inline]
fn copy_block(window: &[u8; 2 * BLOCK], from: usize, room: &mut [u8; 2 * BLOCK], to: usize) {
    room[to..to + BLOCK].copy_from_slice(&window[from..from + BLOCK]);
}

/// As [`unescape`], step by step: near the end of the body.
#[inline(never)]
fn unescape_rest(bytes: &[u8], mut at: usize, out: &mut Vec<u8>) -> Result<usize, NotCanonical> {
    loop {
        let plain = plain_rest(&bytes[at..]);
        out.extend_from_slice(&bytes[at..at + plain]);
        at += plain;
        if bytes.get(at) != Some(&b'\\') {
            return end_of_string(bytes, at);
        }
        match bytes.get(at + 1).map_or(0, |&escape| ESCAPES[usize::from(escape)]) {
            0 => {
                let (character, end) = unicode(bytes, at)?;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                at = end;
            }
            plain => {
                out.push(plain);
                at += 2;
            }
        }
    }
}

/// `at`, where the plain text of a string ends, if a quote is there.
fn end_of_string(bytes: &[u8], at: usize) -> Result<usize, NotCanonical> {
    let expected = match bytes.get(at) {
        Some(b'"') => return Ok(at),
        Some(_) => "no control character",
        None => "the end of the string",
    };
    Err(NotCanonical::Syntax { offset: at, expected })
}

/// What a backslash and this byte stand for; 0 if no single byte.
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes[b'/' as usize] = b'/';
    escapes[b'b' as usize] = 8;
    escapes[b'f' as usize] = 12;
    escapes[b'n' as usize] = b'\n';
    escapes[b'r' as usize] = b'\r';
    escapes[b't' as usize] = b'\t';
    escapes
};

/// The character of the `\uXXXX`, or pair of them, at `at`, and where it ends.
#[inline(never)]
fn unicode(bytes: &[u8], at: usize) -> Result<(char, usize), NotCanonical> {
    if bytes.get(at + 1) != Some(&b'u') {
        return Err(NotCanonical::Syntax { offset: at + 1, expected: "an escape character" });
    }
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

    /// What is read in blocks and what is read step by step is the same, wherever escapes stand.
    #[test]
    fn escapes_are_resolved_anywhere() {
        let escapes = [
            (r#"\""#, "\""),
            (r"\\", "\\"),
            (r"\/", "/"),
            (r"\b", "\u{8}"),
            (r"\f", "\u{c}"),
            (r"\n", "\n"),
            (r"\r", "\r"),
            (r"\t", "\t"),
            (r"\u0000", "\0"),
            (r"\u00e9", "é"),
            (r"\u6f22", "漢"),
            (r"\ud83d\ude42", "🙂"),
        ];
        for before in 0..140 {
            for between in [0, 1, 5, 64] {
                let (mut text, mut meaning) = ("é".repeat(before), "é".repeat(before));
                for (escape, character) in escapes {
                    let plain = "x".repeat(between);
                    text.extend([escape, &plain]);
                    meaning.extend([character, &plain]);
                }
                text.push('"');
                for behind in [0, 1, 63, 64, 200] {
                    let text = format!("{text}{}", "\"\\".repeat(behind));
                    let mut out = b"kept".to_vec();
                    let end = unescape(text.as_bytes(), 0, &mut out);
                    assert_eq!(end, Ok(text.len() - 2 * behind - 1));
                    assert_eq!(out, [b"kept", meaning.as_bytes()].concat());
                }
            }
        }
    }

    /// A13: whatever is wrong with a string is found at its place, in blocks and step by step.
    #[test]
    fn errors_are_found_anywhere() {
        for (bad, at) in
            [("\0", 0), ("\n", 0), (r"\x", 1), (r"\U0041", 1), (r"\u12x4", 4), (r"\é", 1)]
        {
            for before in 0..140 {
                for behind in [0, 200] {
                    let text = format!("{}{bad}{}", r"a\n".repeat(before), " \"".repeat(behind));
                    let error = unescape(text.as_bytes(), 0, &mut Vec::new());
                    let at = at + 3 * before;
                    assert!(
                        matches!(error, Err(NotCanonical::Syntax { offset, .. }) if offset == at),
                        "{text}"
                    );
                }
            }
        }
        for text in ["", "a", r"\n", "\\"] {
            assert!(unescape(text.as_bytes(), 0, &mut Vec::new()).is_err());
        }
    }

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
            unicode(text.as_bytes(), 0).map(|(character, end)| (character.to_string(), end))
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
