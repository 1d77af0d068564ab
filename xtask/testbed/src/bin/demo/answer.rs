//! What an answer means, apart from its ids and its transport.

use serde_json::Value;

/// The meaning of an answer and what it was charged for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Equal for answers that say the same, streamed or not.
    pub(crate) meaning: String,
    pub(crate) prompt_tokens: u64,
    pub(crate) output_tokens: u64,
}

impl Answer {
    /// Reads a whole answer; `None` if it is not one.
    pub(crate) fn read(body: &[u8], streamed: bool) -> Option<Self> {
        if streamed { Self::of_stream(body) } else { Self::of_json(body) }
    }

    fn of_json(body: &[u8]) -> Option<Self> {
        let json: Value = serde_json::from_slice(body).ok()?;
        let meaning = if let Value::Array(vectors) = &json["data"] {
            vectors.iter().map(|vector| vector["embedding"].to_string()).collect()
        } else {
            let choices = json["choices"].as_array()?;
            let parts = choices.iter().map(|choice| {
                said(&choice["message"]) + choice["finish_reason"].as_str().unwrap_or("")
            });
            parts.collect()
        };
        Self::with_usage(meaning, &json["usage"])
    }

    /// Only a stream that ended with `[DONE]` is whole.
    fn of_stream(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let mut events = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let (mut meaning, mut usage) = (String::new(), Value::Null);
        for data in events.by_ref().take_while(|data| *data != "[DONE]") {
            let mut chunk: Value = serde_json::from_str(data).ok()?;
            let choice = &chunk["choices"][0]; // the demo asks for one choice
            meaning += &said(&choice["delta"]);
            meaning += choice["finish_reason"].as_str().unwrap_or("");
            if chunk["usage"].is_object() {
                usage = chunk["usage"].take();
            }
        }
        if !text.trim_end().ends_with("data: [DONE]") {
            return None;
        }
        Self::with_usage(meaning, &usage)
    }

    fn with_usage(meaning: String, usage: &Value) -> Option<Self> {
        Some(Self {
            meaning,
            prompt_tokens: usage["prompt_tokens"].as_u64()?,
            output_tokens: usage["completion_tokens"].as_u64().unwrap_or(0),
        })
    }
}

/// The text, tool names and arguments of a message or of a piece of one.
fn said(message: &Value) -> String {
    let mut said = message["content"].as_str().unwrap_or("").to_owned();
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        said += call["function"]["name"].as_str().unwrap_or("");
        said += call["function"]["arguments"].as_str().unwrap_or("");
    }
    said
}
