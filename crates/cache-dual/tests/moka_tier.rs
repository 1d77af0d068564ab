//! The memory tier of `docs/guide/dual/11-another-memory-tier.md`, word for word, which keeps the contract.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cache_conformance::{Bound, LocalHarness, local_tier_suite, local_weight_suite};
use cache_core::{CacheKey, Clock, Entry, Inserted, LocalStats, LocalTier, ManualClock};

struct MokaTier<V> {
    cache: moka::sync::Cache<CacheKey, Slot<V>>,
    /// Raised by `clear`: what is older is gone, whenever moka gets round to dropping it.
    clears: AtomicU64,
    stripes: [Mutex<()>; 64],
    clock: Arc<dyn Clock>,
}

/// An entry, and how many `clear`s there had been.
type Slot<V> = (u64, Arc<Entry<V>>);

impl<V: Clone + Send + Sync + 'static> MokaTier<V> {
    fn new(bytes: u64, clock: Arc<dyn Clock>) -> Self {
        let cache = moka::sync::Cache::builder()
            .max_capacity(bytes)
            .weigher(|_, (_, entry): &Slot<V>| {
                u32::try_from(Self::weight_of(entry)).unwrap_or(u32::MAX)
            })
            .build();
        let stripes = [const { Mutex::new(()) }; 64];
        Self { cache, clears: AtomicU64::new(0), stripes, clock }
    }

    /// What the cache says that an entry weighs, which is 0 without a weigher, and some 200 bytes for the
    /// key, the times and moka's own.
    fn weight_of(entry: &Entry<V>) -> u64 {
        entry.weight.saturating_add(200)
    }

    fn live(&self, key: &CacheKey) -> Option<Arc<Entry<V>>> {
        let (clears, entry) = self.cache.get(key)?;
        let is_live = clears == self.clears.load(Relaxed) && !entry.is_expired(self.clock.now());
        is_live.then_some(entry)
    }

    fn lock(&self, key: &CacheKey) -> MutexGuard<'_, ()> {
        let stripe = &self.stripes[(key.prefix() % 64) as usize];
        stripe.lock().unwrap_or_else(PoisonError::into_inner) // it guards no data
    }
}

impl<V: Clone + Send + Sync + 'static> LocalTier<V> for MokaTier<V> {
    fn get(&self, key: &CacheKey) -> Option<Entry<V>> {
        self.live(key).map(|entry| Entry::clone(&entry))
    }

    fn insert_if(
        &self,
        key: CacheKey,
        entry: Entry<V>,
        condition: impl FnOnce() -> bool,
    ) -> Inserted {
        let _stripe = self.lock(&key);
        if !condition() {
            return Inserted::Declined;
        }
        let refused = match () {
            () if entry.is_expired(self.clock.now()) => Inserted::Expired,
            () if self.cache.policy().max_capacity() < Some(Self::weight_of(&entry)) => {
                Inserted::TooHeavy
            }
            () => {
                self.cache.insert(key, (self.clears.load(Relaxed), Arc::new(entry)));
                return Inserted::Stored;
            }
        };
        self.cache.invalidate(&key); // what is refused replaces its predecessor all the same
        refused
    }

    fn remove(&self, key: &CacheKey) -> bool {
        let _stripe = self.lock(key);
        let was_live = self.live(key).is_some();
        self.cache.invalidate(key);
        was_live
    }

    fn remove_if(&self, key: &CacheKey, matches: impl Fn(&Entry<V>) -> bool) -> bool {
        while let Some(seen) = self.live(key) {
            if !matches(&seen) {
                return false; // asked while nothing is locked
            }
            let _stripe = self.lock(key);
            if self.live(key).is_some_and(|now| Arc::ptr_eq(&now, &seen)) {
                self.cache.invalidate(key);
                return true;
            }
        }
        false
    }

    fn clear(&self) {
        let _all: Vec<_> = self
            .stripes
            .iter()
            .map(|stripe| stripe.lock().unwrap_or_else(PoisonError::into_inner))
            .collect();
        self.clears.fetch_add(1, Relaxed);
        self.cache.invalidate_all();
    }

    fn len(&self) -> usize {
        self.cache.run_pending_tasks(); // moka counts behind its writes
        usize::try_from(self.cache.entry_count()).unwrap_or(usize::MAX)
    }

    fn weight(&self) -> u64 {
        self.cache.run_pending_tasks();
        self.cache.weighted_size()
    }

    fn stats(&self) -> LocalStats {
        let mut stats = LocalStats::default(); // moka counts nothing else
        stats.entries = self.len() as u64;
        stats.weight = self.weight();
        stats
    }
}

impl<V> fmt::Debug for MokaTier<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MokaTier").finish_non_exhaustive()
    }
}

// The end of what stands on the page.

const MOST: u64 = 1 << 20;

fn tier() -> LocalHarness<MokaTier<Bytes>> {
    let clock = Arc::new(ManualClock::default());
    LocalHarness::with_clock(MokaTier::new(MOST, clock.clone()), Bound::Weight(MOST), clock)
}

local_tier_suite!(over_moka, tier());
local_weight_suite!(over_moka_and_the_too_heavy, tier());

/// What is tested is what the page says.
#[test]
fn the_page_has_this_very_tier() {
    let page =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/dual/11-another-memory-tier.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let from = |text: &str| text.find("struct MokaTier<V>").expect("the tier");
    let source = include_str!("moka_tier.rs");
    let end = source.find("\n// The end of").expect("the end");
    let tier = source[from(source)..end].trim_end();
    assert!(page[from(&page)..].starts_with(tier), "copy the tier from here to the page");
}
