//! From an HTTP request to an HTTP answer.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header, request};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use super::chat::{self, Stamp};
use super::delay::{Drawn, wait};
use super::error::ApiError;
use super::fault::Fault;
use super::request::Parsed;
use super::{Calls, ProviderOptions, Received, embeddings, stream};
use crate::random::Random;

/// The models there are, beside those whose name asks for a [`Fault`].
pub const MODELS: &[&str] = &[
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-5",
    "gpt-5-mini",
    "o3",
    "o4-mini",
    "text-embedding-3-small",
    "text-embedding-3-large",
];

/// OpenAI's own limit lies near this; images as data URLs need room.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// What all requests of a provider share.
#[derive(Debug)]
pub(super) struct Shared {
    options: ProviderOptions,
    ids: AtomicU64,
    calls: Mutex<Calls>,
    last: Mutex<Option<Received>>,
}

impl Shared {
    pub(super) fn new(options: ProviderOptions, port: u16) -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Two providers, and two runs of one, must not hand out the same ids.
        let start = u64::try_from(since_1970.as_nanos()).unwrap_or(0) ^ (u64::from(port) << 48);
        Self {
            options,
            ids: AtomicU64::new(start),
            calls: Mutex::default(),
            last: Mutex::default(),
        }
    }

    pub(super) fn calls(&self) -> Calls {
        self.calls.lock().expect(NEVER_POISONED).clone()
    }

    pub(super) fn last_request(&self) -> Option<Received> {
        self.last.lock().expect(NEVER_POISONED).clone()
    }

    fn record(&self, parts: &request::Parts, body: &Bytes) {
        let path = parts.uri.path().to_owned();
        *self.calls.lock().expect(NEVER_POISONED).by_path.entry(path).or_insert(0) += 1;
        *self.last.lock().expect(NEVER_POISONED) = Some(Received {
            method: parts.method.clone(),
            target: parts.uri.to_string(),
            headers: parts.headers.clone(),
            body: body.clone(),
        });
    }

    fn fresh_id(&self, prefix: &str) -> String {
        let mut random = Random::new(self.ids.fetch_add(1, Ordering::Relaxed));
        format!("{prefix}{:016x}{:012x}", random.next(), random.next() >> 16)
    }

    fn stamp(&self) -> Stamp {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Stamp { id: self.fresh_id("chatcmpl-"), created: since_1970.as_secs() }
    }

    fn draw(&self, request: &Parsed, prompt_tokens: u32) -> Drawn {
        let mut drawn = self.options.delays.draw(request.seed, prompt_tokens);
        if request.fault == Some(Fault::Slow) {
            drawn.first_token += self.options.slow;
        }
        drawn
    }
}

const NEVER_POISONED: &str = "nothing panics while it holds this lock";

/// Answers any request.
pub(super) async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let arrived = Instant::now();
    let (parts, body) = request.into_parts();
    let routed = match to_bytes(body, MAX_BODY).await {
        Ok(body) => {
            shared.record(&parts, &body);
            route(&shared, &parts, &body).await
        }
        Err(_) => Err(ApiError::too_large()),
    };
    let mut response = routed.unwrap_or_else(ApiError::into_response);
    let mut set = |name: &'static str, value: &str| {
        let value = HeaderValue::from_str(value).expect("digits, letters and dashes");
        response.headers_mut().insert(HeaderName::from_static(name), value);
    };
    set("x-request-id", &shared.fresh_id("req_"));
    set("openai-version", "2020-10-01");
    set("openai-processing-ms", &arrived.elapsed().as_millis().to_string());
    response
}

async fn route(shared: &Shared, parts: &request::Parts, body: &[u8]) -> Result<Response, ApiError> {
    if shared.options.require_credential && !has_credential(&parts.headers) {
        return Err(ApiError::no_credential());
    }
    match (&parts.method, parts.uri.path()) {
        (&Method::POST, "/v1/chat/completions") => {
            chat(shared, &Parsed::read(&parts.headers, body)?).await
        }
        (&Method::POST, "/v1/embeddings") => {
            embed(shared, &Parsed::read(&parts.headers, body)?).await
        }
        (&Method::GET, "/v1/models") => Ok(models()),
        (method, path) => Err(ApiError::unknown_url(method.as_str(), path)),
    }
}

fn has_credential(headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|key| !key.trim().is_empty())
}

async fn chat(shared: &Shared, request: &Parsed) -> Result<Response, ApiError> {
    let answer = chat::compose(request)?;
    let drawn = shared.draw(request, answer.prompt_tokens);
    let stamp = shared.stamp();
    if request.json["stream"] == true {
        let include_usage = request.json["stream_options"]["include_usage"] == true;
        let body = stream::body(&answer, &stamp, include_usage, request.fault, drawn);
        return Ok(with_type(body, "text/event-stream; charset=utf-8"));
    }
    wait(drawn.first_token + drawn.per_token * answer.output_tokens).await;
    whole(&answer.completion(&stamp), request.fault)
}

async fn embed(shared: &Shared, request: &Parsed) -> Result<Response, ApiError> {
    let embedded = embeddings::embed(request)?;
    wait(shared.draw(request, embedded.prompt_tokens).first_token).await;
    whole(&embedded.json, request.fault)
}

/// An answer in one piece, or what the fault makes of it.
fn whole(answer: &Value, fault: Option<Fault>) -> Result<Response, ApiError> {
    let text = answer.to_string();
    match fault {
        Some(Fault::ErrorFrame) => Err(ApiError::server_error()),
        Some(Fault::HalfStream) => Ok(with_type(stream::half(&text), "application/json")),
        _ => Ok(with_type(Body::from(text), "application/json")),
    }
}

fn models() -> Response {
    let data = MODELS.iter().map(|id| {
        json!({"id": id, "object": "model", "created": 1_700_000_000, "owned_by": "simulated"})
    });
    let list = json!({"object": "list", "data": data.collect::<Vec<_>>()});
    with_type(Body::from(list.to_string()), "application/json")
}

fn with_type(body: Body, content_type: &'static str) -> Response {
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}
