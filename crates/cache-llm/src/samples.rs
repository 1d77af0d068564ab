//! [`Samples`]: more than one answer to a request.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use cache_core::CacheKey;
use cache_key::KeyBuilder;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::cache::Inner;
use crate::dry;
use crate::plan::Plan;
use crate::reply::CacheMode;

/// How many answers to one request are kept, and which of them is given out.
///
/// Answers are numbered, and the number is part of the key. As long as one of them is missing, a request
/// asks the provider for it; then they are given out without a call. What runs out or is removed is asked
/// for again. Callers who ask at the same time for the same missing one share its call.
///
/// [`CacheMode::Refresh`] ("regenerate") asks for the one that is missing first, or else takes the place
/// of the one whose turn it is.
///
/// ```
/// use cache_llm::{Rotation, Samples};
///
/// let three = Samples::in_turn(3)?;
/// assert_eq!((three.count(), three.rotation()), (3, Rotation::InTurn));
/// let read: Samples = serde_json::from_str(r#"{"count": 3, "rotation": "random"}"#)?;
/// assert_eq!(read, Samples::random(3)?);
/// assert_eq!(Samples::default(), Samples::in_turn(1)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Samples {
    count: NonZeroU32,
    rotation: Rotation,
}

/// Samples as they stand in configuration.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Unchecked {
    count: u32,
    rotation: Rotation,
}

/// A number of answers that no request can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`count` of samples has to be from 1 to {max}, not {count}", max = Samples::MAX)]
#[non_exhaustive]
pub struct SamplesError {
    /// The number.
    pub count: u32,
}

/// Which of several answers is given out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// One after the other. Each process counts for itself.
    #[default]
    InTurn,
    /// Any of them, each as likely as another.
    Random,
}

impl Samples {
    /// The most answers that a request may have. Before each request it is looked up which of them are
    /// there.
    pub const MAX: u32 = 256;

    /// So many, given out one after the other once all are there.
    ///
    /// # Errors
    ///
    /// [`SamplesError`] if they are none or more than [`MAX`](Self::MAX).
    pub const fn in_turn(count: u32) -> Result<Self, SamplesError> {
        Self::checked(count, Rotation::InTurn)
    }

    /// So many, given out by chance once all are there.
    ///
    /// # Errors
    ///
    /// [`SamplesError`] if they are none or more than [`MAX`](Self::MAX).
    pub const fn random(count: u32) -> Result<Self, SamplesError> {
        Self::checked(count, Rotation::Random)
    }

    const fn checked(count: u32, rotation: Rotation) -> Result<Self, SamplesError> {
        match NonZeroU32::new(count) {
            Some(known) if count <= Self::MAX => Ok(Self { count: known, rotation }),
            _ => Err(SamplesError { count }),
        }
    }

    /// How many. Default: 1.
    pub const fn count(self) -> u32 {
        self.count.get()
    }

    /// Which is given out once all are there. Default: in turns.
    pub const fn rotation(self) -> Rotation {
        self.rotation
    }
}

impl Default for Samples {
    fn default() -> Self {
        Self { count: NonZeroU32::MIN, rotation: Rotation::default() }
    }
}

impl Default for Unchecked {
    fn default() -> Self {
        let Samples { count, rotation } = Samples::default();
        Self { count: count.get(), rotation }
    }
}

impl TryFrom<Unchecked> for Samples {
    type Error = SamplesError;

    fn try_from(Unchecked { count, rotation }: Unchecked) -> Result<Self, SamplesError> {
        Self::checked(count, rotation)
    }
}

/// The key of one of the answers that `key` stands for. The first is under `key` itself, so entries from
/// before there were more of them serve on.
pub(crate) fn sample(key: &CacheKey, number: u32) -> CacheKey {
    if number == 0 {
        return *key;
    }
    KeyBuilder::new("cache-llm sample").part(key.as_bytes()).part(number.to_le_bytes()).finish()
}

/// Whose turn it is, for keys by their digests: two that share a place take turns together.
pub(crate) struct Turns([AtomicU32; 256]);

impl Turns {
    pub(crate) fn new() -> Self {
        Self([const { AtomicU32::new(0) }; 256])
    }

    fn next(&self, key: &CacheKey) -> u32 {
        self.0[usize::from(key.as_bytes()[0])].fetch_add(1, Ordering::Relaxed)
    }
}

impl<H, E> Inner<H, E> {
    /// The plan of the answer that is to be given out or asked for. In a dry run, of the one that would
    /// be.
    pub(crate) async fn pick(&self, plan: &Plan, mode: CacheMode) -> Plan {
        let Samples { count, rotation } = plan.samples();
        if mode == CacheMode::Bypass {
            return plan.clone();
        }
        let keys = plan.keys();
        if let Some(cassette) = self.cassette.as_ref().filter(|cassette| cassette.is_playing()) {
            // There is no filling; they were recorded in their order.
            let recorded = keys.iter().take_while(|key| cassette.entry(key).is_some()).count();
            let recorded = u32::try_from(recorded).ok().and_then(NonZeroU32::new);
            let number = recorded.map_or(0, |recorded| self.turn(plan.key(), rotation, recorded));
            return plan.clone().with_key(keys[number as usize]);
        }
        let entries = if self.dry_run { dry::keys(plan) } else { keys.clone() };
        let there = join_all(entries.iter().map(|key| self.dual.contains(key))).await;
        let missing = there.iter().position(|there| !there);
        let number = missing.unwrap_or_else(|| self.turn(plan.key(), rotation, count) as usize);
        plan.clone().with_key(keys[number])
    }

    fn turn(&self, key: &CacheKey, rotation: Rotation, count: NonZeroU32) -> u32 {
        match rotation {
            Rotation::InTurn => self.turns.next(key) % count,
            Rotation::Random => fastrand::u32(..count.get()),
        }
    }
}
