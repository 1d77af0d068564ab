//! The real binary between a real client and a simulated provider.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::process::Stdio;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use testbed::provider::{Provider, ProviderOptions};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const EMBEDDINGS: &str = "/v1/embeddings";

/// A running `cache-proxy`.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) url: String,
    pub(crate) client: Client,
}

impl Proxy {
    /// Starts one in front of `upstream` and waits until it listens.
    pub(crate) async fn start(upstream: &str, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cache-proxy"))
            .args(["--upstream", upstream, "--listen", "127.0.0.1:0"])
            .args(args)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary was built with this test");
        let stdout = child.stdout.take().expect("it is piped");
        let line = BufReader::new(stdout).lines().next_line().await.expect("readable");
        let line = line.expect("it says where it listens before it ends");
        let url = line.strip_prefix("listening on ").expect("the documented line").to_owned();
        Self { child, url, client: Client::new() }
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/json")
            .bearer_auth("sk-test")
    }

    pub(crate) async fn send(&self, path: &str, body: &Value) -> Response {
        self.post(path).body(body.to_string()).send().await.expect("the proxy answers")
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.url)).send().await.expect("the proxy answers")
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let id = self.child.id().expect("it runs").to_string();
        let sent = std::process::Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.expect("kill is there").success());
    }

    /// Waits for its end; whether that was a success.
    pub(crate) async fn ended(&mut self) -> bool {
        let ended = tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await;
        ended.expect("it ends in time").expect("waitable").success()
    }
}

/// A provider with a proxy in front of it.
pub(crate) async fn pair(args: &[&str]) -> (Provider, Proxy) {
    let provider = Provider::start(ProviderOptions::default()).await;
    let proxy = Proxy::start(&provider.url(), args).await;
    (provider, proxy)
}

pub(crate) fn chat(content: &str) -> Value {
    json!({"model": "gpt-4o", "messages": [{"role": "user", "content": content}]})
}

pub(crate) fn streamed(content: &str) -> Value {
    let mut body = chat(content);
    body["stream"] = true.into();
    body
}

/// What the proxy says that it did.
pub(crate) fn status_of(response: &Response) -> String {
    let value = response.headers().get("cache-status");
    value.map_or("", |value| value.to_str().expect("ASCII")).to_owned()
}

pub(crate) fn is_hit(response: &Response) -> bool {
    status_of(response).starts_with("cache-proxy; hit; ")
}

pub(crate) async fn ok_text(response: Response) -> String {
    assert_eq!(response.status(), StatusCode::OK);
    response.text().await.expect("a whole body")
}
