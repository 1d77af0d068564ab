//! [`Json`]: a document whose numbers and strings stay as they were written.
//!
//! Transcoding must not change what it carries: a number read as a double is another number, and a
//! surrogate pair may be cut between two chunks, so that neither half is text by itself. So numbers
//! and strings are kept as their source text, and strings are joined escape by escape.

mod parse;
mod text;
mod write;

use std::borrow::Cow;

pub(crate) use parse::{names_differ, scalar_at};
pub(crate) use text::{pieces, unescape, unit};
pub(crate) use write::{Writer, array_of_one, escape};

/// One value.
#[derive(Clone, PartialEq)]
pub(crate) enum Json<'a> {
    /// `null`, a boolean or a number, as it was written.
    Bare(Cow<'a, str>),
    /// What stands between the quotes of a string, escapes as they were written.
    Text(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    /// Members in their order. Names have their escapes resolved, and each comes once.
    Object(Object<'a>),
}

pub(crate) type Object<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

/// How deep documents may be nested, as `serde_json` has it.
pub(crate) const MAX_DEPTH: usize = 128;

/// It is not one JSON document, or one in which a name comes twice, or nested too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

impl<'a> Json<'a> {
    /// Reads one document.
    pub(crate) fn parse(text: &'a str) -> Result<Self, NotJson> {
        parse::parse(text, MAX_DEPTH)
    }

    /// The same of bytes, which have to be UTF-8.
    pub(crate) fn parse_bytes(bytes: &'a [u8]) -> Result<Self, NotJson> {
        Self::parse_within(bytes, MAX_DEPTH)
    }

    /// The same of a document that is nested no deeper than `depth`.
    pub(crate) fn parse_within(bytes: &'a [u8], depth: usize) -> Result<Self, NotJson> {
        parse::parse(std::str::from_utf8(bytes).map_err(|_| NotJson)?, depth)
    }

    pub(crate) const NULL: Self = Self::Bare(Cow::Borrowed("null"));

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Bare(text) if text == "null")
    }

    /// Whether it says nothing yet: null or an empty string.
    pub(crate) fn is_unset(&self) -> bool {
        self.is_null() || matches!(self, Self::Text(text) if text.is_empty())
    }

    /// What stands between the quotes of a string.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What stands between the quotes of a string, as a part of the document that it was read from.
    pub(crate) fn as_source(&self) -> Option<&'a str> {
        match self {
            Self::Text(Cow::Borrowed(text)) => Some(text),
            _ => None,
        }
    }

    /// What stands between the quotes of a string; else null, a boolean or a number.
    pub(crate) fn as_scalar(&self) -> Option<&str> {
        match self {
            Self::Bare(text) | Self::Text(text) => Some(text),
            Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// A small whole number.
    pub(crate) fn as_index(&self) -> Option<usize> {
        match self {
            Self::Bare(text) => text.parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn as_array(&self) -> Option<&[Json<'a>]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn as_object(&self) -> Option<&[(Cow<'a, str>, Json<'a>)]> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    pub(crate) fn into_object(self) -> Option<Object<'a>> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The member `name`, if it is an object that has it.
    pub(crate) fn get(&self, name: &str) -> Option<&Json<'a>> {
        get(self.as_object()?, name)
    }

    /// The member `name`, unless it is null.
    pub(crate) fn get_some(&self, name: &str) -> Option<&Json<'a>> {
        self.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn into_owned(self) -> Json<'static> {
        let own = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Bare(text) => Json::Bare(own(text)),
            Self::Text(text) => Json::Text(own(text)),
            Self::Array(items) => Json::Array(items.into_iter().map(Json::into_owned).collect()),
            Self::Object(members) => Json::Object(
                members.into_iter().map(|(name, value)| (own(name), value.into_owned())).collect(),
            ),
        }
    }

    /// Appends the document without white space.
    pub(crate) fn write(&self, out: &mut String) {
        write::value(self, out);
    }
}

/// The member `name`.
pub(crate) fn get<'o, 'a>(
    members: &'o [(Cow<'a, str>, Json<'a>)],
    name: &str,
) -> Option<&'o Json<'a>> {
    members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// The place of the member `name`.
pub(crate) fn position(members: &[(Cow<'_, str>, Json<'_>)], name: &str) -> Option<usize> {
    members.iter().position(|(key, _)| key == name)
}

/// Takes the member `name` out.
pub(crate) fn take<'a>(members: &mut Object<'a>, name: &str) -> Option<Json<'a>> {
    position(members, name).map(|at| members.remove(at).1)
}

/// Sets the member `name`, in its place if it is there.
pub(crate) fn set<'a>(members: &mut Object<'a>, name: &'static str, value: Json<'a>) {
    match position(members, name) {
        Some(at) => members[at].1 = value,
        None => members.push((Cow::Borrowed(name), value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(text: &str) -> Result<String, NotJson> {
        let mut out = String::new();
        Json::parse(text)?.write(&mut out);
        Ok(out)
    }

    /// Numbers and strings come out as they went in.
    #[test]
    fn source_text_is_kept() {
        for text in [
            r#"{"a":1.50,"b":[1e400,-0,12345678901234567890123],"c":"\u00e9é\ud83d\/"}"#,
            r#"{"b":null,"a":[true,false,{},[]],"":""}"#,
            "-1.5E+07",
            r#""\\\"""#,
        ] {
            assert_eq!(again(text).as_deref(), Ok(text));
        }
        assert_eq!(again(" { \"a\\u0062\" : [ 1 , 2 ] } \n").unwrap(), r#"{"ab":[1,2]}"#);
        assert_eq!(again(r#"{"\n\"":0}"#).unwrap(), r#"{"\n\"":0}"#);
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "}",
            "[1,]",
            "{\"a\":1,}",
            "{\"a\"}",
            "{a:1}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "-",
            "nul",
            "truex",
            "\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\n\"",
            "[1]2",
            "[1 2]",
            "NaN",
            "{\"a\":1,\"a\":2}",
            "{\"a\":1,\"\\u0061\":2}",
            "{\"\\ud800\":1}",
            "\u{feff}{}",
        ] {
            assert_eq!(again(text), Err(NotJson), "{text}");
        }
    }

    /// Depth is bounded, so that no document overflows the stack; and so is the time that a search
    /// for names that come twice takes.
    #[test]
    fn hostile_documents_are_bounded() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(again(&nested(128)).is_ok());
        assert_eq!(again(&nested(129)), Err(NotJson));
        assert_eq!(again(&"[".repeat(1_000_000)), Err(NotJson));
        let members: Vec<_> = (0..100_000).map(|n| format!("\"{n}\":0")).collect();
        assert!(again(&format!("{{{}}}", members.join(","))).is_ok());
        assert_eq!(again(&format!("{{{},\"7\":0}}", members.join(","))), Err(NotJson));
    }
}
