//! The layer around a service of our own, without a socket.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cache_dual::DualCache;
use cache_tower::{Body, HttpCache, LlmCacheLayer, TenantPolicy};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt, service_fn};

const CHAT: &str = "/v1/chat/completions";
const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;

/// A provider whose every answer is new, behind the layer, with the number of its calls.
fn app(
    provider: impl Fn(&Request<Body>, u64) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
) -> (
    impl Service<Request<Full<Bytes>>, Response = Response<Body>, Error = Infallible> + Clone,
    Arc<AtomicU64>,
) {
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let inner = service_fn(move |request: Request<Body>| {
        let answer = provider(&request, counted.fetch_add(1, Ordering::SeqCst));
        async { Ok::<_, Infallible>(answer) }
    });
    let dual = DualCache::builder().build().expect("valid options");
    let cache = HttpCache::builder(dual).build().expect("valid policies");
    (LlmCacheLayer::new(cache).max_body(1000).layer(inner), calls)
}

fn good(call: u64) -> Response<Full<Bytes>> {
    let body = format!(
        r#"{{"id":"{call}","object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant","content":"hello"}},"finish_reason":"stop"}}]}}"#
    );
    let response = Response::builder()
        .header("content-type", "application/json")
        .header("set-cookie", "session=1")
        .header("x-request-id", call);
    response.body(body.into()).expect("a valid response")
}

fn request(target: &str, headers: &[(&str, &str)], body: &str) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(Method::POST).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::from(body.to_owned())).expect("a valid request")
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.expect("a whole body").to_bytes();
    String::from_utf8(bytes.into()).expect("UTF-8")
}

fn status(response: &Response<Body>) -> &str {
    response.headers().get("cache-status").map_or("", |value| value.to_str().expect("ASCII"))
}

/// F10: a hit carries the answer, and none of the headers that were about another request.
#[tokio::test]
async fn a_hit_is_the_body_alone() {
    let (app, calls) = app(|_, call| good(call));
    let miss = app.clone().oneshot(request(CHAT, &[], BODY)).await.unwrap();
    assert_eq!(miss.headers()["x-request-id"], "0");
    assert_eq!(status(&miss), "llm-cache; fwd=miss; stored");
    let hit = app.clone().oneshot(request(CHAT, &[], BODY)).await.unwrap();
    assert!(hit.headers().get("x-request-id").is_none());
    assert!(hit.headers().get("set-cookie").is_none());
    assert_eq!(hit.headers()["content-type"], "application/json");
    assert_eq!(text(hit).await, text(miss).await);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

/// A50: one entry serves both transports, also where clients name the one they want in `Accept`.
#[tokio::test]
async fn one_entry_serves_both_transports() {
    let (app, calls) = app(|_, call| good(call));
    let json = [("accept", "application/json")];
    app.clone().oneshot(request(CHAT, &json, BODY)).await.unwrap();
    let body = BODY.replacen('{', r#"{"stream":true,"#, 1);
    let hit = app.oneshot(request(CHAT, &[("accept", "text/event-stream")], &body)).await.unwrap();
    assert!(status(&hit).contains("; hit;"), "{}", status(&hit));
    assert_eq!(hit.headers()["content-type"], "text/event-stream; charset=utf-8");
    let stream = text(hit).await;
    assert!(stream.contains(r#""delta":{"content":"hello"}"#), "{stream}");
    assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

/// The target and every header that answers depend on count in the key; others do not.
#[tokio::test]
async fn what_answers_depend_on_counts() {
    let (app, calls) = app(|_, call| good(call));
    let distinct: [(&str, &[(&str, &str)]); 9] = [
        (CHAT, &[]),
        ("/v1/chat/completions?api-version=1", &[]),
        ("/other/v1/chat/completions", &[]),
        (CHAT, &[("openai-organization", "a")]),
        (CHAT, &[("openai-project", "a")]),
        (CHAT, &[("openai-beta", "a")]),
        (CHAT, &[("openai-beta", "a"), ("openai-beta", "b")]),
        (CHAT, &[("ocp-apim-subscription-key", "a")]),
        (CHAT, &[("ocp-apim-subscription-key", "b")]),
    ];
    for (target, headers) in distinct {
        app.clone().oneshot(request(target, headers, BODY)).await.unwrap();
    }
    assert_eq!(calls.load(Ordering::SeqCst), 9);
    let neutral = [("user-agent", "x"), ("x-request-id", "1"), ("x-stainless-lang", "python")];
    let same = app.oneshot(request(CHAT, &neutral, BODY)).await;
    assert!(status(&same.unwrap()).contains("hit"));
}

/// The inner service is not asked for an encoding that only this caller may understand, and an
/// encoded answer is passed on and not kept.
#[tokio::test]
async fn encodings_are_kept_out_of_the_cache() {
    let (app, _) = app(|request, call| {
        assert!(request.headers().get("accept-encoding").is_none());
        let mut answer = good(call);
        answer.headers_mut().insert("content-encoding", "br".parse().unwrap());
        answer
    });
    for call in 0..2 {
        let request = request(CHAT, &[("accept-encoding", "br")], BODY);
        let answer = app.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.headers()["content-encoding"], "br");
        assert_eq!(answer.headers()["x-request-id"], call.to_string());
    }
    let encoded = request(CHAT, &[("content-encoding", "gzip")], BODY);
    let (app, _) = self::app(|request, call| {
        assert_eq!(request.headers()["content-encoding"], "gzip");
        good(call)
    });
    assert!(status(&app.oneshot(encoded).await.unwrap()).contains("fwd=bypass"));
}

/// A110: a body over the limit reaches the inner service whole.
#[tokio::test]
async fn a_body_over_the_limit_passes_through_whole() {
    let inner = service_fn(|request: Request<Body>| async {
        let body = request.into_body().collect().await.expect("a whole body").to_bytes();
        Ok::<_, Infallible>(Response::new(Full::new(body)))
    });
    let cache = HttpCache::builder(DualCache::builder().build().unwrap()).build().unwrap();
    let app = LlmCacheLayer::new(cache).max_body(10).layer(inner);
    let answer = app.oneshot(request(CHAT, &[], BODY)).await.unwrap();
    assert!(status(&answer).contains("over the limit"), "{}", status(&answer));
    assert_eq!(text(answer).await, BODY);
}

/// A caller whose body breaks off gets a typed error, and the inner service is not asked.
#[tokio::test]
async fn a_broken_request_body_is_a_typed_error() {
    let inner = service_fn(|_: Request<Body>| async {
        panic!("asked with half a request");
        #[allow(unreachable_code, reason = "gives the block its type")]
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
    });
    let cache = HttpCache::builder(DualCache::builder().build().unwrap()).build().unwrap();
    let app = LlmCacheLayer::new(cache).layer(inner);
    let broken = futures_util::stream::iter([
        Ok(http_body::Frame::data(Bytes::from_static(b"{"))),
        Err(std::io::Error::other("reset")),
    ]);
    let request = Request::post(CHAT).body(http_body_util::StreamBody::new(broken)).unwrap();
    let answer = app.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(text(answer).await.contains("invalid_request_error"));
}

/// Other methods and paths are none of the layer's business.
#[tokio::test]
async fn other_requests_are_left_alone() {
    let (app, calls) = app(|_, call| good(call));
    for _ in 0..2 {
        let answer = app.clone().oneshot(request("/v1/models", &[], BODY)).await.unwrap();
        assert_eq!(status(&answer), "");
        let get = Request::get(CHAT).body(Full::default()).unwrap();
        assert_eq!(status(&app.clone().oneshot(get).await.unwrap()), "");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 4);
}

/// A53 and others: the reason for not caching a request is in the answer.
#[tokio::test]
async fn a_bypass_names_its_reason() {
    let (app, _) = app(|_, call| good(call));
    for (body, reason) in [
        (r#"{"messages":[]}"#, "names no model"),
        (r#"{"model":"m","store":true,"messages":[]}"#, "to store the answer"),
        ("nonsense", "no canonical form"),
    ] {
        let answer = app.clone().oneshot(request(CHAT, &[], body)).await.unwrap();
        let status = status(&answer).to_owned();
        assert!(status.starts_with("llm-cache; fwd=bypass; detail=\""), "{status}");
        assert!(status.contains(reason), "{status}");
    }
}

/// Callers who share answers do not share what another's credential is refused.
#[tokio::test]
async fn a_refusal_is_for_the_credential_that_it_refuses() {
    let inner = service_fn(|request: Request<Body>| async move {
        tokio::task::yield_now().await;
        let mut answer = good(0);
        if request.headers().get("authorization").is_none() {
            *answer.status_mut() = StatusCode::UNAUTHORIZED;
        }
        Ok::<_, Infallible>(answer)
    });
    for stream in ["false", "true"] {
        let cache = HttpCache::builder(DualCache::builder().build().unwrap()).build().unwrap();
        let app = LlmCacheLayer::new(cache).tenants(TenantPolicy::Shared).layer(inner);
        let body = BODY.replacen('{', &format!("{{\"stream\":{stream},"), 1);
        let without = app.clone().oneshot(request(CHAT, &[], &body));
        let with = app.clone().oneshot(request(CHAT, &[("authorization", "Bearer k")], &body));
        let (without, with) = tokio::join!(without, with);
        assert_eq!(without.unwrap().status(), StatusCode::UNAUTHORIZED);
        assert_eq!(with.unwrap().status(), StatusCode::OK, "stream: {stream}");
    }
}

/// A header that `Connection` keeps from the provider cannot lend its key to the answer.
#[tokio::test]
async fn fields_that_are_not_passed_on_are_not_keyed() {
    let (app, _) = app(|_, call| good(call));
    let tricky = [("connection", "openai-organization"), ("openai-organization", "a")];
    let answer = app.clone().oneshot(request(CHAT, &tricky, BODY)).await.unwrap();
    assert!(status(&answer).contains("fwd=bypass"), "{}", status(&answer));
    let honest = app.oneshot(request(CHAT, &tricky[1..], BODY)).await.unwrap();
    assert!(!status(&honest).contains("hit"));
}

/// A provider that sets a cookie with each answer does not keep every request from hitting.
#[tokio::test]
async fn an_ignored_cookie_divides_nobody() {
    let inner = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(good(0)) });
    let cache = HttpCache::builder(DualCache::builder().build().unwrap()).build().unwrap();
    let apart = LlmCacheLayer::new(cache.clone()).layer(inner);
    let together = LlmCacheLayer::new(cache).ignore_header("Cookie").layer(inner);
    for (app, hits) in [(apart, false), (together, true)] {
        for (call, cookie) in ["a=1", "a=2"].into_iter().enumerate() {
            let answer = app.clone().oneshot(request(CHAT, &[("cookie", cookie)], BODY)).await;
            let hit = status(&answer.unwrap()).contains("hit");
            assert_eq!(hit, hits && call > 0, "{cookie}");
        }
    }
}

/// Of a batch of embeddings the provider is sent what is missing, with the caller's headers but for those
/// about the caller's body; the caller is told the length of what the caller gets.
#[tokio::test]
async fn embeddings_item_by_item() {
    let inner = service_fn(|request: Request<Body>| async {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        let request: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let inputs = request["input"].as_array().expect("a list").iter().enumerate();
        let item = |(index, input): (usize, &serde_json::Value)| {
            let length = input.as_str().map_or(0, str::len);
            format!(r#"{{"index":{index},"embedding":[{length}.0]}}"#)
        };
        let data: Vec<String> = inputs.map(item).collect();
        let answer = format!(r#"{{"data":[{}]}}"#, data.join(","));
        let response = Response::builder()
            .header("content-type", "application/json")
            .header("content-length", answer.len())
            .header("sent", body.as_ref())
            .header(
                "sent-length",
                parts
                    .headers
                    .get("content-length")
                    .map_or("none", |length| length.to_str().expect("digits")),
            )
            .header("sent-key", parts.headers["authorization"].clone());
        Ok::<_, Infallible>(response.body(Full::from(answer)).expect("a valid response"))
    });
    let dual = DualCache::builder().build().expect("valid options");
    let cache = HttpCache::builder(dual).build().expect("valid policies");
    let app = LlmCacheLayer::new(cache).layer(inner);
    let ask = async |body: &'static str| {
        let length = body.len().to_string();
        let headers = [("authorization", "Bearer k"), ("content-length", &*length)];
        app.clone().oneshot(request("/v1/embeddings", &headers, body)).await.unwrap()
    };
    ask(r#"{"model":"m","input":["bb"]}"#).await;
    let mixed = ask(r#"{"model":"m","input":["a","bb","ccc","a"]}"#).await;
    assert_eq!(status(&mixed), "llm-cache; fwd=miss; stored");
    let head = mixed.headers().clone();
    assert_eq!(head["sent"], r#"{"model":"m","input":["a","ccc"]}"#);
    assert_eq!(
        (&head["sent-length"], &head["sent-key"]),
        (
            &"none".parse::<http::HeaderValue>().unwrap(),
            &"Bearer k".parse::<http::HeaderValue>().unwrap(),
        )
    );
    let whole = text(mixed).await;
    assert_eq!(head["content-length"], whole.len().to_string());
    assert_eq!(
        whole,
        r#"{"data":[{"index":0,"embedding":[1.0]},{"index":1,"embedding":[2.0]},{"index":2,"embedding":[3.0]},{"index":3,"embedding":[1.0]}]}"#
    );
    let hit = ask(r#"{"model":"m","input":["ccc","bb"]}"#).await;
    assert!(status(&hit).contains("; hit;"), "{}", status(&hit));
}
