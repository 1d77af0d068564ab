//! zstd (RFC 8878) for payloads, with its contexts kept per thread.

use std::cell::RefCell;

use bytes::Bytes;
use zstd::bulk::{Compressor, Decompressor};

/// The fastest of zstd's regular levels: a cache trades bytes for time, not the other way round.
const LEVEL: i32 = 1;

// A context is some hundred KiB and costs more to set up than a short payload to compress.
thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> =
        RefCell::new(Compressor::new(LEVEL).ok());
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> =
        RefCell::new(Decompressor::new().ok());
}

/// `plain` compressed, if that is shorter.
pub(super) fn shorter(plain: &[u8]) -> Option<Vec<u8>> {
    let compressed =
        COMPRESSOR.with_borrow_mut(|context| context.as_mut()?.compress(plain).ok())?;
    (compressed.len() < plain.len()).then_some(compressed)
}

/// Decompresses to exactly `length` bytes, and never allocates for more: the caller has compared
/// `length` with what it would allocate for anybody.
pub(super) fn expand(compressed: &[u8], length: usize) -> Option<Bytes> {
    let plain = DECOMPRESSOR
        .with_borrow_mut(|context| context.as_mut()?.decompress(compressed, length).ok())?;
    (plain.len() == length).then(|| Bytes::from(plain))
}
