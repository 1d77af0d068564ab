//! The proxy over a real Redis, up, down and lying.

mod harness;

use std::time::{Duration, Instant};

use harness::{CHAT, Proxy, chat, is_hit, ok_text, status_of, streamed};
use serde_json::Value;
use testbed::provider::{Provider, ProviderOptions};
use testbed::redis::{RedisServer, server_or_skip};

async fn start(redis: &RedisServer, provider: &Provider, args: &[&str]) -> Proxy {
    let url = redis.url();
    Proxy::start(&provider.url(), &[&["--redis", &url], args].concat()).await
}

/// Asks until the answer comes from Redis or memory; the time that takes is bounded.
async fn until_hit(proxy: &Proxy, body: &Value) {
    let hit = async {
        while !is_hit(&proxy.send(CHAT, body).await) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), hit).await.expect("a hit, in time");
}

/// A17: stored answers outlive the proxy, and are shared with its neighbours.
#[tokio::test]
async fn answers_outlive_the_proxy() {
    let Some(redis) = server_or_skip("answers_outlive_the_proxy") else { return };
    let provider = Provider::start(ProviderOptions::default()).await;
    let bodies = [chat("hi"), streamed("ho")];
    let first = start(&redis, &provider, &[]).await;
    let mut paid = Vec::new();
    for body in &bodies {
        paid.push(ok_text(first.send(CHAT, body).await).await);
    }
    drop(first);
    let second = start(&redis, &provider, &[]).await;
    for (body, paid) in bodies.iter().zip(paid) {
        // Once from Redis; and once more if it came before the proxy listened to the others.
        let mut details = Vec::new();
        while details.last().is_none_or(|detail| detail != "l1") {
            let hit = second.send(CHAT, body).await;
            let status = status_of(&hit);
            let detail = status.rsplit_once("detail=").expect("a hit").1.to_owned();
            assert_eq!(ok_text(hit).await, paid);
            details.push(detail);
            assert!(details.len() < 100, "{details:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(details[0], "l2");
    }
    assert_eq!(provider.calls().total(), 2);
}

/// A23: time is up in both tiers at the same moment, across proxies.
#[tokio::test]
async fn answers_expire_in_both_tiers() {
    let Some(redis) = server_or_skip("answers_expire_in_both_tiers") else { return };
    let provider = Provider::start(ProviderOptions::default()).await;
    let first = start(&redis, &provider, &["--chat-ttl", "2"]).await;
    let stored = Instant::now();
    ok_text(first.send(CHAT, &chat("hi")).await).await;
    // The second proxy reads late; its copy must not live longer for that.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = start(&redis, &provider, &["--chat-ttl", "2"]).await;
    assert!(is_hit(&second.send(CHAT, &chat("hi")).await));
    let gone = async {
        while is_hit(&second.send(CHAT, &chat("hi")).await) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.expect("it expires");
    let lived = stored.elapsed();
    assert!(lived < Duration::from_millis(2600), "it lived for {lived:?}");
}

/// A61, A66: Redis down at the start, then up, then killed, then up again: no request fails.
#[tokio::test]
async fn redis_may_come_and_go() {
    let Some(mut redis) = server_or_skip("redis_may_come_and_go") else { return };
    let provider = Provider::start(ProviderOptions::default()).await;
    redis.kill();
    let first = start(&redis, &provider, &[]).await;
    let health: Value = first.get("/healthz").await.json().await.unwrap();
    assert_eq!(
        (health["status"].as_str(), health["redis"].as_str()),
        (Some("degraded"), Some("down"))
    );
    ok_text(first.send(CHAT, &chat("while down")).await).await;

    for round in 0..2 {
        redis.restart().expect("it starts again");
        let second = start(&redis, &provider, &[]).await;
        // The first proxy joins: what it stores, the second finds.
        let joined = async {
            for n in 0.. {
                let body = chat(&format!("round {round}, {n}"));
                ok_text(first.send(CHAT, &body).await).await;
                let answer = second.send(CHAT, &body).await;
                let hit = is_hit(&answer);
                ok_text(answer).await;
                if hit {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(15), joined).await.expect("it joins");
        redis.kill();
        for n in 0..50 {
            ok_text(first.send(CHAT, &chat(&format!("killed {round}, {n}"))).await).await;
        }
    }
}

/// F26: a Redis that accepts and never answers costs its deadline a few times, then nothing.
#[tokio::test]
async fn a_stopped_redis_costs_little() {
    let Some(redis) = server_or_skip("a_stopped_redis_costs_little") else { return };
    let provider = Provider::start(ProviderOptions::default()).await;
    redis.pause().expect("SIGSTOP");
    let proxy = start(&redis, &provider, &["--redis-deadline", "50"]).await;
    let mut took = Vec::new();
    for n in 0..40 {
        let asked = Instant::now();
        ok_text(proxy.send(CHAT, &chat(&format!("{n}"))).await).await;
        took.push(asked.elapsed());
    }
    redis.resume().expect("SIGCONT");
    let slowest = took.iter().max().unwrap();
    assert!(*slowest < Duration::from_millis(500), "{slowest:?} with a deadline of 50 ms");
    took.sort();
    assert!(took[20] < Duration::from_millis(45), "the median pays for Redis: {took:?}");
    until_hit(&proxy, &chat("0")).await;
}

/// A29, F11: garbage in Redis is a miss, never an answer and never an error.
#[tokio::test]
async fn garbage_in_redis_is_a_miss() {
    let Some(redis) = server_or_skip("garbage_in_redis_is_a_miss") else { return };
    let provider = Provider::start(ProviderOptions::default()).await;
    let first = start(&redis, &provider, &[]).await;
    let paid = ok_text(first.send(CHAT, &chat("hi")).await).await;
    let keys = redis.command("KEYS *").expect("KEYS");
    let key = keys.lines().find(|line| line.contains("cache-proxy")).expect("our key").to_owned();
    for damage in [
        format!("SET {key} garbage"),
        format!("SETRANGE {key} 3 xx"),
        format!("SETRANGE {key} 90 broken"),
        format!("DEL {key}\nLPUSH {key} list"),
    ] {
        for command in damage.lines() {
            let answer = redis.command(command).expect("Redis answers");
            assert!(!answer.starts_with('-'), "{command}: {answer}");
        }
        let fresh = start(&redis, &provider, &[]).await;
        let answer = fresh.send(CHAT, &chat("hi")).await;
        assert!(!is_hit(&answer), "{damage}");
        assert_ne!(ok_text(answer).await, paid, "{damage}: an answer with a new id");
        // What the fetch above stored in its place serves the next proxy.
        let next = start(&redis, &provider, &[]).await;
        assert!(is_hit(&next.send(CHAT, &chat("hi")).await), "{damage}: not repaired");
    }
}

/// A39, F18: an answer that one proxy fetched anew leaves the memory of its neighbours.
#[tokio::test]
async fn a_refresh_reaches_the_neighbours() {
    let Some(redis) = server_or_skip("a_refresh_reaches_the_neighbours") else { return };
    let provider = Provider::start(ProviderOptions::default()).await;
    let here = start(&redis, &provider, &[]).await;
    let there = start(&redis, &provider, &[]).await;
    let body = chat("hi");
    let old = ok_text(here.send(CHAT, &body).await).await;
    // Both listen, and both have it in memory.
    for proxy in [&here, &there] {
        until_hit(proxy, &body).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        while !status_of(&proxy.send(CHAT, &body).await).ends_with("detail=l1") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let anew = here.post(CHAT).header("cache-control", "no-cache").body(body.to_string());
    let new = ok_text(anew.send().await.unwrap()).await;
    assert_ne!(new, old);
    let heard = async {
        while ok_text(there.send(CHAT, &body).await).await != new {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), heard).await.expect("it is heard of");
    assert_eq!(provider.calls().total(), 2);
}
