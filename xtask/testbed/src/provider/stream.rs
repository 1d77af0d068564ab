//! Chat completions as server-sent events.

use std::io;
use std::mem;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::chat::{Answer, Choice, Message, Stamp};
use super::delay::{Drawn, wait};
use super::error::ApiError;
use super::fault::Fault;

/// What one step of a stream does.
enum Step {
    /// Sends these bytes after making so many tokens.
    Send { text: String, tokens: u32 },
    /// Drops the connection.
    Break,
}

impl Step {
    fn event(data: &Value, tokens: u32) -> Self {
        Self::Send { text: format!("data: {data}\n\n"), tokens }
    }
}

/// The body of a streamed answer, sent at the pace of `drawn`.
pub(super) fn body(
    answer: &Answer,
    stamp: &Stamp,
    include_usage: bool,
    fault: Option<Fault>,
    drawn: Drawn,
) -> Body {
    let mut first = drawn.first_token;
    let steps = with_fault(chunks(answer, stamp, include_usage), fault);
    Body::from_stream(stream::iter(steps).then(move |step| {
        let first = mem::take(&mut first);
        async move {
            match step {
                Step::Send { text, tokens } => {
                    wait(first + drawn.per_token * tokens).await;
                    Ok(Bytes::from(text))
                }
                Step::Break => Err(break_off().await),
            }
        }
    }))
}

/// A plain answer of which only the first half arrives.
pub(super) fn half(text: &str) -> Body {
    let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
    let rest = stream::once(async { Err(break_off().await) });
    Body::from_stream(stream::iter([Ok(half)]).chain(rest))
}

/// The error that makes the server drop the connection, once what came before it is on the wire.
async fn break_off() -> io::Error {
    tokio::time::sleep(Duration::from_millis(5)).await;
    io::Error::other("the request asked for half an answer")
}

fn with_fault(mut steps: Vec<Step>, fault: Option<Fault>) -> Vec<Step> {
    let half = steps.len() / 2;
    match fault {
        Some(Fault::NoDone) => {}
        Some(Fault::ErrorFrame) => {
            steps.truncate(half);
            steps.push(Step::event(&ApiError::server_error().body(), 0));
        }
        Some(Fault::HalfStream) => {
            steps.truncate(half + 1);
            if let Some(Step::Send { text, .. }) = steps.last_mut() {
                text.truncate(text.len() / 2); // all that the provider says is ASCII
            }
            steps.push(Step::Break);
        }
        _ => steps.push(Step::Send { text: "data: [DONE]\n\n".to_owned(), tokens: 0 }),
    }
    steps
}

/// The chunks in the order in which OpenAI sends them: for each choice its role, its content piece by
/// piece and its finish reason; the usage last, if asked for.
fn chunks(answer: &Answer, stamp: &Stamp, include_usage: bool) -> Vec<Step> {
    let chunk = |choices: Value, usage: Value, tokens: u32| {
        let mut chunk = json!({
            "id": stamp.id,
            "object": "chat.completion.chunk",
            "created": stamp.created,
            "model": answer.model,
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
            "choices": choices,
        });
        if include_usage {
            chunk["usage"] = usage; // null in all chunks but the last
        }
        Step::event(&chunk, tokens)
    };
    let mut steps = Vec::new();
    for (index, choice) in answer.choices.iter().enumerate() {
        for (delta, tokens) in deltas(choice, stamp, index) {
            let choice =
                json!([{"index": index, "delta": delta, "logprobs": null, "finish_reason": null}]);
            steps.push(chunk(choice, Value::Null, tokens));
        }
        let finish = json!([{
            "index": index, "delta": {}, "logprobs": null, "finish_reason": choice.finish_reason,
        }]);
        steps.push(chunk(finish, Value::Null, 0));
    }
    if include_usage {
        steps.push(chunk(json!([]), answer.usage(), 0));
    }
    steps
}

fn deltas(choice: &Choice, stamp: &Stamp, index: usize) -> Vec<(Value, u32)> {
    match &choice.message {
        Message::Text(text) => {
            let role = json!({"role": "assistant", "content": "", "refusal": null});
            let pieces = text.split_inclusive(' ').map(|piece| (json!({"content": piece}), 1));
            [(role, 0)].into_iter().chain(pieces).collect()
        }
        Message::ToolCall { name, arguments } => {
            let role = json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [{
                "index": 0, "id": stamp.tool_call_id(index), "type": "function",
                "function": {"name": name, "arguments": ""},
            }]});
            let pieces = arguments.split_inclusive(' ').map(|piece| {
                (json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}), 1)
            });
            [(role, 1)].into_iter().chain(pieces).collect()
        }
    }
}
