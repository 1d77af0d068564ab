//! What several tests need.

use cache_memory::Policy;

/// All policies there are.
pub(crate) const POLICIES: [Policy; 5] =
    [Policy::TinyLfu, Policy::Lru, Policy::Lfu, Policy::Fifo, Policy::Ttl];
