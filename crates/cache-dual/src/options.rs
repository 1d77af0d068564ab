//! [`DualOptions`]: everything about a cache that is data, and what makes no sense.

use std::time::Duration;

use crate::remote::BreakerOptions;
use crate::strategy::Strategy;

/// Everything about a [`DualCache`](crate::DualCache) that is data.
///
/// With feature `serde` it can be read from configuration: members that are left out have their
/// defaults, unknown ones are refused, and durations are texts such as `1h` or `250ms`. What makes no
/// sense is refused by [`DualBuilder::build`](crate::DualBuilder::build).
///
/// ```
/// use cache_dual::{DualCache, DualOptions};
/// use std::time::Duration;
///
/// let mut options = DualOptions::default();
/// options.ttl = Duration::from_secs(600);
/// options.grace = Duration::from_secs(3600); // serve stale while the origin is down
/// let cache: DualCache<String> = DualCache::builder().options(options).build()?;
/// # Ok::<(), cache_dual::BuildError>(())
/// ```
///
/// In JSON, say:
///
/// ```json
/// {
///   "ttl": "10m",
///   "grace": "1h",
///   "breaker": { "failures": 5, "probe_interval": "500ms" },
///   "writes": { "queued": { "capacity": 1000 } }
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, default))]
#[non_exhaustive]
pub struct DualOptions {
    /// Which tiers are used. Default: [`Strategy::Auto`].
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::strategy"))]
    pub strategy: Strategy,
    /// What [`clear`](crate::DualCache::clear) clears: caches that share a remote tier and a namespace
    /// are cleared together, and tags mean the same to them. Default: `default`.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::namespace"))]
    pub namespace: String,
    /// How long values are fresh that say nothing else. Default: 1 hour.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::ttl"))]
    pub ttl: Duration,
    /// How long a value is kept beyond that, stale, in case the origin fails, or is slow and there is a
    /// [`soft_timeout`](crate::DetachedOptions::soft_timeout) or a `hard_timeout`. Default: 0.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::grace"))]
    pub grace: Duration,
    /// Up to which share of its time to live is taken off a value at random, so that what was stored
    /// together does not end together; from 0 to below 1. Default: 0.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::jitter"))]
    pub jitter: f64,
    /// How long memory answers before the remote tier is asked again, whatever a value has left: the
    /// bound on how long another instance's removal can go unnoticed without a bus. Memory keeps nothing
    /// beyond it, so from then on a stale value (see `grace`) is the remote tier's. Default: none.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::memory_ttl"))]
    pub memory_ttl: Option<Duration>,
    /// How long a caller waits for the origin at all. Default: none.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::hard_timeout"))]
    pub hard_timeout: Option<Duration>,
    /// How long the origin is left alone about a key for which it failed, while there is a stale
    /// value. Default: 5 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::stale_retry"))]
    pub stale_retry: Duration,
    /// How long a failed fetch answers for its key, in this process, where there is no stale value.
    /// Not of [`get_or_fetch_many`](crate::DualCache::get_or_fetch_many). Default: none, i.e. errors are
    /// not kept.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::negative_ttl"))]
    pub negative_ttl: Option<Duration>,
    /// How long a call to the remote tier may take before it is given up. Default: 100 ms.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::remote_deadline"))]
    pub remote_deadline: Duration,
    /// How long a fetch waits for the remote tier's answer before it is begun alongside; the first
    /// value is taken. A value that is fetched before the remote tier has told this process the stamps of
    /// the namespace and its tags, as the first ones may be, stays in memory only. Not of
    /// [`get_or_fetch_many`](crate::DualCache::get_or_fetch_many). Default: none, i.e. for as long as
    /// `remote_deadline`.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::hedge_after"))]
    pub hedge_after: Option<Duration>,
    /// When a failing remote tier is left alone.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::breaker"))]
    pub breaker: BreakerOptions,
    /// How many fetches may be under way at once while the remote tier is left alone, so that an
    /// outage of the cache is not passed on to the origin; the others fail with
    /// [`FetchError::Shed`](crate::FetchError::Shed) or get stale values. Default: no limit.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::fetches_while_down"))]
    pub fetches_while_down: Option<usize>,
    /// Whether callers wait for writes to the remote tier. Default: they do.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::writes"))]
    pub writes: WriteMode,
    /// One fetch a key among all processes that share the remote tier. Not of
    /// [`get_or_fetch_many`](crate::DualCache::get_or_fetch_many). Default: each its own.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::lease"))]
    pub lease: Option<LeaseOptions>,
    /// How long what is known of a tag is believed before the remote tier is asked again: without a
    /// bus, the bound on how long another instance's invalidation of it can go unnoticed by lookups
    /// that go beyond memory. Default: 1 s.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::recheck"))]
    pub recheck: Duration,
    /// How many tags are remembered; those beyond are asked for again. Default: 100,000 (about 10 MB
    /// when full).
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::known_tags"))]
    pub known_tags: u64,
    /// How many entries the default memory tier holds; not used if another is given. Default: 10,000.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::max_entries"))]
    pub max_entries: u64,
    /// How many bytes the entries of the default memory tier weigh together at most; not used if another is
    /// given. An entry weighs what [`InsertOptions::weight`](crate::InsertOptions::weight) or the
    /// [`weigher`](crate::DualBuilder::weigher) says, and what the tier itself spends on it; one that alone
    /// weighs more is not kept in memory. Default: no bound.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::max_weight"))]
    pub max_weight: Option<u64>,
}

impl Default for DualOptions {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            namespace: "default".to_owned(),
            ttl: Duration::from_secs(3600),
            grace: Duration::ZERO,
            jitter: 0.0,
            memory_ttl: None,
            hard_timeout: None,
            stale_retry: Duration::from_secs(5),
            negative_ttl: None,
            remote_deadline: Duration::from_millis(100),
            hedge_after: None,
            breaker: BreakerOptions::default(),
            fetches_while_down: None,
            writes: WriteMode::default(),
            lease: None,
            recheck: Duration::from_secs(1),
            known_tags: 100_000,
            max_entries: 10_000,
            max_weight: None,
        }
    }
}

/// Whether callers wait for writes to the remote tier.
///
/// In configuration `"through"`, or `{ "queued": { "capacity": 1000 } }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case", deny_unknown_fields))]
pub enum WriteMode {
    /// They do.
    #[default]
    Through,
    /// They do not: writes are queued and made in the background, in order for each key. Removals
    /// are never queued. Until a write is made, others' writes and removals come before it, and the
    /// remote tier has what was there; what cannot be written is removed there instead.
    Queued {
        /// How many may wait; those beyond are dropped and counted.
        #[cfg_attr(feature = "serde", serde(with = "crate::settings::capacity"))]
        capacity: usize,
    },
}

/// One fetch a key among all processes: who holds a lease in the remote tier fetches, the others look
/// for the value. For efficiency only: what is stored is fenced with or without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct LeaseOptions {
    /// How long a lease lasts if its holder dies: longer than most fetches.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::ttl"))]
    pub ttl: Duration,
    /// How long others wait for the holder's value before they fetch themselves.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::wait"))]
    pub wait: Duration,
}

/// An option that makes no sense.
///
/// Its text names the option, what it is and what would be right.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// This duration or number is zero, and nothing would work.
    #[error("`{0}` is 0; it has to be more")]
    Zero(&'static str),
    /// This share is not within its bounds.
    #[error("`{option}` is {value}; it has to be {bounds}")]
    NotAShare {
        /// Which option.
        option: &'static str,
        /// What it is.
        value: f64,
        /// Where it has to be.
        bounds: &'static str,
    },
    /// The strategy is [`Strategy::Redis`], and there is no remote tier.
    #[error(
        "`strategy` is `redis`, and there is no remote tier; give the builder one, or set \
         `redis-or-memory` or `memory`"
    )]
    RemoteMissing,
    /// The namespace is blank.
    #[error("`namespace` is blank; it has to be a name, such as `default`")]
    BlankNamespace,
    /// An option that does nothing without a remote tier is set, and there is none.
    #[error(
        "`{0}` is set, and does nothing without a remote tier; leave it out, or give the builder a remote \
         tier"
    )]
    NeedsRemote(&'static str),
}

impl DualOptions {
    /// Refuses what makes no sense, with or without a remote tier.
    pub(crate) fn check(&self, has_remote: bool) -> Result<(), BuildError> {
        if !self.strategy.caches() {
            return Ok(()); // the rest is for nothing (A116: disabled sections are not validated)
        }
        let durations = [
            ("ttl", Some(self.ttl)),
            ("memory_ttl", self.memory_ttl),
            ("hard_timeout", self.hard_timeout),
            ("stale_retry", Some(self.stale_retry)),
            ("negative_ttl", self.negative_ttl),
            ("remote_deadline", Some(self.remote_deadline)),
            ("breaker.probe_interval", Some(self.breaker.probe_interval)),
            ("breaker.slow_call", self.breaker.slow_call),
            ("lease.ttl", self.lease.map(|lease| lease.ttl)),
            ("lease.wait", self.lease.map(|lease| lease.wait)),
            ("recheck", Some(self.recheck)),
        ];
        let queue = match self.writes {
            WriteMode::Through => None,
            WriteMode::Queued { capacity } => Some(capacity as u64),
        };
        let numbers = [
            ("breaker.failures", Some(u64::from(self.breaker.failures))),
            ("fetches_while_down", self.fetches_while_down.map(|limit| limit as u64)),
            ("writes.capacity", queue),
            ("known_tags", Some(self.known_tags)),
            ("max_entries", Some(self.max_entries)),
            ("max_weight", self.max_weight),
        ];
        let zeros = durations.map(|(name, value)| (name, value.is_some_and(|d| d.is_zero())));
        let nils = numbers.map(|(name, value)| (name, value == Some(0)));
        if let Some((name, _)) = zeros.into_iter().chain(nils).find(|(_, is_zero)| *is_zero) {
            return Err(BuildError::Zero(name));
        }
        if !(0.0..1.0).contains(&self.jitter) {
            let (option, bounds) = ("jitter", "at least 0 and below 1");
            return Err(BuildError::NotAShare { option, value: self.jitter, bounds });
        }
        if self.namespace.trim().is_empty() {
            return Err(BuildError::BlankNamespace);
        }
        if has_remote {
            return Ok(());
        }
        if self.strategy == Strategy::Redis {
            return Err(BuildError::RemoteMissing);
        }
        let idle = [
            ("memory_ttl", self.memory_ttl.is_some()),
            ("hedge_after", self.hedge_after.is_some()),
            ("fetches_while_down", self.fetches_while_down.is_some()),
            ("writes", self.writes != WriteMode::Through),
            ("lease", self.lease.is_some()),
        ];
        match idle.into_iter().find(|(_, is_set)| *is_set) {
            Some((name, _)) if self.strategy == Strategy::Auto => {
                Err(BuildError::NeedsRemote(name))
            }
            _ => Ok(()),
        }
    }
}
