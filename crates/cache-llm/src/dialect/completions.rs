//! `OpenAI` legacy completions: plain answers and chunks have one frame and one `object`; a choice
//! has its `text` in itself.

use super::chat::logprobs;
use super::choices::Shape;
use super::merge::Rule;

pub(super) const SHAPE: Shape = Shape {
    plain_object: "text_completion",
    chunk_object: "text_completion",
    parts: false,
    choice: |name| match name {
        "text" | "reasoning" => Rule::Text,
        "logprobs" => Rule::Within(logprobs),
        _ => Rule::Once,
    },
};
