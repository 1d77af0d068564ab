//! Numbers in as few bytes as they need: unsigned LEB128.

/// The most bytes that a number takes.
const LONGEST: usize = 10;

/// What [`short`] takes is less than this.
pub(crate) const SHORT: u64 = 1 << 14;

/// Seven bits a byte, the lowest first; all but the last byte have their highest bit set. And how
/// many bytes these are: no more than needed, so that a number is written in one way.
pub(crate) fn bytes(mut value: u64) -> ([u8; LONGEST], usize) {
    let mut bytes = [0; LONGEST];
    let mut len = 0;
    while value >= 0x80 {
        bytes[len] = low(value) | 0x80;
        value >>= 7;
        len += 1;
    }
    bytes[len] = low(value);
    (bytes, len + 1)
}

/// The same of a number less than [`SHORT`], without a branch.
#[inline]
pub(crate) fn short(value: u64) -> ([u8; 2], usize) {
    let more = value >= 0x80;
    ([low(value) | u8::from(more) << 7, low(value >> 7)], 1 + usize::from(more))
}

/// A number with a sign as one without: 0, −1, 1, −2 … as 0, 1, 2, 3 …
#[inline]
pub(crate) fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

#[inline]
fn low(value: u64) -> u8 {
    value.to_le_bytes()[0] & 0x7f
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> u64 {
        bytes.iter().rev().fold(0, |value, &byte| value << 7 | u64::from(byte & 0x7f))
    }

    #[test]
    fn numbers_can_be_read_back_and_are_as_short_as_can_be() {
        let edges = (0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        for value in edges.chain(0..SHORT).chain([u64::MAX]) {
            let (all, len) = bytes(value);
            let (written, behind) = all.split_at(len);
            assert_eq!(read(written), value);
            assert!(written[..len - 1].iter().all(|byte| byte & 0x80 != 0));
            assert!(written[len - 1] & 0x80 == 0 && (len == 1 || written[len - 1] != 0));
            assert!(behind.iter().all(|&byte| byte == 0));
            if value < SHORT {
                let (all, len) = short(value);
                assert_eq!(&all[..len], written);
            }
        }
    }

    #[test]
    fn zigzag_alternates() {
        for (value, expected) in
            [(0, 0), (-1, 1), (1, 2), (-2, 3), (i64::MAX, u64::MAX - 1), (i64::MIN, u64::MAX)]
        {
            assert_eq!(zigzag(value), expected);
        }
    }
}
