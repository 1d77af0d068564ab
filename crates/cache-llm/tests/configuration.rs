//! The configuration in the README is one.

#![cfg(feature = "serde")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::time::Duration;

use cache_llm::{
    AnswerKind, Chunking, EmbeddingOptions, HitOptions, Identity, Price, PriceTable, Reasoning,
    ReplayOptions, RequestPolicy, ResponsePolicy, UsageView,
};

#[derive(Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    requests: RequestPolicy,
    responses: ResponsePolicy,
    prices: PriceTable,
    hits: HitOptions,
    replay: ReplayOptions,
}

/// What the README shows is read as it says.
#[test]
fn the_example_of_the_readme() {
    let (_, rest) = include_str!("../README.md").split_once("```json\n").unwrap();
    let (text, rest) = rest.split_once("```").unwrap();
    assert!(!rest.contains("```json"), "which of them is it?");
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let price =
        |input, cached_input, output| Price { input, output, cached_input, cache_write: None };
    let expected = Configuration {
        requests: RequestPolicy::default()
            .chat_ttl(minutes(30))
            .embedding_ttl(minutes(7 * 24 * 60))
            .kind_ttl(AnswerKind::Messages, minutes(120))
            .model_ttl("gpt-4o*", minutes(360))
            .model_ttl("gpt-4o-mini", minutes(90))
            .jitter(0.1)
            .grace(minutes(24 * 60))
            .max_temperature(0.7)
            .max_body(1 << 20),
        responses: ResponsePolicy::default()
            .max_answer(2 << 20)
            .also_accept("eos")
            .min_cost(0.0001)
            .linger(Duration::from_secs(30)),
        prices: PriceTable {
            as_of: "2026-11-01".to_owned(),
            models: BTreeMap::from([
                ("gpt-4o".to_owned(), price(2.5, Some(1.25), 10.0)),
                ("text-embedding-*".to_owned(), price(0.02, None, 0.0)),
            ]),
        },
        hits: HitOptions {
            identity: Identity::Fresh,
            reasoning: Reasoning::Strip,
            usage: UsageView::Zero,
        },
        replay: ReplayOptions {
            chunking: Chunking::Characters(8.try_into().unwrap()),
            tokens_per_second: Some(50.try_into().unwrap()),
        },
    };
    assert_eq!(serde_json::from_str::<Configuration>(text).unwrap(), expected);
}

/// Whatever is wrong, the error says where.
#[test]
fn errors_name_the_member() {
    fn error<T: serde::de::DeserializeOwned>(text: &str) -> String {
        serde_json::from_str::<T>(text).err().expect("it is wrong").to_string()
    }
    for (error, starts) in [
        (
            error::<HitOptions>(r#"{"identity":"new"}"#),
            "`identity`: unknown variant `new`, expected",
        ),
        (error::<HitOptions>(r#"{"usage":0}"#), "`usage`: "),
        (error::<ReplayOptions>(r#"{"chunking":{"characters":0}}"#), "`chunking`: "),
        (error::<ReplayOptions>(r#"{"tokens_per_second":0}"#), "`tokens_per_second`: "),
        (error::<EmbeddingOptions>(r#"{"per_item":"no"}"#), "`per_item`: "),
        (
            error::<PriceTable>(r#"{"models":{"gpt-4o":{"input":"2.5"}}}"#),
            "`models`: of `gpt-4o`: `input`: invalid type: string \"2.5\", expected f64",
        ),
        (
            error::<PriceTable>(r#"{"models":{"gpt-4o":{}}}"#),
            "`models`: of `gpt-4o`: missing field `input`",
        ),
    ] {
        assert!(error.starts_with(starts), "{error}");
    }
}
