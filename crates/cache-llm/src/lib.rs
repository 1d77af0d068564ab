//! LLM answers in a cache: what may be stored, under which key, for how long; streams recorded and replayed.

pub mod live;
mod not_stored;
mod plan;
mod replay;
mod request;
mod response;
pub mod sse;
mod wire;

pub use not_stored::NotStored;
pub use plan::Plan;
pub use replay::Replay;
pub use request::{Bypass, PolicyError, RequestPolicy};
pub use response::{AnswerKind, Asked, ResponsePolicy, Transport};
