//! The few members of answers that decide whether they are stored, borrowed from the raw bytes.
//!
//! Everything else is skipped unread: what is stored are the bytes as they came.

mod choice;
mod completion;
mod embeddings;
mod message;
mod response;
mod value;

pub(crate) use choice::Choices;
pub(crate) use completion::{Frame, Gaps};
pub(crate) use embeddings::embeddings;
pub(crate) use message::message;
pub(crate) use response::response;
pub(crate) use value::Text;

use crate::not_stored::NotStored;

/// Reads one JSON document. JSON is UTF-8 (RFC 8259, 8.1), in the parts that are skipped too.
pub(crate) fn parse<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, NotStored> {
    let text = std::str::from_utf8(bytes).map_err(|_| NotStored::NotJson)?;
    if text.trim_ascii_start().starts_with('[') {
        return Err(NotStored::Unexpected); // serde would take its items for members
    }
    serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => NotStored::Unexpected,
        _ => NotStored::NotJson,
    })
}
