//! [`KeyBuilder`]: keys of things other than requests.

use std::fmt;

use cache_core::CacheKey;

use crate::sink::{HashSink, Sink};

/// What the preimage of every such key begins with: no scope's does.
const MAGIC: &[u8; 8] = b"keyparts";

/// Builds the key of anything that is not an LLM request, from parts in order.
///
/// Parts are framed, so any bytes are safe in them: `"ab", "c"` and `"a", "bc"` are two keys.
///
/// ```
/// use cache_key::KeyBuilder;
///
/// let key = |user, page| KeyBuilder::new("profile page").part(user).part(page).finish();
/// assert_eq!(key("ann", "1"), key("ann", "1"));
/// assert_ne!(key("ann", "1"), key("ann1", ""));
/// ```
#[must_use = "nothing is built until `finish` is called"]
pub struct KeyBuilder {
    sink: HashSink,
}

impl KeyBuilder {
    /// A key of the use called `domain`: keys of two uses never meet.
    pub fn new(domain: &str) -> Self {
        Self::with(domain, None)
    }

    /// The same with a secret: see [`KeyScope::secret`](crate::KeyScope::secret).
    pub fn keyed(domain: &str, secret: &[u8; 32]) -> Self {
        Self::with(domain, Some(secret))
    }

    fn with(domain: &str, secret: Option<&[u8; 32]>) -> Self {
        let mut sink = HashSink::new(secret);
        sink.put(MAGIC);
        sink.put_varint(u64::from(crate::FORMAT_VERSION));
        sink.put_frame(domain.as_bytes());
        Self { sink }
    }

    /// Adds the next part.
    pub fn part(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.sink.put_frame(bytes.as_ref());
        self
    }

    /// The key.
    #[must_use]
    pub fn finish(self) -> CacheKey {
        CacheKey::from_digest(self.sink.finish())
    }
}

/// Shows no part.
impl fmt::Debug for KeyBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyBuilder").finish_non_exhaustive()
    }
}
