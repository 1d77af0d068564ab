//! Answers with embeddings: taken apart into items, and put together of them.

use super::vector;
use crate::members::{Members, items, name};

/// A provider's answer, taken apart.
pub(super) struct Answer<'a> {
    /// The text of `model`; empty if there is none.
    pub(super) model: &'a str,
    /// The answer with null for `data` and `usage`.
    pub(super) frame: String,
    /// The text of `usage`; empty if there is none.
    pub(super) usage: &'a str,
    /// By `index`.
    pub(super) items: Vec<AnswerItem>,
}

/// One of its items.
pub(super) struct AnswerItem {
    /// The item with null for `index` and `embedding`.
    pub(super) frame: String,
    /// 32-bit floats, little-endian.
    pub(super) vector: Vec<u8>,
}

impl<'a> Answer<'a> {
    /// Takes apart an answer of `count` items, each index once; `None` if it is not one.
    pub(super) fn read(body: &'a [u8], count: usize) -> Option<Self> {
        let members = Members::parse(std::str::from_utf8(body).ok()?)?;
        let mut places: Vec<Option<AnswerItem>> = (0..count).map(|_| None).collect();
        let data = items(members.get("data")?)?;
        if data.len() != count {
            return None;
        }
        for (position, item) in data.into_iter().enumerate() {
            let item = Members::parse(item)?;
            // Where a provider leaves the index out, the order is all there is.
            let index = item.get("index").map_or(Some(position), |index| index.parse().ok())?;
            let place = places.get_mut(index).filter(|place| place.is_none())?;
            *place = Some(AnswerItem {
                frame: frame(&item, ["index", "embedding"]),
                vector: vector::read(item.get("embedding")?)?,
            });
        }
        Some(Self {
            model: members.get("model").unwrap_or_default(),
            frame: frame(&members, ["data", "usage"]),
            usage: members.get("usage").filter(|usage| *usage != "null").unwrap_or_default(),
            items: places.into_iter().collect::<Option<_>>()?,
        })
    }
}

/// The members in their order, with null in the place of two of them.
fn frame(members: &Members<'_>, holes: [&str; 2]) -> String {
    let mut out = String::from("{");
    for (member, value) in members.iter() {
        name(&mut out, member);
        out.push_str(if holes.contains(&member) { "null" } else { value });
    }
    out.push('}');
    out
}

/// An item as an answer is put together of it.
pub(super) struct Piece<'a> {
    pub(super) frame: &'a str,
    pub(super) vector: &'a [u8],
}

/// The answer in `frame` with these items in their order; `None` if one of the frames is none.
pub(super) fn compose<'a>(
    frame: &str,
    items: impl Iterator<Item = Piece<'a>>,
    usage: Option<&str>,
    base64: bool,
) -> Option<String> {
    let mut data = String::from("[");
    for (index, item) in items.enumerate() {
        if index > 0 {
            data.push(',');
        }
        data.push('{');
        for (member, value) in Members::parse(item.frame)?.iter() {
            name(&mut data, member);
            match member {
                "index" => data.push_str(&index.to_string()),
                "embedding" => vector::write(item.vector, base64, &mut data),
                _ => data.push_str(value),
            }
        }
        data.push('}');
    }
    data.push(']');
    let mut out = String::with_capacity(frame.len() + data.len() + 64);
    out.push('{');
    for (member, value) in Members::parse(frame)?.iter() {
        let value = match (member, usage) {
            ("data", _) => &*data,
            ("usage", Some(usage)) => usage,
            ("usage", None) => continue,
            _ => value,
        };
        name(&mut out, member);
        out.push_str(value);
    }
    out.push('}');
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is put together of what was taken apart is the same answer, with its items in order.
    #[test]
    fn apart_and_together() {
        let body = r#"{"id":"e-1","data":[{"index":1,"new":[1.50],"embedding":[2.0]},{"embedding":"AACAPw==","index":0}],"model":"m","usage":{"a":1}}"#;
        let answer = Answer::read(body.as_bytes(), 2).unwrap();
        assert_eq!((answer.model, answer.usage), ("\"m\"", "{\"a\":1}"));
        let pieces =
            answer.items.iter().map(|item| Piece { frame: &item.frame, vector: &item.vector });
        let together = compose(&answer.frame, pieces, Some("{}"), false).unwrap();
        assert_eq!(
            together,
            r#"{"id":"e-1","data":[{"embedding":[1.0],"index":0},{"index":1,"new":[1.50],"embedding":[2.0]}],"model":"m","usage":{}}"#
        );
    }

    /// An index that is missing, comes twice or is out of range makes no answer.
    #[test]
    fn indexes_come_once() {
        for (items, is_good) in [
            (r#"{"embedding":[1]},{"embedding":[2]}"#, true),
            (r#"{"index":0,"embedding":[1]},{"index":0,"embedding":[2]}"#, false),
            (r#"{"index":0,"embedding":[1]},{"index":2,"embedding":[2]}"#, false),
            (r#"{"index":-1,"embedding":[1]},{"index":1,"embedding":[2]}"#, false),
            (r#"{"index":0,"embedding":[1]},{"index":1}"#, false),
            (r#"{"index":0,"embedding":[1]}"#, false),
        ] {
            let body = format!(r#"{{"data":[{items}]}}"#);
            assert_eq!(Answer::read(body.as_bytes(), 2).is_some(), is_good, "{items}");
        }
    }
}
