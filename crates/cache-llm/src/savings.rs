//! [`Savings`]: what hits have spared, by model.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, counter};
use parking_lot::RwLock;
use serde::Serialize;

use crate::price::{Dollars, Price, PriceTable};
use crate::usage::Usage;

/// What hits have spared since the cache was built. Made by
/// [`LlmCache::savings`](crate::LlmCache::savings).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Savings {
    /// By the model that answered, or, where the answer names none, that was asked for.
    pub models: BTreeMap<String, Saved>,
    /// Those models for which there was no room: names of models come from outside.
    pub other: Saved,
    /// When the prices held that dollars are counted by.
    pub prices_as_of: String,
}

/// What hits on answers of one model have spared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Saved {
    /// How many hits.
    pub hits: u64,
    /// Those among them whose price or usage is not known: dollars do not count them.
    pub unpriced: u64,
    /// Tokens that no model had to read.
    pub input_tokens: u64,
    /// Tokens that no model had to write.
    pub output_tokens: u64,
    /// What they would have cost.
    pub dollars: Dollars,
}

impl Savings {
    /// All models together.
    pub fn total(&self) -> Saved {
        self.models.values().fold(self.other, |sum, line| Saved {
            hits: sum.hits + line.hits,
            unpriced: sum.unpriced + line.unpriced,
            // What providers say may be anything: it saturates.
            input_tokens: sum.input_tokens.saturating_add(line.input_tokens),
            output_tokens: sum.output_tokens.saturating_add(line.output_tokens),
            dollars: Dollars::from_nanos(
                sum.dollars.as_nanos().saturating_add(line.dollars.as_nanos()),
            ),
        })
    }
}

/// Keeps [`Savings`].
pub(crate) struct Ledger {
    prices: PriceTable,
    /// How many models have a line of their own.
    room: usize,
    lines: RwLock<HashMap<Box<str>, Line>>,
    other: Line,
    metrics: [Counter; 3],
}

#[derive(Default)]
struct Line {
    price: Option<Price>,
    hits: AtomicU64,
    unpriced: AtomicU64,
    input: AtomicU64,
    output: AtomicU64,
    nanos: AtomicU64,
}

impl Ledger {
    pub(crate) fn new(prices: PriceTable, room: usize) -> Self {
        let metrics = [
            counter!("cache_llm_saved_tokens_total", "direction" => "input"),
            counter!("cache_llm_saved_tokens_total", "direction" => "output"),
            counter!("cache_llm_saved_nanodollars_total"),
        ];
        Self { prices, room, lines: RwLock::default(), other: Line::default(), metrics }
    }

    pub(crate) fn prices(&self) -> &PriceTable {
        &self.prices
    }

    /// Counts a hit; what it spared.
    pub(crate) fn add(&self, model: &str, usage: &Usage) -> Option<Dollars> {
        let saved = self.count(model, usage);
        let amounts = [usage.input, usage.output, saved.map(Dollars::as_nanos)];
        for (metric, amount) in self.metrics.iter().zip(amounts) {
            metric.increment(amount.unwrap_or(0));
        }
        saved
    }

    fn count(&self, model: &str, usage: &Usage) -> Option<Dollars> {
        if let Some(line) = self.lines.read().get(model) {
            return line.add(line.price.as_ref(), usage);
        }
        let price = self.prices.price(model);
        let mut lines = self.lines.write();
        if lines.len() >= self.room && !lines.contains_key(model) {
            return self.other.add(price.as_ref(), usage);
        }
        let line = lines.entry(model.into()).or_insert_with(|| Line { price, ..Line::default() });
        line.add(price.as_ref(), usage)
    }

    pub(crate) fn snapshot(&self) -> Savings {
        let lines = self.lines.read();
        Savings {
            models: lines.iter().map(|(model, line)| (model.to_string(), line.read())).collect(),
            other: self.other.read(),
            prices_as_of: self.prices.as_of.clone(),
        }
    }
}

/// Adds what somebody else said: a sum that would turn over stays at its end.
fn add(sum: &AtomicU64, amount: u64) {
    if sum.fetch_add(amount, Ordering::Relaxed).checked_add(amount).is_none() {
        sum.store(u64::MAX, Ordering::Relaxed);
    }
}

impl Line {
    fn add(&self, price: Option<&Price>, usage: &Usage) -> Option<Dollars> {
        let cost = price.and_then(|price| price.cost(usage));
        // Counts that nobody's order depends on.
        self.hits.fetch_add(1, Ordering::Relaxed);
        add(&self.input, usage.input.unwrap_or(0));
        add(&self.output, usage.output.unwrap_or(0));
        match cost {
            Some(cost) => add(&self.nanos, cost.as_nanos()),
            None => add(&self.unpriced, 1),
        }
        cost
    }

    fn read(&self) -> Saved {
        Saved {
            hits: self.hits.load(Ordering::Relaxed),
            unpriced: self.unpriced.load(Ordering::Relaxed),
            input_tokens: self.input.load(Ordering::Relaxed),
            output_tokens: self.output.load(Ordering::Relaxed),
            dollars: Dollars::from_nanos(self.nanos.load(Ordering::Relaxed)),
        }
    }
}
