//! [`Report`]: what was decided, counted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::counter;
use parking_lot::Mutex;
use serde::Serialize;

use crate::not_stored::NotStored;
use crate::request::Bypass;
use crate::savings::Savings;

/// What was decided since the cache was built. Made by [`LlmCache::report`](crate::LlmCache::report).
///
/// In a [dry run](crate::LlmCacheBuilder::dry_run), what would have been.
///
/// It serializes with its fields' names, the [`Dollars`](crate::Dollars) as numbers:
///
/// ```
/// # use cache_llm::{DualCache, LlmCache};
/// # let cache = LlmCache::<(), std::io::Error>::builder(DualCache::builder().build()?).build()?;
/// let json = serde_json::to_value(cache.report())?;
/// assert_eq!(json["hits"], 0);
/// assert_eq!(json["savings"]["other"]["dollars"], 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Whether it is of a dry run.
    pub dry_run: bool,
    /// Requests that were left alone, by [`Bypass::label`].
    pub bypassed: BTreeMap<&'static str, u64>,
    /// Requests answered by the cache.
    pub hits: u64,
    /// Requests answered by the provider, or not at all.
    pub misses: u64,
    /// Answers that were not stored, by [`NotStored::label`].
    pub not_stored: BTreeMap<&'static str, u64>,
    /// What the hits have spared.
    pub savings: Savings,
}

impl Report {
    /// Hits among the requests that the cache had to do with; `None` if there were none.
    #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub fn hit_ratio(&self) -> Option<f64> {
        let all = self.hits + self.misses;
        (all > 0).then(|| self.hits as f64 / all as f64)
    }

    /// Hits among all requests, also those that were left alone; `None` if there were none.
    #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub fn overall_hit_ratio(&self) -> Option<f64> {
        let all = self.hits + self.misses + self.bypassed.values().sum::<u64>();
        (all > 0).then(|| self.hits as f64 / all as f64)
    }
}

/// Counts decisions. Only those on the way to the provider take a lock.
#[derive(Debug, Default)]
pub(crate) struct Decisions {
    hits: AtomicU64,
    misses: AtomicU64,
    bypassed: Mutex<BTreeMap<&'static str, u64>>,
    not_stored: Mutex<BTreeMap<&'static str, u64>>,
}

impl Decisions {
    pub(crate) fn bypassed(&self, reason: &Bypass) {
        let label = reason.label();
        *self.bypassed.lock().entry(label).or_default() += 1;
        counter!("cache_llm_bypassed_total", "reason" => label).increment(1);
    }

    pub(crate) fn not_stored(&self, reason: &NotStored) {
        let label = reason.label();
        *self.not_stored.lock().entry(label).or_default() += 1;
        counter!("cache_llm_not_stored_total", "reason" => label).increment(1);
    }

    pub(crate) fn answered(&self, is_hit: bool) {
        let count = if is_hit { &self.hits } else { &self.misses };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn report(&self, dry_run: bool, savings: Savings) -> Report {
        Report {
            dry_run,
            bypassed: self.bypassed.lock().clone(),
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            not_stored: self.not_stored.lock().clone(),
            savings,
        }
    }
}
