//! LLM answers in a cache: what may be stored, under which key, for how long; streams recorded
//! while they pass, shared while they last, and replayed as streams.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use cache_dual::DualCache;
//! use cache_llm::{CacheMode, EndpointKind, KeyScope, LlmCache, OriginAnswer, Reply, Tenant};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cache = LlmCache::<(), Infallible>::builder(DualCache::builder().build()?).build()?;
//!
//! let scope = KeyScope::new(Tenant::named("acme")).provider("openai");
//! let body = br#"{"model":"m","messages":[{"role":"user","content":"Capital of France?"}]}"#;
//!
//! // The call to the provider is made at most once, and only if there is no answer.
//! let provider = || async {
//!     let answer = r#"{"choices":[{"message":{"content":"Paris"},"finish_reason":"stop"}]}"#;
//!     Ok(OriginAnswer::whole(200, (), answer)) // `()`: e.g. the response's headers
//! };
//! let ask = || cache.serve(EndpointKind::ChatCompletions, body, &scope, CacheMode::Use, provider);
//!
//! let Reply::Passed(first) = ask().await? else { panic!("nothing was stored yet") };
//! assert_eq!(first.status, 200);
//!
//! let Reply::Hit(second) = ask().await? else { panic!("a good answer is stored") };
//! assert!(second.body.ends_with(br#""finish_reason":"stop"}]}"#)); // the very same bytes
//! # Ok(())
//! # }
//! ```
//!
//! [`LlmCache::serve`] is two steps: [`prepare`](LlmCache::prepare) decides and finds the key, and
//! [`answer`](LlmCache::answer) has the answer or makes the call. Take them one by one to look at a
//! [`Plan`] or to change it.
//!
//! Step by step, one feature a page: `docs/guide/llm` in the repository.
//!
//! # Guarantees
//!
//! * **Only good answers are stored**, whole and as they came: see [`ResponsePolicy`]. Whatever is
//!   not stored still reaches its caller unchanged, with the reason ([`NotStored`]).
//! * **A stream is stored only if it ended cleanly**, and never before: half a stream, an error
//!   event, an end without the terminal event are passed on and forgotten.
//! * **One entry for both transports.** A stored stream serves plain requests and the reverse, with
//!   nothing lost; where that takes a guess, it is not done ([`transcode`]).
//! * **Embeddings item by item.** Each item of `input` has an entry of its own, stored as 32-bit floats and
//!   served as numbers or base64; only what is missing is asked for ([`EmbeddingOptions`]).
//! * **One call for concurrent identical requests.** Later ones join a stream in flight, get at
//!   once what has passed, and share the rest. Who leaves does not end it for the others; when the
//!   last one leaves, the call ends, or is read on to be stored ([`ResponsePolicy::linger`]).
//! * **Nothing waits for the cache.** Events are passed on as they come; storing delays no byte.
//! * **Bounded.** At most [`ResponsePolicy::max_answer`] bytes and one chunk are held of an answer
//!   under way, whatever its size and however slow its readers.
//! * **Errors are not kept.** They reach all who waited, typed, status and head included.
//!
//! # What it knows
//!
//! `OpenAI` chat completions, legacy completions, responses and embeddings, and Anthropic messages,
//! as JSON; other kinds of requests are left alone ([`Bypass::Kind`]). It knows no HTTP: statuses are
//! numbers, and whatever else comes with an answer is an opaque [`Origin::Head`]. Keys are those of
//! `cache-key`: the transport is no part of them, save for `stream_options` that are not known here.
//!
//! # Beyond a hit and a miss
//!
//! | to | see |
//! |---|---|
//! | decide by size, tools, temperature, model, cost | [`RequestPolicy`], [`ResponsePolicy`] |
//! | read these from configuration | feature `serde` |
//! | know what an answer cost, and what hits have spared | [`Hit::usage`], [`LlmCache::savings`], [`PriceTable`] |
//! | hide reasoning, zero usage, give hits an `id` of their own | [`HitOptions`] |
//! | invalidate by tenant, model, tag or request | [`LlmCache::remove_tenant`] and those beside it |
//! | know beforehand what caching would bring | [`LlmCacheBuilder::dry_run`], [`LlmCache::report`] |
//! | serve stale answers while the provider fails | [`RequestPolicy::grace`] |
//!
//! # Beside HTTP
//!
//! [`cached`] and [`CachedProvider`] put the same cache around typed clients ([`LlmProvider`]). A request may
//! have several answers ([`Samples`]), and tests run on recorded ones ([`Cassette`]).
//!
//! # Building blocks
//!
//! [`sse::SseParser`] (Server-Sent Events out of any pieces), [`transcode`] (one answer in both
//! transports), [`live::Live`] (one body, many readers), [`Replay`], [`RequestPolicy`] and
//! [`ResponsePolicy`] can be used alone.

#[cfg(all(doctest, feature = "serde"))]
#[doc = include_str!("../README.md")]
struct Readme;

mod builder;
mod cache;
mod cassette;
mod collect;
mod dialect;
mod dry;
mod edit;
mod embeddings;
#[cfg(doctest)]
mod guide;
mod json;
mod judge;
mod known;
pub mod live;
mod members;
mod models;
mod not_stored;
mod origin;
mod pattern;
mod plain;
mod plan;
mod price;
mod provider;
mod replay;
mod reply;
mod report;
mod request;
mod response;
mod samples;
mod savings;
#[cfg(feature = "serde")]
mod settings;
pub mod sse;
mod stored;
mod streamed;
mod tags;
pub mod transcode;
mod usage;
mod view;
mod wire;

pub use builder::LlmCacheBuilder;
pub use cache::LlmCache;
pub use cassette::{Cassette, CassetteError, CassetteReport, Unrecorded};
pub use edit::{HitOptions, Identity, Reasoning, UsageView};
pub use embeddings::EmbeddingOptions;
pub use not_stored::NotStored;
pub use origin::{BodyStream, Origin, OriginAnswer, WithBody};
pub use plan::Plan;
pub use price::{Dollars, Price, PriceError, PriceTable};
pub use provider::{
    CachedError, CachedProvider, CallError, ChunkStream, LlmProvider, Preset, ProviderCache,
    Served, ServedBy, cached,
};
pub use replay::{Chunking, Replay, ReplayOptions};
pub use reply::{
    AnswerError, Body, BodyError, CacheMode, Hit, Passed, Recorded, RemoveError, Reply, Storage,
};
pub use report::Report;
pub use request::{Bypass, PolicyError, RequestPolicy};
pub use response::{AnswerKind, Asked, ResponsePolicy, StreamOptions, Transport};
pub use samples::{Rotation, Samples, SamplesError};
pub use savings::{Saved, Savings};
pub use usage::Usage;

pub use cache_core::{BoxError, CacheKey, Tag};
pub use cache_dual::{DualCache, Source, Strategy};
pub use cache_key::{EndpointKind, KeyScope, NotCanonical, Request, Tenant};
