//! JSON values with their numbers as they were written, to compare answers by.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::value::RawValue;

/// The same for two documents that differ in nothing but white space, the order of members, and the
/// escapes of strings.
pub(crate) fn value(text: impl AsRef<[u8]>) -> String {
    let text = std::str::from_utf8(text.as_ref()).expect("UTF-8");
    let raw: &RawValue =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut out = String::new();
    append(raw.get(), &mut out);
    out
}

fn append(text: &str, out: &mut String) {
    let parse = "it was parsed before";
    match text.as_bytes()[0] {
        b'{' => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).expect(parse);
            out.push('{');
            for (name, value) in members {
                write!(out, "{name:?}:").expect("a String takes everything");
                append(value.get(), out);
                out.push('\n');
            }
            out.push('}');
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).expect(parse);
            out.push('[');
            for item in items {
                append(item.get(), out);
                out.push('\n');
            }
            out.push(']');
        }
        b'"' => match serde_json::from_str::<String>(text) {
            Ok(characters) => write!(out, "{characters:?}").expect("a String takes everything"),
            Err(_) => out.push_str(text), // half a surrogate pair
        },
        _ => out.push_str(text),
    }
}
