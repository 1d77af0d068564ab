//! A small PNG, made and not shipped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::random::Random;

const SIDE: u32 = 48;

/// A `data:` URL of a picture of coloured noise; the same for the same seed. About 9 KiB.
pub(super) fn data_url(seed: u64) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png(seed)))
}

/// An uncompressed RGB image in the PNG format (W3C PNG specification, third edition).
fn png(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut pixels = Vec::new();
    for _ in 0..SIDE {
        pixels.push(0); // this line is not filtered
        pixels.extend((0..SIDE * 3).map(|_| random.next().to_le_bytes()[0]));
    }
    let mut header = [SIDE.to_be_bytes(), SIDE.to_be_bytes()].concat();
    header.extend([8, 2, 0, 0, 0]); // 8 bits, RGB, deflate, adaptive filters, not interlaced
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, *b"IHDR", &header);
    chunk(&mut png, *b"IDAT", &zlib_stored(&pixels));
    chunk(&mut png, *b"IEND", &[]);
    png
}

fn chunk(png: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    let length = u32::try_from(data.len()).expect("a small image");
    let typed = [&kind, data].concat();
    png.extend(length.to_be_bytes());
    png.extend(&typed);
    png.extend(crc32fast::hash(&typed).to_be_bytes());
}

/// One stored deflate block in a zlib frame (RFC 1950, RFC 1951).
fn zlib_stored(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("one stored block holds 65,535 bytes");
    let mut zlib = vec![0x78, 0x01, 1];
    zlib.extend(length.to_le_bytes());
    zlib.extend((!length).to_le_bytes());
    zlib.extend(data);
    let (mut low, mut high) = (1_u32, 0_u32); // Adler-32
    for byte in data {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    zlib.extend((high << 16 | low).to_be_bytes());
    zlib
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_is_a_png_with_intact_checksums() {
        let png = png(1);
        let mut rest = png.strip_prefix(b"\x89PNG\r\n\x1a\n").expect("signature");
        let mut kinds = Vec::new();
        while !rest.is_empty() {
            let length = u32::from_be_bytes(rest[..4].try_into().expect("4 bytes")) as usize;
            let (typed, checksum) = (&rest[4..8 + length], &rest[8 + length..12 + length]);
            assert_eq!(crc32fast::hash(typed).to_be_bytes(), checksum);
            kinds.push(typed[..4].to_vec());
            rest = &rest[12 + length..];
        }
        assert_eq!(kinds.concat(), b"IHDRIDATIEND");
        assert_ne!(data_url(1), data_url(2));
    }

    #[test]
    fn the_checksum_is_adler_32() {
        let framed = zlib_stored(b"Wikipedia");
        assert_eq!(framed[framed.len() - 4..], 0x11e6_0398_u32.to_be_bytes());
    }
}
