//! Which requests are cached, under which key and for how long.

use std::time::Duration;

use cache_key::{EndpointKind, KeyScope, Request, Tenant};
use cache_llm::{AnswerKind, Bypass, Plan, RequestPolicy, Transport};

fn plan_as(policy: &RequestPolicy, kind: EndpointKind, body: &str) -> Result<Plan, Bypass> {
    let scope = KeyScope::new(Tenant::named("t")).provider("openai");
    let request = Request::parse(kind, body.as_bytes())?;
    policy.plan(&request, &scope)
}

fn chat(members: &str) -> Result<Plan, Bypass> {
    chat_by(&RequestPolicy::default(), members)
}

fn chat_by(policy: &RequestPolicy, members: &str) -> Result<Plan, Bypass> {
    let body =
        format!(r#"{{"model":"gpt-5","messages":[{{"role":"user","content":"Hi"}}]{members}}}"#);
    plan_as(policy, EndpointKind::ChatCompletions, &body)
}

fn embed(input: &str) -> Result<Plan, Bypass> {
    let body = format!(r#"{{"model":"e","input":{input}}}"#);
    plan_as(&RequestPolicy::default(), EndpointKind::Embeddings, &body)
}

const HOUR: Duration = Duration::from_secs(3600);

/// A24: chat 1 h, embeddings 24 h, both configurable.
#[test]
fn ttl_by_kind() {
    assert_eq!(chat("").unwrap().ttl(), HOUR);
    assert_eq!(embed(r#""a""#).unwrap().ttl(), 24 * HOUR);
    let policy = RequestPolicy::default().chat_ttl(2 * HOUR).embedding_ttl(3 * HOUR);
    assert_eq!(chat_by(&policy, "").unwrap().ttl(), 2 * HOUR);
    let body = r#"{"model":"e","input":"a"}"#;
    assert_eq!(plan_as(&policy, EndpointKind::Embeddings, body).unwrap().ttl(), 3 * HOUR);
}

/// A51: no ceiling by default; with one, exactly at it is cached and above it is not.
#[test]
fn temperature_ceiling() {
    assert!(chat(r#","temperature":2"#).is_ok());
    let policy = RequestPolicy::default().max_temperature(0.7);
    let ask = |temperature: &str| chat_by(&policy, &format!(r#","temperature":{temperature}"#));
    assert!(ask("0.7").is_ok());
    assert!(ask("0").is_ok());
    for above in ["0.7000001", "1", "1e400", r#""0.1""#, "[0]"] {
        assert_eq!(ask(above), Err(Bypass::Temperature), "{above}");
    }
    // Absent and null count as what the provider assumes.
    assert_eq!(chat_by(&policy, ""), Err(Bypass::Temperature));
    assert_eq!(ask("null"), Err(Bypass::Temperature));
    assert!(chat_by(&policy.clone().assumed_temperature(0.7), "").is_ok());
    // Embeddings have none.
    assert!(plan_as(&policy, EndpointKind::Embeddings, r#"{"model":"e","input":"a"}"#).is_ok());
}

/// A56: `"store": true` needs the real call; false, null and absent do not.
#[test]
fn store_skips() {
    assert_eq!(chat(r#","store":true"#), Err(Bypass::Stored));
    assert!(chat(r#","store":false"#).is_ok());
    assert!(chat(r#","store":null"#).is_ok());
}

/// A50: streams can be switched off; embeddings have none.
#[test]
fn streams_can_be_switched_off() {
    let off = RequestPolicy::default().streams(false);
    assert_eq!(chat_by(&off, r#","stream":true"#), Err(Bypass::Streaming));
    assert!(chat_by(&off, r#","stream":false"#).is_ok());
    let body = r#"{"model":"e","input":"a","stream":true}"#;
    let planned = plan_as(&RequestPolicy::default(), EndpointKind::Embeddings, body);
    assert_eq!(planned, Err(Bypass::Streaming));
}

/// Kinds can be switched off, and those that this crate does not know are.
#[test]
fn kinds() {
    let off = RequestPolicy::default().chat(false).embeddings(false);
    let body = r#"{"model":"m","input":"a"}"#;
    for kind in [EndpointKind::ChatCompletions, EndpointKind::Embeddings] {
        assert_eq!(plan_as(&off, kind, body), Err(Bypass::Kind(kind)));
    }
    let kind = EndpointKind::Responses;
    assert_eq!(plan_as(&RequestPolicy::default(), kind, body), Err(Bypass::Kind(kind)));
}

/// A request must name its model.
#[test]
fn model_is_needed() {
    let policy = RequestPolicy::default();
    for body in [r#"{"messages":[]}"#, r#"{"model":"","messages":[]}"#, r#"{"model":7}"#] {
        let planned = plan_as(&policy, EndpointKind::ChatCompletions, body);
        assert_eq!(planned, Err(Bypass::NoModel), "{body}");
    }
    assert_eq!(chat("").unwrap().model(), "gpt-5");
}

/// A6: what has no canonical form is not cached, and the reason is kept.
#[test]
fn not_canonical() {
    for members in [r#","n":1,"n":2"#, ",", r#","user":"\ud800""#] {
        let error = chat(members).unwrap_err();
        assert!(matches!(error, Bypass::NotCanonical(_)), "{error:?}");
        assert!(std::error::Error::source(&error).is_some());
    }
}

/// A50: plain answers, streams, and streams with other options stand under keys of their own;
/// what says the same has the same key.
#[test]
fn transport_is_part_of_the_key() {
    let key = |members| *chat(members).unwrap().key();
    let keys = [
        key(""),
        key(r#","stream":true"#),
        key(r#","stream":true,"stream_options":{"include_usage":true}"#),
        key(r#","stream":true,"stream_options":{"include_usage":false}"#),
    ];
    for (index, one) in keys.iter().enumerate() {
        assert!(!keys[..index].contains(one));
    }
    assert_eq!(key(r#","stream":false"#), keys[0]);
    assert_eq!(key(r#","stream":null"#), keys[0]);
    assert_eq!(key(r#","stream_options":null,"stream":true"#), keys[1]);
    assert_eq!(key(r#", "stream_options" : { "include_usage" : true }, "stream":true"#), keys[2]);
    assert_eq!(chat("").unwrap().transport(), Transport::Plain);
    assert_eq!(chat(r#","stream":true"#).unwrap().transport(), Transport::Stream);
}

/// A15: another tenant has another key.
#[test]
fn tenants_are_apart() {
    let body = br#"{"model":"m","messages":[]}"#;
    let request = Request::parse(EndpointKind::ChatCompletions, body).unwrap();
    let policy = RequestPolicy::default();
    let key = |tenant| *policy.plan(&request, &KeyScope::new(tenant)).unwrap().key();
    assert_ne!(key(Tenant::named("a")), key(Tenant::named("b")));
    assert_ne!(key(Tenant::Shared), key(Tenant::Anonymous));
}

/// A55: whether `length` is what was asked for is read from the request, by both spellings.
#[test]
fn token_limit() {
    let limited = |members| chat(members).unwrap().asked().token_limit;
    assert!(limited(r#","max_tokens":5"#));
    assert!(limited(r#","max_completion_tokens":5"#));
    assert!(!limited(""));
    assert!(!limited(r#","max_tokens":null"#));
}

/// A54: how many results make an answer whole.
#[test]
fn expected_results() {
    assert_eq!(chat(r#","n":3"#).unwrap().asked().results, Some(3));
    assert_ne!(chat(r#","n":3"#).unwrap().key(), chat(r#","n":2"#).unwrap().key());
    assert_eq!(chat("").unwrap().asked().results, None);
    let results = |input| embed(input).unwrap().asked().results;
    assert_eq!(results(r#""one text""#), Some(1));
    assert_eq!(results(r#"["a","b","c"]"#), Some(3));
    assert_eq!(results("[1,2,3]"), Some(1), "tokens of one text");
    assert_eq!(results("[[1,2],[3]]"), Some(2));
    assert_eq!(embed(r#""a""#).unwrap().kind(), AnswerKind::Embeddings);
}

/// A78: labels are a fixed set.
#[test]
fn labels() {
    assert_eq!(chat(r#","store":true"#).unwrap_err().label(), "store");
    assert_eq!(chat(",").unwrap_err().label(), "not_canonical");
}
