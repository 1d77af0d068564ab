//! [`RequestPolicy`]: which requests the cache has anything to do with.

use std::time::Duration;

use cache_core::CacheKey;
use cache_key::{EndpointKind, KeyScope, NotCanonical, Request, Value};

use crate::plan::Plan;
use crate::response::{AnswerKind, Asked, StreamOptions, Transport};

/// Which requests are looked up and stored, and for how long their answers are good.
///
/// | rule | default | changed with |
/// |---|---|---|
/// | kinds | chat completions, legacy completions, responses, messages; embeddings | [`chat`](Self::chat), [`embeddings`](Self::embeddings) |
/// | time to live | chat 1 h, embeddings 24 h | [`chat_ttl`](Self::chat_ttl), [`embedding_ttl`](Self::embedding_ttl) |
/// | streams | cached | [`streams`](Self::streams) |
/// | temperature ceiling | none | [`max_temperature`](Self::max_temperature) |
/// | absent temperature counts as | 1.0 | [`assumed_temperature`](Self::assumed_temperature) |
/// | `"store": true` | skips the cache | (the provider is asked to keep the answer: it must see it) |
/// | `conversation`, `"background": true` of responses | skip the cache | (the provider keeps what the answer depends on) |
///
/// An exact match returns what was answered to the very same request, so by default any
/// temperature will do.
#[derive(Clone, Debug)]
#[must_use]
pub struct RequestPolicy {
    chat: bool,
    embeddings: bool,
    chat_ttl: Duration,
    embedding_ttl: Duration,
    streams: bool,
    max_temperature: Option<f64>,
    assumed_temperature: f64,
}

impl Default for RequestPolicy {
    fn default() -> Self {
        Self {
            chat: true,
            embeddings: true,
            chat_ttl: Duration::from_secs(60 * 60),
            embedding_ttl: Duration::from_secs(24 * 60 * 60),
            streams: true,
            max_temperature: None,
            assumed_temperature: 1.0,
        }
    }
}

/// Why a request is none of the cache's business. It goes to the provider as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Bypass {
    /// Requests of this kind are not cached.
    #[error("{0} requests are not cached")]
    Kind(EndpointKind),
    /// The body has no canonical form, so there is no key that is surely its own.
    #[error("the request has no canonical form")]
    NotCanonical(#[from] NotCanonical),
    /// The request names no model.
    #[error("the request names no model")]
    NoModel,
    /// The request asks the provider to store the answer, which takes a real call.
    #[error("the provider is to store the answer")]
    Stored,
    /// Streams are not cached, or the request asks for one where there is none.
    #[error("streams are not cached here")]
    Streaming,
    /// The answer depends on what the provider keeps, or is to be kept by it.
    #[error("the answer depends on what the provider keeps")]
    State,
    /// The temperature is above the ceiling, or is not a number while there is a ceiling.
    #[error("the temperature is above the ceiling")]
    Temperature,
}

impl Bypass {
    /// The reason as one of a fixed set of words, for metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Kind(_) => "kind",
            Self::NotCanonical(_) => "not_canonical",
            Self::NoModel => "no_model",
            Self::Stored => "store",
            Self::Streaming => "streaming",
            Self::State => "state",
            Self::Temperature => "temperature",
        }
    }
}

/// A setting that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A time to live of zero.
    #[error("a time to live has to be longer than zero")]
    ZeroTtl,
    /// A temperature that no request can have.
    #[error("a temperature has to be a number that is not negative, not {0}")]
    Temperature(f64),
    /// A price or a cost that no model can have.
    #[error("a price has to be a number that is not negative, not {0}")]
    Price(f64),
    /// A limit for answers of zero bytes.
    #[error("the largest answer has to be larger than zero bytes")]
    ZeroMaxAnswer,
}

impl RequestPolicy {
    /// Whether what models say is cached: chat completions, legacy completions, responses, messages.
    /// Default: yes.
    pub fn chat(mut self, yes: bool) -> Self {
        self.chat = yes;
        self
    }

    /// Whether embeddings are cached. Default: yes.
    pub fn embeddings(mut self, yes: bool) -> Self {
        self.embeddings = yes;
        self
    }

    /// How long what models say is good. Default: 1 hour.
    pub fn chat_ttl(mut self, ttl: Duration) -> Self {
        self.chat_ttl = ttl;
        self
    }

    /// How long embeddings are good. Default: 24 hours.
    pub fn embedding_ttl(mut self, ttl: Duration) -> Self {
        self.embedding_ttl = ttl;
        self
    }

    /// Whether streams are cached. Default: yes.
    pub fn streams(mut self, yes: bool) -> Self {
        self.streams = yes;
        self
    }

    /// Chat requests with a temperature above this are neither read nor written. Default: none.
    pub fn max_temperature(mut self, ceiling: impl Into<Option<f64>>) -> Self {
        self.max_temperature = ceiling.into();
        self
    }

    /// What a request without a temperature counts as. Default: 1.0, as with `OpenAI`.
    pub fn assumed_temperature(mut self, temperature: f64) -> Self {
        self.assumed_temperature = temperature;
        self
    }

    /// Decides on a request, and finds the key that its answer stands under.
    ///
    /// # Errors
    ///
    /// Why the request is none of the cache's business.
    pub fn plan(&self, request: &Request<'_>, scope: &KeyScope) -> Result<Plan, Bypass> {
        let (kind, ttl) = self.kind(request.kind())?;
        let model = request.model().filter(|model| !model.is_empty()).ok_or(Bypass::NoModel)?;
        if member(request, "store").and_then(Value::as_bool) == Some(true) {
            return Err(Bypass::Stored);
        }
        let transport = if request.streams() { Transport::Stream } else { Transport::Plain };
        if transport == Transport::Stream && (!self.streams || kind == AnswerKind::Embeddings) {
            return Err(Bypass::Streaming);
        }
        if kind == AnswerKind::Responses && has_state(request) {
            return Err(Bypass::State);
        }
        if kind != AnswerKind::Embeddings {
            self.check_temperature(request)?;
        }
        // Options of a stream mean nothing where none is asked for.
        let stream = match transport {
            Transport::Stream => asked_of_stream(request, kind),
            Transport::Plain => AskedOfStream {
                unknown: [None, asked_of_stream(request, kind).unknown[1]],
                options: StreamOptions::default(),
            },
        };
        let asked = Asked {
            kind,
            transport,
            stream: stream.options,
            token_limit: ["max_tokens", "max_completion_tokens", "max_output_tokens"]
                .iter()
                .any(|name| member(request, name).is_some()),
            results: match kind {
                AnswerKind::Chat => member(request, "n").and_then(Value::as_u64),
                AnswerKind::Completions => completions(request),
                AnswerKind::Embeddings => member(request, "input").map(inputs),
                AnswerKind::Responses | AnswerKind::Messages => None,
            },
        };
        Ok(Plan::new(key(request, scope, stream.unknown), asked, model.into(), ttl))
    }

    pub(crate) fn check(&self) -> Result<(), PolicyError> {
        if self.chat_ttl.is_zero() || self.embedding_ttl.is_zero() {
            return Err(PolicyError::ZeroTtl);
        }
        let temperatures = self.max_temperature.into_iter().chain([self.assumed_temperature]);
        for temperature in temperatures {
            if !temperature.is_finite() || temperature < 0.0 {
                return Err(PolicyError::Temperature(temperature));
            }
        }
        Ok(())
    }

    pub(crate) fn kind(&self, kind: EndpointKind) -> Result<(AnswerKind, Duration), Bypass> {
        match kind {
            EndpointKind::ChatCompletions if self.chat => Ok((AnswerKind::Chat, self.chat_ttl)),
            EndpointKind::Completions if self.chat => Ok((AnswerKind::Completions, self.chat_ttl)),
            EndpointKind::Responses if self.chat => Ok((AnswerKind::Responses, self.chat_ttl)),
            EndpointKind::Messages if self.chat => Ok((AnswerKind::Messages, self.chat_ttl)),
            EndpointKind::Embeddings if self.embeddings => {
                Ok((AnswerKind::Embeddings, self.embedding_ttl))
            }
            other => Err(Bypass::Kind(other)),
        }
    }

    fn check_temperature(&self, request: &Request<'_>) -> Result<(), Bypass> {
        let Some(ceiling) = self.max_temperature else { return Ok(()) };
        let temperature = match member(request, "temperature") {
            None => self.assumed_temperature,
            // What is no number is above every ceiling.
            Some(value) => value.as_f64().unwrap_or(f64::INFINITY),
        };
        if temperature <= ceiling { Ok(()) } else { Err(Bypass::Temperature) }
    }
}

/// A top-level member; null is as good as absent.
fn member<'r>(request: &'r Request<'_>, name: &str) -> Option<Value<'r>> {
    request.member(name).filter(|value| !value.is_null())
}

/// Whether an answer of the Responses API depends on, or is to change, what the provider keeps and
/// may change later.
fn has_state(request: &Request<'_>) -> bool {
    member(request, "conversation").is_some()
        || member(request, "background").and_then(Value::as_bool) == Some(true)
}

/// How many choices a legacy completion has, where the request says it: `n` for each prompt.
fn completions(request: &Request<'_>) -> Option<u64> {
    let n = member(request, "n").map(Value::as_u64);
    let prompts = member(request, "prompt").map_or(1, inputs);
    match n {
        None if prompts == 1 => None,
        None => Some(prompts),
        Some(n) => n?.checked_mul(prompts),
    }
}

/// How many embeddings an `input` asks for: one of a text or of a list of tokens, else one each.
fn inputs(input: Value<'_>) -> u64 {
    let mut items = input.items();
    match items.next() {
        Some(first) if first.as_number().is_none() => 1 + items.len() as u64,
        _ => 1,
    }
}

/// What is asked of a stream, and what of it this crate does not know.
struct AskedOfStream<'r> {
    options: StreamOptions,
    /// Options whose streams have a form of their own.
    unknown: [Option<Value<'r>>; 2],
}

fn asked_of_stream<'r>(request: &'r Request<'_>, kind: AnswerKind) -> AskedOfStream<'r> {
    let mut asked = AskedOfStream { options: StreamOptions::default(), unknown: [None, None] };
    // Gateways that take an `extra_body` merge it into the request, each in its own way.
    asked.unknown[1] = member(request, "extra_body")
        .and_then(|extra| extra.get("stream_options"))
        .filter(|options| !options.is_null());
    let has_usage = matches!(kind, AnswerKind::Chat | AnswerKind::Completions);
    let has_options = has_usage || kind == AnswerKind::Responses;
    let Some(options) = member(request, "stream_options") else { return asked };
    if !options.is_object() || !has_options {
        asked.unknown[0] = Some(options);
        return asked;
    }
    for (name, value) in options.members() {
        match (name, value.as_bool()) {
            (_, None) if value.is_null() => {}
            ("include_usage", Some(yes)) if has_usage => asked.options.include_usage = yes,
            ("include_obfuscation", Some(yes)) => asked.options.include_obfuscation = Some(yes),
            _ => asked.unknown[0] = Some(options),
        }
    }
    asked
}

/// The key of the answer.
///
/// `stream` and `stream_options` are no part of it: they change how an answer travels, and one that
/// was stored in one transport serves the other. Streams with options that this crate does not know
/// may have a form that it does not know, so they stand apart.
fn key(request: &Request<'_>, scope: &KeyScope, unknown: [Option<Value<'_>>; 2]) -> CacheKey {
    if unknown.iter().all(Option::is_none) {
        return request.key(scope);
    }
    let mut scope = scope.clone();
    for (name, options) in ["stream options", "extra stream options"].into_iter().zip(unknown) {
        if let Some(options) = options {
            scope = scope.part(&format!("cache-llm {name}"), options.digest());
        }
    }
    request.key(&scope)
}
