//! llm-edge-cache: its manager without Redis, with what the model said as text.

use std::sync::Arc;

use llm_edge_cache::CacheManager;
use llm_edge_cache::key::CacheableRequest;
use llm_edge_cache::l1::CachedResponse;

use super::{Answers, members, number, text};
use crate::contenders::{Role, finished};
use crate::llm::questions::{MODEL, Question};

pub(super) struct LlmEdgeCache(CacheManager);

impl LlmEdgeCache {
    pub(super) fn holding(questions: &[Question]) -> Self {
        let cache = CacheManager::new();
        for question in questions {
            let (content, model) = (question.text.clone(), MODEL.to_owned());
            let answer = CachedResponse { content, tokens: None, model, cached_at: 0 };
            finished(cache.store(&request(&question.body), answer));
        }
        Self(cache)
    }
}

impl Answers for LlmEdgeCache {
    type Answer = Arc<CachedResponse>;

    fn name(&self) -> (&'static str, Role) {
        ("llm-edge-cache 0.1.0", Role::Rival)
    }

    fn ask(&self, question: &Question) -> Option<Self::Answer> {
        finished(self.0.lookup(&request(&question.body))).response()
    }

    fn is_right(answer: &Self::Answer, question: &Question) -> bool {
        answer.content == question.text
    }
}

/// As its own proxy does: one prompt text, the rest as parameters.
#[allow(clippy::cast_possible_truncation, reason = "its fields are that narrow")]
fn request(body: &[u8]) -> CacheableRequest {
    let mut body = members(body);
    CacheableRequest {
        model: text(body.remove("model")).expect("a model"),
        prompt: body.remove("messages").expect("messages").to_string(),
        temperature: number(body.remove("temperature")).map(|value| value as f32),
        max_tokens: body
            .remove("max_tokens")
            .and_then(|value| value.as_u64())
            .map(|value| value as u32),
        parameters: body.into_iter().collect(),
    }
}
