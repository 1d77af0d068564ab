//! [`Codec`]: typed values to bytes and back.

use bytes::Bytes;

use crate::error::BoxError;

/// Turns values of one type into bytes for a remote tier, and back.
///
/// # Contract
///
/// * `decode(encode(v))` equals `v`, across releases of the codec, for as long as its [`CodecId`]
///   stays the same.
/// * `decode` meets hostile bytes: it returns an error, it never panics, and it allocates no more
///   than a small multiple of their length.
pub trait Codec<V>: std::fmt::Debug + Send + Sync + 'static {
    /// What stored entries name this codec by. An entry under another id is not decoded.
    fn id(&self) -> CodecId;

    /// Encodes `value`.
    ///
    /// # Errors
    ///
    /// If the value has no encoding. It is then not stored remotely.
    fn encode(&self, value: &V) -> Result<Bytes, BoxError>;

    /// Decodes what `encode` made.
    ///
    /// # Errors
    ///
    /// If the bytes are not such an encoding. The entry then counts as a miss.
    fn decode(&self, bytes: Bytes) -> Result<V, BoxError>;
}

/// Names a codec in stored entries. Ids below 64 are this workspace's; yours start there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CodecId(pub u8);

impl CodecId {
    /// Bytes as they are.
    pub const RAW: Self = Self(0);
    /// JSON.
    pub const JSON: Self = Self(1);
    /// `bincode` 2, standard configuration.
    pub const BINCODE: Self = Self(2);
    /// MessagePack, structs as maps by the names of their fields.
    pub const MESSAGE_PACK: Self = Self(3);
}

/// An encoded value with the codec that encoded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Who can decode the bytes.
    pub codec: CodecId,
    /// The encoded value.
    pub bytes: Bytes,
}

/// The codec of bytes: they are stored as they are, and neither way copies them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw;

impl Codec<Bytes> for Raw {
    fn id(&self) -> CodecId {
        CodecId::RAW
    }

    fn encode(&self, value: &Bytes) -> Result<Bytes, BoxError> {
        Ok(value.clone())
    }

    fn decode(&self, bytes: Bytes) -> Result<Bytes, BoxError> {
        Ok(bytes)
    }
}
