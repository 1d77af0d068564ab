//! The provider of vex-llm that caches, filled and asked as suite `llm` orders.
//!
//! In: the number of questions; for each, a line `[body, text]` of JSON; then orders, which are lines of
//! numbers of questions. Out: `ready`, then for each order the nanoseconds of each call.

use std::collections::HashMap;
use std::io::{self, BufRead as _, Write as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Map, Value};
use vex_llm::{CachedProvider, LlmCacheConfig, LlmError, LlmProvider, LlmRequest, LlmResponse};

/// What the model says, by prompt; each once.
#[derive(Debug)]
struct Answering(Mutex<HashMap<String, String>>);

#[async_trait]
impl LlmProvider for Answering {
    fn name(&self) -> &'static str {
        "answering"
    }

    async fn is_available(&self) -> bool {
        true
    }

    async fn complete(&self, request: LlmRequest) -> Result<LlmResponse, LlmError> {
        let content = self.0.lock().expect("nobody panicked").remove(&request.prompt);
        let (content, model) = (content.ok_or(LlmError::NotAvailable)?, "m".to_owned());
        Ok(LlmResponse { content, model, tokens_used: Some(730), latency_ms: 0, trace_root: None })
    }
}

/// As its users would: one system text and one prompt are all that it knows.
#[allow(clippy::cast_possible_truncation, reason = "its fields are that narrow")]
fn request(body: &str) -> LlmRequest {
    let mut body: Map<String, Value> = serde_json::from_str(body).expect("a valid body");
    let Some(Value::Array(messages)) = body.remove("messages") else { unreachable!() };
    let mut contents = messages.into_iter().map(|mut message| match message["content"].take() {
        Value::String(content) => content,
        other => panic!("no text: {other}"),
    });
    let mut request = LlmRequest::simple("");
    request.tenant_id = Some("acme".to_owned());
    request.system = contents.next().expect("a system text");
    request.prompt = contents.next().expect("a prompt");
    request.temperature = body["temperature"].as_f64().map_or(0.7, |value| value as f32);
    request.max_tokens = body["max_tokens"].as_u64().map_or(1_024, |value| value as u32);
    request
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut lines = io::stdin().lock().lines();
    let count: usize = lines.next().ok_or("no number of questions")??.parse()?;
    let mut questions: Vec<[String; 2]> = Vec::with_capacity(count);
    for line in lines.by_ref().take(count) {
        questions.push(serde_json::from_str(&line?)?);
    }
    let said = questions.iter().map(|[body, text]| (request(body).prompt, text.clone()));
    let provider = Answering(Mutex::new(said.collect()));
    let (max_entries, ttl) = (2 * count as u64, Duration::from_secs(3_600));
    let cache = CachedProvider::new(provider, LlmCacheConfig { max_entries, ttl, tti: None });
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        for [body, _] in &questions {
            cache.complete(request(body)).await?;
        }
        Ok::<_, LlmError>(())
    })?;
    println!("ready");
    for line in lines {
        let line = line?;
        let times = runtime.block_on(async {
            let mut times = Vec::new();
            for number in line.split(' ') {
                let [body, text] = &questions[number.parse::<usize>()?];
                let start = Instant::now();
                let answer = cache.complete(request(body)).await;
                times.push(start.elapsed().as_nanos().to_string());
                assert!(answer?.content == *text, "a wrong answer");
            }
            Ok::<_, Box<dyn std::error::Error>>(times)
        })?;
        println!("{}", times.join(" "));
        io::stdout().flush()?;
    }
    Ok(())
}
