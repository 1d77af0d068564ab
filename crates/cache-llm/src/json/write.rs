//! Writing documents without white space.

use super::Json;

pub(super) fn value(json: &Json<'_>, out: &mut String) {
    match json {
        Json::Bare(text) => out.push_str(text),
        Json::Text(text) => {
            out.push('"');
            out.push_str(text);
            out.push('"');
        }
        Json::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                value(item, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            let mut object = Writer::begin(out);
            for (name, value) in members {
                object.json(name, value);
            }
            object.end();
        }
    }
}

/// Writes one object, member by member.
pub(crate) struct Writer<'o> {
    out: &'o mut String,
    first: bool,
}

impl<'o> Writer<'o> {
    pub(crate) fn begin(out: &'o mut String) -> Self {
        out.push('{');
        Self { out, first: true }
    }

    /// Writes on in an object that was begun and has a member already.
    pub(crate) fn within(out: &'o mut String) -> Self {
        Self { out, first: false }
    }

    pub(crate) fn end(self) {
        self.out.push('}');
    }

    pub(crate) fn json(&mut self, name: &str, json: &Json<'_>) {
        value(json, self.name(name));
    }

    /// A string whose escapes are in place.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        let out = self.name(name);
        out.push('"');
        out.push_str(text);
        out.push('"');
    }

    /// A value that is JSON already.
    pub(crate) fn bare(&mut self, name: &str, bare: &str) {
        self.name(name).push_str(bare);
    }

    pub(crate) fn index(&mut self, name: &str, index: usize) {
        use std::fmt::Write;
        write!(self.name(name), "{index}").expect("a String takes everything");
    }

    pub(crate) fn object(&mut self, name: &str, write: impl FnOnce(&mut Writer<'_>)) {
        let mut object = Writer::begin(self.name(name));
        write(&mut object);
        object.end();
    }

    /// An array of one object.
    pub(crate) fn array_of_one(&mut self, name: &str, write: impl FnOnce(&mut Writer<'_>)) {
        array_of_one(self.name(name), write);
    }

    /// Appends a name and gives out where its value is to go.
    pub(crate) fn name(&mut self, name: &str) -> &mut String {
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
        self.out.push('"');
        escape(name, self.out);
        self.out.push_str("\":");
        self.out
    }
}

/// Appends an array of one object.
pub(crate) fn array_of_one(out: &mut String, write: impl FnOnce(&mut Writer<'_>)) {
    out.push('[');
    let mut object = Writer::begin(out);
    write(&mut object);
    object.end();
    out.push(']');
}

/// Appends characters with the escapes that JSON asks for.
pub(crate) fn escape(text: &str, out: &mut String) {
    // Nearly every name.
    if !text.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
        out.push_str(text);
        return;
    }
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..'\u{20}' => {
                use std::fmt::Write;
                write!(out, "\\u{:04x}", u32::from(character)).expect("a String takes everything");
            }
            _ => out.push(character),
        }
    }
}
