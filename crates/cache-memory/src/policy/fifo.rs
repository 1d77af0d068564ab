//! First in, first out.

use super::{Age, Eviction};
use crate::line::{Choice, Entries, Links, List};

/// One list, from the entry that came first to the one that came last.
#[derive(Debug, Default)]
pub(crate) struct Fifo {
    links: Links,
    line: List,
}

impl Eviction for Fifo {
    fn insert<E: Entries>(&mut self, place: u32, _choice: &Choice<'_, E>, _age: &Age) -> u32 {
        self.line.push(&mut self.links, place);
        0
    }

    fn overwrite(&mut self, _place: u32, marks: u32, _age: &Age) -> u32 {
        marks
    }

    fn remove(&mut self, place: u32) {
        self.line.remove(&mut self.links, place);
    }

    fn victim<E: Entries>(&mut self, _choice: &mut Choice<'_, E>, _age: &Age) -> Option<u32> {
        self.line.pop(&mut self.links)
    }

    fn renewed(&self) -> Self {
        Self::default()
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.line.len() as usize
    }
}
