//! Members of policies and options in configuration.

use crate::edit::{Identity, Reasoning, UsageView};
use crate::price::Price;
use crate::replay::Chunking;

cache_core::settings! {
    also_accept, as_of, assumed_temperature, cache_write, cached_input, chat, chat_ttl, chunking,
    deterministic_only, embedding_ttl, embeddings, grace, identity, independent_members, input,
    jitter, kind_ttl, linger, max_answer, max_body, max_temperature, min_body, min_cost, model_ttl,
    models, output, per_item, reasoning, store_fallbacks, store_refusals, store_truncated, streams,
    tokens_per_second, tools, usage,
}

cache_core::plain_settings!(Chunking, Identity, Price, Reasoning, UsageView);
