//! The pages of `docs/guide/llm`, whose examples are compiled and run with the tests of the documentation.

#[doc = include_str!("../../../docs/guide/llm/01-first-hit.md")]
mod first_hit {}
#[doc = include_str!("../../../docs/guide/llm/02-typed-calls.md")]
mod typed_calls {}
#[doc = include_str!("../../../docs/guide/llm/03-streams.md")]
mod streams {}
#[cfg(feature = "serde")]
#[doc = include_str!("../../../docs/guide/llm/04-what-may-be-cached.md")]
mod what_may_be_cached {}
#[doc = include_str!("../../../docs/guide/llm/05-tenants-and-invalidation.md")]
mod tenants_and_invalidation {}
#[doc = include_str!("../../../docs/guide/llm/06-embeddings.md")]
mod embeddings {}
#[doc = include_str!("../../../docs/guide/llm/07-money.md")]
mod money {}
#[doc = include_str!("../../../docs/guide/llm/08-cassettes.md")]
mod cassettes {}
#[doc = include_str!("../../../docs/guide/llm/09-with-redis.md")]
mod with_redis {}
