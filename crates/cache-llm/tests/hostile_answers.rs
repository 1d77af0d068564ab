//! Answers by a provider that is broken or means harm, and requests likewise: no panic, no stack that
//! overflows, no time or figure out of proportion.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fmt::Write;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cache_dual::DualCache;
use cache_llm::live::{Live, Recording};
use cache_llm::sse::SseParser;
use cache_llm::transcode::{NotTranscodable, to_plain};
use cache_llm::{
    AnswerKind, Dollars, EndpointKind, HitOptions, Identity, KeyScope, LlmCache, NotStored, Price,
    PriceTable, Reasoning, ResponsePolicy, Storage, Tenant, Transport, Usage,
};
use common::*;
use futures_util::stream;

/// Runs on the small stack that worker threads of many programs have.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap().join().unwrap();
}

/// F33: members that hold others of their kind are no way to the end of the stack, nor are they read over
/// and over.
#[test]
fn nested_members_are_bounded() {
    let kinds = [AnswerKind::Chat, AnswerKind::Responses, AnswerKind::Messages];
    for (name, kind) in
        ["response", "message"].into_iter().flat_map(|name| kinds.map(|kind| (name, kind)))
    {
        on_a_small_stack(move || {
            let nested = format!(r#"{{"{name}":"#).repeat(100_000) + "1" + &"}".repeat(100_000);
            let usage = Usage::of(kind, Transport::Plain, nested.as_bytes());
            assert_eq!(usage, Usage::default());
            let event = format!("data: {nested}\n\n");
            assert_eq!(Usage::of(kind, Transport::Stream, event.as_bytes()), usage);
        });
    }
    let inner = b"data: {\"response\":{\"usage\":{\"input_tokens\":3}}}\n\n";
    assert_eq!(Usage::of(AnswerKind::Responses, Transport::Stream, inner).input, Some(3));
}

fn table(price: Price) -> PriceTable {
    PriceTable { as_of: String::new(), models: [("m".to_owned(), price)].into() }
}

/// A forged usage makes figures large, never small again, and nothing panics.
#[tokio::test]
async fn forged_usage_does_not_turn_figures_over() {
    const FORGED: &str = r#"{"model":"m","choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":18446744073709551615,"completion_tokens":18446744073709551615}}"#;
    let price = Price { input: 1e300, output: 1e300, cached_input: None, cache_write: None };
    let dual = DualCache::builder().build().unwrap();
    let cache: Cache =
        LlmCache::builder(dual).prices(table(price)).models_counted(1).build().unwrap();
    let other = br#"{"model":"n","messages":[]}"#;
    let scope = KeyScope::new(Tenant::named("tenant"));
    let other = cache.prepare(EndpointKind::ChatCompletions, other, &scope).unwrap();
    let calls = Calls::default();
    for plan in [plan(&cache, ""), other] {
        let answer = FORGED.replace("\"m\"", &format!("{:?}", plan.model()));
        passed(calls.ask(&cache, &plan, plain(200, answer)).await);
        for _ in 0..3 {
            hit(calls.ask(&cache, &plan, plain(200, "never")).await);
        }
    }
    let savings = cache.savings();
    assert_eq!(savings.models["m"].input_tokens, u64::MAX);
    assert_eq!(savings.models["m"].dollars, Dollars::from_nanos(u64::MAX));
    let total = savings.total();
    assert_eq!((total.hits, total.input_tokens, total.output_tokens), (6, u64::MAX, u64::MAX));
    assert_eq!(total.dollars, Dollars::from_nanos(u64::MAX));
}

/// What came from the provider's own cache is part of the input: more than all of it is never counted.
#[test]
fn parts_cost_no_more_than_the_whole() {
    let price = Price { input: 1.0, output: 0.0, cached_input: Some(0.5), cache_write: Some(2.0) };
    let usage = Usage {
        input: Some(1_000_000),
        cached_input: Some(u64::MAX),
        cache_write: Some(u64::MAX),
        ..Usage::default()
    };
    let cost = table(price).cost("m", &usage).unwrap();
    assert_eq!(cost, Dollars::from_nanos(500_000_000), "all of the input, as cached");
    let usage = Usage { cached_input: None, ..usage };
    assert_eq!(table(price).cost("m", &usage).unwrap(), Dollars::from_nanos(2_000_000_000));
}

/// F33: a request with very many members is read in a time that grows with its length.
#[test]
fn many_members_take_no_time() {
    let cache = cache();
    let mut body = r#"{"model":"m","input":"a""#.to_owned();
    for member in 0..200_000 {
        write!(body, r#","{member}":0"#).unwrap();
    }
    body.push('}');
    let begun = Instant::now();
    let scope = KeyScope::new(Tenant::Shared);
    cache.prepare(EndpointKind::Embeddings, body.as_bytes(), &scope).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// F33: streams with more parts than answers have are not put together.
#[test]
fn parts_without_number_are_not_joined() {
    let done = "data: {\"choices\":[],\"usage\":{\"total_tokens\":1}}\n\ndata: [DONE]\n\n";
    let call = |index: usize| {
        format!(r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{{"index":{index}}}]}}}}]}}"#)
    };
    let member =
        |index: usize| format!(r#"{{"m{index}":0,"choices":[{{"index":0,"delta":{{}}}}]}}"#);
    let parts: [&dyn Fn(usize) -> String; 2] = [&call, &member];
    for part in parts {
        let stream = |count: usize| {
            let events = (0..count).map(|index| format!("data: {}\n\n", part(index)));
            events.collect::<String>() + done
        };
        assert!(to_plain(AnswerKind::Chat, stream(500).as_bytes()).is_ok());
        let result = to_plain(AnswerKind::Chat, stream(5_000).as_bytes());
        assert_eq!(result, Err(NotTranscodable::Unexpected));
    }
}

/// A55: a choice that ends twice, for two reasons, did not end well for both.
#[tokio::test]
async fn two_finish_reasons_are_none() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = stream_plan(&cache);
    let filtered = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"H\"},\"finish_reason\":\"content_filter\"}]}\n\n";
    let first = passed(
        calls.ask(&cache, &plan, streamed(&[filtered, EVENTS[1], EVENTS[2], EVENTS[3]])).await,
    );
    let Storage::Recording(recorded) = first.storage else { panic!("it looked good") };
    read(first.body).await.unwrap();
    assert!(recorded.outcome().await.is_err());
    // Said again, it is the same reason.
    let again = passed(
        calls.ask(&cache, &plan, streamed(&[EVENTS[0], EVENTS[2], EVENTS[2], EVENTS[3]])).await,
    );
    let Storage::Recording(recorded) = again.storage else { panic!("it looked good") };
    read(again.body).await.unwrap();
    assert_eq!(recorded.outcome().await, Ok(()));
}

/// A55: a fallback that takes over in the middle of a stream is a fallback.
#[tokio::test]
async fn a_fallback_in_mid_stream_is_not_stored() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = stream_plan(&cache);
    let by = |model: &str, rest: &str| {
        let text =
            format!("data: {{\"model\":\"{model}\",\"choices\":[{{\"index\":0,{rest}}}]}}\n\n");
        &*text.leak()
    };
    for (second, third, is_stored) in [
        ("other", "m", false),
        ("other", "m-2026-01-01", false), // not the last one either
        ("m-2026-01-01", "m", true),
    ] {
        let events = [
            by("m", r#""delta":{"content":"Hel"}"#),
            by(second, r#""delta":{"content":"lo"}"#),
            by(third, r#""delta":{},"finish_reason":"stop""#),
            EVENTS[3],
        ];
        let first = passed(calls.ask(&cache, &plan, streamed(&events)).await);
        let Storage::Recording(recorded) = first.storage else { panic!("it looked good") };
        read(first.body).await.unwrap();
        match recorded.outcome().await {
            Ok(()) => assert!(is_stored),
            Err(reason) => {
                assert_eq!((reason, is_stored), (NotStored::OtherModel(second.into()), false));
            }
        }
    }
}

/// F59: what a provider says in place of a finish reason may be anything; no more of it is shown than of
/// the name of a model.
#[test]
fn long_reasons_are_cut() {
    let (cache, reason) = (cache(), "é".repeat(1_000_000));
    let answer =
        format!(r#"{{"choices":[{{"message":{{"content":"x"}},"finish_reason":"{reason}"}}]}}"#);
    let judged = ResponsePolicy::default().judge(plan(&cache, "").asked(), answer.as_bytes());
    let Err(NotStored::FinishReason(shown)) = judged else { panic!("{judged:?}") };
    assert_eq!(shown.chars().count(), 256);
}

/// F40: pieces of one byte take no more room than the limit allows for.
#[tokio::test]
async fn tiny_pieces_count_for_what_they_hold() {
    let pieces = stream::iter((0..10_000).map(|_| Ok(Bytes::from_static(b"x"))));
    let (tell, told) = tokio::sync::oneshot::channel();
    let (_live, mut reader) = Live::start(pieces, 20_000, |recording| async {
        drop(tell.send(recording));
    });
    let mut length = 0;
    while let Some(piece) = reader.next().await {
        length += piece.unwrap().len();
    }
    assert_eq!(length, 10_000, "they pass all the same");
    assert!(matches!(told.await.unwrap(), Recording::TooLarge));
}

/// A59: what looked like a tag and was none is not lost where the last event has no delta.
#[test]
fn held_text_is_given_out_at_the_end() {
    let options = HitOptions { reasoning: Reasoning::Strip, ..HitOptions::default() };
    for end in [r#""finish_reason":"stop""#, r#""delta":null,"finish_reason":"stop""#] {
        let stream = format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"a <thin\"}}}}]}}\n\ndata: {{\"choices\":[{{\"index\":0,{end}}}]}}\n\ndata: [DONE]\n\n"
        );
        let edited = options.apply(AnswerKind::Chat, Transport::Stream, stream.into(), 0).unwrap();
        let edited = std::str::from_utf8(&edited).unwrap();
        assert!(edited.contains(r#""content":"<thin""#), "{edited}");
    }
}

/// A byte order mark begins a stream, and no event within it: what no client sees is not shown by an edit.
#[test]
fn marks_within_a_stream_are_no_marks() {
    let options = HitOptions { identity: Identity::Fresh, ..HitOptions::default() };
    let stream =
        "\u{feff}data: {\"id\":\"a-1\"}\n\n\u{feff}data: {\"id\":\"b-1\"}\n\ndata: [DONE]\n\n";
    let edited = options.apply(AnswerKind::Chat, Transport::Stream, stream.into(), 0).unwrap();
    let mut seen = 0;
    SseParser::new(1000).push(&edited, |_| seen += 1);
    assert_eq!(seen, 2, "the first and the end");
}
