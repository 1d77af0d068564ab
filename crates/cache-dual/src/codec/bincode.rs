//! [`Bincode`]: any serde type as compact bytes. The only module that knows the `bincode` crate;
//! see decision 0001 for the way out.

use bincode::config::{Configuration, Limit, standard};
use bytes::Bytes;
use cache_core::{BoxError, Codec, CodecId};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What one value may claim to take while it is decoded, so that hostile lengths allocate nothing.
const LIMIT: usize = 256 << 20;

type Format = Configuration<bincode::config::LittleEndian, bincode::config::Varint, Limit<LIMIT>>;
const FORMAT: Format = standard().with_limit::<LIMIT>();

/// Any serde type as `bincode` 2 bytes, standard configuration.
///
/// The bytes carry no field names: a changed type does not decode the old values, which are then
/// counted misses, or worse, decodes them as something else. Give changed types another namespace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bincode;

impl<V: Serialize + DeserializeOwned> Codec<V> for Bincode {
    fn id(&self) -> CodecId {
        CodecId::BINCODE
    }

    fn encode(&self, value: &V) -> Result<Bytes, BoxError> {
        Ok(bincode::serde::encode_to_vec(value, FORMAT)?.into())
    }

    fn decode(&self, bytes: Bytes) -> Result<V, BoxError> {
        let (value, read) = bincode::serde::decode_from_slice(&bytes, FORMAT)?;
        if read != bytes.len() {
            return Err("bytes left over after the value".into());
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    type Nested = BTreeMap<String, Vec<Option<(u64, String)>>>;

    /// A33: nested structures come back as they were.
    #[test]
    fn nested_values_round_trip() {
        let value: Nested =
            BTreeMap::from([("a".into(), vec![None, Some((u64::MAX, "é".into()))])]);
        let bytes = Bincode.encode(&value).unwrap();
        assert_eq!(Codec::<Nested>::decode(&Bincode, bytes).unwrap(), value);
    }

    #[test]
    fn hostile_bytes_are_errors() {
        for bytes in [
            &b""[..],
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xfd\xff\xff\xff\xff\xff\xff\xff\x7f",
            b"\x00tail",
        ] {
            let decoded: Result<Vec<String>, _> = Bincode.decode(Bytes::from_static(bytes));
            assert!(decoded.is_err(), "{bytes:?}");
        }
    }
}
