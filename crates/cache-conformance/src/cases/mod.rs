//! The promises of [`RemoteTier`](cache_core::RemoteTier), one function each; in [`local`] those of
//! [`LocalTier`](cache_core::LocalTier), and in [`bus`] those of
//! [`InvalidationBus`](cache_core::InvalidationBus).
//!
//! Every function panics if the promise is broken. Those about tiers use keys of their own, so they can run at
//! once on one tier; only [`removal::purging_leaves_nothing`] wants the namespace for itself.

#![allow(clippy::missing_panics_doc, reason = "panicking is what they are for: said once, above")]

pub mod batches;
pub mod bus;
pub mod fences;
pub mod foreign;
pub mod local;
pub mod reads;
pub mod removal;
pub mod time;

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::CacheKey;

/// A key that no other call and no other run has used: servers may be shared.
pub fn fresh_key() -> CacheKey {
    static RUN: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one("run"));
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    CacheKey::from_text(&format!("conformance {:x} {count}", *RUN))
}
