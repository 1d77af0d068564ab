//! [`Miniature`]: a small cache of nothing but hashes, to see how a shape would do.

use std::cell::Cell;

use hashbrown::raw::RawTable;

use super::MOST_USES;
use super::segments::{Segments, Uses};
use super::shape::Shape;

/// A cache under one [`Shape`], in a scale at which the sampled keys are to it what all keys are to
/// the cache itself.
pub(super) struct Miniature {
    segments: Segments,
    index: RawTable<u16>,
    entries: Entries,
    free: Vec<u16>,
    capacity: u16,
}

struct Entries {
    hashes: Vec<u32>,
    uses: Vec<Cell<u8>>,
}

impl Uses for Entries {
    fn hash(&self, place: u32) -> u32 {
        self.hashes[place as usize]
    }

    fn touched(&self, place: u32) -> bool {
        self.uses[place as usize].get() > 0
    }

    fn take(&self, place: u32) -> u32 {
        u32::from(self.uses[place as usize].take())
    }
}

impl Miniature {
    pub(super) fn new(capacity: u16) -> Self {
        Self {
            segments: Segments::new(usize::from(capacity)),
            index: RawTable::with_capacity(usize::from(capacity)),
            entries: Entries {
                hashes: Vec::with_capacity(usize::from(capacity)),
                uses: Vec::with_capacity(usize::from(capacity)),
            },
            free: Vec::new(),
            capacity,
        }
    }

    /// Looks a key up, and stores it if it is not there. Whether it was.
    pub(super) fn access(&mut self, hash: u32, shape: &Shape) -> bool {
        let Self { segments, index, entries, free, capacity } = self;
        let wide = |hash: u32| u64::from(hash) << 32 | u64::from(hash);
        let is_it = |&place: &u16| entries.hashes[usize::from(place)] == hash;
        if let Some(&place) = index.get(wide(hash), is_it) {
            let uses = &entries.uses[usize::from(place)];
            uses.set((uses.get() + 1).min(MOST_USES));
            return true;
        }
        while segments.len() >= u32::from(*capacity) {
            let Some(victim) = segments.victim(shape, entries) else { break };
            segments.remove(victim);
            #[allow(clippy::cast_possible_truncation, reason = "places are fewer than entries")]
            let place = victim as u16;
            index.remove_entry(wide(entries.hashes[victim as usize]), |&held| held == place);
            free.push(place);
        }
        let place = free.pop().unwrap_or_else(|| {
            entries.hashes.push(0);
            entries.uses.push(Cell::new(0));
            u16::try_from(entries.hashes.len() - 1).unwrap_or(u16::MAX)
        });
        entries.hashes[usize::from(place)] = hash;
        entries.uses[usize::from(place)].set(0);
        index.insert(wide(hash), place, |&held| wide(entries.hashes[usize::from(held)]));
        segments.enter(u32::from(place), shape, entries);
        false
    }
}
