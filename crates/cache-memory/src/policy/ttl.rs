//! Earliest expiry first.

use super::fifo::Fifo;
use super::{Age, Eviction};
use crate::line::{Choice, Entries};
use crate::times::NEVER;

/// The deadlines are kept in order anyway, to reclaim what expired; this policy evicts by them.
/// Entries that never expire stand in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Ttl(Fifo);

impl Eviction for Ttl {
    fn insert<E: Entries>(&mut self, place: u32, choice: &Choice<'_, E>, age: &Age) -> u32 {
        self.0.insert(place, choice, age)
    }

    fn overwrite(&mut self, place: u32, marks: u32, age: &Age) -> u32 {
        self.0.overwrite(place, marks, age)
    }

    fn remove(&mut self, place: u32) {
        self.0.remove(place);
    }

    fn victim<E: Entries>(&mut self, choice: &mut Choice<'_, E>, age: &Age) -> Option<u32> {
        match choice.soonest(NEVER) {
            Some(first) => {
                self.0.remove(first.place);
                Some(first.place)
            }
            None => self.0.victim(choice, age),
        }
    }

    fn renewed(&self) -> Self {
        Self::default()
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.len()
    }
}
