//! The contracts of [`RemoteTier`], [`LocalTier`] and [`InvalidationBus`] as test suites that any
//! implementation can run.
//!
//! Every sentence of a contract is one public function in [`cases`], and asserts through the trait
//! alone. [`remote_tier_suite!`] makes a test of each, [`local_tier_suite!`] of those that are about tiers
//! in memory, and [`bus_suite!`] of those about buses:
//!
//! ```
//! use std::sync::Arc;
//!
//! use cache_conformance::{Harness, MemoryRemote};
//! use cache_core::ManualClock;
//!
//! fn memory() -> Harness<MemoryRemote> {
//!     let clock = Arc::new(ManualClock::default());
//!     Harness::with_clock(MemoryRemote::new(clock.clone()), clock)
//! }
//!
//! # fn main() {}
//! # mod tests { // in tests/conformance.rs of the tier's crate
//! # use super::*;
//! cache_conformance::remote_tier_suite!(plain, memory());
//! # }
//! ```
//!
//! A tier that is given its clock is taken through time by moving that clock; one with a clock of
//! its own (a server's) gets short lives that are waited for.
//!
//! Beside the suites stand what other crates test with: [`MemoryRemote`], the reference tier;
//! [`FaultyTier`], which fails, hangs and lies when told to or by a seeded [`FaultPlan`]; [`LocalBus`], an
//! in-process [`InvalidationBus`]; and [`BusWitness`], which finds what a stream left out in silence.
//!
//! [`InvalidationBus`]: cache_core::InvalidationBus
//! [`LocalTier`]: cache_core::LocalTier
//! [`RemoteTier`]: cache_core::RemoteTier

pub mod cases;

mod bus;
mod bus_harness;
mod faulty;
mod harness;
mod local_harness;
mod memory;
mod suite;

pub use bus::LocalBus;
pub use bus_harness::{BusHarness, BusWitness};
pub use faulty::{Fault, FaultPlan, FaultyTier};
pub use harness::{Harness, IntoHarness};
pub use local_harness::{Bound, LocalHarness};
pub use memory::MemoryRemote;
#[doc(hidden)]
pub use suite::run;
