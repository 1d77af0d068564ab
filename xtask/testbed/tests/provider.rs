//! The simulated provider over real HTTP: what our other tests and the demo rely on.

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use testbed::provider::{FAULT_HEADER, Fault, Provider, ProviderOptions};

const CHAT: &str = "/v1/chat/completions";
const EMBEDDINGS: &str = "/v1/embeddings";

/// An HTTP proxy from the environment would not reach loopback.
fn client() -> Client {
    Client::builder().no_proxy().build().expect("a client without TLS always builds")
}

async fn start() -> Provider {
    Provider::start(ProviderOptions::default()).await
}

async fn post(provider: &Provider, path: &str, body: &Value) -> Response {
    let request = client().post(format!("{}{path}", provider.url())).json(body);
    request.send().await.expect("the provider answers")
}

async fn post_json(provider: &Provider, path: &str, body: &Value) -> Value {
    post(provider, path, body).await.json().await.expect("JSON")
}

fn question(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Why do rivers bend?"}]})
}

fn streamed(mut request: Value) -> Value {
    request["stream"] = json!(true);
    request
}

/// The data of each event, and whether the stream ended with `[DONE]`.
fn events(stream: &str) -> (Vec<Value>, bool) {
    let data: Vec<&str> = stream.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let done = data.last() == Some(&"[DONE]");
    let json = data.iter().filter(|data| **data != "[DONE]");
    (json.map(|data| serde_json::from_str(data).expect("JSON in each event")).collect(), done)
}

fn text_of(chunks: &[Value], index: usize) -> String {
    let choices = chunks.iter().flat_map(|chunk| chunk["choices"].as_array().expect("choices"));
    let ours = choices.filter(|choice| choice["index"] == index);
    ours.filter_map(|choice| choice["delta"]["content"].as_str()).collect()
}

#[tokio::test]
async fn equal_requests_get_equal_answers_with_fresh_ids() {
    let provider = start().await;
    let first = post_json(&provider, CHAT, &question("gpt-4o-mini")).await;
    let second = post_json(&provider, CHAT, &question("gpt-4o-mini")).await;
    assert_eq!(first["choices"], second["choices"]);
    assert_eq!(first["usage"], second["usage"]);
    assert_ne!(first["id"], second["id"]);
    assert_eq!(first["choices"][0]["finish_reason"], "stop");
    assert_eq!((provider.calls().to(CHAT), provider.calls().total()), (2, 2));

    let other = json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "?"}]});
    assert_ne!(post_json(&provider, CHAT, &other).await["choices"], first["choices"]);
}

#[tokio::test]
async fn a_stream_says_the_same_as_the_plain_answer() {
    let provider = start().await;
    let mut request = question("gpt-4o");
    request["n"] = json!(2);
    let plain = post_json(&provider, CHAT, &request).await;

    request["stream_options"] = json!({"include_usage": true});
    let response = post(&provider, CHAT, &streamed(request)).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    let (chunks, done) = events(&response.text().await.expect("a whole stream"));
    assert!(done);
    for index in [0, 1] {
        assert_eq!(text_of(&chunks, index), plain["choices"][index]["message"]["content"]);
    }
    assert_ne!(text_of(&chunks, 0), text_of(&chunks, 1));
    let last = chunks.last().expect("chunks");
    assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &plain["usage"]));
    assert!(chunks[0]["usage"].is_null() && chunks[0].get("usage").is_some());
}

#[tokio::test]
async fn usage_is_streamed_only_when_asked_for() {
    let provider = start().await;
    let response = post(&provider, CHAT, &streamed(question("gpt-4o"))).await;
    let (chunks, done) = events(&response.text().await.expect("a whole stream"));
    assert!(done && chunks.iter().all(|chunk| chunk.get("usage").is_none()));
}

#[tokio::test]
async fn tools_are_called_until_their_result_is_there() {
    let provider = start().await;
    let mut request = question("gpt-4o");
    request["tools"] = json!([{"type": "function", "function": {"name": "look_up", "parameters": {
        "type": "object", "required": ["city"], "properties": {"city": {"type": "string"}},
    }}}]);
    let answer = post_json(&provider, CHAT, &request).await;
    let choice = &answer["choices"][0];
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(call["function"]["name"], "look_up");
    let arguments = call["function"]["arguments"].as_str().expect("text").to_owned();
    let parsed: Value = serde_json::from_str(&arguments).expect("arguments are JSON");
    assert!(parsed["city"].is_string());

    let stream = post(&provider, CHAT, &streamed(request.clone())).await.text().await;
    let (chunks, _) = events(&stream.expect("a whole stream"));
    let pieces = chunks.iter().filter_map(|chunk| {
        chunk["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str()
    });
    assert_eq!(pieces.collect::<String>(), arguments);

    let messages = request["messages"].as_array_mut().expect("messages");
    messages.push(choice["message"].clone());
    messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "sunny"}));
    let answer = post_json(&provider, CHAT, &request).await;
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn embeddings_are_unit_vectors_in_both_encodings() {
    use base64::Engine as _;

    let provider = start().await;
    let mut request = json!({
        "model": "text-embedding-3-small", "input": ["sand", "clay", "sand"], "dimensions": 256,
    });
    let floats = post_json(&provider, EMBEDDINGS, &request).await;
    request["encoding_format"] = json!("base64");
    let encoded = post_json(&provider, EMBEDDINGS, &request).await;
    assert_eq!(floats["data"][0]["embedding"], floats["data"][2]["embedding"]);
    assert_ne!(floats["data"][0]["embedding"], floats["data"][1]["embedding"]);
    for index in 0..3 {
        let numbers = floats["data"][index]["embedding"].as_array().expect("numbers");
        let squares = numbers.iter().map(|x| x.as_f64().expect("number").powi(2));
        assert!((squares.sum::<f64>() - 1.0).abs() < 1e-4);
        let text = encoded["data"][index]["embedding"].as_str().expect("text");
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
        let decoded = bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().expect("4 bytes")));
        let decoded: Vec<f32> = decoded.collect();
        #[expect(clippy::cast_possible_truncation, reason = "they were 32-bit floats")]
        let printed: Vec<f32> =
            numbers.iter().map(|x| x.as_f64().expect("number") as f32).collect();
        assert_eq!(decoded, printed);
    }
    let tokens = json!({"model": "text-embedding-3-large", "input": [[1, 2], [3]]});
    let answer = post_json(&provider, EMBEDDINGS, &tokens).await;
    assert_eq!(answer["usage"]["prompt_tokens"], 3);
    assert_eq!(answer["data"][1]["embedding"].as_array().map(Vec::len), Some(3072));
}

#[tokio::test]
async fn errors_have_openais_shape() {
    let provider = start().await;
    let cases = [
        (json!({"model": "no-such-model", "messages": []}), 404, "model_not_found"),
        (json!({"model": "gpt-4o"}), 400, "missing_required_parameter"),
        (json!({"model": "gpt-4o", "messages": []}), 400, "invalid_value"),
        (json!({"messages": []}), 400, "missing_required_parameter"),
        (question(&Fault::RateLimit.model()), 429, "rate_limit_exceeded"),
    ];
    for (request, status, code) in cases {
        let response = post(&provider, CHAT, &request).await;
        assert_eq!(response.status().as_u16(), status, "{request}");
        assert_eq!(response.headers().contains_key("retry-after"), status == 429);
        assert!(response.headers().contains_key("x-request-id"));
        let error: Value = response.json().await.expect("JSON");
        assert_eq!(error["error"]["code"], code, "{error}");
    }
    let url = format!("{}{CHAT}", provider.url());
    let response = client().post(&url).body("{\"model\": ").send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let response = client().get(&url).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let empty = json!({"model": "text-embedding-3-small", "input": ""});
    assert_eq!(post(&provider, EMBEDDINGS, &empty).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_credential_is_needed_when_so_configured() {
    let options = ProviderOptions { require_credential: true, ..ProviderOptions::default() };
    let provider = Provider::start(options).await;
    let url = format!("{}/v1/models", provider.url());
    let refused = client().get(&url).send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let allowed = client().get(&url).bearer_auth("sk-test").send().await.expect("an answer");
    assert_eq!(allowed.status(), StatusCode::OK);
    let last = provider.last_request().expect("a request came");
    assert_eq!(last.headers["authorization"], "Bearer sk-test");
}

#[tokio::test]
async fn streams_break_in_the_ways_that_are_asked_for() {
    let provider = start().await;
    let request = streamed(question(&Fault::HalfStream.model()));
    let mut half = post(&provider, CHAT, &request).await;
    assert_eq!(half.status(), StatusCode::OK);
    let mut received = Vec::new();
    let broken = loop {
        match half.chunk().await {
            Ok(Some(bytes)) => received.extend_from_slice(&bytes),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken, "the stream must not end in order");
    assert!(received.starts_with(b"data: {") && !received.ends_with(b"\n\n"), "cut within a chunk");

    let (chunks, done) = events(&text_with(&provider, Fault::ErrorFrame).await);
    assert!(!done && chunks.last().expect("frames")["error"]["type"] == "server_error");
    let (_, done) = events(&text_with(&provider, Fault::NoDone).await);
    assert!(!done);
    let (chunks, done) = events(&text_with(&provider, Fault::ContentFilter).await);
    assert!(done);
    assert_eq!(chunks.last().expect("chunks")["choices"][0]["finish_reason"], "content_filter");
    let (chunks, _) = events(&text_with(&provider, Fault::Empty).await);
    assert_eq!(text_of(&chunks, 0), "");
}

async fn text_with(provider: &Provider, fault: Fault) -> String {
    let request = streamed(question(&fault.model()));
    post(provider, CHAT, &request).await.text().await.expect("a stream")
}

#[tokio::test]
async fn plain_answers_break_too() {
    let provider = start().await;
    let half = post(&provider, CHAT, &question(&Fault::HalfStream.model())).await;
    assert!(half.bytes().await.is_err(), "half an answer must not look whole");
    let answer = post_json(&provider, CHAT, &question(&Fault::Length.model())).await;
    assert_eq!(answer["choices"][0]["finish_reason"], "length");

    let url = format!("{}{CHAT}", provider.url());
    let request = client().post(url).header(FAULT_HEADER, Fault::ServerError.name());
    let response = request.json(&question("gpt-4o")).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn the_port_is_free_after_stop_and_can_be_taken_again() {
    let provider = start().await;
    let (url, port) = (provider.url(), provider.port());
    provider.stop().await;
    assert!(client().get(format!("{url}/v1/models")).send().await.is_err());
    let again = Provider::start(ProviderOptions { port, ..ProviderOptions::default() }).await;
    assert_eq!(again.url(), url);
}
