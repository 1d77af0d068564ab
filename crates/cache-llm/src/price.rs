//! [`PriceTable`]: what tokens cost, as data.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::models::{by_pattern, undated};
use crate::usage::Usage;

/// What models charge. Given by whoever knows their own prices; the default is dated and short.
///
/// Names are exact, or prefixes that end with an asterisk; the exact one counts, else the longest.
/// A dated name (`gpt-4o-2024-08-06`) and one with a provider in front (`openai/gpt-4o`) have the
/// price of the name without, unless they are listed.
///
/// ```
/// use cache_llm::{PriceTable, Usage};
///
/// let prices: PriceTable = serde_json::from_str(
///     r#"{"as_of": "2026-11-01", "models": {"m*": {"input": 2.5, "output": 10}}}"#,
/// )?;
/// let usage = Usage { input: Some(1_000), output: Some(100), ..Usage::default() };
/// assert_eq!(prices.cost("m-large", &usage).expect("it is listed").as_f64(), 0.0035);
/// assert!(prices.cost("other", &usage).is_none());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceTable {
    /// When these prices held, for people to see ([`Savings::prices_as_of`](crate::Savings)). Any text;
    /// empty if that is not known. Default in configuration: empty.
    #[serde(default)]
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::as_of"))]
    pub as_of: String,
    /// The prices by model.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::models"))]
    pub models: BTreeMap<String, Price>,
}

/// What one model charges, in dollars for a million tokens. By default nothing, as a model of one's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// For what it reads.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::input"))]
    pub input: f64,
    /// For what it writes.
    #[serde(default)]
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::output"))]
    pub output: f64,
    /// For what it reads from the provider's own cache. Default: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::cached_input"))]
    pub cached_input: Option<f64>,
    /// For what it reads and writes to the provider's own cache. Default: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::cache_write"))]
    pub cache_write: Option<f64>,
}

/// A price that no model can have.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "`{price}` of model `{model}`: a price has to be a number that is not negative, not {value}"
)]
#[non_exhaustive]
pub struct PriceError {
    /// The model, as the table calls it.
    pub model: Box<str>,
    /// Which of its prices: `input`, `output`, `cached_input` or `cache_write`.
    pub price: &'static str,
    /// What it is.
    pub value: f64,
}

/// An amount of money, in billionths of a dollar: sums of many small ones stay exact.
///
/// It serializes as the number that [`as_f64`](Self::as_f64) gives, e.g. `0.0035`. Times 10⁹ and rounded,
/// that is [`as_nanos`](Self::as_nanos) again, up to 2 million dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dollars(u64);

impl Dollars {
    /// So many billionths.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// In billionths.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// In dollars.
    #[allow(clippy::cast_precision_loss, reason = "exact up to 9 million dollars")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// From dollars; what is negative is nothing.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    pub(crate) fn from_f64(dollars: f64) -> Self {
        Self((dollars * 1e9).round() as u64)
    }
}

/// As `$0.003500`.
impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${:.6}", self.as_f64())
    }
}

impl Serialize for Dollars {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

impl PriceTable {
    /// A table without prices: tokens are counted, money is not.
    pub fn empty() -> Self {
        Self { as_of: String::new(), models: BTreeMap::new() }
    }

    /// What `model` charges.
    pub fn price(&self, model: &str) -> Option<Price> {
        let bare = model.rsplit_once('/').map_or(model, |(_, name)| name);
        let names = [model, bare, undated(bare).0];
        let exact = names.iter().find_map(|name| self.models.get(*name));
        exact.or_else(|| names.iter().find_map(|name| by_pattern(&self.models, name))).copied()
    }

    /// What `model` charged for `usage`; `None` if its price or the usage is not known.
    pub fn cost(&self, model: &str, usage: &Usage) -> Option<Dollars> {
        self.price(model)?.cost(usage)
    }

    /// The first price that is no price.
    pub(crate) fn flaw(&self) -> Option<PriceError> {
        let mut all = self.models.iter().flat_map(|(model, price)| {
            [
                ("input", Some(price.input)),
                ("output", Some(price.output)),
                ("cached_input", price.cached_input),
                ("cache_write", price.cache_write),
            ]
            .into_iter()
            .filter_map(move |(price, value)| Some((model, price, value?)))
        });
        let flaw = all.find(|(_, _, value)| !value.is_finite() || *value < 0.0);
        flaw.map(|(model, price, value)| PriceError { model: model.as_str().into(), price, value })
    }
}

impl Price {
    /// What `usage` costs; `None` if nothing is known of it.
    #[allow(clippy::cast_precision_loss, reason = "tokens are far fewer than 2^52")]
    pub fn cost(&self, usage: &Usage) -> Option<Dollars> {
        if usage.input.is_none() && usage.output.is_none() {
            return None;
        }
        // Parts of the input, whatever the provider says: they cost no more than all of it.
        let input = usage.input.unwrap_or(0);
        let cached = usage.cached_input.unwrap_or(0).min(input);
        let written = usage.cache_write.unwrap_or(0).min(input - cached);
        let fresh = input - cached - written;
        let per_million = fresh as f64 * self.input
            + cached as f64 * self.cached_input.unwrap_or(self.input)
            + written as f64 * self.cache_write.unwrap_or(self.input)
            + usage.output.unwrap_or(0) as f64 * self.output;
        Some(Dollars::from_f64(per_million / 1e6))
    }
}

/// Prices of some models for plain calls, of about [`as_of`](PriceTable::as_of). They were not compared
/// with the providers' own lists: an estimate to begin with. Whoever shows dollars to others gives a
/// table of their own.
impl Default for PriceTable {
    fn default() -> Self {
        const fn price(input: f64, cached_input: f64, output: f64) -> Price {
            Price { input, output, cached_input: Some(cached_input), cache_write: None }
        }
        const fn claude(input: f64, output: f64) -> Price {
            let (cached, written) = (Some(input * 0.1), Some(input * 1.25));
            Price { input, output, cached_input: cached, cache_write: written }
        }
        const fn embedding(input: f64) -> Price {
            Price { input, output: 0.0, cached_input: None, cache_write: None }
        }
        let models = [
            ("gpt-4o", price(2.5, 1.25, 10.0)),
            ("gpt-4o-mini", price(0.15, 0.075, 0.6)),
            ("gpt-4.1", price(2.0, 0.5, 8.0)),
            ("gpt-4.1-mini", price(0.4, 0.1, 1.6)),
            ("gpt-4.1-nano", price(0.1, 0.025, 0.4)),
            ("gpt-5", price(1.25, 0.125, 10.0)),
            ("gpt-5-mini", price(0.25, 0.025, 2.0)),
            ("gpt-5-nano", price(0.05, 0.005, 0.4)),
            ("o3", price(2.0, 0.5, 8.0)),
            ("o4-mini", price(1.1, 0.275, 4.4)),
            ("claude-opus-4-1", claude(15.0, 75.0)),
            ("claude-sonnet-4", claude(3.0, 15.0)),
            ("claude-sonnet-4-5", claude(3.0, 15.0)),
            ("claude-3-5-haiku", claude(0.8, 4.0)),
            ("text-embedding-3-small", embedding(0.02)),
            ("text-embedding-3-large", embedding(0.13)),
        ];
        Self {
            as_of: "2025-10-01".to_owned(),
            models: models.map(|(name, price)| (name.to_owned(), price)).into(),
        }
    }
}
