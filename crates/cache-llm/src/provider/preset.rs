//! [`Preset`]: request policies to begin with.

use std::time::Duration;

use crate::request::RequestPolicy;

/// How much is cached, for those who do not want to decide on each setting.
///
/// | preset | chat | embeddings | temperature |
/// |---|---|---|---|
/// | `Conservative` | 10 min | 24 h | 0 only; absent counts as 1 |
/// | `Standard` | 1 h | 24 h | any |
/// | `Aggressive` | 24 h | 30 d | any |
///
/// ```
/// use cache_llm::{DualCache, Preset, ProviderCache};
///
/// let cache = ProviderCache::<std::io::Error>::builder(DualCache::builder().build()?)
///     .request_policy(Preset::Conservative.requests())
///     .build()?;
/// # let _ = cache;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// With feature `serde` it can be read from configuration: `conservative`, `standard`, `aggressive`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Preset {
    /// Only what would come out the same again, and not for long.
    Conservative,
    /// The defaults of [`RequestPolicy`].
    #[default]
    Standard,
    /// All there is, for a day and more.
    Aggressive,
}

impl Preset {
    /// Its request policy.
    pub fn requests(self) -> RequestPolicy {
        let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
        let standard = RequestPolicy::default();
        match self {
            Self::Conservative => {
                standard.chat_ttl(Duration::from_secs(10 * 60)).max_temperature(0.0)
            }
            Self::Standard => standard,
            Self::Aggressive => standard.chat_ttl(hours(24)).embedding_ttl(hours(30 * 24)),
        }
    }
}
