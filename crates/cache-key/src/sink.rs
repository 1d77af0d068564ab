//! Where canonical bytes go.

use crate::scratch::{Scratch, buffers};

/// Takes canonical bytes, piece by piece.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);

    /// `all[start..end]`. Told of the bytes around them, a sink can copy short pieces quicker.
    #[inline]
    fn put_part(&mut self, all: &[u8], start: usize, end: usize) {
        self.put(&all[start..end]);
    }

    /// A length or count: 32 bits, little endian.
    fn put_len(&mut self, len: usize) {
        let len = u32::try_from(len).expect("a body, hence each part of it, is shorter than 4 GiB");
        self.put(&len.to_le_bytes());
    }

    /// A length, 64 bits, little endian, and as many bytes.
    fn put_frame(&mut self, bytes: &[u8]) {
        self.put(&(bytes.len() as u64).to_le_bytes());
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

/// Hashes what it is given, in blocks. Long pieces are hashed where they are, without a copy.
pub(crate) struct HashSink {
    secret: Option<[u8; 32]>,
    /// Once a block was full.
    hasher: Option<Box<blake3::Hasher>>,
    buffer: Scratch<Buffer>,
}

buffers! {
    /// What is not hashed yet.
    Buffer {
        /// Less than a whole block.
        block: u8,
    }
}

impl HashSink {
    /// For about `expected` bytes, in keyed mode if there is a secret.
    pub(crate) fn new(secret: Option<&[u8; 32]>, expected: usize) -> Self {
        let mut buffer = Scratch::<Buffer>::take();
        buffer.block.reserve(expected.min(BLOCK) + SHORT);
        Self { secret: secret.copied(), hasher: None, buffer }
    }

    pub(crate) fn finish(mut self) -> [u8; 32] {
        let hash = match (&mut self.hasher, self.secret) {
            (Some(hasher), _) => hasher.update(&self.buffer.block).finalize(),
            (None, Some(secret)) => blake3::keyed_hash(&secret, &self.buffer.block),
            (None, None) => blake3::hash(&self.buffer.block),
        };
        hash.into()
    }

    /// `bytes` fill the block and more: hashes all whole blocks, keeps the rest.
    #[inline(never)]
    fn put_across(&mut self, bytes: &[u8]) {
        let hasher = self.hasher.get_or_insert_with(|| {
            Box::new(match self.secret {
                Some(secret) => blake3::Hasher::new_keyed(&secret),
                None => blake3::Hasher::new(),
            })
        });
        let (first, bytes) = bytes.split_at(BLOCK - self.buffer.block.len());
        self.buffer.block.extend_from_slice(first);
        hasher.update(&self.buffer.block);
        let (whole, rest) = bytes.split_at(bytes.len() - bytes.len() % BLOCK);
        hasher.update(whole);
        self.buffer.block.clear();
        self.buffer.block.extend_from_slice(rest);
    }
}

impl Sink for HashSink {
    #[inline]
    fn put_part(&mut self, all: &[u8], start: usize, end: usize) {
        let len = end - start;
        let step: Option<&[u8; SHORT]> = all[start..].first_chunk();
        match step {
            Some(step) if len <= SHORT && self.buffer.block.len() + SHORT < BLOCK => {
                let end = self.buffer.block.len() + len;
                self.buffer.block.extend_from_slice(step);
                self.buffer.block.truncate(end);
            }
            _ => self.put(&all[start..end]),
        }
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        if self.buffer.block.len() + bytes.len() < BLOCK {
            self.buffer.block.extend_from_slice(bytes);
        } else {
            self.put_across(bytes);
        }
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
            let mut sink = HashSink::new(None, 10);
            bytes.chunks(piece).for_each(|piece| sink.put(piece));
            assert_eq!(sink.finish(), *blake3::hash(&bytes).as_bytes(), "pieces of {piece}");
        }
    }
}
