//! Answers recorded with a provider, played without.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use cache_dual::DualCache;
use cache_llm::{
    AnswerError, AnswerKind, Bypass, CacheMode, Cassette, CassetteError, EndpointKind, KeyScope,
    LlmCache, NotStored, Plan, Reply, Samples, Storage, Tenant,
};
use common::*;

const EMBEDDINGS: &str = r#"{"model":"m","data":[{"index":0,"embedding":[0.5]},{"index":1,"embedding":[-1e-9]}],"usage":{"prompt_tokens":2}}"#;

fn with(cassette: &Cassette) -> Cache {
    let dual = DualCache::builder().build().unwrap();
    LlmCache::builder(dual).cassette(cassette.clone()).build().unwrap()
}

fn embed(cache: &Cache) -> Plan {
    let scope = KeyScope::new(Tenant::named("tenant"));
    let body = br#"{"model":"m","input":["a","bb"]}"#;
    cache.prepare(EndpointKind::Embeddings, body, &scope).unwrap()
}

/// A cassette of a plain answer, a stream and embeddings, recorded anew.
async fn record() -> String {
    let (cache, calls) = (with(&Cassette::recording()), Calls::default());
    passed(calls.ask(&cache, &plan(&cache, ""), plain(200, HELLO)).await);
    let other = plan(&cache, r#","seed":1,"stream":true"#);
    let stream = passed(calls.ask(&cache, &other, streamed(&EVENTS)).await);
    read(stream.body).await.unwrap();
    let Storage::Recording(recorded) = stream.storage else { panic!("{:?}", stream.storage) };
    recorded.outcome().await.unwrap();
    passed(calls.ask(&cache, &embed(&cache), plain(200, EMBEDDINGS)).await);
    passed(calls.ask(&cache, &plan(&cache, r#","seed":2"#), plain(500, "{}")).await);
    let (json, report) = cache.cassette_json().await.unwrap();
    assert_eq!((report.recorded, calls.count()), (4, 4), "errors are not recorded");
    let [missing] = &report.missing[..] else { panic!("{report:?}") };
    assert_eq!(missing.key, *plan(&cache, r#","seed":2"#).key(), "and said to be missing");
    assert_eq!((missing.kind, &*missing.model), (AnswerKind::Chat, "m"));
    json
}

/// What was recorded is played without a call, in both transports; what was not is a typed error, in
/// every mode.
#[tokio::test]
async fn recorded_and_played() {
    let cassette = Cassette::parse(record().await.as_bytes()).unwrap();
    let (cache, calls) = (with(&cassette), Calls::default());
    let never = || plain(200, "never");
    let first = hit(calls.ask(&cache, &plan(&cache, ""), never()).await);
    assert_eq!(first.body, HELLO, "byte for byte");
    let other = plan(&cache, r#","seed":1,"stream":true"#);
    assert_eq!(hit(calls.ask(&cache, &other, never()).await).body, EVENTS.concat());
    assert!(hit(calls.ask(&cache, &stream_plan(&cache), never()).await).transcoded);
    assert_eq!(hit(calls.ask(&cache, &embed(&cache), never()).await).body, EMBEDDINGS);
    for mode in [CacheMode::Use, CacheMode::Refresh, CacheMode::Bypass] {
        let missing = plan(&cache, r#","seed":2"#);
        let asked = calls.clone();
        let result = cache.answer(&missing, mode, || async move {
            asked.add();
            Ok(plain(200, HELLO))
        });
        let error = result.await.map(|_| ()).unwrap_err();
        let short = missing.key().short().to_string();
        let says = format!("no answer of \"m\" (Chat) is recorded under key {short}");
        assert_eq!(error.to_string(), says);
        let AnswerError::NotRecorded { key, kind, model } = error else { panic!("{mode:?}") };
        assert_eq!((key, kind, &*model), (short, AnswerKind::Chat, "m"));
    }
    assert_eq!(calls.count(), 0, "the provider is never asked");
    assert!(matches!(cache.cassette_json().await, Err(CassetteError::Playing)));
}

/// The same answers give the same bytes, and a stream stands line by line.
#[tokio::test]
async fn files_can_be_compared() {
    let json = record().await;
    assert_eq!(json, record().await);
    let lines = json.lines().map(str::trim);
    assert!(lines.clone().any(|line| line == r#""data: [DONE]\n","#), "{json}");
    for name in [r#""kind": "chat","#, r#""kind": "embeddings","#, r#""model": "m","#] {
        assert!(lines.clone().any(|line| line == name), "{name} in {json}");
    }
    assert!(!json.contains("tenant") && !json.contains("messages"), "no requests: {json}");
}

/// Files are written, read, and refused where they are something else.
#[tokio::test]
async fn files() {
    let directory = std::env::temp_dir().join(format!("cache-llm-cassette-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("c.json");
    let cassette = Cassette::recording();
    let cache = with(&cassette);
    passed(Calls::default().ask(&cache, &plan(&cache, ""), plain(200, HELLO)).await);
    let report = cache.save_cassette(&path).await.unwrap();
    assert_eq!((report.recorded, report.missing), (1, vec![]));
    assert!(!cassette.is_playing());
    let none = common::cache().save_cassette(&path).await;
    assert!(matches!(none, Err(CassetteError::NoCassette)), "{none:?}");
    let played = with(&Cassette::load(&path).unwrap());
    hit(Calls::default().ask(&played, &plan(&played, ""), plain(200, "never")).await);
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(matches!(Cassette::load(&path), Err(CassetteError::Io(_))));
    for none in [
        "",
        r#"{"format":"cache-llm cassette 2","entries":{}}"#,
        r#"{"format":"cache-llm cassette 1","entries":{"00":{"text":[]}}}"#,
        r#"{"format":"cache-llm cassette 1","entries":{},"more":1}"#,
        &of("{}"),
        &of(r#"{"text":[],"base64":""}"#),
        &of(r#"{"text":[],"more":1}"#),
    ] {
        let result = Cassette::parse(none.as_bytes());
        assert!(matches!(result, Err(CassetteError::NotACassette(_))), "{none}");
    }
}

/// Samples are played in turns, as many as were recorded.
#[tokio::test]
async fn samples_are_played_in_turns() {
    let (cache, calls) = (with(&Cassette::recording()), Calls::default());
    let plan = plan(&cache, "").with_samples(Samples::in_turn(3).unwrap());
    for text in ["Hello", "Howdy"] {
        passed(calls.ask(&cache, &plan, plain(200, HELLO.replace("Hello", text))).await);
    }
    let (json, report) = cache.cassette_json().await.unwrap();
    assert_eq!((report.recorded, report.missing.len()), (2, 1), "the third had no turn");
    let cache = with(&Cassette::parse(json.as_bytes()).unwrap());
    for text in ["Hello", "Howdy", "Hello"] {
        let played = hit(calls.ask(&cache, &plan, plain(200, "never")).await);
        assert_eq!(played.body, HELLO.replace("Hello", text));
    }
}

/// A request that is none of the cache's business is never on a cassette. While one is played, that is an
/// error and no call; while one is recorded, and in a dry run, it goes to the provider.
#[tokio::test]
async fn bypassed_requests_are_not_recordable() {
    let body = br#"{"model":"m","store":true,"messages":[]}"#;
    let scope = KeyScope::new(Tenant::named("tenant"));
    let empty = Cassette::parse(br#"{"format":"cache-llm cassette 1","entries":{}}"#).unwrap();
    for (cassette, dry_run, is_asked) in
        [(empty.clone(), false, false), (empty, true, true), (Cassette::recording(), false, true)]
    {
        let dual = DualCache::builder().build().unwrap();
        let builder = LlmCache::builder(dual).cassette(cassette).dry_run(dry_run);
        let (cache, calls): (Cache, _) = (builder.build().unwrap(), Calls::default());
        for mode in [CacheMode::Use, CacheMode::Refresh, CacheMode::Bypass] {
            let origin = || async {
                calls.add();
                Ok(plain(200, HELLO))
            };
            let kind = EndpointKind::ChatCompletions;
            match cache.serve(kind, body, &scope, mode, origin).await {
                Ok(Reply::Passed(passed)) => {
                    let reason = NotStored::Request(Bypass::Stored);
                    assert!(matches!(passed.storage, Storage::NotStored(is) if is == reason));
                }
                Err(AnswerError::NotRecordable(reason)) => assert_eq!(reason, Bypass::Stored),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(calls.count(), if is_asked { 3 } else { 0 });
        assert_eq!(cache.report().bypassed["store"], 3);
    }
}

/// A cassette of one entry, which is this.
fn of(entry: &str) -> String {
    let key = "0f".repeat(32);
    format!(r#"{{"format":"cache-llm cassette 1","entries":{{"{key}":{entry}}}}}"#)
}

/// Files from before entries named their kind and model are read as ever.
#[test]
fn names_may_be_left_out() {
    for entry in [r#"{"text":["a"]}"#, r#"{"base64":""}"#, r#"{"kind":"chat","text":[]}"#] {
        assert!(Cassette::parse(of(entry).as_bytes()).is_ok(), "{entry}");
    }
}

/// A key that stands twice, as after a merge of two files, is an error: neither entry wins.
#[test]
fn keys_stand_once() {
    let key = "0f".repeat(32);
    let twice = format!(
        r#"{{"format":"cache-llm cassette 1","entries":{{"{key}":{{"text":["a"]}},"{key}":{{"text":["b"]}}}}}}"#
    );
    let result = Cassette::parse(twice.as_bytes());
    let Err(CassetteError::Duplicate { key: named }) = result else { panic!("{result:?}") };
    assert_eq!(named, key);
}
