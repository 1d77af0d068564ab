//! What a request asks for, by the table in `docs/key-format.md`: two that ask for the same may share an
//! answer, and no others.

use cache_llm::EndpointKind;
use fastrand::Rng;

use crate::json::{Json, object, text};

/// Members of which null is absence, at the top level.
const OPTIONAL: [(EndpointKind, &[&str]); 5] = [
    (
        EndpointKind::ChatCompletions,
        &[
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
        ],
    ),
    (
        EndpointKind::Completions,
        &[
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
        ],
    ),
    (
        EndpointKind::Responses,
        &[
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
        ],
    ),
    (
        EndpointKind::Messages,
        &[
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
        ],
    ),
    (EndpointKind::Embeddings, &["dimensions", "encoding_format", "user"]),
];

/// The same in a message of chat completions.
const OPTIONAL_IN_MESSAGE: [&str; 6] =
    ["audio", "content", "function_call", "name", "refusal", "tool_calls"];

fn optional(kind: EndpointKind) -> &'static [&'static str] {
    OPTIONAL.iter().find(|(known, _)| *known == kind).expect("all kinds are there").1
}

/// Whether the member says only how the answer is to travel.
fn is_transport(kind: EndpointKind, name: &str, value: &Json) -> bool {
    match (name, value) {
        ("stream", Json::Bool(_) | Json::Null) => kind != EndpointKind::Embeddings,
        ("stream_options", Json::Object(_) | Json::Null) => {
            !matches!(kind, EndpointKind::Embeddings | EndpointKind::Messages)
        }
        ("request_id", Json::Text(_) | Json::Null) => kind != EndpointKind::Messages,
        _ => false,
    }
}

/// A request without what does not count.
pub(crate) fn reduced(kind: EndpointKind, body: &Json) -> Json {
    let mut body = body.clone();
    let Json::Object(members) = &mut body else { panic!("a body is an object") };
    members.retain(|(name, value)| {
        let is_absent = *value == Json::Null && optional(kind).contains(&name.as_str());
        !is_absent && !is_transport(kind, name, value)
    });
    if let Some(Json::Object(members)) = body.get_mut("extra_body") {
        members.retain(|(name, value)| name == "stream" || !is_transport(kind, name, value));
    }
    if !matches!(kind, EndpointKind::ChatCompletions | EndpointKind::Messages) {
        return body;
    }
    if let Some(Json::List(messages)) = body.get_mut("messages") {
        for message in messages {
            let Json::Object(members) = message else { continue };
            if kind == EndpointKind::ChatCompletions {
                members.retain(|(name, value)| {
                    *value != Json::Null || !OPTIONAL_IN_MESSAGE.contains(&name.as_str())
                });
            }
            for (_, content) in members.iter_mut().filter(|(name, _)| name == "content") {
                if let Some(only) = only_text(content) {
                    *content = only;
                }
            }
        }
    }
    body
}

fn only_text(content: &Json) -> Option<Json> {
    let Json::List(parts) = content else { return None };
    let [part @ Json::Object(members)] = parts.as_slice() else { return None };
    let is_text = members.len() == 2 && part.get("type") == Some(&text("text"));
    part.get("text").filter(|only| is_text && matches!(only, Json::Text(_))).cloned()
}

/// The same request with all that does not count changed, in another spelling.
pub(crate) fn twin(kind: EndpointKind, body: &Json, streamed: bool, rng: &mut Rng) -> String {
    let mut body = body.clone();
    for name in optional(kind) {
        if rng.u8(0..4) == 0 && body.get(name).is_none() {
            body.push(*name, Json::Null);
        }
    }
    if kind != EndpointKind::Messages && rng.bool() {
        body.push("request_id", text(format!("r-{}", rng.u32(..))));
    }
    if streamed || (kind != EndpointKind::Embeddings && rng.bool()) {
        body.push("stream", Json::Bool(streamed));
    }
    if matches!(kind, EndpointKind::ChatCompletions | EndpointKind::Messages)
        && let Some(Json::List(messages)) = body.get_mut("messages")
    {
        for message in messages {
            if let Some(content) = message.get_mut("content")
                && matches!(content, Json::Text(_))
                && rng.bool()
            {
                let part = [("type", text("text")), ("text", content.clone())];
                *content = Json::List(vec![object(part)]);
            }
        }
    }
    body.respelled(rng)
}
