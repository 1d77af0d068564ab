//! [`LlmCacheLayer`] and the service that it makes.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use cache_core::BoxError;
use cache_key::{EndpointKind, KeyScope};
use cache_llm::{
    AnswerError, BodyStream, CacheMode, Hit, LlmCache, Passed, Reply, Source, Storage, Transport,
};
use futures_util::TryStreamExt;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, SET_COOKIE};
use http::{HeaderValue, Request, Response, StatusCode, request, response};
use http_body::{Body as HttpBody, Frame};
use http_body_util::{BodyExt, StreamBody};
use tower_layer::Layer;
use tower_service::Service;

use crate::body::{Body, BodyError, Collected, boxed, collect, full};
use crate::headers::{HeaderRules, names_fields_in_connection, names_transports};
use crate::origin::Inner;
use crate::route::endpoint;
use crate::status::CacheStatus;
use crate::tenant::{TenantPolicy, cache_control};

/// The cache that a layer answers from: of answers over HTTP, from a service that does not fail.
pub type HttpCache = LlmCache<response::Parts, Infallible>;

/// Makes any service that answers LLM API requests over HTTP a cached one.
///
/// See the [crate documentation](crate) for what it does.
#[derive(Clone, Debug)]
#[must_use]
pub struct LlmCacheLayer {
    cache: HttpCache,
    options: Options,
}

#[derive(Clone, Debug)]
struct Options {
    name: Cow<'static, str>,
    namespace: String,
    base_url: String,
    tenants: TenantPolicy,
    max_body: usize,
    headers: HeaderRules,
}

impl LlmCacheLayer {
    /// A layer that answers from `cache`.
    pub fn new(cache: HttpCache) -> Self {
        let options = Options {
            name: Cow::Borrowed("llm-cache"),
            namespace: String::new(),
            base_url: String::new(),
            tenants: TenantPolicy::default(),
            max_body: 32 << 20,
            headers: HeaderRules::default(),
        };
        Self { cache, options }
    }

    /// What this cache is called in `Cache-Status`: a token (RFC 8941). Default: `llm-cache`.
    pub fn name(mut self, name: &'static str) -> Self {
        self.options.name = Cow::Borrowed(name);
        self
    }

    /// Keeps the answers of several uses of one store apart. Default: none.
    pub fn namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.options.namespace);
        self
    }

    /// Where the inner service's answers come from. Answers of different places are never mixed,
    /// so instances that share a store have to name the same place alike. Default: none.
    pub fn base_url(mut self, url: &str) -> Self {
        url.clone_into(&mut self.options.base_url);
        self
    }

    /// How requests are divided into tenants. Default: by credential.
    pub fn tenants(mut self, policy: TenantPolicy) -> Self {
        self.options.tenants = policy;
        self
    }

    /// Requests with a larger body pass through uncached. In bytes; default: 32 MiB.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.options.max_body = bytes;
        self
    }

    /// One more request header that no answer depends on, such as an id of a tracing system.
    ///
    /// Every header counts in the key but for a list of those that are known to say nothing about
    /// the answer: a header that nobody has heard of splits keys, it never merges them. A
    /// credential that is ignored no longer divides tenants: `cookie` can be named here where the
    /// provider sets one with each answer and tells nobody apart by it.
    pub fn ignore_header(mut self, name: &str) -> Self {
        self.options.headers.ignore(name);
        self
    }
}

impl<S> Layer<S> for LlmCacheLayer {
    type Service = LlmCacheService<S>;

    fn layer(&self, inner: S) -> LlmCacheService<S> {
        let options = Arc::new(self.options.clone());
        LlmCacheService { cache: self.cache.clone(), options, inner }
    }
}

/// A cached service, made by [`LlmCacheLayer`].
///
/// The inner service gets its requests with [`Body`] and must not fail: errors are answers too.
#[derive(Clone, Debug)]
pub struct LlmCacheService<S> {
    cache: HttpCache,
    options: Arc<Options>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for LlmCacheService<S>
where
    S: Service<Request<Body>, Response = Response<R>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    /// Always ready: a hit needs no inner service, and a miss waits for it.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inner = Inner(self.inner.clone());
        let request = request.map(boxed);
        let Some(kind) = endpoint(request.method(), request.uri().path()) else {
            return Box::pin(async { Ok(inner.call(request).await) });
        };
        let (cache, options) = (self.cache.clone(), Arc::clone(&self.options));
        Box::pin(async move { Ok(handle(&cache, &options, inner, kind, request).await) })
    }
}

/// Answers a request to an endpoint that the cache knows.
async fn handle<S, R>(
    cache: &HttpCache,
    options: &Options,
    inner: Inner<S>,
    kind: EndpointKind,
    request: Request<Body>,
) -> Response<Body>
where
    S: Service<Request<Body>, Response = Response<R>, Error = Infallible> + Clone + Send,
    S::Future: Send,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    let bypass = async |inner: Inner<S>, parts, body, detail: &(dyn fmt::Display + Sync)| {
        let mut answer = inner.call(Request::from_parts(parts, body)).await;
        CacheStatus::Bypass { detail }.write(&options.name, answer.headers_mut());
        answer
    };
    if names_fields_in_connection(&parts.headers) {
        // They would count in the key and not reach the provider.
        return bypass(inner, parts, body, &"the Connection header names fields").await;
    }
    if parts.headers.contains_key(CONTENT_ENCODING) {
        return bypass(inner, parts, body, &"the request body is encoded").await;
    }
    let control = cache_control(&parts.headers);
    if control.no_store {
        return bypass(inner, parts, body, &"the request says no-store").await;
    }
    let body = match collect(body, options.max_body).await {
        Ok(Collected::Whole(body)) => body,
        Ok(Collected::TooLarge(body)) => {
            return bypass(inner, parts, body, &"the request body is over the limit").await;
        }
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "request body broke off");
            return unreadable();
        }
    };
    let plan = match cache.prepare(kind, &body, &options.scope(&parts)) {
        // Whoever shares answers with other credentials does not share what those are refused.
        Ok(plan) if options.tenants == TenantPolicy::Shared => plan.with_failures_apart(),
        Ok(plan) => plan,
        Err(reason) => return bypass(inner, parts, full(body), &Chain(&reason)).await,
    };
    let mode = if control.no_cache { CacheMode::Refresh } else { CacheMode::Use };
    let origin = inner.origin(parts, body);
    let reply = match cache.answer(&plan, mode, origin).await {
        Ok(reply) => reply,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "no answer");
            let mut answer = no_answer(&error);
            CacheStatus::Miss { stored: false, collapsed: false, detail: None }
                .write(&options.name, answer.headers_mut());
            return answer;
        }
    };
    options.respond(mode, reply)
}

impl Options {
    /// Everything beside the body that the answer depends on.
    fn scope(&self, parts: &request::Parts) -> KeyScope {
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let mut scope =
            KeyScope::new(self.tenants.tenant(&parts.headers, |name| self.headers.ignores(name)))
                .namespace(&self.namespace)
                .base_url(&self.base_url)
                .part("target", target);
        for (name, value) in &parts.headers {
            if self.headers.count(name) && !names_transports(name, value) {
                scope = scope.header(name.as_str(), value);
            }
        }
        scope
    }
}

impl Options {
    fn respond(&self, mode: CacheMode, reply: Reply<response::Parts>) -> Response<Body> {
        match reply {
            Reply::Hit(hit) => self.hit(hit),
            Reply::Passed(passed) => self.passed(mode, passed),
        }
    }

    /// A stored answer, or one that another caller fetched at this moment. Of the provider's
    /// headers only the media type is given again: the others are about another request.
    fn hit(&self, hit: Hit) -> Response<Body> {
        let media_type = match hit.transport {
            Transport::Plain => "application/json",
            Transport::Stream => "text/event-stream; charset=utf-8",
        };
        let tier = match hit.source {
            Source::L1 => Some("l1"),
            Source::L2 => Some("l2"),
            Source::Origin | Source::Collapsed => None,
        };
        let status = match tier {
            Some(tier) => CacheStatus::Hit { tier, age: hit.age, remaining: hit.remaining },
            None => CacheStatus::Miss { stored: true, collapsed: true, detail: None },
        };
        let body = match hit.transport {
            Transport::Plain => full(hit.body),
            Transport::Stream => streamed(hit.into_stream()),
        };
        let mut response = Response::new(body);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        status.write(&self.name, response.headers_mut());
        response
    }

    /// The provider's answer, as it came.
    fn passed(&self, mode: CacheMode, passed: Passed<response::Parts>) -> Response<Body> {
        let Passed { mut head, body, storage, collapsed, .. } = passed;
        if collapsed && self.tenants == TenantPolicy::Shared {
            // The rest is about the caller whose call it was: its organisation, its limits.
            let media_type = head.headers.remove(CONTENT_TYPE);
            head.headers.clear();
            head.headers.extend(media_type.map(|value| (CONTENT_TYPE, value)));
        } else if collapsed {
            head.headers.remove(SET_COOKIE); // that one is for the caller whose call it was
        }
        let stored = matches!(storage, Storage::Stored);
        let detail = match &storage {
            Storage::NotStored(reason) => Some(reason as &dyn fmt::Display),
            // Whether a stream is stored is known when it has ended, and its headers go first.
            Storage::Stored | Storage::Recording(_) => None,
        };
        let status = match mode {
            CacheMode::Refresh => CacheStatus::Refresh { stored, detail },
            CacheMode::Use | CacheMode::Bypass => CacheStatus::Miss { stored, collapsed, detail },
        };
        status.write(&self.name, &mut head.headers);
        let body = match body {
            cache_llm::Body::Whole(bytes) => {
                // Embeddings may be put together of more than this answer.
                if let Some(length) = head.headers.get_mut(CONTENT_LENGTH) {
                    *length = bytes.len().into();
                }
                full(bytes)
            }
            cache_llm::Body::Stream(stream) => streamed(stream),
        };
        Response::from_parts(head, body)
    }
}

fn streamed(stream: BodyStream) -> Body {
    StreamBody::new(stream.map_ok(Frame::data).map_err(BodyError::new)).boxed_unsync()
}

/// The caller's body broke off, so hardly anybody will read this.
fn unreadable() -> Response<Body> {
    error(
        StatusCode::BAD_REQUEST,
        r#"{"error":{"message":"The request body could not be read.","type":"invalid_request_error","param":null,"code":"unreadable_body"}}"#,
    )
}

fn no_answer<E>(error: &AnswerError<E>) -> Response<Body> {
    match error {
        AnswerError::TimedOut { .. } => self::error(
            StatusCode::GATEWAY_TIMEOUT,
            r#"{"error":{"message":"The provider did not answer in time.","type":"upstream_error","param":null,"code":"upstream_timed_out"}}"#,
        ),
        AnswerError::Shed => self::error(
            StatusCode::SERVICE_UNAVAILABLE,
            r#"{"error":{"message":"Too many requests are under way.","type":"server_error","param":null,"code":"overloaded"}}"#,
        ),
        _ => bad_answer(),
    }
}

/// The provider began to answer and broke off.
fn bad_answer() -> Response<Body> {
    error(
        StatusCode::BAD_GATEWAY,
        r#"{"error":{"message":"The provider's answer broke off.","type":"upstream_error","param":null,"code":"upstream_broke_off"}}"#,
    )
}

fn error(status: StatusCode, body: &'static str) -> Response<Body> {
    let mut response = Response::new(full(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An error with everything that caused it, in one line.
struct Chain<'a>(&'a (dyn std::error::Error + Sync));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
