//! Usage and money: what a hit tells of the answer, and what hits have spared.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use cache_core::ManualClock;
use cache_dual::DualCache;
use cache_llm::{
    AnswerKind, Dollars, LlmCache, PolicyError, Price, PriceTable, ResponsePolicy, Saved, Source,
    Transport, Usage,
};
use common::*;

const PRICED: &str = r#"{"model":"m-2026-01-02","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":200,"total_tokens":1200,"prompt_tokens_details":{"cached_tokens":400},"completion_tokens_details":{"reasoning_tokens":50}}}"#;

fn prices() -> PriceTable {
    let price = Price { input: 10.0, output: 30.0, cached_input: Some(5.0), cache_write: None };
    PriceTable { as_of: "2026-11-01".to_owned(), models: [("m".to_owned(), price)].into() }
}

fn priced(dual: DualCache<bytes::Bytes>) -> Cache {
    LlmCache::builder(dual).prices(prices()).build().unwrap()
}

/// A60: a hit tells the usage, the model and the finish reason of the answer, its tier, age and
/// remaining time; and what it spares.
#[tokio::test]
async fn a_hit_tells_what_the_answer_cost() {
    let clock = Arc::new(ManualClock::default());
    let cache = priced(DualCache::builder().clock(clock.clone()).build().unwrap());
    let (calls, plan) = (Calls::default(), plan(&cache, ""));
    passed(calls.ask(&cache, &plan, plain(200, PRICED)).await);
    clock.advance(Duration::from_secs(600));
    let hit = hit(calls.ask(&cache, &plan, plain(200, "never")).await);
    assert_eq!(hit.body, PRICED);
    let usage = Usage {
        input: Some(1000),
        cached_input: Some(400),
        cache_write: None,
        output: Some(200),
        reasoning: Some(50),
    };
    assert_eq!((hit.usage, hit.model()), (usage, Some("m-2026-01-02")));
    assert_eq!((hit.finish_reason(), hit.source, hit.stale), (Some("stop"), Source::L1, false));
    assert_eq!(hit.age, Duration::from_secs(600));
    assert_eq!(hit.remaining, Duration::from_secs(3000));
    // 600 fresh at $10, 400 cached at $5, 200 written at $30, a million.
    assert_eq!(hit.saved, Some(Dollars::from_nanos(14_000_000)));
    let saved = Saved {
        hits: 1,
        unpriced: 0,
        input_tokens: 1000,
        output_tokens: 200,
        dollars: Dollars::from_nanos(14_000_000),
    };
    let savings = cache.savings();
    assert_eq!((savings.models["m-2026-01-02"], savings.total()), (saved, saved));
    assert_eq!(savings.prices_as_of, "2026-11-01");
}

/// A60: a stream tells the same, and serves a plain request with it.
#[tokio::test]
async fn streams_tell_their_usage_too() {
    let cache = priced(DualCache::builder().build().unwrap());
    let calls = Calls::default();
    let asked = plan(&cache, r#","stream":true,"stream_options":{"include_usage":true}"#);
    let events = [
        "data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"}}],\"usage\":null}\n\n",
        "data: {\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":10}}\n\n",
        "data: [DONE]\n\n",
    ];
    read(passed(calls.ask(&cache, &asked, streamed(&events)).await).body).await.unwrap();
    for members in [r#","stream":true"#, ""] {
        let hit = hit(calls.ask(&cache, &plan(&cache, members), plain(200, "never")).await);
        assert_eq!((hit.usage.input, hit.usage.output), (Some(100), Some(10)));
        assert_eq!((hit.model(), hit.finish_reason()), (Some("m"), Some("stop")));
        assert_eq!(hit.saved, Some(Dollars::from_nanos(1_300_000)));
    }
    assert_eq!(cache.savings().models["m"].hits, 2);
}

/// Each dialect has its own names, and Anthropic another idea of what is input; totals add up.
#[test]
fn usage_is_one_convention() {
    use AnswerKind::{Chat, Completions, Embeddings, Messages, Responses};
    use Transport::{Plain, Stream};
    let usage = |input, cached_input, cache_write, output, reasoning| Usage {
        input,
        cached_input,
        cache_write,
        output,
        reasoning,
    };
    let cases = [
        (
            // Gateways that give the counts in both spellings.
            Chat,
            Plain,
            r#"{"usage":{"prompt_tokens":9,"input_tokens":9,"completion_tokens":3,"output_tokens":3,"prompt_tokens_details":{"cached_tokens":4},"input_tokens_details":null}}"#,
            usage(Some(9), Some(4), None, Some(3), None),
        ),
        (
            Chat,
            Plain,
            r#"{"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
            usage(Some(3), None, None, Some(4), None),
        ),
        (
            Completions,
            Plain,
            r#"{"usage":{"prompt_tokens":3,"completion_tokens":"x"}}"#,
            usage(Some(3), None, None, None, None),
        ),
        (Chat, Plain, r#"{"usage":7,"model":8,"choices":9,"message":[]}"#, Usage::default()),
        (Chat, Plain, r#"{"choices":[]}"#, Usage::default()),
        (
            Embeddings,
            Plain,
            r#"{"usage":{"prompt_tokens":8,"total_tokens":8}}"#,
            usage(Some(8), None, None, None, None),
        ),
        (
            Responses,
            Plain,
            r#"{"usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":2},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":1}}}"#,
            usage(Some(9), Some(2), None, Some(5), Some(1)),
        ),
        (
            Responses,
            Stream,
            "data: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\n\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":5}}}\n\n",
            usage(Some(9), None, None, Some(5), None),
        ),
        (
            Messages,
            Plain,
            r#"{"usage":{"input_tokens":10,"cache_creation_input_tokens":20,"cache_read_input_tokens":30,"output_tokens":4}}"#,
            usage(Some(60), Some(30), Some(20), Some(4), None),
        ),
        (
            Messages,
            Stream,
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":5,\"output_tokens\":1}}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":40}}\n\n",
            usage(Some(15), Some(5), None, Some(40), None),
        ),
    ];
    for (kind, transport, body, expected) in cases {
        assert_eq!(Usage::of(kind, transport, body.as_bytes()), expected, "{body}");
    }
}

/// A78: names of models come from outside, so there is room for so many, and the rest is one line.
#[tokio::test]
async fn models_are_bounded() {
    let dual = DualCache::builder().build().unwrap();
    let builder = LlmCache::builder(dual).prices(prices()).models_counted(2);
    let policy = ResponsePolicy::default().store_fallbacks(true);
    let cache: Cache = builder.response_policy(policy).build().unwrap();
    let calls = Calls::default();
    for (at, model) in ["a", "b", "m", "d"].into_iter().enumerate() {
        let plan = plan(&cache, &format!(r#","n":1,"user":"{at}""#));
        let answer = PRICED.replace("m-2026-01-02", model);
        for _ in 0..3 {
            let _ = calls.ask(&cache, &plan, plain(200, answer.clone())).await;
        }
    }
    let savings = cache.savings();
    let hits: Vec<_> = savings.models.iter().map(|(name, line)| (&**name, line.hits)).collect();
    assert_eq!(hits, [("a", 2), ("b", 2)]);
    assert_eq!((savings.other.hits, savings.other.unpriced), (4, 2), "m has a price, d has none");
    assert_eq!(savings.other.dollars, Dollars::from_nanos(28_000_000));
    assert_eq!(savings.total().hits, 8);
}

/// The default prices are dated, and a price that is none is refused.
#[test]
fn prices_are_data() {
    let default = PriceTable::default();
    assert_eq!(default.as_of.len(), "2025-10-01".len());
    for model in ["gpt-4o", "openai/gpt-4o-2024-08-06", "claude-sonnet-4-20250514"] {
        assert!(default.price(model).is_some(), "{model}");
    }
    assert!(default.price("gpt-4o-audio-preview").is_none(), "another model, at another price");
    let mut table = prices();
    table.models.insert("n".to_owned(), Price { input: -1.0, ..table.models["m"] });
    let dual = DualCache::builder().build().unwrap();
    let refused = LlmCache::<Head, std::io::Error>::builder(dual).prices(table).build();
    let Err(PolicyError::Price(error)) = refused else { panic!("{refused:?}") };
    assert_eq!((&*error.model, error.price, error.value), ("n", "input", -1.0));
    // When they held need not be known.
    let undated: PriceTable = serde_json::from_str(r#"{"models":{"m":{"input":1}}}"#).unwrap();
    assert_eq!((undated.as_of.as_str(), undated.models.len()), ("", 1));
    let unknown = r#"{"as_of":"x","models":{},"currency":"EUR"}"#;
    assert!(serde_json::from_str::<PriceTable>(unknown).is_err());
}

/// A report is JSON that a dashboard can show: counts and dollars as numbers, by name.
#[tokio::test]
async fn reports_serialize() {
    let cache = priced(DualCache::builder().build().unwrap());
    let (calls, plan) = (Calls::default(), plan(&cache, ""));
    passed(calls.ask(&cache, &plan, plain(500, "{}")).await);
    passed(calls.ask(&cache, &plan, plain(200, PRICED)).await);
    hit(calls.ask(&cache, &plan, plain(200, "never")).await);
    let scope = cache_llm::KeyScope::new(cache_llm::Tenant::Shared);
    cache.prepare(cache_llm::EndpointKind::ChatCompletions, b"{", &scope).unwrap_err();
    let nothing = serde_json::json!(
        {"hits": 0, "unpriced": 0, "input_tokens": 0, "output_tokens": 0, "dollars": 0.0}
    );
    let expected = serde_json::json!({
        "dry_run": false,
        "bypassed": {"not_canonical": 1},
        "hits": 1,
        "misses": 2,
        "not_stored": {"status": 1},
        "savings": {
            "models": {
                "m-2026-01-02": {
                    "hits": 1,
                    "unpriced": 0,
                    "input_tokens": 1000,
                    "output_tokens": 200,
                    "dollars": 0.014,
                },
            },
            "other": nothing,
            "prices_as_of": "2026-11-01",
        },
    });
    assert_eq!(serde_json::to_value(cache.report()).unwrap(), expected);
}

/// The number of dollars is the one that stands in the source, and none of the billionths is lost.
#[test]
fn dollars_serialize_as_a_number() {
    for (nanos, json) in [
        (0, "0.0"),
        (1, "1e-9"),
        (3_500_000, "0.0035"),
        (1_234_567_890_123, "1234.567890123"),
        (2_000_000_000_000_001, "2000000.000000001"),
    ] {
        assert_eq!(serde_json::to_string(&Dollars::from_nanos(nanos)).unwrap(), json);
        let back: f64 = json.parse().unwrap();
        assert_eq!((back * 1e9).round().to_string(), nanos.to_string());
    }
}

/// A price that is not given is none.
#[test]
fn a_price_by_default_is_nothing() {
    let usage = Usage { input: Some(1_000), output: Some(1_000), ..Usage::default() };
    assert_eq!(Price::default().cost(&usage), Some(Dollars::default()));
    let price = Price { input: 1.0, ..Price::default() };
    assert_eq!(price.cost(&usage), Some(Dollars::from_nanos(1_000_000)));
}
