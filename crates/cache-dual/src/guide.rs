//! The pages of `docs/guide`, whose examples are compiled and run with the tests of the documentation.

#[doc = include_str!("../../../docs/guide/01-first-hit.md")]
mod first_hit {}
#[doc = include_str!("../../../docs/guide/02-one-call-for-many.md")]
mod one_call_for_many {}
#[cfg(all(feature = "bincode", feature = "redis"))]
#[doc = include_str!("../../../docs/guide/03-a-remote-tier.md")]
mod a_remote_tier {}
#[doc = include_str!("../../../docs/guide/04-stale-is-better-than-nothing.md")]
mod stale_is_better_than_nothing {}
#[doc = include_str!("../../../docs/guide/05-tags.md")]
mod tags {}
#[cfg(all(feature = "bincode", feature = "redis"))]
#[doc = include_str!("../../../docs/guide/06-several-instances.md")]
mod several_instances {}
#[cfg(feature = "bincode")]
#[doc = include_str!("../../../docs/guide/07-outages.md")]
mod outages {}
#[cfg(feature = "bincode")]
#[doc = include_str!("../../../docs/guide/08-writes-and-restarts.md")]
mod writes_and_restarts {}
#[doc = include_str!("../../../docs/guide/09-watching-it.md")]
mod watching_it {}
#[cfg(all(feature = "serde", feature = "json"))]
#[doc = include_str!("../../../docs/guide/10-configuration.md")]
mod configuration {}
#[doc = include_str!("../../../docs/guide/11-another-memory-tier.md")]
mod another_memory_tier {}
