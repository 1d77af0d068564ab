//! Codecs for typed values in the remote tier. Each is a feature; values of `Bytes` need none and
//! use [`Raw`].

#[cfg(feature = "bincode")]
mod bincode;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "messagepack")]
mod message_pack;

#[cfg(feature = "bincode")]
pub use self::bincode::Bincode;
#[cfg(feature = "json")]
pub use self::json::Json;
#[cfg(feature = "messagepack")]
pub use self::message_pack::MessagePack;
pub use cache_core::Raw;
