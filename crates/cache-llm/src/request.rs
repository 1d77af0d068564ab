//! [`RequestPolicy`]: which requests the cache has anything to do with.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use cache_core::CacheKey;
use cache_dual::Strategy;
use cache_key::{EndpointKind, KeyScope, NotCanonical, Request, Value};

use crate::models::by_pattern;
use crate::plan::Plan;
use crate::price::PriceError;
use crate::response::{AnswerKind, Asked, StreamOptions, Transport};
use crate::tags;

/// Which requests are looked up and stored, and for how long their answers are good.
///
/// | rule | default | changed with |
/// |---|---|---|
/// | kinds | chat completions, legacy completions, responses, messages; embeddings | [`chat`](Self::chat), [`embeddings`](Self::embeddings) |
/// | time to live | chat 1 h, embeddings 24 h | [`chat_ttl`](Self::chat_ttl), [`embedding_ttl`](Self::embedding_ttl) |
/// | streams | cached | [`streams`](Self::streams) |
/// | temperature ceiling | none | [`max_temperature`](Self::max_temperature) |
/// | absent temperature counts as | 1.0 | [`assumed_temperature`](Self::assumed_temperature) |
/// | bodies | of any size | [`min_body`](Self::min_body), [`max_body`](Self::max_body) |
/// | requests with tools | cached | [`tools`](Self::tools) |
/// | only what is deterministic | no | [`deterministic_only`](Self::deterministic_only) |
/// | time to live by kind, by model | none | [`kind_ttl`](Self::kind_ttl), [`model_ttl`](Self::model_ttl) |
/// | jitter | none beyond the cache's own | [`jitter`](Self::jitter) |
/// | grace | the cache's own | [`grace`](Self::grace) |
/// | `"store": true` | skips the cache | (the provider is asked to keep the answer: it must see it) |
/// | `conversation`, `"background": true`, a `prompt` without `version` of responses, `container` with an id of messages | skip the cache | (the provider keeps what the answer depends on) |
///
/// An exact match returns what was answered to the very same request, so by default any
/// temperature will do.
///
/// With feature `serde` it can be read from configuration: members that are left out have their
/// defaults, unknown ones are refused, and durations are texts such as `1h`. The names in `kind_ttl`
/// are `chat`, `completions`, `responses`, `messages` and `embeddings`: see [`AnswerKind`].
#[cfg_attr(feature = "serde", doc = "```")]
#[cfg_attr(not(feature = "serde"), doc = "```ignore")]
/// use cache_llm::RequestPolicy;
///
/// let policy: RequestPolicy = serde_json::from_str(
///     r#"{"chat_ttl": "30m", "model_ttl": {"gpt-4o*": "2h"}, "tools": false, "jitter": 0.1}"#,
/// )?;
/// assert!(serde_json::from_str::<RequestPolicy>(r#"{"chat_tll": "30m"}"#).is_err());
/// # let _ = policy;
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, default))]
#[must_use]
#[allow(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct RequestPolicy {
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::chat"))]
    chat: bool,
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::embeddings"))]
    embeddings: bool,
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::chat_ttl"))]
    chat_ttl: Duration,
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::embedding_ttl"))]
    embedding_ttl: Duration,
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::kind_ttl"))]
    kind_ttl: BTreeMap<AnswerKind, Duration>,
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::model_ttl"))]
    model_ttl: BTreeMap<String, Duration>,
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::jitter"))]
    jitter: f64,
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::grace"))]
    grace: Option<Duration>,
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::streams"))]
    streams: bool,
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::tools"))]
    tools: bool,
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::min_body"))]
    min_body: Option<usize>,
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::max_body"))]
    max_body: Option<usize>,
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::max_temperature"))]
    max_temperature: Option<f64>,
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::assumed_temperature"))]
    assumed_temperature: f64,
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::deterministic_only"))]
    deterministic_only: bool,
}

impl Default for RequestPolicy {
    fn default() -> Self {
        Self {
            chat: true,
            embeddings: true,
            chat_ttl: Duration::from_secs(60 * 60),
            embedding_ttl: Duration::from_secs(24 * 60 * 60),
            kind_ttl: BTreeMap::new(),
            model_ttl: BTreeMap::new(),
            jitter: 0.0,
            grace: None,
            streams: true,
            tools: true,
            min_body: None,
            max_body: None,
            max_temperature: None,
            assumed_temperature: 1.0,
            deterministic_only: false,
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
    /// The cache was told to leave caching to somebody else.
    #[error("the strategy is {0:?}, which caches nothing here")]
    Strategy(Strategy),
    /// The body is smaller than bodies have to be.
    #[error("the request has less than {limit} bytes")]
    TooSmall {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body is larger than bodies may be.
    #[error("the request has more than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The model is given tools, and such requests are not cached.
    #[error("requests with tools are not cached")]
    Tools,
    /// Neither is the temperature 0 nor a seed given, and only such requests are cached.
    #[error("the temperature is not 0 and there is no seed")]
    NotDeterministic,
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
            Self::Strategy(_) => "strategy",
            Self::TooSmall { .. } => "too_small",
            Self::TooLarge { .. } => "too_large",
            Self::Tools => "tools",
            Self::NotDeterministic => "not_deterministic",
            Self::NoModel => "no_model",
            Self::Stored => "store",
            Self::Streaming => "streaming",
            Self::State => "state",
            Self::Temperature => "temperature",
        }
    }
}

/// A setting that makes no sense. Its text names the setting.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A time to live of zero.
    #[error("`{setting}`{}: a time to live has to be longer than zero", Of(entry))]
    ZeroTtl {
        /// Which time to live: `chat_ttl`, `embedding_ttl`, `kind_ttl` or `model_ttl`.
        setting: &'static str,
        /// Of which kind or model, if the setting has an entry for each.
        entry: Option<Box<str>>,
    },
    /// A jitter that is no share.
    #[error("`jitter` has to be from 0 to below 1, not {0}")]
    Jitter(f64),
    /// No body is at least as large as it has to be and no larger than it may be.
    #[error("`min_body` and `max_body`: no request has at least {min} bytes and at most {max}")]
    Bodies {
        /// The smallest body that is cached.
        min: usize,
        /// The largest one.
        max: usize,
    },
    /// A temperature that no request can have.
    #[error("`{setting}` has to be a number that is not negative, not {value}")]
    Temperature {
        /// Which one: `max_temperature` or `assumed_temperature`.
        setting: &'static str,
        /// What it is.
        value: f64,
    },
    /// A price that no model can have.
    #[error(transparent)]
    Price(#[from] PriceError),
    /// A cost that no answer can have.
    #[error("`min_cost` has to be a number that is not negative, not {0}")]
    MinCost(f64),
    /// A limit for answers of zero bytes.
    #[error("`max_answer` has to be larger than zero bytes")]
    ZeroMaxAnswer,
}

/// Which entry of a setting is meant, if it has several.
struct Of<'e>(&'e Option<Box<str>>);

impl fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |entry| write!(f, " of `{entry}`"))
    }
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

    /// How long answers of one kind are good, in place of [`chat_ttl`](Self::chat_ttl) or
    /// [`embedding_ttl`](Self::embedding_ttl). In configuration, kinds are called by their
    /// [labels](AnswerKind::label).
    pub fn kind_ttl(mut self, kind: AnswerKind, ttl: Duration) -> Self {
        self.kind_ttl.insert(kind, ttl);
        self
    }

    /// How long answers are good to requests that name this model, in place of all other times.
    /// `gpt-4o*` means all names that begin so; the exact name counts, else the longest beginning.
    pub fn model_ttl(mut self, model: impl Into<String>, ttl: Duration) -> Self {
        self.model_ttl.insert(model.into(), ttl);
        self
    }

    /// Up to which share of its time to live is taken off an answer at random, so that what was
    /// stored together does not end together; from 0 to below 1. Default: 0. The cache underneath
    /// takes off its own in addition.
    pub fn jitter(mut self, share: f64) -> Self {
        self.jitter = share;
        self
    }

    /// How long an answer is kept beyond its time to live, for when the provider fails: it is served
    /// then in place of no answer, of a status 429 and of one from 500 on. Default: as the cache
    /// underneath has it.
    pub fn grace(mut self, grace: impl Into<Option<Duration>>) -> Self {
        self.grace = grace.into();
        self
    }

    /// Whether requests that give the model tools (`tools`, `tool_choice`, `functions`,
    /// `function_call`) are cached. Default: yes.
    pub fn tools(mut self, yes: bool) -> Self {
        self.tools = yes;
        self
    }

    /// Smaller bodies are left alone. In bytes. Default: none.
    pub fn min_body(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.min_body = bytes.into();
        self
    }

    /// Larger bodies are left alone, unparsed. In bytes. Default: none.
    pub fn max_body(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.max_body = bytes.into();
        self
    }

    /// Whether only chat requests are cached whose temperature is 0 or that give a `seed`. Default:
    /// no.
    pub fn deterministic_only(mut self, yes: bool) -> Self {
        self.deterministic_only = yes;
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

    /// What can be said of a request before its body is parsed.
    ///
    /// # Errors
    ///
    /// Why the request is none of the cache's business.
    pub fn admit(&self, kind: EndpointKind, body_bytes: usize) -> Result<(), Bypass> {
        self.kind(kind)?;
        match (self.min_body, self.max_body) {
            (Some(limit), _) if body_bytes < limit => Err(Bypass::TooSmall { limit }),
            (_, Some(limit)) if body_bytes > limit => Err(Bypass::TooLarge { limit }),
            _ => Ok(()),
        }
    }

    /// Decides on a request, and finds the key that its answer stands under. What
    /// [`admit`](Self::admit) says is not asked again.
    ///
    /// # Errors
    ///
    /// Why the request is none of the cache's business.
    pub fn plan(&self, request: &Request<'_>, scope: &KeyScope) -> Result<Plan, Bypass> {
        self.decide(request, scope).map(|plan| self.jittered(plan))
    }

    /// The same without jitter: what follows from the request alone.
    pub(crate) fn decide(&self, request: &Request<'_>, scope: &KeyScope) -> Result<Plan, Bypass> {
        let kind = self.kind(request.kind())?;
        let model = request.model().filter(|model| !model.is_empty()).ok_or(Bypass::NoModel)?;
        if member(request, "store").and_then(Value::as_bool) == Some(true) {
            return Err(Bypass::Stored);
        }
        let transport = if request.streams() { Transport::Stream } else { Transport::Plain };
        if transport == Transport::Stream && (!self.streams || kind == AnswerKind::Embeddings) {
            return Err(Bypass::Streaming);
        }
        if has_state(request, kind) {
            return Err(Bypass::State);
        }
        if kind != AnswerKind::Embeddings {
            self.check_temperature(request)?;
            if !self.tools && has_tools(request) {
                return Err(Bypass::Tools);
            }
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
        let (key, ttl) = (key(request, scope, stream.unknown), self.ttl(kind, model));
        let tags = tags::of(scope.tenant(), model);
        Ok(Plan::new(key, asked, model.into(), ttl, self.grace, tags))
    }

    fn ttl(&self, kind: AnswerKind, model: &str) -> Duration {
        let of_kind = || self.kind_ttl.get(&kind);
        match by_pattern(&self.model_ttl, model).or_else(of_kind) {
            Some(ttl) => *ttl,
            None if kind == AnswerKind::Embeddings => self.embedding_ttl,
            None => self.chat_ttl,
        }
    }

    /// The plan with a time to live as random as it is to be.
    pub(crate) fn jittered(&self, plan: Plan) -> Plan {
        if self.jitter > 0.0 {
            let ttl = plan.ttl().mul_f64(1.0 - self.jitter * fastrand::f64());
            return plan.with_ttl(ttl);
        }
        plan
    }

    pub(crate) fn check(&self) -> Result<(), PolicyError> {
        let of_all = [("chat_ttl", self.chat_ttl), ("embedding_ttl", self.embedding_ttl)];
        let of_all = of_all.into_iter().map(|(setting, ttl)| (setting, None, ttl));
        let by_kind = self.kind_ttl.iter();
        let by_kind = by_kind.map(|(kind, ttl)| ("kind_ttl", Some(kind.label()), *ttl));
        let by_model = self.model_ttl.iter();
        let by_model = by_model.map(|(model, ttl)| ("model_ttl", Some(model.as_str()), *ttl));
        let mut ttls = of_all.chain(by_kind).chain(by_model);
        if let Some((setting, entry, _)) = ttls.find(|(_, _, ttl)| ttl.is_zero()) {
            return Err(PolicyError::ZeroTtl { setting, entry: entry.map(Into::into) });
        }
        if !(0.0..1.0).contains(&self.jitter) {
            return Err(PolicyError::Jitter(self.jitter));
        }
        let (min, max) = (self.min_body.unwrap_or(0), self.max_body.unwrap_or(usize::MAX));
        if min > max || max == 0 {
            return Err(PolicyError::Bodies { min, max });
        }
        let temperatures = [
            ("max_temperature", self.max_temperature),
            ("assumed_temperature", Some(self.assumed_temperature)),
        ];
        for (setting, value) in temperatures {
            if let Some(value) = value.filter(|value| !value.is_finite() || *value < 0.0) {
                return Err(PolicyError::Temperature { setting, value });
            }
        }
        Ok(())
    }

    fn kind(&self, kind: EndpointKind) -> Result<AnswerKind, Bypass> {
        match kind {
            EndpointKind::ChatCompletions if self.chat => Ok(AnswerKind::Chat),
            EndpointKind::Completions if self.chat => Ok(AnswerKind::Completions),
            EndpointKind::Responses if self.chat => Ok(AnswerKind::Responses),
            EndpointKind::Messages if self.chat => Ok(AnswerKind::Messages),
            EndpointKind::Embeddings if self.embeddings => Ok(AnswerKind::Embeddings),
            other => Err(Bypass::Kind(other)),
        }
    }

    fn check_temperature(&self, request: &Request<'_>) -> Result<(), Bypass> {
        if self.max_temperature.is_none() && !self.deterministic_only {
            return Ok(());
        }
        let temperature = match member(request, "temperature") {
            None => self.assumed_temperature,
            // What is no number is above every ceiling.
            Some(value) => value.as_f64().unwrap_or(f64::INFINITY),
        };
        if self.max_temperature.is_some_and(|ceiling| temperature > ceiling) {
            return Err(Bypass::Temperature);
        }
        let is_deterministic = temperature == 0.0 || member(request, "seed").is_some();
        if self.deterministic_only && !is_deterministic {
            return Err(Bypass::NotDeterministic);
        }
        Ok(())
    }
}

/// Whether the model is given tools. An empty list gives it none.
fn has_tools(request: &Request<'_>) -> bool {
    ["tools", "functions", "tool_choice", "function_call"]
        .iter()
        .filter_map(|name| member(request, name))
        .any(|tools| !tools.is_array() || !tools.is_empty())
}

/// A top-level member; null is as good as absent.
fn member<'r>(request: &'r Request<'_>, name: &str) -> Option<Value<'r>> {
    request.member(name).filter(|value| !value.is_null())
}

/// Whether an answer depends on, or is to change, what the provider keeps and may change later: a
/// conversation, an answer to be asked for later, a prompt in whatever version is the newest, the files of a
/// container.
fn has_state(request: &Request<'_>, kind: AnswerKind) -> bool {
    match kind {
        AnswerKind::Responses => {
            member(request, "conversation").is_some()
                || member(request, "background").and_then(Value::as_bool) == Some(true)
                || member(request, "prompt").is_some_and(|prompt| {
                    prompt.is_object() && prompt.get("version").is_none_or(Value::is_null)
                })
        }
        // By its id, or as an object, which is a new one unless it has an id.
        AnswerKind::Messages => member(request, "container").is_some_and(|container| {
            !container.is_object() || container.get("id").is_some_and(|id| !id.is_null())
        }),
        _ => false,
    }
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
