//! A44: an origin's error reaches all who wait, whatever kind of type it is: typed, shared, and with its
//! causes.
#![allow(clippy::unwrap_used, reason = "what a test's helper unwraps is what it expects")]

mod common;

use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use cache_dual::{
    CacheKey, DetachedOptions, DualCache, FetchError, FetchFailure, OriginError, Outcome,
};
use common::{Refused, key};

type Boxed = Box<dyn StdError + Send + Sync>;

const REFUSED: Refused = Refused { status: 429, retry_after: 7 };

/// An error of our own with a cause.
#[derive(Debug, thiserror::Error)]
#[error("the provider could not be asked")]
struct Unreachable(#[source] Refused);

fn cache() -> DualCache<String> {
    DualCache::builder().build().unwrap()
}

/// Texts of an error and its causes.
fn chain(error: &dyn StdError) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        texts.push(cause.to_string());
        next = cause.source();
    }
    texts
}

/// The errors that a leader and a follower of one failing fetch get.
async fn both<E, K>(fail: fn() -> E) -> [OriginError<E>; 2]
where
    E: FetchFailure<K>,
{
    let (cache, k, calls) = (cache(), key("k"), AtomicU64::new(0));
    let ask = || {
        cache.get_or_fetch(&k, || async {
            calls.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
            Err::<String, E>(fail())
        })
    };
    let (a, b) = tokio::join!(ask(), ask());
    assert_eq!(calls.load(Ordering::SeqCst), 1, "one fetch");
    [a, b].map(|result| match result {
        Err(FetchError::Origin(error)) => error,
        _ => panic!("the origin fails"),
    })
}

#[tokio::test]
async fn typed_errors_are_shared_with_their_causes() {
    let [a, b] = both(|| Unreachable(REFUSED)).await;
    assert!(std::ptr::eq(&raw const *a, &raw const *b), "one error for both");
    assert_eq!(a.0, REFUSED);
    assert_eq!(chain(&b), ["the provider could not be asked", "status 429"]);
    assert_eq!(chain(&FetchError::Origin(b)), ["the provider could not be asked", "status 429"]);
}

#[tokio::test]
async fn boxed_errors_are_shared_with_their_causes() {
    let [a, b] = both(|| Boxed::from(Unreachable(REFUSED))).await;
    assert!(std::ptr::eq(&raw const *a, &raw const *b));
    assert_eq!(b.downcast_ref::<Unreachable>().unwrap().0, REFUSED);
    assert_eq!(chain(&FetchError::Origin(b)), ["the provider could not be asked", "status 429"]);
}

#[tokio::test]
async fn anyhow_errors_are_shared_with_their_causes() {
    let [a, b] = both(|| anyhow::Error::new(REFUSED).context("asking for k")).await;
    assert!(std::ptr::eq(&raw const *a, &raw const *b));
    assert_eq!(b.downcast_ref::<Refused>(), Some(&REFUSED), "typed beneath its context");
    assert_eq!(chain(&FetchError::Origin(b)), ["asking for k", "status 429"]);
}

/// What stands in a program: `?` within the fetch and after it, in each form of call.
#[tokio::test]
async fn question_marks_work_inside_and_outside() {
    async fn provider(up: bool) -> Result<String, Refused> {
        tokio::task::yield_now().await;
        if up { Ok("answer".to_owned()) } else { Err(REFUSED) }
    }
    async fn with_anyhow(cache: &DualCache<String>, up: bool) -> anyhow::Result<Outcome<String>> {
        let plain = cache
            .get_or_fetch(&key("1"), || async { provider(up).await.context("asking") })
            .await?;
        let none = DetachedOptions::new();
        cache
            .get_or_fetch_detached(&key("2"), none, move || async move {
                let answer = provider(up).await?;
                anyhow::ensure!(!answer.is_empty(), "an empty answer");
                Ok(answer)
            })
            .await?;
        Ok(plain)
    }
    async fn with_boxes(cache: &DualCache<String>, up: bool) -> Result<usize, Boxed> {
        let k = key("3");
        let query = cache.query(&k);
        query.get_or_fetch(|| async { Ok::<_, Boxed>(provider(up).await?) }).await?;
        let many = |keys: Vec<CacheKey>| async move {
            let mut answers = HashMap::new();
            for key in keys {
                answers.insert(key, provider(up).await?);
            }
            Ok::<_, Boxed>(answers)
        };
        Ok(cache.get_or_fetch_many(&[k, key("4")], many).await?.len())
    }
    let down = cache();
    let error = with_anyhow(&down, false).await.unwrap_err();
    assert_eq!(format!("{error:#}"), "asking: status 429");
    let error = with_boxes(&down, false).await.unwrap_err();
    let error = error.downcast_ref::<FetchError<Boxed>>().unwrap();
    let FetchError::Origin(error) = error else { panic!("{error}") };
    assert_eq!(error.downcast_ref::<Refused>(), Some(&REFUSED));
    let up = cache();
    assert_eq!(with_anyhow(&up, true).await.unwrap().value, "answer");
    assert_eq!(with_boxes(&up, true).await.unwrap(), 2);
}

/// Callers with errors of different types never share one: the second asks for itself.
#[tokio::test]
async fn errors_of_other_types_are_not_taken_for_ours() {
    let (cache, k) = (cache(), key("k"));
    let typed = cache.get_or_fetch(&k, || async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Err::<String, _>(REFUSED)
    });
    let boxed = cache.get_or_fetch(&k, || async { Err::<String, _>(Boxed::from("no")) });
    let (typed, boxed) = tokio::join!(typed, boxed);
    assert!(matches!(typed, Err(FetchError::Origin(error)) if *error == REFUSED));
    assert!(matches!(boxed, Err(FetchError::Origin(error)) if error.to_string() == "no"));
}

/// Errors that are kept are those of their callers' type, too.
#[tokio::test]
async fn kept_errors_stay_typed() {
    let tune = |options: &mut cache_dual::DualOptions| {
        options.negative_ttl = Some(Duration::from_secs(10));
    };
    let cache: DualCache<String> = DualCache::builder().tune(tune).build().unwrap();
    let calls = AtomicU64::new(0);
    for _ in 0..3 {
        let failing = || async {
            calls.fetch_add(1, Ordering::SeqCst);
            Err::<String, _>(anyhow::Error::new(REFUSED))
        };
        match cache.get_or_fetch(&key("k"), failing).await {
            Err(FetchError::Origin(error)) => {
                assert_eq!(error.downcast_ref::<Refused>(), Some(&REFUSED));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}
