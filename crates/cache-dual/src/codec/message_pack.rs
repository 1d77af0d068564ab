//! [`MessagePack`]: any serde type as compact bytes that other languages read.

use bytes::Bytes;
use cache_core::{BoxError, Codec, CodecId};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Any serde type as MessagePack, structs as maps by the names of their fields: shorter than JSON,
/// readable by other languages, and tolerant of added members.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessagePack;

impl<V: Serialize + DeserializeOwned> Codec<V> for MessagePack {
    fn id(&self) -> CodecId {
        CodecId::MESSAGE_PACK
    }

    fn encode(&self, value: &V) -> Result<Bytes, BoxError> {
        Ok(rmp_serde::to_vec_named(value)?.into())
    }

    fn decode(&self, bytes: Bytes) -> Result<V, BoxError> {
        let mut reader = rmp_serde::Deserializer::new(&*bytes);
        let value = V::deserialize(&mut reader)?;
        if reader.get_ref().is_empty() {
            Ok(value)
        } else {
            Err("there is something behind the value".into()) // which a reader alone would ignore
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A33, A113: values come back as they were; other bytes are an error, whatever lengths they claim.
    #[test]
    fn values_round_trip() {
        let value = vec![Some((1_u64, "é\"".to_owned())), None];
        let bytes = MessagePack.encode(&value).unwrap();
        let decoded: Vec<Option<(u64, String)>> = MessagePack.decode(bytes.clone()).unwrap();
        assert_eq!(decoded, value);
        let longer = [&bytes[..], b"\xc0"].concat();
        let endless = b"\xdd\xff\xff\xff\xff".to_vec(); // an array of 2^32 - 1 items
        for bytes in [bytes[..bytes.len() - 1].to_vec(), longer, endless, Vec::new()] {
            let decoded: Result<Vec<Option<(u64, String)>>, _> = MessagePack.decode(bytes.into());
            assert!(decoded.is_err());
        }
    }
}
