//! Where canonical bytes go.

use std::cell::Cell;
use std::thread::LocalKey;

use crate::scratch::{Buffers, Scratch};
use crate::varint;

/// Takes canonical bytes, piece by piece.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);

    /// A number, in as many bytes as it needs.
    #[inline]
    fn put_varint(&mut self, value: u64) {
        let (bytes, len) = varint::bytes(value);
        self.put(&bytes[..len]);
    }

    /// `head` as a varint, then `all[start..end]`. Told of the bytes around them, a sink can copy
    /// short pieces quicker.
    #[inline]
    fn put_part(&mut self, head: u64, all: &[u8], start: usize, end: usize) {
        self.put_varint(head);
        self.put(&all[start..end]);
    }

    /// `head` as a varint, then the lowest `len` bytes of `bytes`, the lowest first.
    #[inline]
    fn put_few(&mut self, head: u64, bytes: u128, len: usize) {
        self.put_varint(head);
        self.put(&bytes.to_le_bytes()[..len]);
    }

    /// A length and as many bytes.
    fn put_frame(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.put(bytes);
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// How much is handed to BLAKE3 at once: 16 chunks of 1 KiB, which the widest vector units hash
/// side by side. Less at a time, or not in whole chunks, is several times as slow.
const BLOCK: usize = 16 * 1024;

/// How long a piece is still short: one that is copied by a fixed number of instructions.
const SHORT: usize = 32;

/// Room behind the block for a short head and a short piece: whether the block is full is asked once,
/// after them.
const BEHIND: usize = 2 + SHORT;

/// Hashes what it is given, in blocks. Long pieces are hashed where they are, without a copy.
pub(crate) struct HashSink {
    key: Option<[u8; 32]>,
    /// Once a block was full.
    hasher: Option<Box<blake3::Hasher>>,
    buffer: Scratch<Buffer>,
    /// How much of the buffer is filled: less than a block whenever something is to be put.
    at: usize,
}

/// What is not hashed yet: a block and the room behind it, or nothing. It is not emptied, since all of
/// it has to be something before it can be written to.
#[derive(Default)]
struct Buffer(Box<[u8]>);

impl Buffers for Buffer {
    fn kept() -> &'static LocalKey<Cell<Self>> {
        thread_local! {
            static KEPT: Cell<Buffer> = Cell::default();
        }
        &KEPT
    }

    fn clear(&mut self) {}

    fn bytes(&self) -> usize {
        self.0.len()
    }
}

/// What digests of parts of a request are keyed with, so that none is a key of anything: a prompt
/// might be written such that its bytes are those that a `KeyBuilder` hashes.
const DIGESTS: &[u8; 32] = b"cache-key 2026 digests of parts ";

impl HashSink {
    /// For the digest of a value or a section, which is not a key.
    pub(crate) fn of_part() -> Self {
        Self::new(Some(DIGESTS))
    }

    /// In keyed mode if there is a key.
    pub(crate) fn new(key: Option<&[u8; 32]>) -> Self {
        let mut buffer = Scratch::<Buffer>::take();
        if buffer.0.is_empty() {
            buffer.0 = vec![0; BLOCK + BEHIND].into();
        }
        Self { key: key.copied(), hasher: None, buffer, at: 0 }
    }

    pub(crate) fn finish(mut self) -> [u8; 32] {
        let rest = &self.buffer.0[..self.at];
        let hash = match (&mut self.hasher, self.key) {
            (Some(hasher), _) => hasher.update(rest).finalize(),
            (None, Some(key)) => blake3::keyed_hash(&key, rest),
            (None, None) => blake3::hash(rest),
        };
        hash.into()
    }

    /// `len` more bytes of the buffer are filled.
    #[inline]
    fn filled(&mut self, len: usize) {
        self.at += len;
        if self.at >= BLOCK {
            self.hash_block();
        }
    }

    #[inline(never)]
    fn put_long_varint(&mut self, value: u64) {
        let (bytes, len) = varint::bytes(value);
        self.put(&bytes[..len]);
    }

    /// Hashes the block, which is full, and keeps what is behind it.
    #[inline(never)]
    fn hash_block(&mut self) {
        let hasher = hasher(&mut self.hasher, self.key.as_ref());
        hasher.update(&self.buffer.0[..BLOCK]);
        self.buffer.0.copy_within(BLOCK..self.at, 0);
        self.at -= BLOCK;
    }

    /// `bytes` fill the block: hashes all whole blocks, keeps the rest.
    #[inline(never)]
    fn put_across(&mut self, bytes: &[u8]) {
        let (first, bytes) = bytes.split_at(BLOCK - self.at);
        self.buffer.0[self.at..BLOCK].copy_from_slice(first);
        let (whole, rest) = bytes.split_at(bytes.len() - bytes.len() % BLOCK);
        let hasher = hasher(&mut self.hasher, self.key.as_ref());
        hasher.update(&self.buffer.0[..BLOCK]);
        hasher.update(whole);
        self.buffer.0[..rest.len()].copy_from_slice(rest);
        self.at = rest.len();
    }
}

fn hasher<'h>(
    hasher: &'h mut Option<Box<blake3::Hasher>>,
    key: Option<&[u8; 32]>,
) -> &'h mut blake3::Hasher {
    hasher.get_or_insert_with(|| {
        Box::new(key.map_or_else(blake3::Hasher::new, blake3::Hasher::new_keyed))
    })
}

impl Sink for HashSink {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        if end < BLOCK {
            self.buffer.0[self.at..end].copy_from_slice(bytes);
            self.at = end;
        } else {
            self.put_across(bytes);
        }
    }

    #[inline(always)] // as below
    #[allow(clippy::inline_always, reason = "measured")]
    fn put_varint(&mut self, value: u64) {
        if value < varint::SHORT {
            let (bytes, len) = varint::short(value);
            self.buffer.0[self.at..self.at + 2].copy_from_slice(&bytes);
            self.filled(len);
        } else {
            self.put_long_varint(value);
        }
    }

    #[inline(always)] // a call would cost as much as a copy
    #[allow(clippy::inline_always, reason = "measured")]
    fn put_part(&mut self, head: u64, all: &[u8], start: usize, end: usize) {
        let len = end - start;
        match all[start..].first_chunk::<SHORT>() {
            // What stands behind a shorter piece is copied with it and written over.
            Some(short) if len <= SHORT && head < varint::SHORT => {
                let (head, head_len) = varint::short(head);
                let room = &mut self.buffer.0[self.at..self.at + BEHIND];
                room[..2].copy_from_slice(&head);
                room[head_len..head_len + SHORT].copy_from_slice(short);
                self.filled(head_len + len);
            }
            _ => {
                self.put_varint(head);
                self.put(&all[start..end]);
            }
        }
    }

    #[inline]
    fn put_few(&mut self, head: u64, bytes: u128, len: usize) {
        self.put_varint(head);
        self.buffer.0[self.at..self.at + 16].copy_from_slice(&bytes.to_le_bytes());
        self.filled(len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However the bytes are cut into pieces, the hash is that of all of them.
    #[test]
    fn pieces_hash_as_the_whole() {
        let bytes: Vec<u8> = (0_u32..100_000).map(|i| i.to_le_bytes()[i as usize % 3]).collect();
        for piece in [1, 7, 1000, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5, bytes.len()] {
            let mut sink = HashSink::new(None);
            bytes.chunks(piece).for_each(|piece| sink.put(piece));
            assert_eq!(sink.finish(), *blake3::hash(&bytes).as_bytes(), "pieces of {piece}");
        }
    }

    /// Heads and parts are those that every sink writes, wherever in a block they come to stand.
    #[test]
    fn parts_hash_as_what_is_written() {
        let all: Vec<u8> = (0_u32..70_000).map(|i| i.to_le_bytes()[i as usize % 3]).collect();
        for len in [0, 1, 31, 32, 33, 100, 1000, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 7] {
            let mut sink = HashSink::new(Some(&[7; 32]));
            let mut written = Vec::new();
            for i in 0..=2 * BLOCK / (len + 1) {
                let (head, start) = ((i * i) as u64, i % (all.len() - len));
                sink.put_part(head, &all, start, start + len);
                written.put_part(head, &all, start, start + len);
                sink.put_varint(head << 9);
                written.put_varint(head << 9);
                let few = u128::from(head) << (i % 64);
                sink.put_few(head, few, i % 16);
                written.put_few(head, few, i % 16);
            }
            let end = all.len();
            sink.put_part(1, &all, end - len, end);
            written.put_part(1, &all, end - len, end);
            assert_eq!(sink.finish(), *blake3::keyed_hash(&[7; 32], &written).as_bytes(), "{len}");
        }
    }
}
