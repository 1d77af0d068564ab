//! More than one answer to a request.

mod common;

use cache_dual::DualCache;
use cache_llm::{
    CacheMode, EndpointKind, KeyScope, LlmCache, Plan, Reply, Rotation, Samples, Tenant,
};
use common::*;

fn answer(text: &str) -> Answer {
    plain(
        200,
        format!(r#"{{"choices":[{{"message":{{"content":"{text}"}},"finish_reason":"stop"}}]}}"#),
    )
}

fn in_turn(count: u32) -> Samples {
    Samples::in_turn(count).expect("neither none nor too many")
}

/// The texts of so many requests, and how many of them were hits.
async fn texts(cache: &Cache, calls: &Calls, plan: &Plan, times: usize) -> (String, usize) {
    let (mut texts, mut hits) = (String::new(), 0);
    for _ in 0..times {
        let next = answer(&calls.count().to_string());
        let reply = calls.ask(cache, plan, next).await;
        hits += usize::from(matches!(reply, Reply::Hit(_)));
        texts.push(text(reply).await);
    }
    (texts, hits)
}

async fn text(reply: Reply<Head>) -> char {
    let body = body(reply).await.expect("it is whole");
    let at = body.windows(11).position(|window| window == br#""content":""#).expect("a text");
    char::from(body[at + 11])
}

/// Rivals 1A 11: filled first, then in turns; other requests have turns of their own.
#[tokio::test]
async fn filled_then_in_turns() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = plan(&cache, "").with_samples(in_turn(3));
    assert_eq!(texts(&cache, &calls, &plan, 9).await, ("012012012".to_owned(), 6));
    assert_eq!(calls.count(), 3);
    let mut keys = plan.keys();
    keys.dedup();
    assert_eq!((keys.len(), keys[0]), (3, *plan.key()));
}

/// Any of them, and each of them, comes by chance; a stream is one of the answers as well.
#[tokio::test]
async fn by_chance() {
    let dual = DualCache::builder().build().expect("valid options");
    let by_chance = Samples::random(2).expect("two are not too many");
    let cache: Cache = LlmCache::builder(dual).samples(by_chance).build().expect("valid options");
    let calls = Calls::default();
    let plan = plan(&cache, "");
    assert_eq!(plan.samples(), by_chance);
    let (seen, hits) = texts(&cache, &calls, &plan, 102).await;
    assert_eq!((&seen[..2], hits), ("01", 100));
    assert!(seen[2..].contains('0') && seen[2..].contains('1'), "fails once in 2^99 runs");
    let streaming = hit(calls.ask(&cache, &stream_plan(&cache), streamed(&EVENTS)).await);
    assert!(streaming.transcoded);
}

/// "Regenerate" asks the provider: for what is missing first, then in the place of whose turn it is.
#[tokio::test]
async fn regenerated() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = plan(&cache, "").with_samples(in_turn(2));
    for text in ["a", "b", "c", "d", "e"] {
        passed(calls.ask_as(CacheMode::Refresh, &cache, &plan, answer(text)).await);
    }
    let (seen, hits) = texts(&cache, &calls, &plan, 2).await;
    assert_eq!((seen.as_str(), hits), ("de", 2), "the last two");
    // A bypass neither counts nor stores.
    passed(calls.ask_as(CacheMode::Bypass, &cache, &plan, answer("x")).await);
    assert_eq!(texts(&cache, &calls, &plan, 2).await.0.len(), 2);
}

/// A15: forgetting a request forgets all its answers; they are filled again, one that was removed alone
/// likewise.
#[tokio::test]
async fn forgotten() {
    let (cache, calls) = (cache(), Calls::default());
    let plan = plan(&cache, "").with_samples(in_turn(3));
    texts(&cache, &calls, &plan, 3).await;
    cache.remove(&plan.keys()[1]).await.expect("no remote tier");
    assert_eq!(texts(&cache, &calls, &plan, 1).await, ("3".to_owned(), 0));
    assert_eq!(cache.forget(&plan).await.expect("no remote tier"), 3);
    assert_eq!(texts(&cache, &calls, &plan, 4).await, ("4564".to_owned(), 1));
}

/// A15: all the answers that a request has are removed by it.
#[tokio::test]
async fn removed_by_request() {
    let dual = DualCache::builder().build().expect("valid options");
    let turns = in_turn(3);
    let cache: Cache = LlmCache::builder(dual).samples(turns).build().expect("valid options");
    let (calls, plan) = (Calls::default(), plan(&cache, ""));
    texts(&cache, &calls, &plan, 3).await;
    let scope = KeyScope::new(Tenant::named("tenant"));
    let body = br#"{"messages":[],"model":"m"}"#;
    assert!(cache.remove_request(EndpointKind::ChatCompletions, body, &scope).await.expect("ok"));
    assert_eq!(texts(&cache, &calls, &plan, 3).await, ("345".to_owned(), 0));
}

/// A116: no request has no answer, nor more of them than can be looked up before each request. Nobody gets
/// such a number past the check.
#[test]
fn as_many_as_make_sense() {
    let config = |text: &str| {
        let samples = serde_json::from_str::<Samples>(text);
        samples.map_err(|error| error.to_string())
    };
    for count in [0, Samples::MAX + 1, u32::MAX] {
        let says = format!("`count` of samples has to be from 1 to 256, not {count}");
        for refused in [Samples::in_turn(count), Samples::random(count)] {
            let error = refused.expect_err("refused");
            assert_eq!((error.count, error.to_string()), (count, says.clone()));
        }
        let error = config(&format!(r#"{{"count":{count}}}"#)).expect_err("refused");
        assert!(error.starts_with(&says), "{error}");
    }
    assert!(config(r#"{"cuont":3}"#).is_err(), "misspelt");
    for samples in [in_turn(1), in_turn(Samples::MAX), Samples::random(3).expect("valid")] {
        let text = serde_json::to_string(&samples).expect("data");
        assert_eq!(config(&text), Ok(samples));
    }
    assert_eq!(config("{}"), Ok(Samples::default()));
    assert_eq!((Samples::default().count(), Samples::default().rotation()), (1, Rotation::InTurn));
}
