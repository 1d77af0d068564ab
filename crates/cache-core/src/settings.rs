//! Options in configuration: durations as texts, and errors that name the option (feature `settings`).
//!
//! serde says what it expected and what it found, but not where. So each option has a module, for
//! `#[serde(with = "...")]`, that puts its name before the error, and maps put the entry's name before
//! theirs. Formats that tell lines and columns still do.
//!
//! ```
//! use std::time::Duration;
//!
//! use serde::{Deserialize, Serialize};
//!
//! mod settings {
//!     cache_core::settings!(attempts, patience);
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! #[serde(default, deny_unknown_fields)]
//! struct Retries {
//!     #[serde(with = "settings::attempts")]
//!     attempts: u32,
//!     #[serde(with = "settings::patience")]
//!     patience: Option<Duration>,
//! }
//! # impl Default for Retries {
//! #     fn default() -> Self {
//! #         Self { attempts: 3, patience: None }
//! #     }
//! # }
//!
//! let retries: Retries = serde_json::from_str(r#"{"patience": "1s 500ms"}"#)?;
//! assert_eq!(retries.patience, Some(Duration::from_millis(1_500)));
//! assert_eq!(serde_json::to_string(&retries)?, r#"{"attempts":3,"patience":"1s 500ms"}"#);
//!
//! let error = serde_json::from_str::<Retries>(r#"{"attempts": -1}"#).err().expect("no number of times");
//! assert!(error.to_string().starts_with("`attempts`: invalid value: integer `-1`, expected u32"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

#[doc(hidden)]
pub use serde;
use serde::de::{Deserialize, Deserializer, Error, Expected, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};

/// What an option can be.
pub trait Setting: Sized {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    /// Writes it so that it can be read.
    ///
    /// # Errors
    ///
    /// Those of the format.
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
}

/// A module of each name, for `#[serde(with = "...")]`: what [`Setting`] reads and writes, and errors
/// that begin with the name.
#[macro_export]
macro_rules! settings {
    ($($name:ident),+ $(,)?) => {
        $(pub(crate) mod $name {
            use $crate::settings::Setting;
            use $crate::settings::serde::{Deserializer, Serializer, de::Error};

            pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
            where
                D: Deserializer<'de>,
                T: Setting,
            {
                let name = stringify!($name);
                T::read(deserializer).map_err(|error| Error::custom(format_args!("`{name}`: {error}")))
            }

            pub(crate) fn serialize<T: Setting, S: Serializer>(
                setting: &T,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                setting.write(serializer)
            }
        })+
    };
}

/// Makes types [`Setting`]s that are read and written as they are by themselves.
#[macro_export]
macro_rules! plain_settings {
    ($($type:ty),+ $(,)?) => {
        $(impl $crate::settings::Setting for $type {
            fn read<'de, D>(deserializer: D) -> Result<Self, D::Error>
            where
                D: $crate::settings::serde::Deserializer<'de>,
            {
                $crate::settings::serde::Deserialize::deserialize(deserializer)
            }

            fn write<S>(&self, serializer: S) -> Result<S::Ok, S::Error>
            where
                S: $crate::settings::serde::Serializer,
            {
                $crate::settings::serde::Serialize::serialize(self, serializer)
            }
        })+
    };
}

plain_settings!(bool, f64, u32, u64, usize, std::num::NonZeroU32, Box<str>, String, Vec<Box<str>>);

/// A setting as serde wants it, to be read.
struct Read<T>(T);

impl<'de, T: Setting> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(Self)
    }
}

/// The same to be written.
struct Written<'a, T>(&'a T);

impl<T: Setting> Serialize for Written<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

impl<T: Setting> Setting for Option<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Option::<Read<T>>::deserialize(deserializer)?;
        Ok(read.map(|read| read.0))
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_ref().map(Written).serialize(serializer)
    }
}

impl<K, T> Setting for BTreeMap<K, T>
where
    K: for<'de> Deserialize<'de> + fmt::Display + Ord + Serialize,
    T: Setting,
{
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, T>(PhantomData<(K, T)>);

        impl<'de, K, T> Visitor<'de> for Entries<K, T>
        where
            K: Deserialize<'de> + fmt::Display + Ord,
            T: Setting,
        {
            type Value = BTreeMap<K, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some(name) = map.next_key::<K>()? {
                    let Read(value) = map
                        .next_value()
                        .map_err(|error| Error::custom(format_args!("of `{name}`: {error}")))?;
                    entries.insert(name, value);
                }
                Ok(entries)
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(name, value)| (name, Written(value))))
    }
}

/// As a text, such as `1h 30m`.
impl Setting for Duration {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Duration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a duration with its unit, such as "250ms", "30s" or "1h 30m""#)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
                humantime::parse_duration(text).map_err(|error| {
                    let expected: &dyn Expected = &self;
                    E::custom(format_args!("{text:?} is not {expected}: {error}"))
                })
            }
        }

        deserializer.deserialize_str(Text)
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*self))
    }
}
