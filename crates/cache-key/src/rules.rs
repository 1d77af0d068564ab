//! What each endpoint kind declares equal: the only lists that can merge requests.
//!
//! A change here changes keys, so it comes with a new `FORMAT_VERSION`. The reason of each entry is
//! in `docs/key-format.md`.

use crate::endpoint::EndpointKind;
use crate::tape::{Node, Tape};

/// The members that are left out of keys of `kind`, at the top level of the body.
pub(crate) fn left_out(kind: EndpointKind) -> &'static [LeftOut] {
    match kind {
        EndpointKind::ChatCompletions | EndpointKind::Completions | EndpointKind::Responses => {
            &[STREAM, STREAM_OPTIONS, REQUEST_ID]
        }
        EndpointKind::Messages => &[STREAM],
        EndpointKind::Embeddings | EndpointKind::Rerank => &[REQUEST_ID],
        EndpointKind::Generic => &[],
    }
}

/// The members that are left out of an `extra_body` at the top level: a gateway that takes such a
/// member merges it into the body. `stream` is not among them: what answers it is unknown here.
pub(crate) fn left_out_of_extra_body(kind: EndpointKind) -> &'static [LeftOut] {
    match kind {
        EndpointKind::ChatCompletions | EndpointKind::Completions | EndpointKind::Responses => {
            &[STREAM_OPTIONS, REQUEST_ID]
        }
        EndpointKind::Embeddings | EndpointKind::Rerank => &[REQUEST_ID],
        EndpointKind::Messages | EndpointKind::Generic => &[],
    }
}

/// A member that is left out if its value is what the member is documented to be: a value that the
/// provider would refuse counts.
#[derive(Clone, Copy)]
pub(crate) struct LeftOut {
    name: &'static str,
    fits: fn(Node) -> bool,
}

const STREAM: LeftOut = LeftOut {
    name: "stream",
    fits: |value| matches!(value, Node::True | Node::False | Node::Null),
};

const STREAM_OPTIONS: LeftOut = LeftOut {
    name: "stream_options",
    fits: |value| matches!(value, Node::Object { .. } | Node::Null),
};

const REQUEST_ID: LeftOut = LeftOut {
    name: "request_id",
    fits: |value| matches!(value, Node::Plain { .. } | Node::Escaped { .. } | Node::Null),
};

/// Whether a list says that the member with this name node is left out.
pub(crate) fn leaves_out(list: &[LeftOut], tape: &Tape<'_>, member: u32) -> bool {
    let name = tape.name(member);
    list.iter().any(|rule| rule.name == name && (rule.fits)(tape.node(member + 1)))
}

/// The top-level members of `kind` for which null means the same as absence.
pub(crate) fn null_is_absent(kind: EndpointKind) -> &'static [&'static str] {
    match kind {
        EndpointKind::ChatCompletions => CHAT_COMPLETIONS,
        EndpointKind::Completions => COMPLETIONS,
        EndpointKind::Responses => RESPONSES,
        EndpointKind::Messages => MESSAGES,
        EndpointKind::Embeddings => &["dimensions", "encoding_format", "user"],
        EndpointKind::Rerank => &["max_tokens_per_doc", "rank_fields", "return_documents", "top_n"],
        EndpointKind::Generic => &[],
    }
}

/// The members of a message for which null means the same as absence.
pub(crate) fn null_is_absent_in_message(kind: EndpointKind) -> &'static [&'static str] {
    match kind {
        EndpointKind::ChatCompletions => {
            &["audio", "content", "function_call", "name", "refusal", "tool_calls"]
        }
        _ => &[],
    }
}

/// Whether `messages` of this kind hold chat messages, whose content may be one string.
pub(crate) fn has_chat_messages(kind: EndpointKind) -> bool {
    matches!(kind, EndpointKind::ChatCompletions | EndpointKind::Messages)
}

const CHAT_COMPLETIONS: &[&str] = &[
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "modalities",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];

const COMPLETIONS: &[&str] = &[
    "best_of",
    "echo",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_tokens",
    "n",
    "presence_penalty",
    "seed",
    "stop",
    "suffix",
    "temperature",
    "top_p",
    "user",
];

const RESPONSES: &[&str] = &[
    "background",
    "conversation",
    "include",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

const MESSAGES: &[&str] = &[
    "metadata",
    "service_tier",
    "stop_sequences",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];
