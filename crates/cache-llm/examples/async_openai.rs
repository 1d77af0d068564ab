//! The types of `async-openai` with a cache around the provider: one call, then hits, plain and streamed.
//!
//! ```text
//! cargo run -p cache-llm --example async_openai
//! ```
//!
//! It needs no network and no API key: where `OpenAi` answers by itself, its comments say what a
//! real program calls.

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use async_openai::types::chat::{
    ChatCompletionRequestSystemMessage, ChatCompletionRequestUserMessage,
    CreateChatCompletionRequest, CreateChatCompletionRequestArgs, CreateChatCompletionResponse,
    CreateChatCompletionStreamResponse,
};
use cache_llm::{
    CacheMode, CachedProvider, ChunkStream, DualCache, EndpointKind, KeyScope, LlmProvider,
    ProviderCache, Tenant,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, from_value, json};

/// Holds the `async_openai::Client` of a real program.
struct OpenAi;

impl LlmProvider for OpenAi {
    type Request = CreateChatCompletionRequest;
    type Answer = CreateChatCompletionResponse;
    type Chunk = CreateChatCompletionStreamResponse;
    type Error = io::Error; // `async_openai::error::OpenAIError`

    fn name(&self) -> &'static str {
        "openai"
    }

    async fn is_available(&self) -> bool {
        true
    }

    /// In a real program: `self.client.chat().create(request.clone()).await`.
    async fn complete(&self, request: &Self::Request) -> io::Result<Self::Answer> {
        println!("  (the provider is asked for {}, plain)", request.model);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let message = json!({"role": "assistant", "content": "Paris."});
        Ok(from_value(json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1_760_000_000,
            "model": request.model,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 21, "completion_tokens": 3, "total_tokens": 24},
        }))?)
    }

    /// In a real program: `Ok(self.client.chat().create_stream(request.clone()).await?.boxed())`.
    async fn stream(
        &self,
        request: &Self::Request,
    ) -> io::Result<ChunkStream<Self::Chunk, io::Error>> {
        println!("  (the provider is asked for {}, as a stream)", request.model);
        let model = request.model.clone();
        let chunk = move |(delta, finish_reason): (Value, Option<&str>)| {
            Ok(from_value(json!({
                "id": "chatcmpl-2", "object": "chat.completion.chunk", "created": 1_760_000_000,
                "model": model,
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
            }))?)
        };
        let parts = [
            (json!({"role": "assistant", "content": "The "}), None),
            (json!({"content": "Sei"}), None),
            (json!({"content": "ne."}), None),
            (json!({}), Some("stop")),
        ];
        Ok(stream::iter(parts).map(chunk).boxed())
    }
}

fn question(text: &str) -> Result<CreateChatCompletionRequest, Box<dyn Error>> {
    let request = CreateChatCompletionRequestArgs::default()
        .model("gpt-4o")
        .messages([
            ChatCompletionRequestSystemMessage::from("Be brief.").into(),
            ChatCompletionRequestUserMessage::from(text).into(),
        ])
        .temperature(0.2)
        .build()?;
    Ok(request)
}

type OpenAiCached = CachedProvider<OpenAi>;

/// Asks for the whole answer; whether it was cached.
async fn plain(
    provider: &OpenAiCached,
    request: &CreateChatCompletionRequest,
) -> Result<bool, Box<dyn Error>> {
    let served = provider.serve(request, CacheMode::Use).await?;
    let text = served.answer.choices[0].message.content.as_deref().unwrap_or_default();
    println!("plain:  {text}");
    Ok(served.is_cached())
}

/// Asks for a stream, and shows its pieces as they come.
async fn streamed(
    provider: &OpenAiCached,
    request: &CreateChatCompletionRequest,
) -> Result<(), Box<dyn Error>> {
    let mut chunks = provider.stream(request).await?;
    print!("stream: ");
    while let Some(chunk) = chunks.try_next().await? {
        for choice in chunk.choices {
            print!("{}", choice.delta.content.unwrap_or_default());
            io::stdout().flush()?;
        }
    }
    println!();
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let cache = ProviderCache::builder(DualCache::builder().build()?).build()?;
    // The provider's name becomes part of the scope.
    let scope = KeyScope::new(Tenant::named("acme"));
    let provider = CachedProvider::new(OpenAi, EndpointKind::ChatCompletions, cache, scope);

    println!("A plain answer serves both transports:");
    let capital = question("What is the capital of France?")?;
    assert!(!plain(&provider, &capital).await?);
    assert!(plain(&provider, &capital).await?);
    streamed(&provider, &capital).await?;

    println!("A stream is recorded on its way, and replayed:");
    let river = question("Which river is it on?")?;
    streamed(&provider, &river).await?;
    streamed(&provider, &river).await?;

    println!("Any difference that could change the answer is another question:");
    let warmer = CreateChatCompletionRequest { temperature: Some(0.3), ..capital };
    assert!(!plain(&provider, &warmer).await?);

    let saved = provider.cache().savings().total();
    let tokens = saved.input_tokens + saved.output_tokens;
    println!("{} hits spared {tokens} tokens, {}.", saved.hits, saved.dollars);
    assert_eq!(saved.hits, 3);
    Ok(())
}
