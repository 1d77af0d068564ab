//! JSON as it is written, and what it means: written here once more, so that the crate is not judged by
//! itself.

use std::fmt::{Display, Write};

use fastrand::Rng;

/// A JSON value. Numbers are kept as they are written, members in their order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

pub(crate) fn text(text: impl Into<String>) -> Json {
    Json::Text(text.into())
}

pub(crate) fn number(number: impl Display) -> Json {
    Json::Number(format!("{number}"))
}

pub(crate) fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    Json::Object(members.map(|(name, value)| (name.to_owned(), value)).into())
}

impl Json {
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        let Self::Object(members) = self else { return None };
        members.iter_mut().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub(crate) fn push(&mut self, name: impl Into<String>, value: Self) {
        let Self::Object(members) = self else { panic!("{self:?} is no object") };
        members.push((name.into(), value));
    }

    /// As it is, without white space.
    pub(crate) fn compact(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, None);
        out
    }

    /// The same in another spelling: other order of members, white space, escapes, numbers.
    pub(crate) fn respelled(&self, rng: &mut Rng) -> String {
        let mut out = String::new();
        self.write(&mut out, Some(rng));
        out
    }

    fn write(&self, out: &mut String, mut rng: Option<&mut Rng>) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(yes) => write!(out, "{yes}").expect("strings take all"),
            Self::Number(number) => match rng {
                Some(rng) => out.push_str(&spell(number, rng)),
                None => out.push_str(number),
            },
            Self::Text(text) => quote(out, text, rng),
            Self::List(items) => {
                out.push('[');
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    space(out, rng.as_deref_mut());
                    item.write(out, rng.as_deref_mut());
                }
                out.push(']');
            }
            Self::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                if let Some(rng) = rng.as_deref_mut() {
                    rng.shuffle(&mut members);
                }
                out.push('{');
                for (n, (name, value)) in members.into_iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    space(out, rng.as_deref_mut());
                    quote(out, name, rng.as_deref_mut());
                    out.push(':');
                    space(out, rng.as_deref_mut());
                    value.write(out, rng.as_deref_mut());
                }
                out.push('}');
            }
        }
    }

    /// What it says, as a text that no other value has: members sorted, numbers by value.
    pub(crate) fn meaning(&self) -> String {
        let mut out = String::new();
        self.write_meaning(&mut out);
        out
    }

    fn write_meaning(&self, out: &mut String) {
        match self {
            Self::Null | Self::Bool(_) | Self::Text(_) => self.write(out, None),
            Self::Number(number) => {
                let (sign, digits, exponent) = value(number);
                write!(out, "{sign}{digits}e{exponent}").expect("strings take all");
            }
            Self::List(items) => {
                out.push('[');
                for item in items {
                    item.write_meaning(out);
                    out.push(',');
                }
                out.push(']');
            }
            Self::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by(|one, other| one.0.cmp(&other.0));
                out.push('{');
                for (name, value) in members {
                    quote(out, name, None);
                    value.write_meaning(out);
                    out.push(',');
                }
                out.push('}');
            }
        }
    }
}

/// Sign, digits without zeros at either end, and the power of ten that they are multiplied by.
fn value(number: &str) -> (&str, String, i64) {
    let (sign, rest) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return ("", String::new(), 0);
    }
    let exponent: i64 = exponent.parse().expect("exponents are small here");
    let zeros = digits.len() - significant.len();
    let shift =
        i64::try_from(zeros).expect("short") - i64::try_from(fraction.len()).expect("short");
    (sign, significant.to_owned(), exponent + shift)
}

/// One of the spellings of a number.
fn spell(number: &str, rng: &mut Rng) -> String {
    let (sign, digits, exponent) = value(number);
    if digits.is_empty() {
        return rng.choice(["0", "-0", "0.0", "0e7"]).expect("there are some").to_owned();
    }
    match rng.u8(0..4) {
        0 => format!("{sign}{digits}e{exponent}"),
        1 => format!("{sign}{digits}.0E{exponent}"),
        2 => format!("{sign}{digits}00e{}", exponent - 2),
        _ => number.to_owned(),
    }
}

fn space(out: &mut String, rng: Option<&mut Rng>) {
    if let Some(rng) = rng
        && rng.u8(0..4) == 0
    {
        out.push_str(rng.choice([" ", "\n", "\t", "\r\n  "]).expect("there are some"));
    }
}

fn quote(out: &mut String, text: &str, mut rng: Option<&mut Rng>) {
    out.push('"');
    for character in text.chars() {
        let escapes = rng.as_deref_mut().is_some_and(|rng| rng.u8(0..16) == 0);
        match character {
            '"' if !escapes => out.push_str("\\\""),
            '\\' if !escapes => out.push_str("\\\\"),
            _ if escapes || character < ' ' => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    write!(out, "\\u{unit:04x}").expect("strings take all");
                }
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}
