//! W-TinyLFU that shapes itself to the load.

mod miniature;
mod segments;
mod shape;
mod sketch;
mod tuner;

use std::sync::Arc;

use super::{Age, Eviction};
use crate::line::{Choice, Entries};
use segments::{Segments, Uses};
pub(crate) use tuner::Tuner;

/// Uses that an entry counts until they are settled; more count as this many.
const MOST_USES: u8 = 15;

/// The marks are a count of uses since they were last settled.
pub(super) fn used(marks: u32) -> u32 {
    (marks + 1).min(u32::from(MOST_USES))
}

/// A window for new entries and a main part that entries are let into by how often their keys were
/// seen: W-TinyLFU (Einziger, Friedman and Manes, 2017; window sized at run time: Einziger, Eytan,
/// Friedman and Manes, "Adaptive Software Cache Management", 2018). What is adapted here is not the
/// window alone but the whole [`shape::Shape`], and by miniature simulation: see [`Tuner`].
#[derive(Debug)]
pub(crate) struct TinyLfu {
    segments: Segments,
    tuner: Arc<Tuner>,
    shards: usize,
    /// Since it was last looked how many entries there really are.
    insertions: usize,
}

impl TinyLfu {
    /// The order of one of `shards` shards that are expected to hold so many `entries` each.
    pub(super) fn new(tuner: Arc<Tuner>, entries: usize, shards: usize) -> Self {
        Self { segments: Segments::new(entries), tuner, shards, insertions: 0 }
    }
}

impl TinyLfu {
    /// Bounded by weight, or by a bound that was changed, the cache is full at another number of
    /// entries than was guessed. Asked once a turnover, so that a shard which one heavy entry has
    /// emptied does not pass for a small cache.
    fn look_around(&mut self) {
        let (held, expected) = (self.segments.len() as usize, self.segments.expected());
        if held > 2 * expected || 2 * held < expected {
            self.segments.expect(held);
            self.tuner.expect(held * self.shards);
        }
    }
}

impl<E: Entries> Uses for Choice<'_, E> {
    fn hash(&self, place: u32) -> u32 {
        self.hash(place)
    }

    fn touched(&self, place: u32) -> bool {
        self.marks(place) > 0
    }

    fn take(&self, place: u32) -> u32 {
        self.take_marks(place)
    }
}

impl Eviction for TinyLfu {
    fn insert<E: Entries>(&mut self, place: u32, choice: &Choice<'_, E>, _age: &Age) -> u32 {
        self.tuner.miss(Uses::hash(choice, place));
        self.segments.enter(place, self.tuner.shape(), choice);
        self.insertions += 1;
        if self.insertions >= self.segments.expected() {
            self.insertions = 0;
            self.look_around();
        }
        0
    }

    fn overwrite(&mut self, _place: u32, marks: u32, _age: &Age) -> u32 {
        used(marks)
    }

    fn remove(&mut self, place: u32) {
        self.segments.remove(place);
    }

    fn victim<E: Entries>(&mut self, choice: &mut Choice<'_, E>, _age: &Age) -> Option<u32> {
        let victim = self.segments.victim(self.tuner.shape(), choice)?;
        self.segments.remove(victim);
        Some(victim)
    }

    fn renewed(&self) -> Self {
        Self::new(Arc::clone(&self.tuner), self.segments.expected(), self.shards)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.segments.len() as usize
    }
}
