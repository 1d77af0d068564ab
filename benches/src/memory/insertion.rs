//! Insertions into full caches: each one evicts.

use std::time::Instant;

use serde::Serialize;

use super::{Scale, key, value};
use crate::contenders::{Role, by_cache_key};
use crate::turns::{in_turns, middle};

/// Medians over the rounds.
#[derive(Serialize)]
pub(super) struct Insertions {
    pub(super) contender: &'static str,
    pub(super) role: Role,
    /// By number of entries, in the order of `Report::sizes`.
    pub(super) ns: Vec<f64>,
}

/// One thread inserts new keys.
pub(super) fn insertions(scale: &Scale) -> Vec<Insertions> {
    let shared = value(0); // what is measured is the cache, not the allocator
    let recipes = || by_cache_key().into_iter().filter(|recipe| recipe.role != Role::Floor);
    let mut rows: Vec<Insertions> = recipes()
        .map(|recipe| Insertions { contender: recipe.name, role: recipe.role, ns: Vec::new() })
        .collect();
    for &size in scale.sizes {
        let contenders: Vec<_> = recipes().map(|recipe| (recipe.build)(size)).collect();
        let filled = size + size / 2;
        let entries = |from: usize, count: usize| -> Vec<_> {
            (from..from + count).map(|number| (key(number), shared.clone())).collect()
        };
        for contender in &contenders {
            contender.insert_all(entries(0, filled));
        }
        let mut given = vec![filled; contenders.len()];
        let results = in_turns(contenders.len(), scale.rounds, |_, at| {
            let batch = entries(given[at], scale.insertions);
            given[at] += scale.insertions;
            let start = Instant::now();
            contenders[at].insert_all(batch);
            start.elapsed().as_secs_f64() * 1e9 / scale.insertions as f64
        });
        for (row, times) in rows.iter_mut().zip(&results) {
            row.ns.push(middle(times, |&ns| ns));
        }
    }
    rows
}
