//! What is asked and answered, made from nothing but this text.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::keys::bodies::{Random, prose};

/// A request and its answer.
pub(super) struct Question {
    /// The body of a chat request, some 2 KB.
    pub(super) body: Vec<u8>,
    /// The same, asking for a stream.
    pub(super) stream_body: Vec<u8>,
    /// The provider's answer, some 2 KB too.
    pub(super) answer: Bytes,
    /// What the model says in it: nobody else's.
    pub(super) text: String,
}

/// The model that all ask.
pub(super) const MODEL: &str = "gpt-4.1-mini";

impl Question {
    fn new(number: usize) -> Self {
        let mut random = Random::seeded(number as u64);
        let body =
            request(&format!("{} Question {number}.", prose(&mut random, 1_300))).to_string();
        let text = format!("Answer {number}: {}", prose(&mut random, 1_500));
        let answer = json!({
            "id": format!("chatcmpl-{number:024}"), "object": "chat.completion",
            "created": 1_790_000_000, "model": MODEL,
            "choices": [{"index": 0, "logprobs": null, "finish_reason": "stop",
                "message": {"role": "assistant", "content": text, "refusal": null}}],
            "usage": {"prompt_tokens": 420, "completion_tokens": 310, "total_tokens": 730,
                "prompt_tokens_details": {"cached_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0}},
            "system_fingerprint": "fp_0123456789",
        });
        let stream_body = body.replace("\"stream\":false", "\"stream\":true").into();
        Self { body: body.into(), stream_body, answer: answer.to_string().into(), text }
    }
}

/// So many, no two alike.
pub(super) fn questions(count: usize) -> Vec<Question> {
    (0..count).map(Question::new).collect()
}

fn request(text: &str) -> Value {
    json!({
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "You are a helpful assistant. Answer in one short \
                sentence, in the language of the question, and say so when you do not know. \
                Do not repeat the question."},
            {"role": "user", "content": text},
        ],
        "temperature": 0.7, "top_p": 0.95, "max_tokens": 256, "n": 1, "stream": false,
        "presence_penalty": 0, "frequency_penalty": 0.25, "seed": 42,
        "stop": ["\n\n", "User:"], "user": "user-7f3a9c",
        "response_format": {"type": "text"}, "logit_bias": {"50256": -100},
    })
}
