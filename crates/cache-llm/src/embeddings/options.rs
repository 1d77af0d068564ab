//! [`EmbeddingOptions`]: whether embeddings are kept item by item.

use serde::{Deserialize, Serialize};

/// How requests for embeddings are answered.
///
/// ```
/// use cache_llm::EmbeddingOptions;
///
/// let options: EmbeddingOptions =
///     serde_json::from_str(r#"{"independent_members": ["normalized"]}"#)?;
/// assert!(options.per_item);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddingOptions {
    /// Whether each item of `input` has an entry of its own, so that only items that are not known are
    /// sent. Else a request has one entry, with the provider's bytes. Default: yes.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::per_item"))]
    pub per_item: bool,
    /// Members of requests that say nothing about one item by its place among the others, nor let
    /// the embedding of one depend on the others, beside those that are known as such: `model`,
    /// `dimensions`, `encoding_format`, `user`, `request_id`; `input_type`, `truncation`,
    /// `output_dimension`; `task`, `truncate`. A request with any other member is kept as a whole.
    /// Default: none.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::independent_members"))]
    pub independent_members: Vec<Box<str>>,
}

impl Default for EmbeddingOptions {
    fn default() -> Self {
        Self { per_item: true, independent_members: Vec::new() }
    }
}

/// What OpenAI, Voyage, Cohere and Jina document to hold for each input alike and by itself.
const INDEPENDENT: [&str; 11] = [
    "model",
    "input",
    "dimensions",
    "encoding_format",
    "user",
    "request_id",
    "input_type",
    "truncation",
    "output_dimension",
    "task",
    "truncate",
];

impl EmbeddingOptions {
    /// Whether the items of a request with this member can be asked for one by one.
    pub(super) fn is_independent(&self, name: &str) -> bool {
        INDEPENDENT.contains(&name) || self.independent_members.iter().any(|known| **known == *name)
    }
}
