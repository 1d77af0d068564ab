//! In-process cache on DashMap: eviction policies, time to live, capacity in entries and in weight.
