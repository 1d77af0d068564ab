//! Which requests are cached, under which key and for how long.

use std::time::Duration;

use cache_key::{EndpointKind, KeyScope, Request, Tenant};
use cache_llm::{AnswerKind, Bypass, Plan, RequestPolicy, StreamOptions, Transport};

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
    let chat = [EndpointKind::Completions, EndpointKind::Responses, EndpointKind::Messages];
    for (kind, expected) in
        chat.into_iter().zip([AnswerKind::Completions, AnswerKind::Responses, AnswerKind::Messages])
    {
        assert_eq!(plan_as(&off, kind, body), Err(Bypass::Kind(kind)));
        assert_eq!(plan_as(&RequestPolicy::default(), kind, body).unwrap().kind(), expected);
    }
    let kind = EndpointKind::Rerank;
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

/// A7, A50: how an answer travels is no part of its key, in any dialect; options of a stream that
/// this crate does not know may change its form, so they are.
#[test]
fn transport_is_no_part_of_the_key() {
    let policy = RequestPolicy::default();
    for kind in [EndpointKind::ChatCompletions, EndpointKind::Completions, EndpointKind::Responses]
    {
        let key = |members| {
            let body = format!(r#"{{"model":"m","messages":[]{members}}}"#);
            *plan_as(&policy, kind, &body).unwrap().key()
        };
        for same in [
            r#","stream":false"#,
            r#","stream":null"#,
            r#","stream":true"#,
            r#","stream":true,"stream_options":null"#,
            r#","stream":true,"stream_options":{}"#,
            r#","stream":true,"stream_options":{"include_obfuscation":false}"#,
            r#","stream_options":{"new":1}"#, // of no stream
        ] {
            assert_eq!(key(same), key(""), "{kind} {same}");
        }
        let usage = key(r#","stream":true,"stream_options":{"include_usage":true}"#);
        assert_eq!(usage == key(""), kind != EndpointKind::Responses, "{kind}");
        let apart = [
            r#","stream":true,"stream_options":{"new":1}"#,
            r#","stream":true,"stream_options":{"new":2}"#,
            r#","stream":true,"stream_options":{"include_usage":1}"#,
            r#","stream":true,"extra_body":{"stream_options":{"include_usage":true}}"#,
        ];
        for (index, one) in apart.iter().enumerate() {
            assert_ne!(key(one), key(""), "{kind} {one}");
            assert!(apart[..index].iter().all(|other| key(other) != key(one)), "{kind} {one}");
        }
    }
    let key = |members: &str| {
        let body = format!(r#"{{"model":"m","max_tokens":1,"messages":[]{members}}}"#);
        *plan_as(&policy, EndpointKind::Messages, &body).unwrap().key()
    };
    assert_eq!(key(r#","stream":true"#), key(""));
    assert_ne!(key(r#","stream":true,"stream_options":{"x":1}"#), key(""));
    assert_eq!(chat("").unwrap().transport(), Transport::Plain);
    let plan = chat(r#","stream":true,"stream_options":{"include_usage":true}"#).unwrap();
    assert_eq!(plan.transport(), Transport::Stream);
    assert_eq!(
        plan.asked().stream,
        StreamOptions { include_usage: true, include_obfuscation: None }
    );
}

/// A56: what the provider keeps and may change is not cached under a request that names it.
#[test]
fn state_skips() {
    let responses = |members: &str| {
        let body = format!(r#"{{"model":"m","input":"a"{members}}}"#);
        plan_as(&RequestPolicy::default(), EndpointKind::Responses, &body).map(drop)
    };
    assert_eq!(responses(r#","conversation":"c""#), Err(Bypass::State));
    assert_eq!(responses(r#","background":true"#), Err(Bypass::State));
    assert_eq!(responses(r#","prompt":{"id":"p"}"#), Err(Bypass::State), "the newest version");
    assert_eq!(responses(r#","prompt":{"id":"p","version":null}"#), Err(Bypass::State));
    assert_eq!(responses(r#","prompt":{"id":"p","version":"2"}"#), Ok(()));
    assert_eq!(responses(r#","store":true"#), Err(Bypass::Stored));
    assert_eq!(responses(r#","conversation":null,"background":false,"store":false"#), Ok(()));
    let messages = |container: &str| {
        let body = format!(r#"{{"model":"m","messages":[],"container":{container}}}"#);
        plan_as(&RequestPolicy::default(), EndpointKind::Messages, &body).map(drop)
    };
    assert_eq!(messages(r#""c""#), Err(Bypass::State));
    assert_eq!(messages(r#"{"id":"c","skills":[]}"#), Err(Bypass::State));
    assert_eq!(messages(r#"{"id":null,"skills":[]}"#), Ok(()), "a new one");
    assert_eq!(messages("null"), Ok(()));
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
    let completions = |members: &str| {
        let body = format!(r#"{{"model":"m"{members}}}"#);
        let plan = plan_as(&RequestPolicy::default(), EndpointKind::Completions, &body);
        plan.unwrap().asked().results
    };
    assert_eq!(completions(r#","prompt":"a""#), None);
    assert_eq!(completions(r#","prompt":["a","b"],"n":2"#), Some(4));
    assert_eq!(completions(r#","prompt":[[1,2],[3]]"#), Some(2));
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
