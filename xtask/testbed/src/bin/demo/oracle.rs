//! Who knows the right answers: the same provider without delays and without a cache before it.

use std::collections::HashMap;

use testbed::provider::{Provider, ProviderOptions};
use testbed::traffic::Request;
use tokio::sync::Mutex;

use crate::answer::Answer;
use crate::client::{client, send};

/// Tells the right answer to any request.
#[derive(Debug)]
pub(crate) struct Oracle {
    provider: Provider,
    client: reqwest::Client,
    /// By body: most requests repeat.
    known: Mutex<HashMap<String, Answer>>,
}

impl Oracle {
    pub(crate) async fn start() -> Self {
        Self {
            provider: Provider::start(ProviderOptions::default()).await,
            client: client(),
            known: Mutex::default(),
        }
    }

    /// Whether this is what the provider says to that request.
    pub(crate) async fn confirms(&self, request: &Request, answer: &Answer) -> bool {
        if let Some(right) = self.known.lock().await.get(&request.body) {
            return right == answer;
        }
        let sent = send(&self.client, &self.provider.url(), request).await;
        let Ok(right) = sent.answer else { return false };
        let is_right = right == *answer;
        self.known.lock().await.insert(request.body.clone(), right);
        is_right
    }
}
