//! [`Think`]: takes `<think>` blocks out of a text that comes in any pieces.

use crate::json::{unescape, unit};

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Looks at the source text of JSON strings: tags may be spelled with escapes (`\u003cthink\u003e`,
/// `<\/think>`), and what is passed on is passed on as it was written.
#[derive(Debug, Default)]
pub(super) struct Think {
    state: State,
    /// What may be the beginning of a tag.
    held: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Outside,
    Inside,
    /// Behind a block, where white space goes with it.
    Behind,
}

/// What stands at one place of a text.
enum Found {
    Tag(usize),
    /// The text ends before the tag does.
    Maybe,
    Nothing,
}

impl Think {
    /// What of the next piece can be passed on.
    pub(super) fn push(&mut self, piece: &str) -> String {
        let is_plain = |text: &str| !text.contains('<') && !text.contains("\\u003");
        if self.state == State::Outside && self.held.is_empty() && is_plain(piece) {
            return piece.to_owned(); // nearly always
        }
        let text = std::mem::take(&mut self.held) + piece;
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let length = unit(rest).unwrap_or(rest.len());
            let (one, behind) = rest.split_at(length);
            if self.state == State::Behind {
                if is_white(one) {
                    rest = behind;
                    continue;
                }
                self.state = State::Outside;
            }
            let is_inside = self.state == State::Inside;
            match find(rest, if is_inside { CLOSE } else { OPEN }) {
                Found::Tag(length) => {
                    self.state = if is_inside { State::Behind } else { State::Inside };
                    rest = &rest[length..];
                    continue;
                }
                Found::Maybe => {
                    rest.clone_into(&mut self.held);
                    break;
                }
                Found::Nothing if !is_inside => out.push_str(one),
                Found::Nothing => {}
            }
            rest = behind;
        }
        out
    }

    /// Whether [`finish`](Self::finish) has anything to give out.
    pub(super) fn holds(&self) -> bool {
        self.state != State::Inside && !self.held.is_empty()
    }

    /// What was held back, now that the text is at its end. A block that is not closed reaches to
    /// there.
    pub(super) fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        if self.state == State::Inside { String::new() } else { held }
    }
}

fn find(text: &str, tag: &str) -> Found {
    let mut at = 0;
    for expected in tag.chars() {
        let Some(length) = unit(&text[at..]).filter(|length| *length > 0) else {
            return Found::Maybe;
        };
        if character(&text[at..at + length]) != Some(expected) {
            return Found::Nothing;
        }
        at += length;
    }
    Found::Tag(at)
}

fn is_white(unit: &str) -> bool {
    character(unit).is_some_and(char::is_whitespace)
}

/// The character that one character or escape stands for; half a surrogate pair stands for none.
fn character(unit: &str) -> Option<char> {
    unescape(unit)?.chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered<'p>(pieces: impl IntoIterator<Item = &'p str>) -> String {
        let mut think = Think::default();
        let mut out: String = pieces.into_iter().map(|piece| think.push(piece)).collect();
        out.push_str(&think.finish());
        out
    }

    /// A59: however the text is cut and spelled.
    #[test]
    fn blocks_go_and_the_rest_stays() {
        for (text, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("<think>a</think>b", "b"),
            (r"<think>a\n</think>\n\n b <i>", "b <i>"),
            ("a <think>b</think> c<think>d</think>", "a c"),
            ("a<think>never closed </thin", "a"),
            ("a < b <thin", "a < b <thin"),
            ("a<<think>b</</think>c", "a<c"),
            (r"\u003cthink\u003ea\u003c/think\u003eb\u003c", r"b\u003c"),
            (r"<think>a<\/think>\ud83d\ude00é\u00e9", r"\ud83d\ude00é\u00e9"),
            (r"<think>\ud83d</think>\ude00", r"\ude00"),
            ("<thinking>a</thinking>", "<thinking>a</thinking>"),
        ] {
            assert_eq!(filtered([text]), expected);
            // One character or escape a piece, and all cuts in two.
            let pieces: Vec<_> = crate::json::pieces(text, 1).collect();
            assert_eq!(filtered(pieces.iter().copied()), expected);
            for at in 0..pieces.len() {
                let (first, second) = (pieces[..at].concat(), pieces[at..].concat());
                assert_eq!(filtered([&*first, &*second]), expected, "{first} {second}");
            }
        }
    }
}
