//! The types of `async-openai`, which are nobody's but its own: their keys are those of the raw JSON, and
//! what a hit or the other transport serves reads into them as what the provider said.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fmt::Debug;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_openai::types::chat::{
    ChatCompletionRequestMessageContentPartImage, ChatCompletionRequestMessageContentPartText,
    ChatCompletionRequestSystemMessage, ChatCompletionRequestUserMessage,
    ChatCompletionRequestUserMessageContentPart, ChatCompletionTool, ChatCompletionTools,
    CreateChatCompletionRequest, CreateChatCompletionRequestArgs, CreateChatCompletionResponse,
    CreateChatCompletionStreamResponse, FunctionObject, ImageDetail, ImageUrl, ResponseFormat,
    ResponseFormatJsonSchema,
};
use async_openai::types::completions::{CreateCompletionRequestArgs, CreateCompletionResponse};
use async_openai::types::embeddings::{
    CreateBase64EmbeddingResponse, CreateEmbeddingRequestArgs, CreateEmbeddingResponse, Embedding,
    EncodingFormat,
};
use async_openai::types::responses::{
    CreateResponseArgs, FunctionTool, Response, ResponseStreamEvent, ResponseTextParam,
    TextResponseFormatConfiguration, Tool,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cache_dual::DualCache;
use cache_llm::sse::SseParser;
use cache_llm::{
    CachedProvider, ChunkStream, EndpointKind, KeyScope, LlmProvider, ProviderCache, Tenant, cached,
};
use common::*;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

fn scope() -> KeyScope {
    KeyScope::new(Tenant::named("acme")).provider("openai")
}

/// A2, A4: the request that a builder made has the key of the JSON that the reference shows.
#[track_caller]
fn assert_same_key(kind: EndpointKind, typed: &impl Serialize, raw: &str) {
    let cache = cache();
    let typed = serde_json::to_vec(typed).unwrap();
    let plan = |body: &[u8]| cache.prepare(kind, body, &scope()).unwrap();
    assert_eq!(plan(&typed).keys(), plan(raw.as_bytes()).keys());
}

fn chat_request() -> CreateChatCompletionRequest {
    let weather = FunctionObject {
        name: "weather".into(),
        description: Some("The weather of a city.".into()),
        parameters: Some(json!({
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": false,
        })),
        strict: Some(true),
    };
    let image =
        ImageUrl { url: "https://example.com/sky.png".into(), detail: Some(ImageDetail::Low) };
    let parts = vec![
        ChatCompletionRequestUserMessageContentPart::Text(
            ChatCompletionRequestMessageContentPartText::from("What is the weather here?"),
        ),
        ChatCompletionRequestUserMessageContentPart::ImageUrl(
            ChatCompletionRequestMessageContentPartImage::from(image),
        ),
    ];
    let format = ResponseFormatJsonSchema {
        description: None,
        name: "weather".into(),
        schema: json!({"type": "object", "properties": {"celsius": {"type": "number"}}}),
        strict: Some(true),
    };
    CreateChatCompletionRequestArgs::default()
        .model("gpt-4o")
        .messages([
            ChatCompletionRequestSystemMessage::from("Be brief.").into(),
            ChatCompletionRequestUserMessage { content: parts.into(), ..Default::default() }.into(),
        ])
        .tools(vec![ChatCompletionTools::Function(ChatCompletionTool { function: weather })])
        .response_format(ResponseFormat::JsonSchema { json_schema: format })
        .temperature(0.2)
        .seed(7)
        .max_completion_tokens(300_u32)
        .build()
        .unwrap()
}

#[test]
fn chat_requests_have_the_key_of_their_json() {
    let raw = r#"{
        "model": "gpt-4o",
        "temperature": 2e-1,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is the weather here?"},
                {"type": "image_url", "image_url": {"url": "https://example.com/sky.png", "detail": "low"}}
            ]}
        ],
        "tools": [{"type": "function", "function": {
            "name": "weather",
            "description": "The weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": false
            },
            "strict": true
        }}],
        "response_format": {"type": "json_schema", "json_schema": {
            "name": "weather",
            "schema": {"type": "object", "properties": {"celsius": {"type": "number"}}},
            "strict": true
        }},
        "seed": 7,
        "max_completion_tokens": 300,
        "stop": null
    }"#;
    assert_same_key(EndpointKind::ChatCompletions, &chat_request(), raw);
    let streamed = CreateChatCompletionRequest { stream: Some(true), ..chat_request() };
    assert_same_key(EndpointKind::ChatCompletions, &streamed, raw);
}

#[test]
fn other_requests_have_the_key_of_their_json() {
    let typed = CreateCompletionRequestArgs::default()
        .model("gpt-3.5-turbo-instruct")
        .prompt("Once upon")
        .stop("\n")
        .top_p(0.9)
        .build()
        .unwrap();
    let raw = r#"{"model":"gpt-3.5-turbo-instruct","prompt":"Once upon","stop":"\n","top_p":0.90}"#;
    assert_same_key(EndpointKind::Completions, &typed, raw);

    let typed = CreateEmbeddingRequestArgs::default()
        .model("text-embedding-3-small")
        .input(["sand", "sea"])
        .dimensions(4_u32)
        .build()
        .unwrap();
    let raw = r#"{"input":["sand","sea"],"model":"text-embedding-3-small","dimensions":4}"#;
    assert_same_key(EndpointKind::Embeddings, &typed, raw);

    let tool = FunctionTool {
        name: "weather".into(),
        parameters: Some(json!({"type": "object", "properties": {}})),
        strict: Some(true),
        ..Default::default()
    };
    let format = ResponseFormatJsonSchema {
        description: None,
        name: "weather".into(),
        schema: json!({"type": "object"}),
        strict: None,
    };
    let typed = CreateResponseArgs::default()
        .model("gpt-5")
        .input("What is the weather here?")
        .instructions("Be brief.")
        .tools(vec![Tool::Function(tool)])
        .text(ResponseTextParam {
            format: TextResponseFormatConfiguration::JsonSchema(format),
            verbosity: None,
        })
        .max_output_tokens(300_u32)
        .build()
        .unwrap();
    let raw = r#"{
        "model": "gpt-5", "input": "What is the weather here?", "instructions": "Be brief.",
        "tools": [{"type": "function", "name": "weather", "strict": true,
                   "parameters": {"type": "object", "properties": {}}}],
        "text": {"format": {"type": "json_schema", "name": "weather", "schema": {"type": "object"}}},
        "max_output_tokens": 300
    }"#;
    assert_same_key(EndpointKind::Responses, &typed, raw);
}

/// What a client of the typed crate reads of a stream.
fn events<C: DeserializeOwned>(stream: &Bytes) -> Vec<C> {
    let mut events = Vec::new();
    SseParser::new(1 << 20).push(stream, |event| {
        let data = event.expect("the events are small").data;
        if data != b"[DONE]" {
            let event = serde_json::from_slice(data);
            events.push(
                event.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(data))),
            );
        }
    });
    assert!(!events.is_empty());
    events
}

/// Asks for one of the golden answers in both transports, the first of which the provider gives, and reads
/// the replies into types: from a miss, from a hit, and from a hit that was transcoded.
async fn both_transports<A, C>(kind: EndpointKind, case: &str)
where
    A: DeserializeOwned + PartialEq + Debug,
    C: DeserializeOwned + PartialEq + Debug,
{
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(case);
    let file = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let streams = file("request.json");
    let plainly = streams.replace("\"stream\":true", "\"stream\":false");
    assert_ne!(streams, plainly);
    let given = serde_json::from_str::<A>(&file("plain.json")).unwrap();
    let answer = |body: &Bytes| serde_json::from_slice::<A>(body).unwrap();

    let (cache, calls) = (cache(), Calls::default());
    let plan = |body: &str| cache.prepare(kind, body.as_bytes(), &scope()).unwrap();
    let (plain_plan, stream_plan) = (plan(&plainly), plan(&streams));
    let miss = calls.ask(&cache, &plain_plan, plain(200, file("plain.json"))).await;
    assert_eq!(answer(&body(miss).await.unwrap()), given, "{case}");
    let again = hit(calls.ask(&cache, &plain_plan, plain(500, "")).await);
    assert_eq!(answer(&again.body), given, "{case}");
    let transcoded = hit(calls.ask(&cache, &stream_plan, plain(500, "")).await);
    assert!(transcoded.transcoded);
    events::<C>(&transcoded.body);

    let cache = common::cache();
    let sent = Bytes::from(file("stream.sse"));
    let pieces = stream::iter([Ok(sent.clone())]).boxed();
    let upstream = Answer { is_event_stream: true, body: pieces, ..plain(200, "") };
    let miss = calls.ask(&cache, &stream_plan, upstream).await;
    let first = events::<C>(&body(miss).await.unwrap());
    assert_eq!(first, events::<C>(&sent), "{case}");
    let again = hit(calls.ask(&cache, &stream_plan, plain(500, "")).await);
    assert_eq!(events::<C>(&again.body), first, "{case}");
    let transcoded = hit(calls.ask(&cache, &plain_plan, plain(500, "")).await);
    assert!(transcoded.transcoded);
    assert_eq!(answer(&transcoded.body), given, "{case}");
    assert_eq!(calls.count(), 2);
}

/// A50, A52; rivals' line 9: no difference between what a miss, a hit and the other transport read as.
#[tokio::test]
async fn answers_read_alike_from_everywhere() {
    for case in ["parallel-tools", "structured-output", "logprobs", "two-choices", "images"] {
        let case = format!("chat/{case}");
        both_transports::<CreateChatCompletionResponse, CreateChatCompletionStreamResponse>(
            EndpointKind::ChatCompletions,
            &case,
        )
        .await;
    }
    for case in ["text", "two-choices-with-logprobs"] {
        let case = format!("completions/{case}");
        both_transports::<CreateCompletionResponse, CreateCompletionResponse>(
            EndpointKind::Completions,
            &case,
        )
        .await;
    }
    for case in ["text", "parallel-tools"] {
        let case = format!("responses/{case}");
        both_transports::<Response, ResponseStreamEvent>(EndpointKind::Responses, &case).await;
    }
}

/// Rivals' line 10: embeddings that were stored as numbers are read as base64, and the reverse.
#[tokio::test]
async fn embeddings_read_alike_in_both_encodings() {
    let (cache, calls) = (cache(), Calls::default());
    let request = |format: EncodingFormat| {
        let mut request = CreateEmbeddingRequestArgs::default();
        request.model("text-embedding-3-small").input(["sand", "sea"]).encoding_format(format);
        serde_json::to_vec(&request.build().unwrap()).unwrap()
    };
    let plan =
        |format| cache.prepare(EndpointKind::Embeddings, &request(format), &scope()).unwrap();
    let given = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.25,-1.5]},{"object":"embedding","index":1,"embedding":[3,4e-3]}],"model":"text-embedding-3-small","usage":{"prompt_tokens":2,"total_tokens":2}}"#;
    let miss = calls.ask(&cache, &plan(EncodingFormat::Float), plain(200, given)).await;
    let first: CreateEmbeddingResponse =
        serde_json::from_slice(&body(miss).await.unwrap()).unwrap();
    let again = hit(calls.ask(&cache, &plan(EncodingFormat::Float), plain(500, "")).await);
    assert_eq!(serde_json::from_slice::<CreateEmbeddingResponse>(&again.body).unwrap(), first);
    let base64 = hit(calls.ask(&cache, &plan(EncodingFormat::Base64), plain(500, "")).await);
    let base64: CreateBase64EmbeddingResponse = serde_json::from_slice(&base64.body).unwrap();
    assert_eq!(base64.usage, first.usage);
    let vectors =
        |vectors: Vec<Embedding>| vectors.into_iter().map(|item| (item.index, item.embedding));
    let decoded = base64.data.into_iter().map(|item| {
        let bytes = STANDARD.decode(item.embedding.0).unwrap();
        let numbers = bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap()));
        (item.index, numbers.collect())
    });
    assert!(decoded.eq(vectors(first.data)));
    assert_eq!(calls.count(), 1);
}

/// A client of `async-openai`'s types, in place of its own, which needs a network.
#[derive(Clone, Default)]
struct OpenAi(Arc<AtomicUsize>);

impl OpenAi {
    fn chunks() -> Vec<CreateChatCompletionStreamResponse> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/chat/parallel-tools");
        events(&fs::read(folder.join("stream.sse")).unwrap().into())
    }

    fn answer() -> CreateChatCompletionResponse {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/chat/parallel-tools");
        serde_json::from_slice(&fs::read(folder.join("plain.json")).unwrap()).unwrap()
    }
}

impl LlmProvider for OpenAi {
    type Request = CreateChatCompletionRequest;
    type Answer = CreateChatCompletionResponse;
    type Chunk = CreateChatCompletionStreamResponse;
    type Error = io::Error;

    fn name(&self) -> &'static str {
        "openai"
    }

    async fn is_available(&self) -> bool {
        true
    }

    async fn complete(&self, _: &Self::Request) -> io::Result<Self::Answer> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Self::answer())
    }

    async fn stream(&self, _: &Self::Request) -> io::Result<ChunkStream<Self::Chunk, io::Error>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(stream::iter(Self::chunks().into_iter().map(Ok)).boxed())
    }
}

fn request() -> CreateChatCompletionRequest {
    CreateChatCompletionRequest { model: OpenAi::answer().model, ..chat_request() }
}

fn provider(cache: &ProviderCache<io::Error>) -> CachedProvider<OpenAi> {
    let scope = KeyScope::new(Tenant::named("acme"));
    CachedProvider::new(OpenAi::default(), EndpointKind::ChatCompletions, cache.clone(), scope)
}

fn provider_cache() -> ProviderCache<io::Error> {
    ProviderCache::builder(DualCache::builder().build().unwrap()).build().unwrap()
}

/// A43, A47: a typed provider, asked plainly first.
#[tokio::test]
async fn typed_providers_hit() {
    let cached = provider(&provider_cache());
    let request = request();
    assert_eq!(cached.complete(&request).await.unwrap(), OpenAi::answer());
    assert_eq!(cached.complete(&request).await.unwrap(), OpenAi::answer());
    let chunks: Vec<_> = cached.stream(&request).await.unwrap().try_collect().await.unwrap();
    assert!(chunks.len() > 1, "the stored answer as a stream");
    assert_eq!(chunks[0].id, OpenAi::answer().id);
    assert_eq!(cached.inner().0.load(Ordering::SeqCst), 1);
}

/// And as a stream first.
#[tokio::test]
async fn typed_providers_hit_after_a_stream() {
    let cached = provider(&provider_cache());
    let request = request();
    for _ in 0..2 {
        let chunks: Vec<_> = cached.stream(&request).await.unwrap().try_collect().await.unwrap();
        assert_eq!(chunks, OpenAi::chunks());
    }
    assert_eq!(cached.inner().0.load(Ordering::SeqCst), 1);
}

/// A single call, wrapped.
#[tokio::test]
async fn single_calls_hit() {
    let cache = provider_cache();
    let (request, scope, calls) = (request(), scope(), AtomicUsize::new(0));
    for is_hit in [false, true] {
        let served = cached(&cache, EndpointKind::ChatCompletions, &request, &scope, || async {
            calls.fetch_add(1, Ordering::SeqCst);
            Ok::<_, io::Error>(OpenAi::answer())
        });
        let served = served.await.unwrap();
        assert_eq!((served.is_cached(), served.answer), (is_hit, OpenAi::answer()));
    }
    assert_eq!(calls.into_inner(), 1);
}
