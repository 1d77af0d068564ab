//! Members of options in configuration: durations as texts, and errors that name the member.
//!
//! serde says what it expected and what it found, but not where. So each member has a module here, for
//! `#[serde(with = "...")]`, that puts its name before the error. Formats that tell lines and columns
//! still do.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::options::{LeaseOptions, WriteMode};
use crate::remote::BreakerOptions;
use crate::strategy::Strategy;

/// What a member can be.
trait Member: Sized {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
}

macro_rules! members {
    ($($name:ident),+ $(,)?) => {
        $(pub(crate) mod $name {
            use super::{Deserializer, Member, Serializer, de};

            #[allow(private_bounds, reason = "the options stand beside it")]
            pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
            where
                D: Deserializer<'de>,
                T: Member,
            {
                let name = stringify!($name);
                T::read(deserializer)
                    .map_err(|error| de::Error::custom(format_args!("`{name}`: {error}")))
            }

            #[allow(private_bounds, reason = "the options stand beside it")]
            pub(crate) fn serialize<S: Serializer, T: Member>(
                member: &T,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                member.write(serializer)
            }
        })+
    };
}

members! {
    breaker, capacity, eager_refresh, failures, fetches_while_down, grace, hard_timeout, hedge_after, jitter,
    known_tags, lease, max_entries, max_weight, memory_ttl, namespace, negative_ttl, probe_interval, recheck,
    remote_deadline, slow_call, soft_timeout, stale_retry, strategy, ttl, wait, writes,
}

macro_rules! plain {
    ($($type:ty),+ $(,)?) => {
        $(impl Member for $type {
            fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize(deserializer)
            }

            fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.serialize(serializer)
            }
        })+
    };
}

plain! {
    BreakerOptions, Option<LeaseOptions>, Option<f64>, Option<u64>, Option<usize>, Strategy, String, WriteMode, f64, u32, u64,
    usize,
}

impl Member for Duration {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer).map(|text| text.0)
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Text(*self).serialize(serializer)
    }
}

impl Member for Option<Duration> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<Text>::deserialize(deserializer)?;
        Ok(text.map(|text| text.0))
    }

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(duration) => serializer.serialize_some(&Text(*duration)),
            None => serializer.serialize_none(),
        }
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
