//! litellm-rs: its cache of typed answers, in memory.

use std::sync::Arc;

use litellm_rs::core::cache::types::DualCacheConfig;
use litellm_rs::core::cache::{LLMCache, LLMCacheConfig};
use litellm_rs::core::models::openai::{ChatCompletionRequest, ChatCompletionResponse};

use super::Answers;
use crate::contenders::{Role, finished};
use crate::llm::questions::Question;

pub(super) struct Litellm(LLMCache);

impl Litellm {
    pub(super) fn holding(questions: &[Question]) -> Result<Self, Box<dyn std::error::Error>> {
        let mut config = LLMCacheConfig::memory_only();
        config.cache_config = DualCacheConfig::memory_only();
        config.cache_config.max_size = 2 * questions.len();
        let cache = LLMCache::new(config, None);
        for question in questions {
            let answer = serde_json::from_slice(&question.answer)?;
            finished(cache.cache_chat_response(&request(&question.body), answer))?;
        }
        Ok(Self(cache))
    }
}

impl Answers for Litellm {
    type Answer = Arc<ChatCompletionResponse>;

    fn name(&self) -> (&'static str, Role) {
        ("litellm-rs 0.4.16", Role::Rival)
    }

    fn ask(&self, question: &Question) -> Option<Self::Answer> {
        finished(self.0.get_chat_response(&request(&question.body))).ok().flatten()
    }

    fn is_right(answer: &Self::Answer, question: &Question) -> bool {
        serde_json::to_string(&**answer).is_ok_and(|answer| {
            let said = question.text.split(':').next().expect("there is a first part");
            answer.contains(&format!("{said}: "))
        })
    }
}

fn request(body: &[u8]) -> ChatCompletionRequest {
    serde_json::from_slice(body).expect("a valid body")
}
