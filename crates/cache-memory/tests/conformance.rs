//! A72: `MemoryCache` keeps the contract of `LocalTier`, under every policy and bounded in either way.

use std::sync::Arc;

use bytes::Bytes;
use cache_conformance::{Bound, LocalHarness, local_tier_suite, local_weight_suite};
use cache_core::ManualClock;
use cache_memory::{LocalCache, Policy};

fn tier(policy: Policy, bound: Bound) -> LocalHarness<LocalCache<Bytes>> {
    let clock = Arc::new(ManualClock::default());
    let options = LocalCache::local().policy(policy).clock(clock.clone());
    let options = match bound {
        Bound::Entries(most) => options.max_entries(most),
        Bound::Weight(most) => options.max_weight(most),
    };
    LocalHarness::with_clock(options.build().expect("good options"), bound, clock)
}

const ENTRIES: Bound = Bound::Entries(1_000);
const WEIGHT: Bound = Bound::Weight(1 << 20);

local_tier_suite!(tiny_lfu, tier(Policy::TinyLfu, ENTRIES));
local_tier_suite!(lru, tier(Policy::Lru, ENTRIES));
local_tier_suite!(lfu, tier(Policy::Lfu, ENTRIES));
local_tier_suite!(fifo, tier(Policy::Fifo, ENTRIES));
local_tier_suite!(ttl, tier(Policy::Ttl, ENTRIES));

local_tier_suite!(tiny_lfu_by_weight, tier(Policy::TinyLfu, WEIGHT));
local_tier_suite!(lru_by_weight, tier(Policy::Lru, WEIGHT));
local_tier_suite!(lfu_by_weight, tier(Policy::Lfu, WEIGHT));
local_tier_suite!(fifo_by_weight, tier(Policy::Fifo, WEIGHT));
local_tier_suite!(ttl_by_weight, tier(Policy::Ttl, WEIGHT));

local_weight_suite!(tiny_lfu_and_the_too_heavy, tier(Policy::TinyLfu, WEIGHT));
local_weight_suite!(lru_and_the_too_heavy, tier(Policy::Lru, WEIGHT));
local_weight_suite!(lfu_and_the_too_heavy, tier(Policy::Lfu, WEIGHT));
local_weight_suite!(fifo_and_the_too_heavy, tier(Policy::Fifo, WEIGHT));
local_weight_suite!(ttl_and_the_too_heavy, tier(Policy::Ttl, WEIGHT));
