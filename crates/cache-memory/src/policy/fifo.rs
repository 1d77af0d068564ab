//! First in, first out.

use std::sync::atomic::AtomicU64;

use super::{Age, Ranking};

/// All entries have one rank, so they stand in the order in which they came: a linked list.
#[derive(Debug)]
pub(super) struct Fifo;

impl Ranking for Fifo {
    fn stored(&self, _replaced: Option<u64>, _age: &Age) -> u64 {
        0
    }

    fn hit(&self, _marks: &AtomicU64, _age: &Age) {}

    fn rank(&self, _marks: u64) -> u64 {
        0
    }
}
