//! What is stored, the same for everyone, in the type that each takes.

use std::sync::Arc;

use bytes::Bytes;
use cache_benches_readers::Stock;

/// The length of what tells a value's key.
const MARK: usize = 4;

/// A type of values.
pub(super) trait Value: Clone + Send + Sync + 'static {
    fn of(bytes: &Bytes) -> Self;
    fn bytes(&self) -> &[u8];

    /// Whether this is the value of key `number`, by its first bytes.
    fn answers(&self, number: u32) -> bool {
        self.bytes().first_chunk() == Some(&mark(number))
    }
}

impl Value for Bytes {
    fn of(bytes: &Bytes) -> Self {
        bytes.clone()
    }
    fn bytes(&self) -> &[u8] {
        self
    }
}

impl Value for String {
    fn of(bytes: &Bytes) -> Self {
        std::str::from_utf8(bytes).expect("printable characters").to_owned()
    }
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// Cheap to clone for those who need text.
impl Value for Arc<str> {
    fn of(bytes: &Bytes) -> Self {
        std::str::from_utf8(bytes).expect("printable characters").into()
    }
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// The values of keys `0..keys`: 2 KiB of random printable characters, which begin with the mark.
pub(super) fn values(keys: usize) -> Arc<[Bytes]> {
    let stock = Stock::random(keys);
    let value = |number| {
        let rest = &stock.value(number).as_bytes()[MARK..];
        let number = u32::try_from(number).expect("keys are few");
        [&mark(number), rest].concat().into()
    };
    (0..keys).map(value).collect()
}

/// The number in printable characters.
fn mark(number: u32) -> [u8; MARK] {
    [0, 5, 10, 15].map(|shift| b'0' + (number >> shift & 31) as u8)
}
