//! Settings in configuration: durations as texts, and errors that name the setting.
//!
//! serde says what it expected and what it found, but not where. So each setting has a module here, for
//! `#[serde(with = "...")]`, that puts its name before the error, and maps put the entry's name before
//! theirs. Formats that tell lines and columns still do.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// What a setting can be.
trait Setting: Sized {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
}

macro_rules! settings {
    ($($name:ident),+ $(,)?) => {
        $(pub(crate) mod $name {
            use super::{Deserializer, Serializer, Setting, de};

            #[allow(private_bounds, reason = "the settings stand beside it")]
            pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
            where
                D: Deserializer<'de>,
                T: Setting,
            {
                let name = stringify!($name);
                T::read(deserializer)
                    .map_err(|error| de::Error::custom(format_args!("`{name}`: {error}")))
            }

            #[allow(private_bounds, reason = "the settings stand beside it")]
            pub(crate) fn serialize<S: Serializer, T: Setting>(
                setting: &T,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                setting.write(serializer)
            }
        })+
    };
}

settings! {
    also_accept, assumed_temperature, chat, chat_ttl, deterministic_only, embedding_ttl, embeddings, grace,
    jitter, kind_ttl, linger, max_answer, max_body, max_temperature, min_body, min_cost, model_ttl,
    store_fallbacks, store_refusals, store_truncated, streams, tools,
}

macro_rules! plain {
    ($($type:ty),+ $(,)?) => {
        $(impl Setting for $type {
            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize(deserializer)
            }

            fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.serialize(serializer)
            }
        })+
    };
}

plain!(Option<f64>, Option<usize>, Vec<Box<str>>, bool, f64, usize);

impl Setting for Duration {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer).map(|text| text.0)
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Text(*self).serialize(serializer)
    }
}

impl Setting for Option<Duration> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<Text>::deserialize(deserializer)?;
        Ok(text.map(|text| text.0))
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.map(Text).serialize(serializer)
    }
}

/// Durations by name.
impl<K> Setting for BTreeMap<K, Duration>
where
    K: for<'de> Deserialize<'de> + fmt::Display + Ord + Serialize,
{
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K>(PhantomData<K>);

        impl<'de, K: Deserialize<'de> + fmt::Display + Ord> Visitor<'de> for Entries<K> {
            type Value = BTreeMap<K, Duration>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of durations")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some(name) = map.next_key::<K>()? {
                    let Text(duration) = map
                        .next_value()
                        .map_err(|error| de::Error::custom(format_args!("of `{name}`: {error}")))?;
                    entries.insert(name, duration);
                }
                Ok(entries)
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(name, duration)| (name, Text(*duration))))
    }
}

/// A duration as a text.
struct Text(Duration);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a duration with its unit, such as "250ms", "30s" or "1h 30m""#)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                humantime::parse_duration(text).map(Text).map_err(|error| {
                    let expected: &dyn de::Expected = &self;
                    E::custom(format_args!("{text:?} is not {expected}: {error}"))
                })
            }
        }

        deserializer.deserialize_str(Reader)
    }
}
