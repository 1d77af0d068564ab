//! Embeddings, item by item.

mod answer;
mod batch;
mod item;
mod options;
mod serve;
mod usage;
mod vector;

pub(crate) use batch::Batch;
pub use options::EmbeddingOptions;
pub(crate) use serve::Items;
