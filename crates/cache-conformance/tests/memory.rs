//! A72: the reference tier passes its own suite, plain and through both pointers to `dyn`.

use std::sync::Arc;

use cache_conformance::{FaultyTier, Harness, MemoryRemote, remote_tier_suite};
use cache_core::{ManualClock, RemoteTier};

fn with<T: RemoteTier>(wrap: impl FnOnce(MemoryRemote) -> T) -> Harness<T> {
    let clock = Arc::new(ManualClock::default());
    Harness::with_clock(wrap(MemoryRemote::new(clock.clone())), clock)
}

remote_tier_suite!(plain, with(|tier| tier));
remote_tier_suite!(in_arc, with(|tier| -> Arc<dyn RemoteTier> { Arc::new(tier) }));
remote_tier_suite!(in_box, with(|tier| -> Box<dyn RemoteTier> { Box::new(tier) }));
remote_tier_suite!(without_faults, with(FaultyTier::new));
