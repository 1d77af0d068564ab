//! [`DetachedOptions`]: what only fetches can do that go on without their callers.

use std::time::Duration;

use crate::options::BuildError;

/// How [`DualCache::get_or_fetch_detached`](crate::DualCache::get_or_fetch_detached) spares its callers the
/// wait. The other calls have nobody to finish a fetch behind them, so these are no options of the
/// cache.
///
/// With feature `serde` it can be read from configuration, as [`DualOptions`](crate::DualOptions) can:
/// `{ "soft_timeout": "250ms", "eager_refresh": 0.8 }`.
///
/// ```
/// use cache_dual::{CacheKey, DetachedOptions, DualCache};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache: DualCache<String> =
///     DualCache::builder().tune(|options| options.grace = Duration::from_secs(3600)).build()?;
/// let key = CacheKey::from_text("capital of France");
///
/// let patience = DetachedOptions::new()
///     .soft_timeout(Duration::from_millis(250)) // then the stale value, if there is one
///     .eager_refresh(0.8)?; // fetched anew behind hits in the last fifth of its time
/// let ask = || async { Ok::<_, std::io::Error>("Paris".to_owned()) };
/// let answer = cache.get_or_fetch_detached(&key, patience, ask).await?;
/// assert_eq!(answer.value, "Paris");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Unchecked"))]
#[must_use]
pub struct DetachedOptions {
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::soft_timeout"))]
    pub(crate) soft_timeout: Option<Duration>,
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::eager_refresh"))]
    pub(crate) eager_refresh: Option<f64>,
}

/// The same as configuration has it.
#[cfg(feature = "serde")]
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Unchecked {
    #[serde(with = "crate::settings::soft_timeout")]
    soft_timeout: Option<Duration>,
    #[serde(with = "crate::settings::eager_refresh")]
    eager_refresh: Option<f64>,
}

#[cfg(feature = "serde")]
impl TryFrom<Unchecked> for DetachedOptions {
    type Error = BuildError;

    fn try_from(read: Unchecked) -> Result<Self, BuildError> {
        let options = Self { soft_timeout: read.soft_timeout, eager_refresh: None };
        read.eager_refresh.map_or(Ok(options), |share| options.eager_refresh(share))
    }
}

impl DetachedOptions {
    /// Nothing set: the fetch goes on without its callers, and that is all.
    pub const fn new() -> Self {
        Self { soft_timeout: None, eager_refresh: None }
    }

    /// How long a caller waits for the origin while there is a stale value (see
    /// [`grace`](crate::DualOptions::grace)); then it gets that, and the fetch goes on behind it. 0 is
    /// stale-while-revalidate. Default: none, i.e. for as long as it takes.
    pub const fn soft_timeout(mut self, limit: Duration) -> Self {
        self.soft_timeout = Some(limit);
        self
    }

    /// From which share of its fresh life on a hit in memory has the value fetched anew behind it;
    /// between 0 and 1, both excluded. Default: none.
    ///
    /// # Errors
    ///
    /// [`BuildError::NotAShare`] if it is not between them.
    pub fn eager_refresh(mut self, share: f64) -> Result<Self, BuildError> {
        if !(share > 0.0 && share < 1.0) {
            let (option, bounds) = ("eager_refresh", "above 0 and below 1");
            return Err(BuildError::NotAShare { option, value: share, bounds });
        }
        self.eager_refresh = Some(share);
        Ok(self)
    }
}
