//! [`Pattern`]: events that differ in a text or a number alone, told without being parsed.

use std::ops::Range;

use crate::json;

/// An event with gaps where its texts and numbers are that may be others in the next one.
///
/// Most events of a stream are the one before with another word in it. Whoever has parsed one that
/// does nothing if it comes twice in a row, but for what stands in its gaps, knows what the others do.
#[derive(Debug, Default)]
pub(crate) struct Pattern {
    event: String,
    /// Where strings, quotes included, and numbers stand in it, in order. None: nothing matches.
    gaps: Vec<Range<usize>>,
    /// Where that gap begins whose text is asked for.
    asked_for: usize,
}

impl Pattern {
    /// None.
    pub(crate) const fn new() -> Self {
        Self { event: String::new(), gaps: Vec::new(), asked_for: 0 }
    }

    /// Takes another event as the pattern. `gaps` are parts of it: numbers, and what stands between the
    /// quotes of strings. The first of them is what [`matched`](Self::matched) gives.
    pub(crate) fn learn<'a>(&mut self, event: &[u8], gaps: impl IntoIterator<Item = &'a str>) {
        self.forget();
        let Ok(event) = std::str::from_utf8(event) else { return };
        self.gaps.extend(gaps.into_iter().map_while(|gap| token(event, gap)));
        let Some(first) = self.gaps.first() else { return };
        self.asked_for = first.start;
        self.gaps.sort_unstable_by_key(|gap| gap.start);
        self.event.clear();
        self.event.push_str(event);
    }

    /// Takes none for the pattern.
    pub(crate) fn forget(&mut self) {
        self.gaps.clear();
    }

    /// If an event is this one but for its gaps: what stands in the first that was named, escapes as
    /// they came.
    pub(crate) fn matched<'e>(&self, event: &'e [u8]) -> Option<&'e str> {
        if self.gaps.is_empty() {
            return None;
        }
        let event = std::str::from_utf8(event).ok()?;
        let (mut at, mut from, mut found) = (0, 0, None);
        for gap in &self.gaps {
            let between = &self.event.as_bytes()[from..gap.start];
            if !event.as_bytes()[at..].starts_with(between) {
                return None;
            }
            at += between.len();
            let token = json::scalar_at(event, at)?;
            let was_text = self.event.as_bytes()[gap.start] == b'"';
            let inner = match token.strip_prefix('"') {
                Some(text) if was_text => text.strip_suffix('"')?,
                None if !was_text => token,
                _ => return None,
            };
            if gap.start == self.asked_for {
                found = Some(inner);
            }
            at += token.len();
            from = gap.end;
        }
        found.filter(|_| event.as_bytes()[at..] == self.event.as_bytes()[from..])
    }
}

/// Where the token `part`, which is borrowed from `whole`, stands in it: with its quotes, if it has some.
fn token(whole: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start + part.len();
    if whole.get(start..end) != Some(part) {
        return None;
    }
    let is_text = whole[..start].ends_with('"') && whole[end..].starts_with('"');
    Some(if is_text { start - 1..end + 1 } else { start..end })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(event: &str, gaps: &[Range<usize>]) -> Pattern {
        let mut pattern = Pattern::default();
        pattern.learn(event.as_bytes(), gaps.iter().map(|gap| &event[gap.clone()]));
        pattern
    }

    #[test]
    fn only_the_gaps_may_differ() {
        let three = pattern(r#"{"a":"x","b":1,"c":"yz","n":17}"#, &[6..7, 28..30, 20..22]);
        for (same, first) in [
            (r#"{"a":"","b":1,"c":"","n":0}"#, ""),
            (r#"{"a":"{é}","b":1,"c":"y","n":-1.5e3}"#, "{é}"),
            (r#"{"a":"\"\n","b":1,"c":"\ud83d","n":17}"#, r#"\"\n"#),
        ] {
            assert_eq!(three.matched(same.as_bytes()), Some(first), "{same}");
        }
        for other in [
            r#"{"a":"x","b":2,"c":"yz","n":17}"#,
            r#"{"a":"x","b":1,"c":"yz","n":17,"d":0}"#,
            r#"{"a":"x","b":1,"c":"y","z","n":17}"#,
            r#"{"a":"x","b":1,"c":"yz"#,
            r#"{"a":"x","b":1,"c":"yz","n":017}"#,
            r#"{"a":"x","b":1,"c":"yz","n":"17"}"#,
            r#"{"a":"x","b":1,"c":"yz","n":null}"#,
            r#"{"a":"x","b":1,"c":0,"n":17}"#,
            r#"{"a":"\x","b":1,"c":"yz","n":17}"#,
            r#"{"a":"\u12","b":1,"c":"yz","n":17}"#,
            "{\"a\":\"\n\",\"b\":1,\"c\":\"yz\",\"n\":17}",
            "{\"a\":\"é",
            "",
        ] {
            assert_eq!(three.matched(other.as_bytes()), None, "{other}");
        }
        assert_eq!(
            three.matched(b"{\"a\":\"\xff\",\"b\":1,\"c\":\"yz\",\"n\":17}"),
            None,
            "not UTF-8"
        );
        assert_eq!(Pattern::default().matched(b""), None);
    }

    /// What is asked for need not come first.
    #[test]
    fn the_first_that_was_named_is_given() {
        let two = pattern(r#"{"a":"x","b":"y"}"#, &[14..15, 6..7]);
        assert_eq!(two.matched(br#"{"a":"1","b":"2"}"#), Some("2"));
    }

    /// What is no part of the event leaves no gap, though it be equal to one.
    #[test]
    fn gaps_are_parts() {
        let mut pattern = Pattern::default();
        pattern.learn(br#"{"a":"x"}"#, ["x"]);
        assert_eq!(pattern.matched(br#"{"a":"y"}"#), None);
    }
}
