//! Policies as data: each decision with its reason.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use cache_core::ManualClock;
use cache_dual::{DualCache, DualOptions};
use cache_llm::{
    AnswerError, AnswerKind, Bypass, CacheMode, EndpointKind, KeyScope, LlmCache, LlmCacheBuilder,
    NotStored, Plan, Price, PriceTable, RequestPolicy, ResponsePolicy, Storage, Strategy, Tenant,
};
use common::*;

fn with(requests: RequestPolicy) -> Cache {
    let dual = DualCache::builder().build().unwrap();
    LlmCache::builder(dual).request_policy(requests).build().unwrap()
}

fn decide(cache: &Cache, kind: EndpointKind, body: &str) -> Result<Plan, Bypass> {
    cache.prepare(kind, body.as_bytes(), &KeyScope::new(Tenant::Shared))
}

fn chat(cache: &Cache, members: &str) -> Result<Plan, &'static str> {
    let body = format!(r#"{{"model":"m","messages":[]{members}}}"#);
    decide(cache, EndpointKind::ChatCompletions, &body).map_err(|reason| reason.label())
}

/// A53: requests with tools are cached or not, as the policy says.
#[test]
fn tools_by_option() {
    let (cached, not) =
        (with(RequestPolicy::default()), with(RequestPolicy::default().tools(false)));
    for members in [
        r#","tools":[{"type":"function"}]"#,
        r#","functions":[{}]"#,
        r#","tool_choice":"auto""#,
        r#","function_call":"auto""#,
    ] {
        assert!(chat(&cached, members).is_ok(), "{members}");
        assert_eq!(chat(&not, members).unwrap_err(), "tools", "{members}");
    }
    for members in ["", r#","tools":[]"#, r#","tools":null,"tool_choice":null"#] {
        assert!(chat(&not, members).is_ok(), "{members}");
    }
}

#[test]
fn only_deterministic_requests_by_option() {
    let cache = with(RequestPolicy::default().deterministic_only(true));
    for members in [r#","temperature":0"#, r#","temperature":0.0"#, r#","seed":7"#] {
        assert!(chat(&cache, members).is_ok(), "{members}");
    }
    for members in ["", r#","temperature":0.1"#, r#","temperature":"0""#, r#","seed":null"#] {
        assert_eq!(chat(&cache, members).unwrap_err(), "not_deterministic", "{members}");
    }
    let embedding = decide(&cache, EndpointKind::Embeddings, r#"{"model":"e","input":"a"}"#);
    assert!(embedding.is_ok(), "they are");
    // A51: absent counts as what the policy says.
    let zero = RequestPolicy::default().deterministic_only(true).assumed_temperature(0.0);
    assert!(chat(&with(zero), "").is_ok());
}

/// Bodies are measured before they are parsed.
#[test]
fn bodies_have_bounds() {
    let cache = with(RequestPolicy::default().min_body(31).max_body(33));
    let label = |body: &str| {
        decide(&cache, EndpointKind::ChatCompletions, body).map_err(|reason| reason.label())
    };
    let body = |padding: usize| format!(r#"{{"model":"m","messages":[]{}}}"#, " ".repeat(padding));
    assert_eq!(body(2).len(), 29);
    assert_eq!(label(&body(3)).unwrap_err(), "too_small");
    assert!(label(&body(4)).is_ok() && label(&body(6)).is_ok());
    assert_eq!(label(&body(7)).unwrap_err(), "too_large");
    assert_eq!(label(&"[".repeat(34)).unwrap_err(), "too_large", "not even parsed");
}

/// A24: a time to live for each kind and each model.
#[test]
fn ttl_by_kind_and_model() {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let policy = RequestPolicy::default()
        .kind_ttl(AnswerKind::Messages, hours(2))
        .model_ttl("gpt-4o", hours(3))
        .model_ttl("gpt-*", hours(4));
    let cache = with(policy);
    for (kind, model, ttl) in [
        (EndpointKind::ChatCompletions, "m", 1),
        (EndpointKind::Messages, "m", 2),
        (EndpointKind::ChatCompletions, "gpt-4o", 3),
        (EndpointKind::Messages, "gpt-4o", 3),
        (EndpointKind::ChatCompletions, "gpt-4o-mini", 4),
        (EndpointKind::Embeddings, "e", 24),
    ] {
        let body = format!(r#"{{"model":"{model}","messages":[],"input":"a"}}"#);
        assert_eq!(decide(&cache, kind, &body).unwrap().ttl(), hours(ttl), "{model}");
    }
}

#[test]
fn jitter_spreads_what_was_stored_together() {
    let cache = with(RequestPolicy::default().jitter(0.5));
    let hour = Duration::from_secs(3600);
    let mut ttls: Vec<_> = (0..200).map(|_| chat(&cache, "").unwrap().ttl()).collect();
    assert!(ttls.iter().all(|ttl| *ttl >= hour / 2 && *ttl <= hour));
    ttls.sort();
    assert!(ttls[0] < hour * 6 / 10 && ttls[199] > hour * 9 / 10, "{ttls:?}");
}

/// A stale answer is better than none, and than a 503; a 400 is the caller's own.
#[tokio::test]
async fn grace_is_for_failures() {
    let clock = Arc::new(ManualClock::default());
    let dual = DualCache::builder().clock(clock.clone()).build().unwrap();
    let requests = RequestPolicy::default().grace(Duration::from_secs(7200));
    let cache: Cache = LlmCache::builder(dual).request_policy(requests).build().unwrap();
    let calls = Calls::default();
    let plans = [plan(&cache, ""), plan(&cache, r#","stream":true,"seed":1"#)];
    passed(calls.ask(&cache, &plans[0], plain(200, HELLO)).await);
    let first = passed(calls.ask(&cache, &plans[1], streamed(&EVENTS)).await);
    read(first.body).await.unwrap();
    clock.advance(Duration::from_secs(3600));
    for plan in &plans {
        let stale = hit(calls.ask(&cache, plan, plain(503, "{}")).await);
        assert!(stale.stale && stale.body.len() > 40, "{stale:?}");
        clock.advance(Duration::from_secs(10)); // beyond the pause after a failure
        let failing = || async { Err(std::io::Error::other("refused")) };
        let stale = hit(cache.answer(plan, CacheMode::Use, failing).await.unwrap());
        assert!(stale.stale, "{stale:?}");
        clock.advance(Duration::from_secs(10));
        assert_eq!(passed(calls.ask(&cache, plan, plain(400, "{}")).await).status, 400);
    }
    // A new answer takes its place.
    clock.advance(Duration::from_secs(10));
    passed(calls.ask(&cache, &plans[0], plain(200, HELLO)).await);
    assert!(!hit(calls.ask(&cache, &plans[0], plain(200, "never")).await).stale);
    clock.advance(Duration::from_secs(3 * 3600));
    assert_eq!(passed(calls.ask(&cache, &plans[0], plain(503, "{}")).await).status, 503);
}

fn answer(model: &str, tokens: u64) -> String {
    format!(
        r#"{{"model":"{model}","choices":[{{"index":0,"message":{{"content":"Hi"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":{tokens},"completion_tokens":0}}}}"#
    )
}

async fn stored(cache: &Cache, answer: String) -> Result<(), NotStored> {
    let plan = chat(cache, "").unwrap();
    match passed(Calls::default().ask(cache, &plan, plain(200, answer)).await).storage {
        Storage::Stored => {
            cache.remove(plan.key()).await.unwrap();
            Ok(())
        }
        Storage::NotStored(reason) => Err(reason),
        Storage::Recording(_) => panic!("it is no stream"),
    }
}

/// rivals.md, 1D line 12: what a fallback model said is not served as the model's own, plain or as
/// a stream, unless the policy says so.
#[tokio::test]
async fn fallbacks_are_not_stored() {
    let cache = cache();
    assert_eq!(stored(&cache, answer("m-2026-01-02", 1)).await, Ok(()));
    assert_eq!(stored(&cache, answer("n", 1)).await, Err(NotStored::OtherModel("n".into())));
    let plan = stream_plan(&cache);
    let events = [EVENTS[0].replace("{\"choices", "{\"model\":\"n\",\"choices")];
    let leaked: &'static str = Box::leak(events[0].clone().into_boxed_str());
    let pieces = [leaked, EVENTS[1], EVENTS[2], EVENTS[3]];
    let streaming = passed(Calls::default().ask(&cache, &plan, streamed(&pieces)).await);
    let Storage::Recording(recorded) = streaming.storage else { panic!("it is a good stream") };
    read(streaming.body).await.unwrap();
    assert_eq!(recorded.outcome().await, Err(NotStored::OtherModel("n".into())));
    let cache = cache_with(ResponsePolicy::default().store_fallbacks(true));
    assert_eq!(stored(&cache, answer("n", 1)).await, Ok(()));
}

#[tokio::test]
async fn cheap_answers_are_not_stored_by_option() {
    let price = Price { input: 1.0, output: 0.0, cached_input: None, cache_write: None };
    let prices = PriceTable { as_of: String::new(), models: [("m".to_owned(), price)].into() };
    let dual = DualCache::builder().build().unwrap();
    let policy = ResponsePolicy::default().min_cost(0.001);
    let cache: Cache =
        LlmCache::builder(dual).response_policy(policy).prices(prices).build().unwrap();
    assert_eq!(stored(&cache, answer("m", 999)).await, Err(NotStored::TooCheap));
    assert_eq!(stored(&cache, answer("m", 1000)).await, Ok(()));
    assert_eq!(stored(&cache, HELLO.to_owned()).await, Ok(()), "nobody knows what it cost");
}

/// A58: where somebody else caches, requests are left alone, with the reason.
#[test]
fn strategies_bypass() {
    for strategy in [Strategy::Native, Strategy::Gateway, Strategy::Disabled] {
        let mut options = DualOptions::default();
        options.strategy = strategy;
        let dual = DualCache::builder().options(options).build().unwrap();
        let cache: Cache = LlmCache::builder(dual).build().unwrap();
        let reason = decide(&cache, EndpointKind::ChatCompletions, "{").unwrap_err();
        assert_eq!((reason.label(), reason), ("strategy", Bypass::Strategy(strategy)));
    }
}

/// A timeout of the cache underneath is told apart from a panic.
#[tokio::test(start_paused = true)]
async fn timeouts_are_typed() {
    let mut options = DualOptions::default();
    options.hard_timeout = Some(Duration::from_secs(2));
    let dual = DualCache::builder().options(options).build().unwrap();
    let cache: Cache = LlmCache::builder(dual).build().unwrap();
    let origin = || std::future::pending::<Result<Answer, std::io::Error>>();
    let error = cache.answer(&plan(&cache, ""), CacheMode::Use, origin).await.unwrap_err();
    let AnswerError::TimedOut { limit } = error else { panic!("{error:?}") };
    assert_eq!(limit, Duration::from_secs(2));
}

/// A116: what makes no sense is refused when the cache is built.
#[test]
fn senseless_policies_are_refused() {
    let (requests, zero) = (RequestPolicy::default, Duration::ZERO);
    for (policy, text) in [
        (requests().chat_ttl(zero), "`chat_ttl`: a time to live has to be longer than zero"),
        (
            requests().embedding_ttl(zero),
            "`embedding_ttl`: a time to live has to be longer than zero",
        ),
        (
            requests().kind_ttl(AnswerKind::Messages, zero),
            "`kind_ttl` of `messages`: a time to live has to be longer than zero",
        ),
        (
            requests().model_ttl("n", Duration::MAX).model_ttl("gpt-4.1*", zero),
            "`model_ttl` of `gpt-4.1*`: a time to live has to be longer than zero",
        ),
        (requests().jitter(1.0), "`jitter` has to be from 0 to below 1, not 1"),
        (
            requests().min_body(2).max_body(1),
            "`min_body` and `max_body`: no request has at least 2 bytes and at most 1",
        ),
        (
            requests().max_temperature(-0.5),
            "`max_temperature` has to be a number that is not negative, not -0.5",
        ),
        (
            requests().assumed_temperature(f64::NAN),
            "`assumed_temperature` has to be a number that is not negative, not NaN",
        ),
    ] {
        let error = builder().request_policy(policy).build().unwrap_err();
        assert_eq!(error.to_string(), text);
    }
    for (policy, text) in [
        (
            ResponsePolicy::default().min_cost(-1.0),
            "`min_cost` has to be a number that is not negative, not -1",
        ),
        (ResponsePolicy::default().max_answer(0), "`max_answer` has to be larger than zero bytes"),
    ] {
        let error = builder().response_policy(policy).build().unwrap_err();
        assert_eq!(error.to_string(), text);
    }
    let good = Price { input: 1.0, output: 1.0, cached_input: None, cache_write: None };
    for (name, price) in [
        ("input", Price { input: -2.0, ..good }),
        ("output", Price { output: -2.0, ..good }),
        ("cached_input", Price { cached_input: Some(-2.0), ..good }),
        ("cache_write", Price { cache_write: Some(-2.0), ..good }),
    ] {
        let models = [("a".to_owned(), good), ("gpt-4.1".to_owned(), price)].into();
        let prices = PriceTable { as_of: String::new(), models };
        let error = builder().prices(prices).build().unwrap_err();
        let rule = "a price has to be a number that is not negative, not -2";
        assert_eq!(error.to_string(), format!("`{name}` of model `gpt-4.1`: {rule}"));
    }
}

fn builder() -> LlmCacheBuilder<Head, std::io::Error> {
    LlmCache::builder(DualCache::builder().build().unwrap())
}

/// Policies are data: read, written, and refused where a member is not known (A116).
#[cfg(feature = "serde")]
#[test]
fn policies_from_configuration() {
    let text = r#"{"chat":true,"embeddings":false,"chat_ttl":"30m","kind_ttl":{"messages":"2h"},
        "model_ttl":{"gpt-4o*":"3h"},"jitter":0.1,"grace":"10m","tools":false,"min_body":10,
        "max_body":1000,"max_temperature":0.7,"deterministic_only":true}"#;
    let policy: RequestPolicy = serde_json::from_str(text).unwrap();
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let expected = RequestPolicy::default()
        .embeddings(false)
        .chat_ttl(minutes(30))
        .kind_ttl(AnswerKind::Messages, minutes(120))
        .model_ttl("gpt-4o*", minutes(180))
        .jitter(0.1)
        .grace(minutes(10))
        .tools(false)
        .min_body(10)
        .max_body(1000)
        .max_temperature(0.7)
        .deterministic_only(true);
    assert_eq!(policy, expected);
    let again = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<RequestPolicy>(&again).unwrap(), policy);
    let text = r#"{"max_answer":1000,"also_accept":["eos"],"store_refusals":true,"min_cost":0.01,
        "linger":"90s"}"#;
    let policy: ResponsePolicy = serde_json::from_str(text).unwrap();
    let expected = ResponsePolicy::default().max_answer(1000).also_accept("eos");
    let expected = expected.store_refusals(true).min_cost(0.01);
    assert_eq!(policy, expected.linger(Duration::from_secs(90)));
    let again = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<ResponsePolicy>(&again).unwrap(), policy);
    for unknown in [r#"{"ttl":"1h"}"#, r#"{"kind_ttl":{"chats":"1h"}}"#, r#"{"chat_ttl":60}"#] {
        assert!(serde_json::from_str::<RequestPolicy>(unknown).is_err(), "{unknown}");
    }
    assert!(serde_json::from_str::<ResponsePolicy>(r#"{"max_bytes":1}"#).is_err());
}

/// A wrong member is told with its name, and an entry with its own.
#[cfg(feature = "serde")]
#[test]
fn errors_of_configuration_say_where() {
    let unit = r#"a duration with its unit, such as "250ms", "30s" or "1h 30m""#;
    let wrong = format!("invalid type: integer `1800`, expected {unit}");
    for (member, place) in [
        (r#""chat_ttl":1800"#, "`chat_ttl`"),
        (r#""embedding_ttl":1800"#, "`embedding_ttl`"),
        (r#""grace":1800"#, "`grace`"),
        (r#""kind_ttl":{"chat":"1h","messages":1800}"#, "`kind_ttl`: of `messages`"),
        (r#""model_ttl":{"gpt-4.1*":1800}"#, "`model_ttl`: of `gpt-4.1*`"),
    ] {
        let error = serde_json::from_str::<RequestPolicy>(&format!("{{{member}}}")).unwrap_err();
        assert!(error.to_string().starts_with(&format!("{place}: {wrong}")), "{error}");
        assert_eq!(error.line(), 1, "{error}");
    }
    let error = serde_json::from_str::<ResponsePolicy>(r#"{"linger":1800}"#).unwrap_err();
    assert!(error.to_string().starts_with(&format!("`linger`: {wrong}")), "{error}");
    for (member, text) in [
        (r#""chat_ttl":"1800""#, format!("`chat_ttl`: \"1800\" is not {unit}: ")),
        (r#""kind_ttl":{"chats":"1h"}"#, "`kind_ttl`: unknown variant `chats`, expected one of `chat`, `completions`, `responses`, `messages`, `embeddings`".to_owned()),
        (r#""jitter":"10%""#, "`jitter`: invalid type: string \"10%\", expected f64".to_owned()),
        (r#""tools":1"#, "`tools`: invalid type: integer `1`, expected a boolean".to_owned()),
    ] {
        let error = serde_json::from_str::<RequestPolicy>(&format!("{{{member}}}")).unwrap_err();
        assert!(error.to_string().starts_with(&text), "{error}");
    }
}

/// Kinds are called in configuration as they call themselves.
#[cfg(feature = "serde")]
#[test]
fn kinds_have_names() {
    use AnswerKind::{Chat, Completions, Embeddings, Messages, Responses};
    for kind in [Chat, Completions, Embeddings, Messages, Responses] {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.label());
        assert_eq!(kind.to_string(), kind.label());
    }
}

/// A preset is data.
#[cfg(feature = "serde")]
#[test]
fn presets_from_configuration() {
    use cache_llm::Preset::{Aggressive, Conservative, Standard};
    for (preset, name) in
        [(Conservative, "conservative"), (Standard, "standard"), (Aggressive, "aggressive")]
    {
        assert_eq!(serde_json::from_value::<cache_llm::Preset>(name.into()).unwrap(), preset);
        assert_eq!(serde_json::to_value(preset).unwrap(), name);
    }
    assert!(serde_json::from_str::<cache_llm::Preset>(r#""generous""#).is_err());
}
