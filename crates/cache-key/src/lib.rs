//! From the raw JSON body of an LLM request to a 256-bit [`CacheKey`](cache_core::CacheKey).
//!
//! ```
//! use cache_key::{EndpointKind, KeyScope, Request, Tenant};
//!
//! let scope = KeyScope::new(Tenant::credential(b"sk-an-api-key")).provider("openai");
//! let key = |body: &str| {
//!     Ok::<_, cache_key::NotCanonical>(
//!         Request::parse(EndpointKind::ChatCompletions, body.as_bytes())?.key(&scope),
//!     )
//! };
//!
//! // Another spelling of the same request: the same key.
//! let one = key(r#"{"model":"m","temperature":1,"messages":[{"role":"user","content":"hé"}]}"#)?;
//! let two = key(r#"{"messages":[{"content":"h\u00e9","role":"user"}], "temperature":1.0, "model":"m"}"#)?;
//! assert_eq!(one, two);
//!
//! // Anything more, even a member that nobody has heard of: another key.
//! let three = key(r#"{"model":"m","temperature":1,"messages":[{"role":"user","content":"hé"}],"new":0}"#)?;
//! assert_ne!(one, three);
//!
//! // Ambiguous: no key at all, with the reason.
//! assert!(key(r#"{"model":"a","model":"b"}"#).is_err());
//! # Ok::<(), cache_key::NotCanonical>(())
//! ```
//!
//! # Guarantees
//!
//! * **Everything counts** except a short named list of transport-only members, so a member that is
//!   invented tomorrow splits keys and never merges them.
//! * **Only declared equivalences merge**: member order, white space, escapes, number spelling
//!   (`1` = `1.0`), an explicit null of a known optional member, and string content = one text part.
//!   No rounding, no case folding, no Unicode normalisation, no sorting of arrays.
//! * **Never a guess**: what has no single meaning (duplicate members, lone surrogates) is
//!   [`NotCanonical`], and the request is then not to be cached.
//! * **No two tenants share a key**, unless [`Tenant::Shared`] is spelled out.
//! * **Keys carry no text**, and with [`KeyScope::secret`] nobody who reads the store can test a
//!   guessed prompt either.
//! * **Keys stay the same** for as long as [`FORMAT_VERSION`] does: on every platform, under every
//!   feature of every other crate. `docs/key-format.md` in the repository gives the bytes.
//!
//! # Design
//!
//! The body is parsed once, strictly (RFC 8259), into a flat tape of nodes that borrow from it, and
//! hashed from there with BLAKE3. A tree of owned values would cost an allocation a member, and an
//! intermediate text would copy every image; a general JSON crate would let its cargo features,
//! which any other dependency may switch on, decide what keys look like.
//!
//! | type | is |
//! |---|---|
//! | [`Request`] | one parse of a body: its key, and what later layers ask about it |
//! | [`Value`] | a look at one node of that parse |
//! | [`KeyScope`], [`Tenant`] | what separates keys beside the body |
//! | [`KeyOptions`] | which requests count as equal, where the default is not what is wanted |
//! | [`Explanation`], [`diff`] | why a request has its key, and not that of another |
//! | [`to_jcs`] | RFC 8785 text; keys are not made of it |
//! | [`KeyBuilder`] | keys of anything else |
//! | [`NotCanonical`] | why a body has no key |
//!
//! # Feature flags
//!
//! `serde` adds `key_of` for typed requests, `llmix` adds `llmix_key` for stores that are shared with
//! that contract. Neither is on by default, and neither changes a key.

mod builder;
mod canonical;
mod diff;
mod endpoint;
mod error;
mod explain;
mod jcs;
mod limits;
#[cfg(feature = "llmix")]
mod llmix;
mod members;
mod number;
mod options;
mod parser;
mod pointer;
mod request;
mod rules;
mod scan;
mod scope;
mod scratch;
mod sink;
mod tape;
mod tenant;
#[cfg(feature = "serde")]
mod typed;
mod value;
mod varint;

pub use builder::KeyBuilder;
pub use diff::{Change, Difference, diff};
pub use endpoint::{EndpointKind, UnknownEndpointKind};
pub use error::NotCanonical;
pub use explain::{Entered, Explanation, LeftOut, Rewritten, Section};
pub use jcs::to_jcs;
pub use limits::ParseLimits;
#[cfg(feature = "llmix")]
pub use llmix::{LLMIX_PREFIX, LlmixError, llmix_key};
pub use options::{Equivalence, KeyOptions};
pub use request::Request;
pub use rules::Rule;
pub use scope::{ANSWER_HEADERS, KeyScope};
pub use tenant::{CredentialDigest, Tenant};
#[cfg(feature = "serde")]
pub use typed::{TypedError, key_of};
pub use value::{Items, Members, Value};

/// The version of the canonical form and of the framing around it. It is part of every key, so keys
/// of two versions never meet.
pub const FORMAT_VERSION: u32 = 1;

/// The example of the README compiles too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
