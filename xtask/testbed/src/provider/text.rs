//! Token counts, and values that fit a JSON schema.

use serde_json::{Map, Value, json};

use crate::random::Random;

/// OpenAI's rule of thumb, four characters a token, which is near enough to draw delays from.
pub(super) fn tokens(text: &str) -> u32 {
    u32::try_from(text.chars().count().div_ceil(4)).unwrap_or(u32::MAX)
}

/// The tokens of a chat prompt: its texts, four for each message's frame, 85 for each image.
pub(super) fn prompt_tokens(request: &Value) -> u32 {
    let messages = request["messages"].as_array().map_or(&[][..], Vec::as_slice);
    let in_messages: u32 = messages.iter().map(|message| 4 + content_tokens(message)).sum();
    let in_tools = request.get("tools").map_or(0, |tools| tokens(&tools.to_string()));
    in_messages + in_tools
}

fn content_tokens(message: &Value) -> u32 {
    let called = message.get("tool_calls").map_or(0, |calls| tokens(&calls.to_string()));
    called
        + match &message["content"] {
            Value::String(text) => tokens(text),
            Value::Array(parts) => parts.iter().map(part_tokens).sum(),
            _ => 0,
        }
}

fn part_tokens(part: &Value) -> u32 {
    match part["text"].as_str() {
        Some(text) => tokens(text),
        None => 85, // what a low-detail image costs
    }
}

/// A value that the schema allows: required members only, the first type of many.
pub(super) fn example_of(schema: &Value, random: &mut Random) -> Value {
    if let Some(choices) = schema["enum"].as_array().filter(|choices| !choices.is_empty()) {
        return random.pick(choices).clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("object") => {
            let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
            let names = required.iter().filter_map(Value::as_str);
            let members = names
                .map(|name| (name.to_owned(), example_of(&schema["properties"][name], random)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        Some("array") => json!([example_of(&schema["items"], random)]),
        Some("integer" | "number") => json!(random.below(100)),
        Some("boolean") => json!(random.below(2) == 1),
        Some("null") => Value::Null,
        _ => json!(random.words(3)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_count_texts_images_and_tools() {
        let plain = json!({"messages": [{"role": "user", "content": "12345678"}]});
        assert_eq!(prompt_tokens(&plain), 4 + 2);
        let parts = json!({"messages": [{"role": "user", "content": [
            {"type": "text", "text": "1234"}, {"type": "image_url", "image_url": {"url": "data:,"}},
        ]}]});
        assert_eq!(prompt_tokens(&parts), 4 + 1 + 85);
    }

    #[test]
    fn examples_have_the_required_members_and_types() {
        let schema = json!({
            "type": "object",
            "required": ["city", "unit", "days"],
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["c", "f"]},
                "days": {"type": ["integer", "null"]},
                "more": {"type": "string"},
            },
        });
        let value = example_of(&schema, &mut Random::new(1));
        assert!(value["city"].is_string() && value["days"].is_number(), "{value}");
        assert!(["c", "f"].contains(&value["unit"].as_str().expect("text")), "{value}");
        assert_eq!(value.get("more"), None);
    }
}
