//! The proxy as its users see it: over HTTP, with its memory alone.

mod harness;

use std::time::Duration;

use futures_util::future::join_all;
use harness::{CHAT, EMBEDDINGS, Proxy, chat, is_hit, ok_text, pair, status_of, streamed};
use serde_json::{Value, json};
use testbed::provider::{Delays, Fault, Provider, ProviderOptions};

/// The second answer is the first, byte for byte but for the spelling of embeddings' numbers, and says
/// that it is a hit.
#[tokio::test]
async fn equal_requests_share_an_answer() {
    let (provider, proxy) = pair(&[]).await;
    let embedding = json!({"model": "text-embedding-3-small", "input": ["a", "b"]});
    for (path, body) in [(CHAT, chat("hi")), (CHAT, streamed("ho")), (EMBEDDINGS, embedding)] {
        let miss = proxy.send(path, &body).await;
        // Whether a stream is stored is not known yet when its headers go.
        let stored = if body["stream"] == true { "" } else { "; stored" };
        assert_eq!(status_of(&miss), format!("cache-proxy; fwd=miss{stored}"));
        assert!(miss.headers().contains_key("x-request-id"), "the provider's headers pass");
        let kind = miss.headers()["content-type"].clone();
        let paid = ok_text(miss).await;

        let hit = proxy.send(path, &body).await;
        assert!(is_hit(&hit) && status_of(&hit).ends_with("detail=l1"), "{}", status_of(&hit));
        assert_eq!(hit.headers()["age"], "0");
        assert_eq!(hit.headers()["content-type"], kind);
        let again = ok_text(hit).await;
        if path == EMBEDDINGS {
            // Stored as floats: the same ones, which may be spelled otherwise.
            let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            assert!(read(&again) == read(&paid), "another vector");
        } else {
            assert_eq!(again, paid);
        }
    }
    assert_eq!(provider.calls().total(), 3);
}

/// A1, A4: another spelling of the same request is the same request.
#[tokio::test]
async fn spelling_does_not_matter() {
    let (provider, proxy) = pair(&[]).await;
    let texts = [
        r#"{"model":"gpt-4o","temperature":1,"messages":[{"role":"user","content":"hé"}]}"#,
        r#"{"temperature":1.0,"messages":[{"content":"hé","role":"user"}],"model":"gpt-4o"}"#,
        "{ \"messages\" : [ {\"role\":\"user\",\"content\":\"h\\u00e9\"} ],\n\t\"model\": \"gpt-4o\", \"temperature\": 1e0 }",
    ];
    for text in texts {
        ok_text(proxy.post(CHAT).body(text).send().await.unwrap()).await;
    }
    assert_eq!(provider.calls().total(), 1);
}

/// A2, F1: requests that differ in one member, known or invented, never share an answer.
#[tokio::test]
async fn every_member_matters() {
    let (provider, proxy) = pair(&[]).await;
    let base = json!({
        "model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.7
    });
    let mut bodies = vec![base.clone()];
    for (member, value) in [
        ("model", json!("gpt-4o-mini")),
        ("temperature", json!(0.700_001)),
        ("top_p", json!(0.5)),
        ("n", json!(2)),
        ("seed", json!(7)),
        ("max_tokens", json!(10)),
        ("max_completion_tokens", json!(10)),
        ("stop", json!(["x"])),
        ("presence_penalty", json!(0.1)),
        ("frequency_penalty", json!(0.1)),
        ("logit_bias", json!({"50256": -100})),
        ("logprobs", json!(true)),
        ("response_format", json!({"type": "json_object"})),
        ("tool_choice", json!("none")),
        ("user", json!("u-1")),
        ("service_tier", json!("flex")),
        ("reasoning_effort", json!("high")),
        ("metadata", json!({"a": "b"})),
        ("never_heard_of", json!(null)),
        ("never_heard_of", json!({"deep": [1]})),
        ("never_heard_of", json!({"deep": ["1"]})),
    ] {
        let mut body = base.clone();
        body[member] = value;
        bodies.push(body);
    }
    for messages in [
        json!([{"role": "system", "content": "hi"}]),
        json!([{"role": "user", "content": "Hi"}]),
        json!([{"role": "user", "content": "hi", "name": "ann"}]),
        json!([{"role": "user", "content": "hi"}, {"role": "user", "content": "hi"}]),
        json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,a"}}]}]),
        json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,b"}}]}]),
    ] {
        let mut body = base.clone();
        body["messages"] = messages;
        bodies.push(body);
    }
    for body in &bodies {
        let answer = proxy.send(CHAT, body).await;
        assert!(!is_hit(&answer), "{body}");
    }
    assert_eq!(provider.calls().total(), bodies.len() as u64);
}

/// A15, F8: callers with different credentials never share an answer, unless told to.
#[tokio::test]
async fn tenants_are_apart_unless_told_to_share() {
    let credentials = [None, Some("sk-a"), Some("sk-b")];
    let ask = async |proxy: &Proxy, credential: Option<&str>| {
        let mut request = proxy.client.post(format!("{}{CHAT}", proxy.url));
        if let Some(credential) = credential {
            request = request.bearer_auth(credential);
        }
        let request = request.header("content-type", "application/json");
        is_hit(&request.body(chat("hi").to_string()).send().await.unwrap())
    };
    let (_provider, apart) = pair(&[]).await;
    for credential in credentials {
        assert!(!ask(&apart, credential).await, "{credential:?}");
        assert!(ask(&apart, credential).await, "{credential:?}");
    }
    let (_provider, together) = pair(&["--tenant", "shared"]).await;
    assert!(!ask(&together, None).await);
    for credential in credentials {
        assert!(ask(&together, credential).await, "{credential:?}");
    }
}

/// A43, and streams alike: a thousand concurrent identical requests cost one call.
#[tokio::test]
async fn concurrent_identical_requests_cost_one_call() {
    let delays = Delays { first_token: Duration::from_millis(300), ..Delays::default() };
    let options = ProviderOptions { delays, ..ProviderOptions::default() };
    let provider = Provider::start(options).await;
    let proxy = Proxy::start(&provider.url(), &[]).await;
    for (body, calls) in [(chat("hi"), 1), (streamed("ho"), 2)] {
        let answers = join_all((0..1000).map(|_| async {
            let response = proxy.send(CHAT, &body).await;
            ok_text(response).await
        }))
        .await;
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(provider.calls().total(), calls, "{body}");
    }
}

/// A55, F11, A44: what is no good answer passes through as it is, and the next caller asks again.
#[tokio::test]
async fn bad_answers_pass_through_and_are_not_kept() {
    let (provider, proxy) = pair(&[]).await;
    let direct = reqwest::Client::new();
    for fault in Fault::ALL {
        if fault == Fault::Slow {
            continue; // a good answer that takes its time
        }
        for stream in [false, true] {
            let mut body = if stream { streamed("ho") } else { chat("hi") };
            body["model"] = fault.model().into();
            let expected = direct
                .post(format!("{}{CHAT}", provider.url()))
                .header("content-type", "application/json")
                .bearer_auth("sk-test")
                .body(body.to_string())
                .send()
                .await
                .unwrap();
            let good = !stream && fault == Fault::NoDone; // there is no [DONE] in plain answers
            // Half a plain answer is held back, so it can still become an error.
            let broken_plain = !stream && fault == Fault::HalfStream;
            let expected_status = if broken_plain { 502 } else { expected.status().as_u16() };
            for _ in 0..2 {
                let before = provider.calls().total();
                let answer = proxy.send(CHAT, &body).await;
                assert_eq!(answer.status(), expected_status, "{fault:?}");
                assert_eq!(
                    answer.headers().get("retry-after"),
                    expected.headers().get("retry-after"),
                    "{fault:?}"
                );
                let status = status_of(&answer);
                let whole = answer.bytes().await.is_ok();
                let broken = stream && fault == Fault::HalfStream;
                assert_eq!(whole, !broken, "{fault:?}: a truncated answer must not look whole");
                if !good {
                    assert!(!status.contains("hit"), "{fault:?}: {status}");
                    assert_eq!(provider.calls().total(), before + 1, "{fault:?}, stream: {stream}");
                }
            }
        }
    }
}

/// What the provider says to a request that cannot be read is what the caller gets.
#[tokio::test]
async fn bad_requests_get_the_provider_s_error() {
    let (provider, proxy) = pair(&["--max-body", "1000"]).await;
    let duplicate =
        r#"{"model":"gpt-4o","model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;
    let large = chat(&"x".repeat(2000)).to_string();
    for (body, reason) in [
        ("{", "byte 1"),
        ("", "byte 0"),
        (duplicate, "same name"),
        (&large, "limit"),
        ("[]", "object"),
    ] {
        let direct = reqwest::Client::new().post(format!("{}{CHAT}", provider.url()));
        let direct = direct.header("content-type", "application/json").bearer_auth("sk-test");
        let expected = direct.body(body.to_owned()).send().await.unwrap();
        let answer = proxy.post(CHAT).body(body.to_owned()).send().await.unwrap();
        let (status, what) = (answer.status(), status_of(&answer));
        assert_eq!(status, expected.status());
        assert!(what.starts_with("cache-proxy; fwd=bypass; detail=\""), "{what}");
        assert!(what.contains(reason), "{what} does not name {reason}");
        if !status.is_success() {
            let (answer, expected): (Value, Value) =
                (answer.json().await.unwrap(), expected.json().await.unwrap());
            assert_eq!(answer["error"]["type"], expected["error"]["type"]);
        }
    }
}

/// A109: other paths pass through untouched, and nothing is added to their answers.
#[tokio::test]
async fn other_paths_pass_through_untouched() {
    let (provider, proxy) = pair(&[]).await;
    let models = proxy.get("/v1/models?limit=3").await;
    assert_eq!(status_of(&models), "");
    let received = provider.last_request().unwrap();
    assert_eq!(received.target, "/v1/models?limit=3");
    ok_text(models).await;

    let response = proxy
        .client
        .put(format!("{}/v1/unknown", proxy.url))
        .header("x-own", "1")
        .header("accept-encoding", "zstd")
        .body("\u{0}raw")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 404);
    let received = provider.last_request().unwrap();
    assert_eq!((received.method.as_str(), &received.body[..]), ("PUT", &b"\0raw"[..]));
    assert_eq!(received.headers["x-own"], "1");
    assert_eq!(received.headers["accept-encoding"], "zstd");
    assert_eq!(received.headers["host"], provider.url().trim_start_matches("http://"));
}

/// A provider that is not there is a 502 in the provider's own error shape, and is not kept.
#[tokio::test]
async fn an_unreachable_provider_is_a_typed_error() {
    let provider = Provider::start(ProviderOptions::default()).await;
    let (url, port) = (provider.url(), provider.port());
    provider.stop().await;
    let proxy = Proxy::start(&url, &[]).await;
    for path in [CHAT, "/v1/other"] {
        let answer = proxy.send(path, &chat("hi")).await;
        assert_eq!(answer.status(), 502);
        let error: Value = answer.json().await.unwrap();
        assert_eq!(error["error"]["type"], "upstream_error");
    }
    let _back = Provider::start(ProviderOptions { port, ..ProviderOptions::default() }).await;
    ok_text(proxy.send(CHAT, &chat("hi")).await).await;
}

/// Callers steer with `Cache-Control`: `no-cache` fetches and keeps anew, `no-store` does neither.
#[tokio::test]
async fn cache_control_is_honoured() {
    let (provider, proxy) = pair(&[]).await;
    for body in [chat("hi"), streamed("ho")] {
        let ask = async |control: Option<&str>| {
            let mut request = proxy.post(CHAT).body(body.to_string());
            if let Some(control) = control {
                request = request.header("cache-control", control);
            }
            let response = request.send().await.unwrap();
            (status_of(&response), ok_text(response).await)
        };
        let first = ask(None).await.1;
        let (status, past) = ask(Some("no-store")).await;
        assert!(status.starts_with("cache-proxy; fwd=bypass"), "{status}");
        assert_ne!(past, first);
        assert_eq!(ask(None).await.1, first, "no-store stored nothing");
        let (status, refreshed) = ask(Some("no-cache")).await;
        assert!(status.starts_with("cache-proxy; fwd=request"), "{status}");
        assert_ne!(refreshed, first);
        assert_eq!(ask(None).await.1, refreshed, "no-cache replaced the answer");
    }
    assert_eq!(provider.calls().total(), 6);
}

/// A24: an answer is gone when its time is up.
#[tokio::test]
async fn answers_expire() {
    let (provider, proxy) = pair(&["--chat-ttl", "1"]).await;
    let ask = async || is_hit(&proxy.send(CHAT, &chat("hi")).await);
    assert!(!ask().await);
    assert!(ask().await);
    let expired = async {
        while ask().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(3), expired).await.expect("it expires");
    assert_eq!(provider.calls().total(), 2);
}

/// A client that goes away in the middle of a stream harms nobody, and half an answer is not kept.
#[tokio::test]
async fn a_client_may_leave_in_the_middle_of_a_stream() {
    let delays = Delays { per_output_token: Duration::from_millis(5), ..Delays::default() };
    let options = ProviderOptions { delays, ..ProviderOptions::default() };
    let provider = Provider::start(options).await;
    let proxy = Proxy::start(&provider.url(), &[]).await;
    let mut leaving = proxy.send(CHAT, &streamed("hi")).await;
    assert!(leaving.chunk().await.unwrap().is_some());
    drop(leaving);
    let whole = ok_text(proxy.send(CHAT, &streamed("hi")).await).await;
    assert!(whole.trim_end().ends_with("data: [DONE]"));
}

/// The first token of a stream does not wait for the last.
#[tokio::test]
async fn streams_are_passed_on_as_they_come() {
    let delays = Delays { per_output_token: Duration::from_millis(50), ..Delays::default() };
    let options = ProviderOptions { delays, ..ProviderOptions::default() };
    let provider = Provider::start(options).await;
    let proxy = Proxy::start(&provider.url(), &[]).await;
    let mut chunks = 0;
    let mut response = proxy.send(CHAT, &streamed("hi")).await;
    while response.chunk().await.unwrap().is_some() {
        chunks += 1;
    }
    assert!(chunks > 3, "{chunks} chunks: the stream was held back");
}

/// A67, A75: health and metrics are the proxy's own, and tell what happened.
#[tokio::test]
async fn health_and_metrics_are_served() {
    let (provider, proxy) = pair(&[]).await;
    for _ in 0..3 {
        ok_text(proxy.send(CHAT, &chat("hi")).await).await;
    }
    let health: Value = proxy.get("/healthz").await.json().await.unwrap();
    assert_eq!(health, json!({"status": "ok", "memory": "ok", "redis": "not configured"}));
    let metrics = ok_text(proxy.get("/metrics").await).await;
    for line in [
        r#"cache_lookups_total{cache="cache-proxy",outcome="l1_hit"} 2"#,
        r#"cache_lookups_total{cache="cache-proxy",outcome="miss"} 1"#,
        r#"cache_fetches_total{cache="cache-proxy"} 1"#,
        r#"cache_entries{cache="cache-proxy"} 1"#,
    ] {
        assert!(metrics.lines().any(|other| other == line), "no {line} in\n{metrics}");
    }
    assert!(!metrics.contains("gpt-4o") && !metrics.contains("sk-test"), "A78");
    assert_eq!(provider.calls().total(), 1);
}

/// SIGTERM ends the proxy once the answers under way are whole.
#[tokio::test]
async fn shutdown_is_graceful() {
    let delays = Delays {
        first_token: Duration::from_millis(200),
        per_output_token: Duration::from_millis(10),
        ..Delays::default()
    };
    let options = ProviderOptions { delays, ..ProviderOptions::default() };
    let provider = Provider::start(options).await;
    let mut proxy = Proxy::start(&provider.url(), &[]).await;
    let mut response = proxy.send(CHAT, &streamed("hi")).await;
    assert!(response.chunk().await.unwrap().is_some());
    proxy.terminate();
    let mut rest = Vec::new();
    while let Some(chunk) = response.chunk().await.expect("not cut off") {
        rest.extend_from_slice(&chunk);
    }
    assert!(String::from_utf8(rest).unwrap().trim_end().ends_with("data: [DONE]"));
    assert!(proxy.ended().await);
}
