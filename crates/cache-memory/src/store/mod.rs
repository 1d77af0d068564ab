//! [`Store`]: the map and what stands beside it, changed together and read apart.

mod known;
mod locked;
mod read;
mod taken;
mod write;

#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, Hash};

use atomic_refcell::AtomicRefCell;
use cache_core::{BuildKeyHasher, LocalStats};
use dashmap::{DashMap, SharedValue};
use triomphe::Arc;

pub(crate) use read::Read;
pub(crate) use write::{Fresh, New};

use crate::budget::Budget;
use crate::events::Events;
use crate::line::{Counts, Line};
use crate::lookups::Lookups;
use crate::policy::{Age, Policy, Tuner};
use crate::record::{Handle, Record};
use crate::times::Times;
use locked::Locked;
pub(crate) use taken::Taken;

/// Fewer entries than this in a shard, and its order would say little about the whole cache's.
const ENTRIES_A_SHARD: usize = 256;

/// The entries, their order and their bounds.
///
/// # Invariants
///
/// * **One lock**: that of a map shard. The line beside it is borrowed only while it is held, and
///   mutably only while it is held for writing, so an entry is in the map exactly if it is in line,
///   with the same place. Nobody holds two shards.
/// * **No user code runs under it**: records are told apart by hash and address. Keys are
///   compared, values cloned and dropped, and listeners called when nothing is locked. The
///   condition of an insert alone is asked under the lock; that is what it is for.
/// * An entry's share of the budget is taken before the entry appears and given back after it left.
///
/// The map's own interface hashes a key anew for each call and compares keys under its lock. So its
/// shards are used directly (DashMap's `raw-api`).
pub(crate) struct Store<K, V, S> {
    map: DashMap<Stored<K, V>, (), BuildKeyHasher>,
    shards: Box<[Shard]>,
    hasher: S,
    policy: Policy,
    tuner: Option<std::sync::Arc<Tuner>>,
    pub(crate) times: Times,
    pub(crate) budget: Budget,
    events: Option<Events<K, V>>,
    lookups: Option<Lookups>,
}

/// What stands beside a shard of the map.
struct Shard {
    age: Age,
    /// Guarded by the lock of the map shard.
    line: AtomicRefCell<Line>,
}

/// A record as the map holds it: known by its address.
struct Stored<K, V>(Arc<Record<K, V>>);

type Table<K, V> = hashbrown::raw::RawTable<(Stored<K, V>, SharedValue<()>)>;

impl<K, V> PartialEq for Stored<K, V> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<K, V> Eq for Stored<K, V> {}

impl<K, V> Hash for Stored<K, V> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(in_table(self.0.hash));
    }
}

/// What the table of a shard is given for a hash: it looks at the lowest bits and the highest.
fn in_table(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

/// Where an entry belongs: the shard, and the hash that finds it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) shard: usize,
    pub(crate) hash: u32,
}

impl Spot {
    /// A number for it.
    pub(crate) fn name(self) -> u64 {
        (self.shard as u64) << 32 | u64::from(self.hash)
    }
}

impl<K, V, S: BuildHasher> Store<K, V, S> {
    /// A store that is expected to hold so many entries.
    pub(crate) fn new(
        hasher: S,
        policy: Policy,
        budget: Budget,
        times: Times,
        entries: usize,
        events: Option<Events<K, V>>,
        lookups: Option<Lookups>,
    ) -> Self {
        let most = 4 * std::thread::available_parallelism().map_or(1, usize::from);
        let shards = (entries / ENTRIES_A_SHARD).clamp(1, most.next_power_of_two());
        let shards = 1 << shards.ilog2();
        let tuner = policy.tuner(entries);
        // DashMap has two shards at least; the second of a small cache stays empty.
        let map = DashMap::with_hasher_and_shard_amount(BuildKeyHasher, shards.max(2));
        let order = || policy.order(entries, shards, tuner.as_ref());
        let shard = || Shard { age: Age::default(), line: AtomicRefCell::new(Line::new(order())) };
        let shards = std::iter::repeat_with(shard).take(shards).collect();
        Self { map, shards, hasher, policy, tuner, times, budget, events, lookups }
    }

    /// Hashes a key: the only time that its `Hash` runs.
    #[inline]
    pub(crate) fn spot<Q: Hash + ?Sized>(&self, key: &Q) -> Spot {
        // Hashers differ in which bits are good. One round of MurmurHash3's finaliser spreads them.
        let mut hash = self.hasher.hash_one(key);
        hash = (hash ^ hash >> 32).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^= hash >> 32;
        #[allow(clippy::cast_possible_truncation, reason = "each half has its own use")]
        Spot { shard: (hash >> 32) as usize & (self.shards.len() - 1), hash: hash as u32 }
    }

    fn lock(&self, shard: usize) -> Locked<'_, K, V> {
        Locked::new(self, shard)
    }

    pub(crate) fn nothing_taken(&self) -> Taken<'_, K, V> {
        Taken::nothing(&self.budget, self.events.as_ref())
    }

    pub(crate) fn policy(&self) -> Policy {
        self.policy
    }

    pub(crate) fn stats(&self) -> LocalStats {
        let mut counts = Counts::default();
        for (table, shard) in self.map.shards().iter().zip(&self.shards) {
            let _guard = table.read();
            counts.add(shard.line.borrow().counts);
        }
        let mut stats = LocalStats::default(); // non-exhaustive: no literals outside its crate
        stats.entries = self.budget.entries();
        stats.weight = self.budget.weight();
        stats.writes = counts.writes;
        stats.removals = counts.removals;
        stats.evictions = counts.evictions();
        if let Some(lookups) = &self.lookups {
            (stats.hits, stats.misses) = lookups.read();
        }
        stats
    }

    pub(crate) fn listener_panics(&self) -> u64 {
        self.events.as_ref().map_or(0, Events::panics)
    }

    /// How many shards there are.
    pub(crate) fn shards(&self) -> usize {
        self.shards.len()
    }

    /// All live entries of a shard as they are at one moment.
    pub(crate) fn snapshot(&self, shard: usize) -> Vec<Handle<K, V>> {
        let mut held = self.snapshot_all(shard);
        let now = self.times.now();
        held.retain(|handle| self.times.is_live(&handle.0, now));
        held
    }

    /// The same, expired ones that are not reclaimed yet included.
    fn snapshot_all(&self, shard: usize) -> Vec<Handle<K, V>> {
        let table = self.map.shards()[shard].read();
        let mut held = Vec::with_capacity(table.len());
        // To go through a raw table is unsafe. Every entry has a place in line: the line lists them.
        for (place, hash) in self.shards[shard].line.borrow().occupied() {
            let found = table.get(in_table(hash), |(stored, _)| stored.0.place() == place);
            held.extend(found.map(|(stored, _)| Handle(Arc::clone(&stored.0))));
        }
        held
    }
}
