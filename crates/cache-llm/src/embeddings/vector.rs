//! A vector in its three spellings: little-endian 32-bit floats, numbers, base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::json::unescape;

/// The floats of an `embedding`, be it numbers or base64; `None` if it is neither, empty, or has a number
/// that is no finite 32-bit float. Numbers with more digits than such a float are rounded to the nearest.
pub(crate) fn read(text: &str) -> Option<Vec<u8>> {
    let floats = if let Some(numbers) = text.strip_prefix('[') {
        numbers_to_floats(numbers.strip_suffix(']')?)?
    } else {
        let text = text.strip_prefix('"')?.strip_suffix('"')?;
        STANDARD.decode(&*unescape(text)?).ok()?
    };
    let is_finite = |float: &[u8]| f32::from_le_bytes(array(float)).is_finite();
    (!floats.is_empty() && floats.len() % 4 == 0 && floats.chunks_exact(4).all(is_finite))
        .then_some(floats)
}

/// Read as 32-bit floats at once: by way of a double they would be rounded twice.
fn numbers_to_floats(numbers: &str) -> Option<Vec<u8>> {
    let mut floats = Vec::with_capacity(numbers.len() / 3);
    for number in numbers.split(',') {
        let number = number.trim_ascii();
        // Rust reads `nan` and `inf` too; JSON has none, and words are no numbers.
        if !number.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            return None;
        }
        floats.extend_from_slice(&number.parse::<f32>().ok()?.to_le_bytes());
    }
    Some(floats)
}

/// Appends an `embedding`: base64, or numbers in the shortest text that reads back as the same float.
pub(crate) fn write(floats: &[u8], base64: bool, out: &mut String) {
    if base64 {
        out.push('"');
        STANDARD.encode_string(floats, out);
        out.push('"');
        return;
    }
    out.push('[');
    let mut buffer = ryu::Buffer::new();
    for (at, float) in floats.chunks_exact(4).enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(buffer.format_finite(f32::from_le_bytes(array(float))));
    }
    out.push(']');
}

fn array(bytes: &[u8]) -> [u8; 4] {
    bytes.try_into().expect("chunks of four")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(floats: &[u8]) -> String {
        let mut out = String::new();
        write(floats, false, &mut out);
        out
    }

    #[test]
    fn spellings_are_one_vector() {
        let floats = read("[ 0.1, -0.0,1e-20 ,3, 16777217]").unwrap();
        assert_eq!(numbers(&floats), "[0.1,-0.0,1e-20,3.0,16777216.0]");
        let mut base64 = String::new();
        write(&floats, true, &mut base64);
        assert_eq!(read(&base64).unwrap(), floats);
        assert_eq!(read(&base64.replace('/', r"\/")).unwrap(), floats);
        for none in
            ["[]", "\"\"", "[1e39]", "[null]", "[inf]", "[[1]]", "\"AAA=\"", "\"AADAfw==\"", "{}"]
        {
            assert_eq!(read(none), None, "{none}");
        }
    }

    proptest::proptest! {
        /// Every finite float comes back from its text.
        #[test]
        fn numbers_read_back(bits in proptest::prelude::any::<u32>()) {
            let float = f32::from_bits(bits);
            proptest::prop_assume!(float.is_finite());
            let floats = float.to_le_bytes();
            proptest::prop_assert_eq!(read(&numbers(&floats)).unwrap(), floats);
        }
    }
}
