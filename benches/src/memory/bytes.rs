//! What an entry takes beyond its key and its value.

use cache_core::CacheKey;
use serde::Serialize;

use super::{Value, key, value};
use crate::contenders::{Contender, Recipe, Role, by_cache_key};
use crate::counting::live_bytes;

/// Of one contender, in the order of `Report::byte_sizes`.
#[derive(Serialize)]
pub(super) struct Bytes {
    pub(super) contender: &'static str,
    pub(super) role: Role,
    pub(super) per_entry: Vec<f64>,
    /// Entries alive, of which this is an average.
    pub(super) entries: Vec<usize>,
}

/// The key and what points at the value; the value itself is shared, and so counted nowhere.
const OWN: usize = size_of::<CacheKey>() + size_of::<Value>();

/// Measures every contender at each of these capacities.
pub(super) fn bytes(sizes: &[usize]) -> Vec<Bytes> {
    let shared = value(0);
    let mut rows: Vec<Bytes> = by_cache_key::<Value>()
        .iter()
        .map(|Recipe { name, role, .. }| Bytes {
            contender: name,
            role: *role,
            per_entry: Vec::new(),
            entries: Vec::new(),
        })
        .collect();
    for &size in sizes {
        let keys: Vec<CacheKey> = (0..2 * size).map(key).collect();
        for (row, recipe) in rows.iter_mut().zip(by_cache_key::<Value>()) {
            // A map never evicts: it gets what fits.
            let inserted = if recipe.role == Role::Floor { size } else { 2 * size };
            let (contender, live) = live_bytes(|| {
                let contender = (recipe.build)(size);
                fill(&*contender, &keys[..inserted], &shared);
                contender
            });
            let entries = contender.len();
            row.entries.push(entries);
            row.per_entry.push(live as f64 / entries as f64 - OWN as f64);
        }
    }
    rows
}

/// To capacity, and then as much again; what was put off is done before this returns.
fn fill(contender: &dyn Contender<CacheKey, Value>, keys: &[CacheKey], shared: &Value) {
    for &key in keys {
        contender.insert(key, shared.clone());
    }
    let _ = contender.len();
}
