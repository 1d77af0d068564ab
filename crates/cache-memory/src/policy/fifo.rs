//! First in, first out.

use super::{Age, Eviction};
use crate::line::{Choice, Links, List};

/// One list, from the entry that came first to the one that came last.
#[derive(Debug, Default)]
pub(super) struct Fifo {
    links: Links,
    line: List,
}

impl Eviction for Fifo {
    fn insert(&mut self, place: u32, _choice: &mut Choice<'_>, _age: &Age) -> u32 {
        self.line.push(&mut self.links, place);
        0
    }

    fn overwrite(&mut self, _place: u32, marks: u32, _age: &Age) -> u32 {
        marks
    }

    fn remove(&mut self, place: u32) {
        self.line.remove(&mut self.links, place);
    }

    fn victim(&mut self, _choice: &mut Choice<'_>, _age: &Age) -> Option<u32> {
        self.line.first()
    }

    fn renewed(&self) -> Box<dyn Eviction> {
        Box::<Self>::default()
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.line.len() as usize
    }
}
