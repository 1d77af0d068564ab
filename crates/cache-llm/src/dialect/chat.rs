//! `OpenAI` chat completions: a chunk has the frame of a plain answer, with a `delta` for each
//! choice in place of its `message`. `[DONE]` ends the stream; the usage comes in a chunk of its own,
//! if `stream_options.include_usage` asks for it.

use super::choices::Shape;
use super::merge::Rule;

pub(super) const SHAPE: Shape = Shape {
    plain_object: "chat.completion",
    chunk_object: "chat.completion.chunk",
    parts: true,
    choice: |name| match name {
        "delta" => Rule::Within(delta),
        "logprobs" => Rule::Within(logprobs),
        _ => Rule::Once,
    },
};

/// The members of a message.
pub(super) fn delta(name: &str) -> Rule {
    match name {
        "role" => Rule::Once,
        "content" | "refusal" | "reasoning_content" | "reasoning" | "thinking" => Rule::Text,
        "tool_calls" => Rule::ByIndex(tool_call),
        "function_call" => Rule::Within(function),
        "audio" => Rule::Within(audio),
        "annotations" | "images" => Rule::Append,
        "reasoning_details" => Rule::ByIndex(reasoning_detail),
        _ => Rule::Single,
    }
}

fn tool_call(name: &str) -> Rule {
    match name {
        "index" | "id" | "type" => Rule::Once,
        "function" => Rule::Within(function),
        "custom" => Rule::Within(custom),
        _ => Rule::Single,
    }
}

fn function(name: &str) -> Rule {
    match name {
        "name" => Rule::Once,
        "arguments" => Rule::Text,
        _ => Rule::Single,
    }
}

fn custom(name: &str) -> Rule {
    match name {
        "name" => Rule::Once,
        "input" => Rule::Text,
        _ => Rule::Single,
    }
}

fn audio(name: &str) -> Rule {
    match name {
        "id" | "expires_at" => Rule::Once,
        "transcript" => Rule::Text,
        "data" => Rule::Base64,
        _ => Rule::Single,
    }
}

fn reasoning_detail(name: &str) -> Rule {
    match name {
        "index" | "type" | "format" | "id" | "signature" => Rule::Once,
        "text" | "summary" | "data" => Rule::Text,
        _ => Rule::Single,
    }
}

/// Of chat completions and of legacy ones: one item a token, in each array.
pub(super) fn logprobs(name: &str) -> Rule {
    match name {
        "content" | "refusal" | "tokens" | "token_logprobs" | "top_logprobs" | "text_offset" => {
            Rule::Append
        }
        _ => Rule::Single,
    }
}
