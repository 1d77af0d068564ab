//! [`Pattern`]: chunks that differ in their text alone, told without being parsed.

use std::ops::Range;

use memchr::memchr2;

/// A chunk with gaps where its texts are.
///
/// Most chunks of a stream are the one before with another word in it. Whoever has parsed one that
/// does nothing if it comes twice in a row, but for its text, knows what the others do.
#[derive(Debug, Default)]
pub(super) struct Pattern {
    chunk: Vec<u8>,
    /// Where the texts stand in it, between their quotes, in order. None: nothing matches.
    gaps: Vec<Range<usize>>,
}

impl Pattern {
    /// Takes another chunk as the pattern; `texts` are parts of it, each between two quotes.
    pub(super) fn learn<'a>(&mut self, chunk: &'a [u8], texts: impl Iterator<Item = &'a str>) {
        self.gaps.clear();
        self.gaps.extend(texts.filter_map(|text| place(chunk, text)));
        self.gaps.sort_unstable_by_key(|gap| gap.start);
        self.chunk.clear();
        self.chunk.extend_from_slice(chunk);
    }

    /// Takes none for the pattern.
    pub(super) fn forget(&mut self) {
        self.gaps.clear();
    }

    /// Whether a chunk is this one with other texts. Texts with escapes are not looked into: false.
    pub(super) fn matches(&self, chunk: &[u8]) -> bool {
        if self.gaps.is_empty() {
            return false;
        }
        let (mut rest, mut from) = (chunk, 0);
        for gap in &self.gaps {
            let Some(behind) = rest.strip_prefix(&self.chunk[from..gap.start]) else {
                return false;
            };
            let Some(end) = memchr2(b'"', b'\\', behind) else { return false };
            let (text, behind) = behind.split_at(end);
            if text.iter().any(|&byte| byte < b' ') || std::str::from_utf8(text).is_err() {
                return false; // no string of JSON (RFC 8259, 7 and 8.1)
            }
            (rest, from) = (behind, gap.end);
        }
        *rest == self.chunk[from..]
    }
}

/// Where `part` stands in `whole`, which it is borrowed from.
fn place(whole: &[u8], part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let place = start..start + part.len();
    (whole.get(place.clone()) == Some(part.as_bytes())).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(chunk: &str, texts: &[Range<usize>]) -> Pattern {
        let mut pattern = Pattern::default();
        pattern.learn(chunk.as_bytes(), texts.iter().map(|text| &chunk[text.clone()]));
        pattern
    }

    #[test]
    fn only_the_texts_may_differ() {
        let two = pattern(r#"{"a":"x","b":1,"c":"yz"}"#, &[20..22, 6..7]);
        for same in [r#"{"a":"","b":1,"c":""}"#, r#"{"a":"{é}","b":1,"c":"y"}"#] {
            assert!(two.matches(same.as_bytes()), "{same}");
        }
        for other in [
            r#"{"a":"x","b":2,"c":"yz"}"#,
            r#"{"a":"x","b":1,"c":"yz","d":0}"#,
            r#"{"a":"x","b":1,"c":"y","z"}"#,
            r#"{"a":"x\n","b":1,"c":"yz"}"#,
            r#"{"a":"x","b":1,"c":"yz"#,
            "{\"a\":\"\n\",\"b\":1,\"c\":\"yz\"}",
            "",
        ] {
            assert!(!two.matches(other.as_bytes()), "{other}");
        }
        assert!(!two.matches(b"{\"a\":\"\xff\",\"b\":1,\"c\":\"yz\"}"), "not UTF-8");
        assert!(!Pattern::default().matches(b""));
    }

    /// What is no part of the chunk leaves no gap, though it be equal to one.
    #[test]
    fn gaps_are_parts() {
        let mut pattern = Pattern::default();
        pattern.learn(br#"{"a":"x"}"#, ["x"].into_iter());
        assert!(!pattern.matches(br#"{"a":"y"}"#));
    }
}
