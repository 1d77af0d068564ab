//! [`Json`]: any serde type as readable JSON.

use bytes::Bytes;
use cache_core::{BoxError, Codec, CodecId};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Any serde type as JSON: readable by other languages and tolerant of added members.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl<V: Serialize + DeserializeOwned> Codec<V> for Json {
    fn id(&self) -> CodecId {
        CodecId::JSON
    }

    fn encode(&self, value: &V) -> Result<Bytes, BoxError> {
        Ok(serde_json::to_vec(value)?.into())
    }

    fn decode(&self, bytes: Bytes) -> Result<V, BoxError> {
        Ok(serde_json::from_slice(&bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A33, A113: values come back as they were; other bytes are an error.
    #[test]
    fn values_round_trip() {
        let value = vec![Some((1_u64, "é\"".to_owned())), None];
        let bytes = Json.encode(&value).unwrap();
        assert_eq!(Codec::<Vec<Option<(u64, String)>>>::decode(&Json, bytes).unwrap(), value);
        let decoded: Result<u64, _> = Json.decode(Bytes::from_static(b"{"));
        assert!(decoded.is_err());
    }
}
