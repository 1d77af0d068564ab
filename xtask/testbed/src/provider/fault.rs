//! Faults that a request asks for.

use axum::http::HeaderMap;

/// The header that asks for a [`Fault`] by name, e.g. `x-simulate: half-stream`.
pub const FAULT_HEADER: &str = "x-simulate";

/// A model name with this prefix asks for a [`Fault`], e.g. `sim-half-stream`.
pub const FAULT_MODEL_PREFIX: &str = "sim-";

/// Something that goes wrong at the provider because the request asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// 429 with `retry-after: 1`.
    RateLimit,
    /// 500.
    ServerError,
    /// The answer breaks off in the middle, within a chunk if it is a stream.
    HalfStream,
    /// A stream turns into an error frame half way; a plain answer is a 500.
    ErrorFrame,
    /// `finish_reason: "content_filter"` after half of the text.
    ContentFilter,
    /// `finish_reason: "length"` after half of the text.
    Length,
    /// An answer with empty content and no tool calls.
    Empty,
    /// A stream that ends in order but without `data: [DONE]`.
    NoDone,
    /// A right answer that takes [`ProviderOptions::slow`](super::ProviderOptions::slow) longer.
    Slow,
}

impl Fault {
    /// Every fault there is.
    pub const ALL: [Self; 9] = [
        Self::RateLimit,
        Self::ServerError,
        Self::HalfStream,
        Self::ErrorFrame,
        Self::ContentFilter,
        Self::Length,
        Self::Empty,
        Self::NoDone,
        Self::Slow,
    ];

    /// Its name, as the header and the model name give it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RateLimit => "rate-limit",
            Self::ServerError => "server-error",
            Self::HalfStream => "half-stream",
            Self::ErrorFrame => "error-frame",
            Self::ContentFilter => "content-filter",
            Self::Length => "length",
            Self::Empty => "empty",
            Self::NoDone => "no-done",
            Self::Slow => "slow",
        }
    }

    /// The model name that asks for it.
    pub fn model(self) -> String {
        format!("{FAULT_MODEL_PREFIX}{}", self.name())
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }

    pub(super) fn of_model(model: &str) -> Option<Self> {
        Self::named(model.strip_prefix(FAULT_MODEL_PREFIX)?)
    }

    pub(super) fn of_headers(headers: &HeaderMap) -> Option<Self> {
        Self::named(headers.get(FAULT_HEADER)?.to_str().ok()?)
    }
}
