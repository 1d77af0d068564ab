//! JSON values of which only one trait matters.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A string, borrowed where it has no escapes.
///
/// (`#[serde(borrow)]` does not reach a `Cow` inside an `Option`, hence a type.)
#[derive(Debug)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Strings;
        impl<'de> Visitor<'de> for Strings {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Strings)
    }
}

/// A value of which it matters whether it says anything: whether it is neither null nor empty.
///
/// Looked at as source text: a chunk may end in the middle of a surrogate pair, so that its text is
/// none by itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said<'a>(&'a str);

impl<'a> Said<'a> {
    pub(crate) fn is_something(self) -> bool {
        match self.0.as_bytes() {
            b"" | b"null" | b"\"\"" => false,
            [b'[' | b'{', inner @ .., _] => !inner.trim_ascii().is_empty(),
            _ => true,
        }
    }

    /// If it is a string, what stands between its quotes.
    pub(crate) fn as_text(self) -> Option<&'a str> {
        self.0.strip_prefix('"')?.strip_suffix('"')
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Said<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(<&'de RawValue>::deserialize(deserializer)?.get()))
    }
}

/// The arguments of a tool call: JSON as text by the book, JSON as such from some providers.
#[derive(Debug)]
pub(crate) enum Arguments<'a> {
    /// What stands between the quotes, for the same reason as above.
    Text(&'a str),
    Object,
}

impl<'de: 'a, 'a> Deserialize<'de> for Arguments<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&'de RawValue>::deserialize(deserializer)?.get();
        if text.starts_with('{') {
            return Ok(Self::Object);
        }
        let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        inner.map(Self::Text).ok_or_else(|| D::Error::custom("neither a string nor an object"))
    }
}

/// One embedding: at least one finite number, or base64 text.
#[derive(Debug)]
pub(crate) struct Vector;

impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Vector;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("numbers or base64 text, not empty")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Vector, E> {
                if text.is_empty() { Err(E::invalid_length(0, &self)) } else { Ok(Vector) }
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vector, A::Error> {
                let mut length = 0;
                while items.next_element::<f64>()?.is_some() {
                    length += 1;
                }
                if length == 0 { Err(A::Error::invalid_length(0, &self)) } else { Ok(Vector) }
            }
        }
        deserializer.deserialize_any(Either)
    }
}
