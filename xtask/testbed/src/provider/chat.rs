//! Chat completions: what the answer says.

use serde_json::{Value, json};

use super::error::ApiError;
use super::fault::Fault;
use super::request::Parsed;
use super::text::{example_of, prompt_tokens, tokens};
use crate::random::Random;

/// What the provider says to one request, before it is plain JSON or a stream.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) model: String,
    pub(super) choices: Vec<Choice>,
    pub(super) prompt_tokens: u32,
    pub(super) output_tokens: u32,
}

/// One of the `n` choices.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) message: Message,
    pub(super) finish_reason: &'static str,
}

/// Text or a tool call, never both.
#[derive(Debug)]
pub(super) enum Message {
    Text(String),
    ToolCall { name: String, arguments: String },
}

impl Message {
    pub(super) fn tokens(&self) -> u32 {
        match self {
            Self::Text(text) => tokens(text),
            Self::ToolCall { name, arguments } => tokens(name) + tokens(arguments),
        }
    }
}

/// Ids and times: what differs between two calls with the same request.
#[derive(Clone, Debug)]
pub(super) struct Stamp {
    pub(super) id: String,
    pub(super) created: u64,
}

impl Stamp {
    /// The id of the tool call in choice `index`: as fresh as the answer's own.
    pub(super) fn tool_call_id(&self, index: usize) -> String {
        format!("call_{}{index}", self.id.trim_start_matches("chatcmpl-"))
    }
}

/// Decides what to say.
pub(super) fn compose(request: &Parsed) -> Result<Answer, ApiError> {
    let json = &request.json;
    match &json["messages"] {
        Value::Null => return Err(ApiError::missing("messages")),
        Value::Array(messages) if !messages.is_empty() => {}
        _ => {
            return Err(ApiError::invalid("messages", "an array with at least one message"));
        }
    }
    let count = match &json["n"] {
        Value::Null => 1,
        n => n
            .as_u64()
            .filter(|n| (1..=128).contains(n))
            .ok_or_else(|| ApiError::invalid("n", "a whole number from 1 to 128"))?,
    };
    let choices: Vec<Choice> = (0..count).map(|index| choose(request, index)).collect();
    Ok(Answer {
        model: request.model.clone(),
        prompt_tokens: prompt_tokens(json),
        output_tokens: choices.iter().map(|choice| choice.message.tokens()).sum(),
        choices,
    })
}

fn choose(request: &Parsed, index: u64) -> Choice {
    let mut random = Random::new(request.seed.wrapping_add(index));
    let text = |text: String, finish_reason| Choice { message: Message::Text(text), finish_reason };
    match request.fault {
        Some(Fault::Empty) => text(String::new(), "stop"),
        Some(Fault::ContentFilter) => text(random.words(12), "content_filter"),
        Some(Fault::Length) => text(random.words(12), "length"),
        _ => {
            if let Some(message) = tool_call(&request.json, &mut random) {
                return Choice { message, finish_reason: "tool_calls" };
            }
            let (content, finish_reason) = limited(&request.json, say(&request.json, &mut random));
            text(content, finish_reason)
        }
    }
}

/// A call of one of the request's tools, when it offers some and waits for a user's wish to be done.
/// After a tool's result the model answers in words, so that agents come to an end.
fn tool_call(request: &Value, random: &mut Random) -> Option<Message> {
    let tools = request["tools"].as_array().filter(|tools| !tools.is_empty())?;
    let newest = request["messages"].as_array()?.last()?;
    if newest["role"] != "user" || request["tool_choice"] == "none" {
        return None;
    }
    let wanted = request["tool_choice"]["function"]["name"].as_str();
    let named = |tool: &&Value| wanted.is_some() && tool["function"]["name"].as_str() == wanted;
    let tool = tools.iter().find(named).unwrap_or_else(|| random.pick(tools));
    let arguments = example_of(&tool["function"]["parameters"], random);
    Some(Message::ToolCall {
        name: tool["function"]["name"].as_str()?.to_owned(),
        arguments: arguments.to_string(),
    })
}

fn say(request: &Value, random: &mut Random) -> String {
    let format = &request["response_format"];
    match format["type"].as_str() {
        Some("json_schema") => example_of(&format["json_schema"]["schema"], random).to_string(),
        Some("json_object") => json!({"answer": random.words(12)}).to_string(),
        _ => {
            let length = 16 + random.below(64);
            random.words(length)
        }
    }
}

/// Cuts the text at the request's own token limit.
fn limited(request: &Value, text: String) -> (String, &'static str) {
    let limit = request["max_completion_tokens"].as_u64().or(request["max_tokens"].as_u64());
    match limit {
        Some(limit) if u64::from(tokens(&text)) > limit => {
            let characters = usize::try_from(limit).unwrap_or(usize::MAX).saturating_mul(4);
            (text.chars().take(characters).collect(), "length")
        }
        _ => (text, "stop"),
    }
}

impl Answer {
    /// The `usage` member.
    pub(super) fn usage(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.prompt_tokens + self.output_tokens,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
            },
        })
    }

    /// The whole answer as one JSON object.
    pub(super) fn completion(&self, stamp: &Stamp) -> Value {
        let choices = self.choices.iter().enumerate().map(|(index, choice)| {
            let mut message = json!({
                "role": "assistant", "content": null, "refusal": null, "annotations": [],
            });
            match &choice.message {
                Message::Text(text) => message["content"] = json!(text),
                Message::ToolCall { name, arguments } => {
                    message["tool_calls"] = json!([{
                        "id": stamp.tool_call_id(index),
                        "type": "function",
                        "function": {"name": name, "arguments": arguments},
                    }]);
                }
            }
            json!({
                "index": index, "message": message, "logprobs": null,
                "finish_reason": choice.finish_reason,
            })
        });
        json!({
            "id": stamp.id,
            "object": "chat.completion",
            "created": stamp.created,
            "model": self.model,
            "choices": choices.collect::<Vec<_>>(),
            "usage": self.usage(),
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
        })
    }
}
