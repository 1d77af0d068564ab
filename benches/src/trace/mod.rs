//! Sequences of accesses to replay: from files, or made here.

mod file;
mod synthetic;

use std::collections::HashMap;

use cache_core::CacheKey;
use serde::Serialize;

pub(crate) use self::file::read;
pub(crate) use self::synthetic::all as synthetic;

/// Where a trace comes from, and so what may be expected of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub(crate) enum Kind {
    /// Recorded blocks of storage.
    Storage,
    /// Recorded prefix blocks of prompts: few come again, and every cache is far from the optimum.
    Prompts,
    /// Made here.
    Synthetic,
}

/// Accesses, and the capacities at which to replay them.
pub(crate) struct Trace {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Which block, by its place among the distinct ones in the order in which they first appear.
    pub(crate) accesses: Vec<u32>,
    blocks: Vec<u64>,
    pub(crate) capacities: Vec<usize>,
}

impl Trace {
    fn new(
        name: impl Into<String>,
        kind: Kind,
        blocks_accessed: impl IntoIterator<Item = u64>,
        capacities: &[usize],
    ) -> Self {
        let mut numbers: HashMap<u64, u32> = HashMap::new();
        let mut blocks = Vec::new();
        let accesses = blocks_accessed.into_iter().map(|block| {
            *numbers.entry(block).or_insert_with(|| {
                blocks.push(block);
                u32::try_from(blocks.len() - 1).expect("fewer than 2^32 distinct blocks")
            })
        });
        let accesses = accesses.collect();
        let capacities = capacities.to_vec();
        Self { name: name.into(), kind, accesses, blocks, capacities }
    }

    /// How many blocks differ.
    pub(crate) fn distinct(&self) -> usize {
        self.blocks.len()
    }

    /// The keys of the blocks, by number; always the same for a block.
    pub(crate) fn keys(&self) -> Vec<CacheKey> {
        self.blocks.iter().map(|block| CacheKey::from_text(&format!("{block:016x}"))).collect()
    }
}
