//! The types of `async-openai` with a cache around the call: one call, then hits, plain and streamed.
//!
//! ```text
//! cargo run -p cache-llm --example async_openai
//! ```
//!
//! It needs no network and no API key: `ask` stands where `client.chat().create(request)` would.

use std::error::Error;
use std::io;
use std::time::Duration;

use async_openai::types::chat::{
    ChatCompletionRequestSystemMessage, ChatCompletionRequestUserMessage,
    CreateChatCompletionRequest, CreateChatCompletionRequestArgs, CreateChatCompletionResponse,
};
use cache_llm::{DualCache, EndpointKind, KeyScope, ProviderCache, Tenant, cached};

/// In place of `client.chat().create(request).await`.
async fn ask(request: &CreateChatCompletionRequest) -> io::Result<CreateChatCompletionResponse> {
    println!("  (the provider is asked for {})", request.model);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let answer = r#"{
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1760000000, "model": "gpt-4o",
        "choices": [{"index": 0, "finish_reason": "stop",
                     "message": {"role": "assistant", "content": "Paris."}}],
        "usage": {"prompt_tokens": 21, "completion_tokens": 3, "total_tokens": 24}
    }"#;
    Ok(serde_json::from_str(answer)?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let cache = ProviderCache::<io::Error>::builder(DualCache::builder().build()?).build()?;
    let scope = KeyScope::new(Tenant::named("acme")).provider("openai");

    let request = CreateChatCompletionRequestArgs::default()
        .model("gpt-4o")
        .messages([
            ChatCompletionRequestSystemMessage::from("Be brief.").into(),
            ChatCompletionRequestUserMessage::from("What is the capital of France?").into(),
        ])
        .temperature(0.2)
        .build()?;

    for attempt in 1..=3 {
        let served =
            cached(&cache, EndpointKind::ChatCompletions, &request, &scope, || ask(&request));
        let served = served.await?;
        let text = served.answer.choices[0].message.content.as_deref().unwrap_or_default();
        let from = if served.is_cached() { "the cache" } else { "the provider" };
        println!("{attempt}. {text} (from {from})");
    }

    // Any difference that could change the answer is another question.
    let warmer = CreateChatCompletionRequest { temperature: Some(0.3), ..request };
    let served =
        cached(&cache, EndpointKind::ChatCompletions, &warmer, &scope, || ask(&warmer)).await?;
    assert!(!served.is_cached());

    let saved = cache.savings().total();
    let tokens = saved.input_tokens + saved.output_tokens;
    println!("{} hits spared {tokens} tokens, ${:.6}.", saved.hits, saved.dollars.as_f64());
    Ok(())
}
