//! LLM answers in a cache: what may be stored, under which key, for how long; streams recorded and replayed.

pub mod live;
mod not_stored;
mod replay;
mod response;
pub mod sse;
mod wire;

pub use not_stored::NotStored;
pub use replay::Replay;
pub use response::{AnswerKind, Asked, ResponsePolicy, Transport};
