//! Fences: nothing that began before an invalidation is stored after it.

use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::{CacheKey, Fence, Tags, Timestamp};

/// How many generations there are. Keys share them: a collision only makes one store be skipped.
const STRIPES: usize = 1024;

/// A generation for every key, raised by whatever makes earlier reads of the key worthless.
#[derive(Debug)]
pub(crate) struct Fences(Box<[AtomicU64]>);

impl Fences {
    pub(crate) fn new() -> Self {
        Self((0..STRIPES).map(|_| AtomicU64::new(0)).collect())
    }

    /// Voids every token of `key` taken so far.
    ///
    /// Must come before the removal from memory: a store that found its token valid holds the
    /// place of its key locked, so it is over when the removal gets there, and any later store
    /// sees this (see the contract of `LocalTier::insert_if`).
    pub(crate) fn raise(&self, key: &CacheKey) {
        self.stripe(key).fetch_add(1, Ordering::AcqRel);
    }

    /// Voids every token.
    pub(crate) fn raise_all(&self) {
        for stripe in &self.0 {
            stripe.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// To be taken before the first read that the value will stand on.
    pub(crate) fn token(&self, key: &CacheKey) -> Token {
        Token(self.stripe(key).load(Ordering::Acquire))
    }

    pub(crate) fn holds(&self, key: &CacheKey, token: Token) -> bool {
        self.token(key) == token
    }

    #[allow(clippy::cast_possible_truncation, reason = "the low bits are all that is wanted")]
    fn stripe(&self, key: &CacheKey) -> &AtomicU64 {
        &self.0[key.prefix() as usize % STRIPES]
    }
}

/// The generation of a key at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(u64);

impl Token {
    pub(crate) const fn generation(self) -> u64 {
        self.0
    }
}

/// The right to store the value of one key that a lookup did not find, for as long as nobody
/// invalidates or writes the key.
///
/// Taken before the lookup's first read and good for one
/// [`DualCache::fulfil`](crate::DualCache::fulfil). Dropping it costs nothing.
#[derive(Debug)]
#[must_use = "the fetched value is handed in with it"]
pub struct Ticket {
    pub(crate) key: CacheKey,
    pub(crate) token: Token,
    /// The version that the remote tier gave with its miss; `None` if it was not asked or failed.
    pub(crate) fence: Option<Fence>,
    pub(crate) taken_at: Timestamp,
    /// Whether others may hold a value that this one is to replace.
    pub(crate) replaces: bool,
    /// What was stored under the key by then: a copy from the remote tier gives way to it.
    pub(crate) stored: Token,
    /// The epoch in which it was taken.
    pub(crate) epoch: u64,
    /// The stamps that the value's tags bore then, the root's first.
    pub(crate) tags: Tags,
}

impl Ticket {
    /// Whose value it is for.
    pub const fn key(&self) -> &CacheKey {
        &self.key
    }
}
