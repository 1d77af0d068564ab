//! llmix-rs: its response cache, in memory, with the whole answer as text.

use llmix_rs::{CacheKeyParams, ResponseCacheStrategy, TwoTierCache, TwoTierCacheConfig};
use serde_json::Value;

use super::{Answers, members, number, text};
use crate::contenders::{Role, finished};
use crate::llm::questions::Question;

pub(super) struct Llmix(TwoTierCache);

impl Llmix {
    pub(super) fn holding(questions: &[Question]) -> Result<Self, Box<dyn std::error::Error>> {
        let config = TwoTierCacheConfig { max_items: questions.len(), ..Default::default() };
        let cache = TwoTierCache::new(ResponseCacheStrategy::Memory, config)?;
        for question in questions {
            let answer = std::str::from_utf8(&question.answer)?;
            finished(cache.set(&key(&question.body), answer));
        }
        Ok(Self(cache))
    }
}

impl Answers for Llmix {
    type Answer = String;

    fn name(&self) -> (&'static str, Role) {
        ("llmix-rs 2.1.0", Role::Rival)
    }

    fn ask(&self, question: &Question) -> Option<String> {
        finished(self.0.get(&key(&question.body))).map(|found| found.value)
    }

    fn is_right(answer: &String, question: &Question) -> bool {
        answer.as_bytes() == question.answer
    }
}

/// What it has a field for goes there, the rest is an option of the provider.
fn key(body: &[u8]) -> String {
    let mut body = members(body);
    let Some(Value::Array(messages)) = body.remove("messages") else { unreachable!() };
    let params = CacheKeyParams {
        provider: "openai".to_owned(),
        model: text(body.remove("model")).expect("a model"),
        messages,
        base_url: None,
        enable_thinking: None,
        temperature: number(body.remove("temperature")),
        max_output_tokens: body.remove("max_tokens").and_then(|value| value.as_u64()),
        response_format: body.remove("response_format"),
        seed: body.remove("seed").and_then(|value| value.as_i64()),
        top_p: number(body.remove("top_p")),
        top_k: None,
        presence_penalty: number(body.remove("presence_penalty")),
        frequency_penalty: number(body.remove("frequency_penalty")),
        stop_sequences: body
            .remove("stop")
            .map(|value| serde_json::from_value(value).expect("strings")),
        provider_options: Some(Value::Object(body)),
    };
    llmix_rs::generate_cache_key(&params).expect("a key")
}
