//! What is aimed at, and what came out.

use super::Report;
use super::batches::Batches;
use super::field::{EDGE, FLOOR, OURS, POOL};
use crate::report::Aim;

/// The number of readers at which rivals are compared.
const COMPARED_AT: usize = 64;

pub(super) fn aims(report: &Report) -> Vec<Aim> {
    let mut aims = Vec::new();
    let times = |other: &str, readers| {
        let (ours, other) = (report.gets(OURS, readers)?, report.gets(other, readers)?);
        Some(ours.operations / other.operations)
    };
    for &readers in &report.readers {
        let bound = if readers == 1 { 0.9 } else { 0.85 };
        if let Some(ratio) = times(FLOOR, readers) {
            let what = format!("get, {readers} at once, operations against the floor");
            aims.push(Aim::at_least(what, ratio, bound));
        }
    }
    for (rival, bound) in [(POOL, 4.0), (EDGE, 10.0)] {
        if let Some(ratio) = times(rival, COMPARED_AT) {
            let what = format!("get, {COMPARED_AT} at once, times as many as {rival}");
            aims.push(Aim::at_least(what, ratio, bound));
        }
    }
    let entries = &report.entries;
    for (what, took) in [("encoding", entries.encode), ("decoding", entries.decode)] {
        aims.push(Aim::at_most(format!("{what} of an entry of 2 KiB, µs"), took / 1e3, 1.0));
    }
    let [batch, singles, ..]: &[Batches] = &report.batches else { return aims };
    let what = "100 keys, one reader: `get_many` is as many times as fast as single gets";
    aims.push(Aim::at_least(what, singles.us / batch.us, 5.0));
    // A little more than one: the connections are looked after meanwhile.
    let what = "`get_many` of 100, reads of the server (no fewer than round trips)";
    aims.push(Aim::at_most(what, batch.reads, 1.05));
    aims
}
