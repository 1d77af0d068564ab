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

/// The same of a literal without an exponent that is no longer than [`Short::LONGEST`], in fewer steps:
/// most are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Short {
    pub(crate) negative: bool,
    /// The digits, neither the first nor the last of them 0, and what may be written over.
    pub(crate) digits: [u8; 32],
    /// How many of them count.
    pub(crate) len: usize,
    pub(crate) exponent: i64,
}

impl Short {
    pub(crate) const LONGEST: usize = 15;

    /// Takes the literal `text[start..end]` apart, which is nothing but digits and perhaps a sign;
    /// `None` if it is longer or stands at the very end of the text.
    #[inline]
    pub(crate) fn of_whole(text: &[u8], start: usize, end: usize) -> Option<Self> {
        let negative = text[start] == b'-';
        let start = start + usize::from(negative);
        // What stands behind the digits comes with them, to be written over.
        let digits = *text[start..].first_chunk()?;
        let mut len = end - start;
        if len > Self::LONGEST {
            return None;
        }
        let mut exponent = 0;
        while digits[len - 1] == b'0' {
            len -= 1;
            exponent += 1;
            if len == 0 {
                return Some(Self { negative: false, digits, len, exponent: 0 });
            }
        }
        Some(Self { negative, digits, len, exponent })
    }

    /// Takes `literal` apart; `None` if it is longer.
    pub(crate) fn of(literal: &[u8]) -> Option<Self> {
        if literal.len() > Self::LONGEST {
            return None;
        }
        let (mut negative, mut point) = (false, false);
        let mut digits = [0; 32];
        // How many digits there are: from the first on that is not 0, of these up to the last that is
        // not 0, behind it, and behind the point.
        let (mut all, mut len, mut zeros, mut fraction) = (0, 0, 0, 0);
        for &byte in literal {
            match byte {
                b'-' => negative = true,
                b'.' => point = true,
                _ => {
                    digits[all] = byte;
                    let zero = byte == b'0';
                    all += usize::from(all > 0 || !zero);
                    (len, zeros) = if zero { (len, zeros + 1) } else { (all, 0) };
                    fraction += i64::from(point);
                }
            }
        }
        let exponent = if len == 0 { 0 } else { zeros - fraction };
        Some(Self { negative: negative && len > 0, digits, len, exponent })
    }
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
        literals.extend(
            ["123456789012345", "-12345678901234", "1000000000000.0", "0.0000000000010"]
                .map(str::to_owned),
        );
        for literal in literals {
            if scan(literal.as_bytes(), 0).map(|(end, _)| end) == Ok(literal.len()) {
                let short = Short::of(literal.as_bytes()).expect("it is short");
                let digits = String::from_utf8(short.digits[..short.len].to_vec()).unwrap();
                assert_eq!(
                    Some((short.negative, digits, short.exponent)),
                    parts(&literal),
                    "{literal}"
                );
                if !literal.contains('.') {
                    let text = format!("{literal}0000000000000000000000000000000000");
                    let whole =
                        Short::of_whole(text.as_bytes(), 0, literal.len()).expect("it is short");
                    assert_eq!(whole.digits[..whole.len], short.digits[..short.len]);
                    assert_eq!((whole.negative, whole.exponent), (short.negative, short.exponent));
                }
            }
        }
        assert!(Short::of(b"1234567890123456").is_none());
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
