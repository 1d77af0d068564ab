//! The promises of [`LocalTier`](cache_core::LocalTier), one function each.
//!
//! That a `get` allocates nothing is left to the tier's own tests: it takes an allocator that counts, and a
//! program has one allocator.

pub mod bounds;
pub mod conditions;
pub mod reads;
pub mod removal;
pub mod time;
