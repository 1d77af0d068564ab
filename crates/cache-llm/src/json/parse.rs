//! The parser: RFC 8259, strict.

use std::borrow::Cow;
use std::collections::HashSet;

use memchr::memchr2;

use super::text::unescape;
use super::{Json, NotJson, Object};

pub(super) fn parse(text: &str, depth: usize) -> Result<Json<'_>, NotJson> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(depth)?;
    parser.white();
    if parser.at == text.len() { Ok(value) } else { Err(NotJson) }
}

/// The string, with its quotes, or the number that begins at `at`.
pub(crate) fn scalar_at(text: &str, at: usize) -> Option<&str> {
    let mut parser = Parser { text, at };
    match parser.peek()? {
        b'"' => drop(parser.string().ok()?),
        b'-' | b'0'..=b'9' => drop(parser.number().ok()?),
        _ => return None,
    }
    Some(&text[at..parser.at])
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn white(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Whether `byte` is next, behind white space; if so, it is passed.
    fn passes(&mut self, byte: u8) -> bool {
        self.white();
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.passes(byte) { Ok(()) } else { Err(NotJson) }
    }

    fn value(&mut self, depth: usize) -> Result<Json<'a>, NotJson> {
        self.white();
        match self.peek().ok_or(NotJson)? {
            b'{' => self.object(depth.checked_sub(1).ok_or(NotJson)?),
            b'[' => self.array(depth.checked_sub(1).ok_or(NotJson)?),
            b'"' => Ok(Json::Text(Cow::Borrowed(self.string()?))),
            b'-' | b'0'..=b'9' => self.number(),
            _ => self.word(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, NotJson> {
        self.at += 1;
        let mut members = Object::new();
        if self.passes(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.white();
            if self.peek() != Some(b'"') {
                return Err(NotJson);
            }
            let name = unescape(self.string()?).ok_or(NotJson)?;
            self.expect(b':')?;
            members.push((name, self.value(depth)?));
            if self.passes(b'}') {
                break;
            }
            self.expect(b',')?;
        }
        if names_differ(&members) { Ok(Json::Object(members)) } else { Err(NotJson) }
    }

    fn array(&mut self, depth: usize) -> Result<Json<'a>, NotJson> {
        self.at += 1;
        let mut items = Vec::new();
        if self.passes(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            if self.passes(b']') {
                return Ok(Json::Array(items));
            }
            self.expect(b',')?;
        }
    }

    /// What stands between the quotes.
    fn string(&mut self) -> Result<&'a str, NotJson> {
        self.at += 1;
        let start = self.at;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let plain = memchr2(b'"', b'\\', rest).ok_or(NotJson)?;
            if rest[..plain].iter().any(|&byte| byte < b' ') {
                return Err(NotJson);
            }
            self.at += plain;
            if rest[plain] == b'\\' {
                self.escape()?;
            } else {
                self.at += 1;
                return Ok(&self.text[start..self.at - 1]);
            }
        }
    }

    fn escape(&mut self) -> Result<(), NotJson> {
        self.at += 1;
        let kind = self.peek().ok_or(NotJson)?;
        self.at += 1;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or(NotJson)?;
                self.at += 4;
                if digits.iter().all(u8::is_ascii_hexdigit) { Ok(()) } else { Err(NotJson) }
            }
            _ => Err(NotJson),
        }
    }

    fn number(&mut self) -> Result<Json<'a>, NotJson> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(Json::Bare(Cow::Borrowed(&self.text[start..self.at])))
    }

    fn digits(&mut self) -> Result<(), NotJson> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(NotJson) }
    }

    fn word(&mut self) -> Result<Json<'a>, NotJson> {
        let rest = &self.text[self.at..];
        let word = ["null", "true", "false"].into_iter().find(|word| rest.starts_with(word));
        let word = word.ok_or(NotJson)?;
        self.at += word.len();
        Ok(Json::Bare(Cow::Borrowed(word)))
    }
}

/// Whether each name comes once; in a time that grows with their number.
pub(crate) fn names_differ<V>(members: &[(Cow<'_, str>, V)]) -> bool {
    if members.len() > 32 {
        let mut names = HashSet::with_capacity(members.len());
        return members.iter().all(|(name, _)| names.insert(&**name));
    }
    members
        .iter()
        .enumerate()
        .all(|(at, (name, _))| members[..at].iter().all(|(earlier, _)| earlier != name))
}
