//! Sending one request and seeing what the cache did with it.

use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use testbed::traffic::Request;

use crate::answer::Answer;

/// Where an answer came from, as its `Cache-Status` header (RFC 9211) tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Source {
    /// The proxy's memory.
    Memory,
    /// Redis.
    Redis,
    /// Another caller's fetch that was already under way.
    Joined,
    /// The provider.
    Provider,
}

impl Source {
    fn of(header: Option<&str>) -> Self {
        let parts: Vec<&str> = header.unwrap_or("").split(';').map(str::trim).collect();
        let has = |part: &str| parts.contains(&part);
        if has("hit") {
            if has("detail=l2") { Self::Redis } else { Self::Memory }
        } else if has("collapsed") {
            Self::Joined
        } else {
            Self::Provider
        }
    }
}

/// What came of one request.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) source: Source,
    /// Until the last byte.
    pub(crate) took: Duration,
    /// In words, why there is none.
    pub(crate) answer: Result<Answer, String>,
}

/// A client for loopback: an HTTP proxy from the environment would not reach it.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client without TLS always builds")
}

/// Sends to `base` and reads the whole answer.
pub(crate) async fn send(client: &reqwest::Client, base: &str, request: &Request) -> Sent {
    let start = Instant::now();
    let (source, answer) = exchange(client, base, request).await;
    Sent { source, took: start.elapsed(), answer }
}

async fn exchange(
    client: &reqwest::Client,
    base: &str,
    request: &Request,
) -> (Source, Result<Answer, String>) {
    let http = client
        .post(format!("{base}{}", request.path))
        .header(AUTHORIZATION, "Bearer sk-demo")
        .header(CONTENT_TYPE, "application/json")
        .body(request.body.clone());
    let response = match http.send().await {
        Ok(response) => response,
        Err(error) => return (Source::Provider, Err(format!("no answer: {error}"))),
    };
    let status = response.status();
    let header = response.headers().get("cache-status").and_then(|value| value.to_str().ok());
    let source = Source::of(header);
    let body = match response.bytes().await {
        Ok(body) => body,
        Err(error) => return (source, Err(format!("half an answer: {error}"))),
    };
    if !status.is_success() {
        return (source, Err(format!("{status}: {}", String::from_utf8_lossy(&body))));
    }
    let answer = Answer::read(&body, request.streamed);
    (source, answer.ok_or_else(|| "an answer that is not whole".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_tells_the_source() {
        let of = |header| Source::of(Some(header));
        assert_eq!(of("cache-proxy; hit; ttl=3599; detail=l1"), Source::Memory);
        assert_eq!(of("cache-proxy; hit; ttl=3599; detail=l2"), Source::Redis);
        assert_eq!(of("cache-proxy; fwd=miss; collapsed"), Source::Joined);
        assert_eq!(of("cache-proxy; fwd=miss; stored"), Source::Provider);
        assert_eq!(of("cache-proxy; fwd=bypass; detail=unhit"), Source::Provider);
        assert_eq!(Source::of(None), Source::Provider);
    }
}
