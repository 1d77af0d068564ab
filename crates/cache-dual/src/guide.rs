//! The pages of `docs/guide/dual`, whose examples are compiled and run with the tests of the documentation.

#[doc = include_str!("../../../docs/guide/dual/01-first-hit.md")]
mod first_hit {}
#[doc = include_str!("../../../docs/guide/dual/02-one-call-for-many.md")]
mod one_call_for_many {}
#[cfg(all(feature = "bincode", feature = "redis"))]
#[doc = include_str!("../../../docs/guide/dual/03-a-remote-tier.md")]
mod a_remote_tier {}
#[doc = include_str!("../../../docs/guide/dual/04-stale-is-better-than-nothing.md")]
mod stale_is_better_than_nothing {}
#[doc = include_str!("../../../docs/guide/dual/05-tags.md")]
mod tags {}
#[cfg(all(feature = "bincode", feature = "redis"))]
#[doc = include_str!("../../../docs/guide/dual/06-several-instances.md")]
mod several_instances {}
#[cfg(feature = "bincode")]
#[doc = include_str!("../../../docs/guide/dual/07-outages.md")]
mod outages {}
#[cfg(feature = "bincode")]
#[doc = include_str!("../../../docs/guide/dual/08-writes-and-restarts.md")]
mod writes_and_restarts {}
#[doc = include_str!("../../../docs/guide/dual/09-watching-it.md")]
mod watching_it {}
#[cfg(all(feature = "serde", feature = "json"))]
#[doc = include_str!("../../../docs/guide/dual/10-configuration.md")]
mod configuration {}
#[doc = include_str!("../../../docs/guide/dual/11-another-memory-tier.md")]
mod another_memory_tier {}
