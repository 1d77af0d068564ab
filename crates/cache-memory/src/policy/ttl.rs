//! Earliest expiry first.

use std::sync::atomic::AtomicU64;

use super::{Age, Ranking};
use crate::line::Line;

/// The deadlines are kept in order anyway, to reclaim what expired; this policy evicts by them.
/// Entries that never expire stand in the order in which they came.
#[derive(Debug)]
pub(super) struct Ttl;

impl Ranking for Ttl {
    fn stored(&self, _replaced: Option<u64>, _age: &Age) -> u64 {
        0
    }

    fn hit(&self, _marks: &AtomicU64, _age: &Age) {}

    fn rank(&self, _marks: u64) -> u64 {
        0
    }

    fn victim(&self, line: &mut Line) -> Option<(u32, u64)> {
        line.deadlines.first().or_else(|| line.order.first())
    }
}
