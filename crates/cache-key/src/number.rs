//! Numbers by their exact value.

/// A JSON number taken apart: `digits · 10^exponent`, with neither leading nor trailing zeros among
/// the digits. Equal values have equal parts; zero has no digits, no sign and exponent 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal<'a> {
    pub(crate) negative: bool,
    /// The digits, in two pieces since a decimal point may have stood between them.
    pub(crate) digits: [&'a [u8]; 2],
    pub(crate) exponent: i64,
}

impl<'a> Decimal<'a> {
    const ZERO: Self = Self { negative: false, digits: [b"", b""], exponent: 0 };

    /// Takes `literal`, which follows the grammar of RFC 8259, apart; `None` if the exponent does
    /// not fit.
    pub(crate) fn of(literal: &'a str) -> Option<Self> {
        let literal = literal.as_bytes();
        let (negative, literal) = match literal {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, literal),
        };
        // Most numbers are this short.
        if let [digit @ b'1'..=b'9'] = literal {
            let digits = [std::slice::from_ref(digit), b""];
            return Some(Self { negative, digits, exponent: 0 });
        }
        let end = literal.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(literal.len());
        let (whole, rest) = literal.split_at(end);
        let (fraction, exponent) = match rest {
            [] => (b"".as_slice(), b"".as_slice()),
            [b'.', rest @ ..] => split(rest, |byte| byte | 0x20 == b'e'),
            [_, exponent @ ..] => (b"".as_slice(), exponent),
        };

        let mut whole = trim_start(whole);
        let mut fraction = trim_end(fraction);
        let mut shift = -length(fraction);
        if fraction.is_empty() {
            let trimmed = trim_end(whole);
            shift = length(whole) - length(trimmed);
            whole = trimmed;
        }
        if whole.is_empty() {
            fraction = trim_start(fraction);
        }
        if whole.is_empty() && fraction.is_empty() {
            return Some(Self::ZERO); // whatever the exponent
        }
        let exponent = if exponent.is_empty() {
            shift
        } else {
            i64::try_from(read_exponent(exponent).saturating_add(i128::from(shift))).ok()?
        };
        Some(Self { negative, digits: [whole, fraction], exponent })
    }

    /// Whether both have the same value, however their digits are cut in two.
    pub(crate) fn same_value(&self, other: &Self) -> bool {
        let digits = |of: &Self| of.digits.into_iter().flatten();
        self.negative == other.negative
            && self.exponent == other.exponent
            && digits(self).eq(digits(other))
    }

    /// How many significant digits there are.
    pub(crate) fn len(&self) -> usize {
        self.digits[0].len() + self.digits[1].len()
    }

    /// The value, if it is a whole number that fits.
    pub(crate) fn as_u64(&self) -> Option<u64> {
        if self.negative || self.exponent < 0 {
            return None;
        }
        let mut value = 0_u64;
        for digit in self.digits.iter().copied().flatten() {
            value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        }
        let scale = 10_u64.checked_pow(u32::try_from(self.exponent).ok()?)?;
        value.checked_mul(scale)
    }
}

/// The same of a literal without an exponent that is no longer than [`Short::LONGEST`], in fewer steps
/// and without a branch that depends on the digits: most are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    pub(crate) negative: bool,
    /// A digit a byte, the first in the lowest; neither the first nor the last is 0.
    pub(crate) digits: u64,
    /// How many there are.
    pub(crate) len: usize,
    pub(crate) exponent: i64,
}

impl Short {
    pub(crate) const LONGEST: usize = 8;

    /// Takes the literal `text[start..end]` apart; `None` if it is longer or has an exponent.
    #[inline(always)] // a call, and the result in memory, would cost as much
    #[allow(clippy::inline_always, reason = "measured")]
    pub(crate) fn of(text: &[u8], start: usize, end: usize, form: Form) -> Option<Self> {
        let mut len = end - start;
        if len > Self::LONGEST || form == Form::Exponent {
            return None;
        }
        let mut digits = low_bytes(text, start) & mask(len);
        let sign = digits & 0xff == u64::from(b'-');
        digits >>= 8 * u32::from(sign);
        len -= usize::from(sign);
        let mut behind_point = 0;
        if form == Form::Fraction {
            // Of all bytes of a number, the point alone has this bit not set.
            let point = first(!digits & each(0x10));
            let whole = mask(point);
            digits = digits & whole | digits >> 8 & !whole;
            len -= 1;
            behind_point = len - point;
        }
        let values = digits & each(0x0f);
        if values == 0 {
            return Some(Self { negative: false, digits: 0, len: 0, exponent: 0 });
        }
        let (from, to) = (first(values), 8 - values.leading_zeros() as usize / 8);
        let count = to - from;
        Some(Self {
            negative: sign,
            digits: digits >> (8 * from) & mask(count),
            len: count,
            exponent: small(len - to) - small(behind_point),
        })
    }
}

/// Eight bytes of `text` from `start` on, the first the lowest; zeros behind its end.
#[inline]
fn low_bytes(text: &[u8], start: usize) -> u64 {
    let rest = &text[start..];
    let bytes = rest.first_chunk().copied().unwrap_or_else(|| {
        let mut bytes = [0; 8];
        bytes[..rest.len()].copy_from_slice(rest);
        bytes
    });
    u64::from_le_bytes(bytes)
}

/// The lowest `bytes`, at least one.
#[inline]
fn mask(bytes: usize) -> u64 {
    u64::MAX >> (64 - 8 * bytes)
}

/// `byte` in each place.
#[inline]
fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Which byte, from the lowest, is the first that is not 0.
#[inline]
fn first(bytes: u64) -> usize {
    bytes.trailing_zeros() as usize / 8
}

#[inline]
fn small(count: usize) -> i64 {
    i64::try_from(count).expect("at most 8")
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Nothing but digits, with or without a sign.
    Whole,
    /// With a decimal point.
    Fraction,
    /// With an exponent, with or without a decimal point.
    Exponent,
}

/// Where the number that begins at `start` ends, and how it is written; or where it stops being one.
#[inline]
pub(crate) fn scan(bytes: &[u8], start: usize) -> Result<(usize, Form), usize> {
    let digits = |from: usize| {
        let mut end = from;
        while bytes.get(end).is_some_and(u8::is_ascii_digit) {
            end += 1;
        }
        if end == from { Err(from) } else { Ok(end) }
    };
    let at = |position: usize| bytes.get(position).copied();

    let whole = start + usize::from(at(start) == Some(b'-'));
    let mut end = digits(whole)?;
    if at(whole) == Some(b'0') && end > whole + 1 {
        return Err(whole + 1); // 01 is no number
    }
    let mut form = Form::Whole;
    if at(end) == Some(b'.') {
        end = digits(end + 1)?;
        form = Form::Fraction;
    }
    if matches!(at(end), Some(b'e' | b'E')) {
        let sign = matches!(at(end + 1), Some(b'+' | b'-'));
        end = digits(end + 1 + usize::from(sign))?;
        form = Form::Exponent;
    }
    Ok((end, form))
}

/// The digits of an exponent as a number, saturated far beyond what is accepted.
fn read_exponent(text: &[u8]) -> i128 {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits.strip_prefix(b"+").unwrap_or(digits)),
    };
    let value = digits.iter().fold(0_i128, |value, digit| {
        value.saturating_mul(10).saturating_add(i128::from(digit - b'0'))
    });
    if negative { -value } else { value }
}

/// What stands before and after the first byte that `is` one; nothing after if there is none.
fn split(text: &[u8], is: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    match text.iter().position(|&byte| is(byte)) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, b""),
    }
}

fn trim_start(mut digits: &[u8]) -> &[u8] {
    while let [b'0', rest @ ..] = digits {
        digits = rest;
    }
    digits
}

fn trim_end(mut digits: &[u8]) -> &[u8] {
    while let [rest @ .., b'0'] = digits {
        digits = rest;
    }
    digits
}

fn length(digits: &[u8]) -> i64 {
    i64::try_from(digits.len()).expect("a slice is shorter than 2^63")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(literal: &str) -> Option<(bool, String, i64)> {
        assert_eq!(scan(literal.as_bytes(), 0).map(|(end, _)| end), Ok(literal.len()));
        let decimal = Decimal::of(literal)?;
        let digits = String::from_utf8(decimal.digits.concat()).unwrap();
        Some((decimal.negative, digits, decimal.exponent))
    }

    /// A4: exact decimal value, whatever the spelling.
    #[test]
    fn spellings_of_one_value_agree() {
        let groups: [&[&str]; 7] = [
            &[
                "0",
                "-0",
                "0.0",
                "-0.00",
                "0e5",
                "0E-99999999999999999999999",
                "-0.0e+99999999999999999999",
            ],
            &["1", "1.0", "1e0", "10e-1", "0.1e1", "0.001E+3", "1000e-0003", "1.000"],
            &["-120", "-1.2e2", "-0.12e3", "-12e1", "-120.0"],
            &["0.7", "7e-1", "0.70", "70e-2"],
            &["0.05", "5e-2", "0.0500", "0.5e-1"],
            &["10.5", "1.05e1", "105e-1", "10.50"],
            &["9007199254740993", "9007199254740993.0", "9.007199254740993e15"],
        ];
        for (i, group) in groups.iter().enumerate() {
            for literal in *group {
                assert_eq!(parts(literal), parts(group[0]), "{literal}");
            }
            for other in &groups[..i] {
                assert_ne!(parts(group[0]), parts(other[0]));
            }
        }
    }

    /// Every literal of a few characters that matter, and some as long as can be.
    #[test]
    fn short_ones_are_the_same() {
        let mut literals = vec![String::new()];
        for _ in 0..6 {
            let longer = |literal: &String| {
                ["-", ".", "0", "7", "95"].map(|more| format!("{literal}{more}"))
            };
            literals.extend(literals.iter().flat_map(longer).collect::<Vec<_>>());
        }
        literals.extend(["12345678", "-1234567", "100000.0", "0.000010"].map(str::to_owned));
        literals.retain(|literal| literal.len() <= Short::LONGEST);
        for literal in literals {
            if scan(literal.as_bytes(), 0).map(|(end, _)| end) == Ok(literal.len()) {
                let (_, form) = scan(literal.as_bytes(), 0).unwrap();
                let short = |text: &str| {
                    let start = text.len() - text.trim_start_matches(' ').len();
                    let end = start + literal.len();
                    Short::of(text.as_bytes(), start, end, form).expect("it is short")
                };
                // Whatever stands around it, and how near the end.
                let alone = short(&literal);
                for around in ["", ".", "0", "}", "-5.0e7,\"a long text\"", "é"] {
                    assert_eq!(short(&format!("{literal}{around}")), alone);
                    assert_eq!(short(&format!("  {literal}{around}")), alone);
                }
                let digits = alone.digits.to_le_bytes();
                let (digits, behind) = digits.split_at(alone.len);
                let digits = String::from_utf8(digits.to_vec()).unwrap();
                assert_eq!(
                    Some((alone.negative, digits, alone.exponent)),
                    parts(&literal),
                    "{literal}"
                );
                assert!(behind.iter().all(|&byte| byte == 0));
            }
        }
        let is_short = |literal: &str| {
            let (end, form) = scan(literal.as_bytes(), 0).unwrap();
            Short::of(literal.as_bytes(), 0, end, form).is_some()
        };
        assert!(is_short("12345678"));
        assert!(!is_short("123456789"));
        assert!(!is_short("1e0"));
    }

    #[test]
    fn exponents_are_bounded_by_64_bits() {
        assert!(parts("1e9223372036854775807").is_some());
        assert!(parts("10e9223372036854775807").is_none());
        assert!(parts("0.1e9223372036854775808").is_some());
        assert!(parts("1e-9223372036854775808").is_some());
        assert!(parts("0.1e-9223372036854775808").is_none());
        let huge = format!("1e{}", "9".repeat(1000));
        assert!(parts(&huge).is_none());
    }

    #[test]
    fn grammar_of_rfc_8259() {
        for (bad, at) in [
            ("-", 1),
            ("+1", 0),
            (".5", 0),
            ("1.", 2),
            ("1e", 2),
            ("1e+", 3),
            ("01", 1),
            ("-01", 2),
            ("-x", 1),
            ("1.e1", 2),
        ] {
            assert_eq!(scan(bad.as_bytes(), 0), Err(at), "{bad}");
        }
    }

    #[test]
    fn whole_numbers_as_u64() {
        for (literal, value) in [
            ("0", Some(0)),
            ("1.5e1", Some(15)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-1", None),
            ("0.5", None),
            ("1e400", None),
        ] {
            assert_eq!(Decimal::of(literal).and_then(|d| d.as_u64()), value, "{literal}");
        }
    }
}
