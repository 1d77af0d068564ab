//! One fetch a key, whatever becomes of those who ask.

mod common;

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use cache_core::{Entry, Inserted, Lifetime, LocalStats, LocalTier};
use cache_dual::{CacheKey, Clock, DualCache, FetchError, LocalCache, Source, SystemClock};
use common::{Refused, World, bytes, key};
use futures_util::future::{join_all, poll_fn};
use tokio::sync::Notify;

static K: LazyLock<CacheKey> = LazyLock::new(|| key("k"));
static A: LazyLock<CacheKey> = LazyLock::new(|| key("a"));
static B: LazyLock<CacheKey> = LazyLock::new(|| key("b"));

/// An origin that counts its calls.
#[derive(Default)]
struct Origin {
    calls: AtomicUsize,
}

impl Origin {
    fn call(&self) -> usize {
        self.calls.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

/// A43, F30: a thousand callers, one call, one store, nothing left in flight.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_misses_share_one_fetch() {
    let process = World::new().process();
    let (origin, gate) = (Arc::new(Origin::default()), Arc::new(Notify::new()));
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let (cache, origin, gate) = (process.cache.clone(), origin.clone(), gate.clone());
            tokio::spawn(async move {
                let fetch = || async {
                    origin.call();
                    gate.notified().await;
                    Ok::<_, Infallible>(bytes("answer"))
                };
                cache.get_or_fetch(&K, fetch).await.expect("fetched")
            })
        })
        .collect();
    while origin.calls() == 0 {
        tokio::task::yield_now().await;
    }
    gate.notify_one();
    let outcomes: Vec<_> = join_all(callers).await.into_iter().map(Result::unwrap).collect();
    assert!(outcomes.iter().all(|outcome| outcome.value == "answer"));
    assert_eq!(origin.calls(), 1);
    assert_eq!(outcomes.iter().filter(|o| o.source == Source::Origin).count(), 1);
    let stats = process.cache.stats();
    assert_eq!((stats.lookups(), stats.fetches), (1000, 1));
    assert_eq!((stats.l1.writes, stats.l2.writes), (1, 1), "A46: one store a flight and tier");
    assert_eq!(process.cache.in_flight(), 0);
}

/// A44: the error is everyone's, typed, and is not kept.
#[tokio::test]
async fn an_error_reaches_all_and_is_not_stored() {
    let cache = World::new().process().cache;
    let origin = Origin::default();
    let refused = Refused { status: 429, retry_after: 7 };
    let ask = || {
        cache.get_or_fetch(&K, || async {
            origin.call();
            tokio::task::yield_now().await;
            Err::<Bytes, _>(refused.clone())
        })
    };
    for result in join_all((0..100).map(|_| ask())).await {
        let Err(FetchError::Origin(error)) = result else { panic!("{result:?}") };
        assert_eq!(*error, refused);
    }
    assert_eq!(origin.calls(), 1, "the error was shared");
    assert_eq!(cache.stats().failed_fetches, 1);
    let retried =
        cache.get_or_fetch(&K, || async { Ok::<_, Refused>(bytes("now it works")) }).await.unwrap();
    assert_eq!(retried.source, Source::Origin);
}

/// A45, F22: the caller that fetches goes away; one of the others takes over, once.
#[tokio::test]
async fn a_dropped_leader_hands_over() {
    let cache = World::new().process().cache;
    let origin = Origin::default();
    let leading = cache.get_or_fetch(&K, || async {
        origin.call();
        pending::<Result<Bytes, Infallible>>().await
    });
    let mut leading = Box::pin(leading);
    poll_fn(|cx| {
        assert!(leading.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    assert_eq!(origin.calls(), 1);
    let follow = || {
        cache.get_or_fetch(&K, || async {
            origin.call();
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(bytes("second"))
        })
    };
    let followers = join_all((0..100).map(|_| follow()));
    let (outcomes, ()) = tokio::join!(followers, async move { drop(leading) });
    assert!(outcomes.into_iter().all(|outcome| outcome.unwrap().value == "second"));
    assert_eq!(origin.calls(), 2);
    assert_eq!(cache.in_flight(), 0);
}

/// A45: dropped after any number of polls, a leader leaves nothing behind that others trip over.
#[tokio::test]
async fn a_leader_may_be_dropped_at_every_await() {
    for polls in 0..20 {
        let cache = World::new().process().cache;
        let fetch = || async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            Ok::<_, Infallible>(bytes("answer"))
        };
        let mut leading = Box::pin(cache.get_or_fetch(&K, fetch));
        for _ in 0..polls {
            let done = poll_fn(|cx| Poll::Ready(leading.as_mut().poll(cx).is_ready())).await;
            if done {
                break;
            }
        }
        drop(leading);
        assert_eq!(cache.in_flight(), 0, "after {polls} polls");
        let outcome = cache.get_or_fetch(&K, fetch).await.unwrap();
        assert_eq!(outcome.value, "answer");
    }
}

/// A45: a panic fails the followers at once and spares later callers.
#[tokio::test]
async fn a_panicking_leader_fails_its_followers_at_once() {
    let cache = World::new().process().cache;
    let origin = Arc::new(Origin::default());
    let ask = |cache: DualCache<_>, origin: Arc<Origin>| async move {
        cache
            .get_or_fetch(&K, || async {
                origin.call();
                tokio::task::yield_now().await;
                assert!(origin.calls() > 1, "the provider's client has a bug");
                Ok::<_, Infallible>(bytes("answer"))
            })
            .await
    };
    let callers: Vec<_> =
        (0..10).map(|_| tokio::spawn(ask(cache.clone(), origin.clone()))).collect();
    let (mut panics, mut failures) = (0, 0);
    for caller in callers {
        match caller.await {
            Err(error) if error.is_panic() => panics += 1,
            Ok(Err(FetchError::Panicked)) => failures += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((panics, failures, origin.calls()), (1, 9, 1));
    assert_eq!(cache.stats().failed_fetches, 1);
    assert!(ask(cache.clone(), origin).await.is_ok());
}

/// Callers whose error types differ cannot share an error, but still never fetch at the same time.
#[tokio::test]
async fn an_error_of_another_type_is_not_shared() {
    let cache = World::new().process().cache;
    let first = cache.get_or_fetch(&K, || async {
        tokio::task::yield_now().await;
        Err::<Bytes, _>(Refused { status: 500, retry_after: 0 })
    });
    let second = cache.get_or_fetch(&K, || async { Ok::<_, std::fmt::Error>(bytes("answer")) });
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_err());
    assert_eq!(second.unwrap().value, "answer");
}

/// A48: different keys never wait for each other.
#[tokio::test]
async fn flights_of_different_keys_are_apart() {
    let cache = World::new().process().cache;
    let stuck = cache.get_or_fetch(&A, pending::<Result<Bytes, Infallible>>);
    let other = cache.get_or_fetch(&B, || async { Ok::<_, Infallible>(bytes("b")) });
    tokio::select! {
        biased;
        _ = stuck => unreachable!("it never ends"),
        outcome = other => assert_eq!(outcome.unwrap().value, "b"),
    }
}

/// A follower's own deadline is its own: it may leave without disturbing the flight.
#[tokio::test]
async fn a_follower_may_leave() {
    let cache = World::new().process().cache;
    let gate = Notify::new();
    let leading = cache.get_or_fetch(&K, || async {
        gate.notified().await;
        Ok::<_, Infallible>(bytes("answer"))
    });
    let visitor = async {
        let following =
            cache.get_or_fetch(&K, || async { Ok::<_, Infallible>(bytes("not asked")) });
        tokio::select! {
            biased;
            _ = following => unreachable!("the flight has not landed"),
            () = tokio::task::yield_now() => gate.notify_one(),
        }
    };
    let (outcome, ()) = tokio::join!(leading, visitor);
    assert_eq!(outcome.unwrap().value, "answer");
    assert_eq!(cache.stats().lookups(), 1);
}

/// A memory tier that lets something happen right after the first look into it.
#[derive(Debug)]
struct Meanwhile {
    tier: LocalCache<Bytes>,
    lands: AtomicUsize,
}

impl LocalTier<Bytes> for Meanwhile {
    fn get(&self, key: &CacheKey) -> Option<Entry<Bytes>> {
        let found = LocalTier::get(&self.tier, key);
        if self.lands.swap(0, Ordering::SeqCst) == 1 {
            let lifetime = Lifetime::new(Duration::from_secs(60));
            let entry = Entry::new(bytes("of the flight before"), SystemClock.now(), lifetime);
            assert_eq!(LocalTier::insert(&self.tier, *key, entry), Inserted::Stored);
        }
        found
    }

    fn insert_if(
        &self,
        key: CacheKey,
        entry: Entry<Bytes>,
        condition: impl FnOnce() -> bool,
    ) -> Inserted {
        LocalTier::insert_if(&self.tier, key, entry, condition)
    }

    fn remove(&self, key: &CacheKey) -> bool {
        LocalTier::remove(&self.tier, key)
    }

    fn remove_if(&self, key: &CacheKey, matches: impl Fn(&Entry<Bytes>) -> bool) -> bool {
        LocalTier::remove_if(&self.tier, key, matches)
    }

    fn clear(&self) {
        self.tier.clear();
    }

    fn len(&self) -> usize {
        self.tier.len()
    }

    fn weight(&self) -> u64 {
        self.tier.weight()
    }

    fn stats(&self) -> LocalStats {
        self.tier.stats()
    }
}

/// A flight lands between a caller's look into memory and its joining: the caller finds the value,
/// and does not fetch it a second time.
#[tokio::test]
async fn no_second_fetch_slips_in_behind_a_landing() {
    let tier = LocalCache::local().max_entries(10).build().expect("valid options");
    let memory = Meanwhile { tier, lands: AtomicUsize::new(1) };
    let cache = DualCache::builder().memory(memory).build().expect("valid options");
    let origin = Origin::default();
    let fetch = || async {
        origin.call();
        Ok::<_, Infallible>(bytes("a second fetch"))
    };
    let outcome = cache.get_or_fetch(&K, fetch).await.unwrap();
    assert_eq!((outcome.value, origin.calls()), (bytes("of the flight before"), 0));
    assert_eq!(cache.stats().lookups(), 1);
}
