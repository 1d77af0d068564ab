//! Past their fresh time values are there for when the origin fails or takes its time.
#![allow(clippy::unwrap_used, reason = "what a test's helper unwraps is what it expects")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cache_conformance::FaultyTier;
use cache_dual::codec::Raw;
use cache_dual::{
    DetachedOptions, DualCache, DualOptions, FetchError, Fetched, Freshness, InsertOptions,
    Outcome, Source,
};
use common::{Refused, World, bytes, key};

const FRESH: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(600);
const REFUSED: Refused = Refused { status: 503, retry_after: 1 };

/// A cache, and an origin that answers with the number of the call, when and as it is told.
struct Setup {
    world: World,
    cache: DualCache<Bytes>,
    detached: DetachedOptions,
    origin: Arc<Origin>,
}

#[derive(Default)]
struct Origin {
    calls: AtomicU64,
    fails: std::sync::atomic::AtomicBool,
    delay: AtomicU64,
}

impl Origin {
    async fn ask(self: Arc<Self>) -> Result<Fetched<Bytes>, Refused> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::time::sleep(Duration::from_millis(self.delay.load(Ordering::SeqCst))).await;
        if self.fails.load(Ordering::SeqCst) {
            return Err(REFUSED);
        }
        Ok(Fetched::new(bytes(&call.to_string())))
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Setup {
    fn new(change: impl FnOnce(&mut DualOptions)) -> Self {
        let world = World::new();
        let faults = Arc::new(FaultyTier::new(Arc::clone(&world.remote)));
        let cache = DualCache::builder()
            .remote(faults, Raw)
            .clock(world.clock.clone())
            .tune(|options| {
                options.ttl = FRESH;
                options.grace = GRACE;
                change(options);
            })
            .build()
            .expect("valid options");
        Self { world, cache, detached: DetachedOptions::new(), origin: Arc::default() }
    }

    fn soft(limit: Duration) -> Self {
        Self { detached: DetachedOptions::new().soft_timeout(limit), ..Self::new(|_| ()) }
    }

    fn eager(share: f64) -> Self {
        let detached = DetachedOptions::new().eager_refresh(share).expect("a share");
        Self { detached, ..Self::new(|_| ()) }
    }

    async fn ask(&self) -> Result<Outcome<Bytes>, FetchError<Refused>> {
        let origin = Arc::clone(&self.origin);
        self.cache.get_or_fetch(&key("k"), || origin.ask()).await
    }

    async fn ask_detached(&self) -> Result<Outcome<Bytes>, FetchError<Refused>> {
        let origin = Arc::clone(&self.origin);
        self.cache.get_or_fetch_detached(&key("k"), self.detached, || origin.ask()).await
    }

    async fn age(&self) {
        self.ask().await.expect("the origin answers");
        self.world.clock.advance(FRESH);
    }
}

fn is(outcome: &Outcome<Bytes>, value: &str, freshness: Freshness) -> bool {
    outcome.value == value && outcome.freshness == freshness
}

/// A failing origin is covered up for by a stale value, and left alone for a while.
#[tokio::test]
async fn stale_if_error() {
    let setup = Setup::new(|_| ());
    setup.age().await;
    assert!(setup.cache.get(&key("k")).await.is_none(), "no plain hit");
    assert!(setup.cache.peek(&key("k")).unwrap().is_stale());
    setup.origin.fails.store(true, Ordering::SeqCst);
    assert!(is(&setup.ask().await.unwrap(), "1", Freshness::Stale));
    assert!(is(&setup.ask().await.unwrap(), "1", Freshness::Stale));
    assert_eq!(setup.origin.calls(), 2, "the third call was within the pause");
    setup.world.clock.advance(Duration::from_secs(5));
    setup.origin.fails.store(false, Ordering::SeqCst);
    assert!(is(&setup.ask().await.unwrap(), "3", Freshness::Fresh));
    setup.world.clock.advance(FRESH + GRACE);
    setup.origin.fails.store(true, Ordering::SeqCst);
    let refused = setup.ask().await.unwrap_err();
    assert!(matches!(refused, FetchError::Origin(error) if *error == REFUSED), "grace is over");
    assert_eq!(setup.cache.stats().stale, 2);
}

/// A23: a stale value in the remote tier serves a process that has none, and no longer than its time.
#[tokio::test]
async fn stale_values_come_from_the_remote_tier_too() {
    let setup = Setup::new(|_| ());
    setup.age().await;
    let other = setup.world.process().cache;
    let failing = || async { Err::<Bytes, _>(REFUSED) };
    let stale = other.get_or_fetch(&key("k"), failing).await.unwrap();
    assert!(is(&stale, "1", Freshness::Stale) && stale.source == Source::L2);
    setup.world.clock.advance(GRACE);
    assert!(other.get_or_fetch(&key("k"), failing).await.is_err());
}

/// Stale while revalidate: every caller has the stale value at once, and one call is made behind them.
#[tokio::test]
async fn stale_while_revalidate() {
    let setup = Setup::soft(Duration::ZERO);
    setup.age().await;
    setup.origin.delay.store(20, Ordering::SeqCst);
    for _ in 0..10 {
        assert!(is(&setup.ask_detached().await.unwrap(), "1", Freshness::Stale));
    }
    while setup.cache.in_flight() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(setup.origin.calls(), 2);
    assert!(is(&setup.ask_detached().await.unwrap(), "2", Freshness::Fresh));
    let stats = setup.cache.stats();
    assert_eq!((stats.refreshes, stats.stale), (1, 10));
}

/// Who takes too long is not waited for, and its answer is stored all the same.
#[tokio::test(start_paused = true)]
async fn soft_timeout_serves_stale_and_finishes_behind() {
    let setup = Setup::soft(Duration::from_millis(100));
    setup.age().await;
    setup.origin.delay.store(50, Ordering::SeqCst);
    assert!(is(&setup.ask_detached().await.unwrap(), "2", Freshness::Fresh), "fast enough");
    setup.world.clock.advance(FRESH);
    setup.origin.delay.store(1_000, Ordering::SeqCst);
    let started = tokio::time::Instant::now();
    assert!(is(&setup.ask_detached().await.unwrap(), "2", Freshness::Stale));
    assert_eq!(started.elapsed(), Duration::from_millis(100));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(is(&setup.ask_detached().await.unwrap(), "3", Freshness::Fresh));
    assert_eq!(setup.origin.calls(), 3);
}

/// A hard timeout ends the wait: with a stale value if there is one, with a typed error if not.
#[tokio::test(start_paused = true)]
async fn hard_timeout() {
    for detached in [false, true] {
        let setup = Setup::new(|options| options.hard_timeout = Some(Duration::from_millis(200)));
        setup.origin.delay.store(1_000, Ordering::SeqCst);
        let ask = || async {
            let started = tokio::time::Instant::now();
            let result = if detached { setup.ask_detached().await } else { setup.ask().await };
            assert!(started.elapsed() <= Duration::from_millis(200));
            result
        };
        let limit = Duration::from_millis(200);
        let error = ask().await.unwrap_err();
        assert!(matches!(error, FetchError::TimedOut { limit: told } if told == limit), "{error}");
        tokio::time::sleep(Duration::from_secs(2)).await;
        let is_there = setup.cache.get(&key("k")).await.is_some();
        assert_eq!(is_there, detached, "what goes on by itself is stored");
        setup.origin.delay.store(0, Ordering::SeqCst);
        ask().await.unwrap();
        setup.world.clock.advance(FRESH);
        setup.origin.delay.store(1_000, Ordering::SeqCst);
        assert!(ask().await.unwrap().is_stale());
    }
}

/// Each of those who wait for one fetch has a time limit of its own.
#[tokio::test(start_paused = true)]
async fn followers_have_limits_of_their_own() {
    let setup = Setup::new(|_| ());
    setup.origin.delay.store(1_000, Ordering::SeqCst);
    let k = key("k");
    let follower = async {
        tokio::task::yield_now().await;
        let started = tokio::time::Instant::now();
        let query = setup.cache.query(&k).hard_timeout(Duration::from_millis(10));
        let fetched = query.get_or_fetch(|| async { Err::<Bytes, _>(REFUSED) }).await;
        assert!(matches!(fetched, Err(FetchError::TimedOut { .. })));
        assert_eq!(started.elapsed(), Duration::from_millis(10));
    };
    let (leader, ()) = tokio::join!(setup.ask(), follower);
    assert!(is(&leader.unwrap(), "1", Freshness::Fresh));
}

/// A hit late in a value's fresh life has it fetched anew behind it, once.
#[tokio::test]
async fn eager_refresh() {
    let setup = Setup::eager(0.8);
    setup.ask().await.unwrap();
    setup.world.clock.advance(FRESH.mul_f64(0.79));
    setup.ask_detached().await.unwrap();
    assert_eq!(setup.cache.in_flight(), 0);
    setup.world.clock.advance(FRESH.mul_f64(0.02));
    for _ in 0..5 {
        assert!(is(&setup.ask_detached().await.unwrap(), "1", Freshness::Fresh));
    }
    while setup.cache.in_flight() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(setup.origin.calls(), 2);
    assert!(is(&setup.ask_detached().await.unwrap(), "2", Freshness::Fresh));
    assert_eq!(setup.world.process().cache.get(&key("k")).await.unwrap().value, "2");
}

/// A refresh that fails leaves the value as it was, and is not tried again at once.
#[tokio::test]
async fn a_failed_refresh_harms_nobody() {
    let setup = Setup::eager(0.5);
    setup.ask().await.unwrap();
    setup.world.clock.advance(FRESH.mul_f64(0.6));
    setup.origin.fails.store(true, Ordering::SeqCst);
    for _ in 0..20 {
        assert!(is(&setup.ask_detached().await.unwrap(), "1", Freshness::Fresh));
        tokio::task::yield_now().await;
    }
    assert_eq!(setup.origin.calls(), 2);
}

/// A34, F20: a refresh that began before a removal does not bring the value back.
#[tokio::test]
async fn a_refresh_does_not_outlive_a_removal() {
    let setup = Setup::soft(Duration::ZERO);
    setup.age().await;
    setup.origin.delay.store(20, Ordering::SeqCst);
    assert!(setup.ask_detached().await.unwrap().is_stale());
    tokio::time::sleep(Duration::from_millis(5)).await;
    setup.cache.remove(&key("k")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(setup.origin.calls(), 2);
    assert!(setup.cache.get(&key("k")).await.is_none());
    assert!(setup.world.process().cache.get(&key("k")).await.is_none());
}

/// A detached fetch goes on when its caller leaves.
#[tokio::test]
async fn a_detached_fetch_is_stored_without_its_caller() {
    let setup = Setup::new(|_| ());
    setup.origin.delay.store(10, Ordering::SeqCst);
    let gave_up = tokio::time::timeout(Duration::from_millis(1), setup.ask_detached()).await;
    assert!(gave_up.is_err());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(is(&setup.cache.get(&key("k")).await.unwrap(), "1", Freshness::Fresh));
    assert_eq!(setup.cache.in_flight(), 0);
}

/// A panic in a detached fetch is an error to all who wait, and nothing hangs.
#[tokio::test]
async fn a_detached_fetch_that_panics_fails_its_callers() {
    let setup = Setup::new(|_| ());
    let k = key("k");
    let ask = || {
        setup.cache.get_or_fetch_detached(&k, setup.detached, || async {
            tokio::task::yield_now().await;
            panic!("on purpose");
            #[allow(unreachable_code, reason = "says what it would return")]
            Err::<Bytes, _>(REFUSED)
        })
    };
    let (a, b) = tokio::join!(ask(), ask());
    assert!(matches!(a, Err(FetchError::Panicked)) && matches!(b, Err(FetchError::Panicked)));
    assert!(setup.ask().await.is_ok(), "the next call is unaffected");
}

/// Errors are kept only if asked for, for their time, and not beyond an invalidation.
#[tokio::test]
async fn negative_caching() {
    let setup = Setup::new(|options| options.negative_ttl = Some(Duration::from_secs(10)));
    setup.origin.fails.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert!(matches!(setup.ask().await, Err(FetchError::Origin(error)) if *error == REFUSED));
    }
    assert_eq!((setup.origin.calls(), setup.cache.stats().negative), (1, 2));
    setup.world.clock.advance(Duration::from_secs(10));
    assert!(setup.ask().await.is_err());
    assert_eq!(setup.origin.calls(), 2);
    setup.cache.remove(&key("k")).await.unwrap();
    setup.origin.fails.store(false, Ordering::SeqCst);
    assert!(setup.ask().await.is_ok());
    assert_eq!(setup.origin.calls(), 3);
}

/// Jitter shortens lives, by no more than it says, and not all by the same.
#[tokio::test]
async fn jitter_spreads_ends() {
    let setup = Setup::new(|options| options.jitter = 0.2);
    let mut lives = Vec::new();
    for n in 0..200 {
        let k = key(&n.to_string());
        let _ = setup.cache.insert(k, bytes("v"), InsertOptions::new().grace(Duration::ZERO)).await;
        lives.push(setup.cache.ttl(&k).await.unwrap());
    }
    lives.sort();
    assert!(lives[0] >= FRESH.mul_f64(0.8) && lives[199] <= FRESH, "{lives:?}");
    assert!(lives[199] > lives[0] + FRESH.mul_f64(0.1), "{lives:?}");
}

/// A23, F14: memory never outlives what an entry says, and `memory_ttl` has it asked for again sooner.
#[tokio::test]
async fn memory_answers_for_its_own_time() {
    let setup = Setup::new(|options| options.memory_ttl = Some(Duration::from_secs(10)));
    setup.ask().await.unwrap();
    assert_eq!(setup.ask().await.unwrap().source, Source::L1);
    setup.world.process().cache.remove(&key("k")).await.unwrap(); // unheard of, without a bus
    setup.world.clock.advance(Duration::from_secs(9));
    assert_eq!(setup.ask().await.unwrap().source, Source::L1);
    setup.world.clock.advance(Duration::from_secs(1));
    assert_eq!(setup.ask().await.unwrap().source, Source::Origin);
}

/// A caller with a soft timeout does not wait longer for another's fetch that has none.
#[tokio::test(start_paused = true)]
async fn followers_have_soft_timeouts_of_their_own() {
    let setup = Setup::soft(Duration::from_millis(100));
    setup.age().await;
    setup.origin.delay.store(1_000, Ordering::SeqCst);
    let follower = async {
        tokio::task::yield_now().await;
        let started = tokio::time::Instant::now();
        let asked = setup.ask_detached().await.unwrap();
        (is(&asked, "1", Freshness::Stale), started.elapsed())
    };
    let (leader, (was_stale, waited)) = tokio::join!(setup.ask(), follower);
    assert!(was_stale && waited == Duration::from_millis(100), "{waited:?}");
    assert!(is(&leader.unwrap(), "2", Freshness::Fresh), "who asked plainly waits for it");
    assert_eq!(setup.origin.calls(), 2);
    let stats = setup.cache.stats();
    assert_eq!(stats.l1_hits + stats.l2_hits + stats.misses, 3, "A73: each lookup counts once");
}

/// What is fetched says how it is to be stored, or is a plain value, in each form of call.
#[tokio::test]
async fn plain_values_and_fetched_ones() {
    let setup = Setup::new(|_| ());
    let cache = &setup.cache;
    let short = InsertOptions::new().ttl(Duration::from_secs(5)).grace(Duration::ZERO);
    let fetched = move || async move { Ok::<_, Refused>(Fetched::new(bytes("v")).options(short)) };
    let plain = || async { Ok::<_, Refused>(bytes("v")) };
    let none = DetachedOptions::new();
    cache.get_or_fetch(&key("1"), fetched).await.unwrap();
    cache.query(&key("2")).get_or_fetch(fetched).await.unwrap();
    cache.get_or_fetch_detached(&key("3"), none, fetched).await.unwrap();
    cache.get_or_fetch(&key("4"), plain).await.unwrap();
    cache.query(&key("5")).get_or_fetch(plain).await.unwrap();
    cache.get_or_fetch_detached(&key("6"), none, plain).await.unwrap();
    for n in 1..=6 {
        let life = if n <= 3 { Duration::from_secs(5) } else { FRESH + GRACE };
        assert_eq!(cache.ttl(&key(&n.to_string())).await, Some(life), "{n}");
    }
}

/// A116: a share that is none is refused where it is said.
#[test]
fn eager_refresh_is_a_share() {
    for share in [0.0, 1.0, -0.5, f64::NAN, f64::INFINITY] {
        let refused = DetachedOptions::new().eager_refresh(share).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("`eager_refresh` is {share}; it has to be above 0 and below 1")
        );
    }
}
