//! With a remote tier behind: shared between processes, and harmless when it fails.

mod common;

use std::sync::Arc;
use std::time::Duration;

use cache_conformance::{FaultyTier, MemoryRemote};
use cache_core::{Clock, ManualClock, Raw, RemoteTier};
use cache_dual::DualCache;
use cache_llm::{LlmCache, Source, Transport};
use common::*;

fn process(clock: &Arc<ManualClock>, remote: Arc<dyn RemoteTier>) -> Cache {
    let clock: Arc<dyn Clock> = clock.clone();
    let dual = DualCache::builder().clock(clock).remote(remote, Raw).build();
    LlmCache::builder(dual.expect("valid options")).build().expect("valid policies")
}

/// A17, A23: another process finds the answer in the remote tier, with what is left of its time;
/// then it has it in memory.
#[tokio::test]
async fn another_process_finds_it() {
    for members in ["", r#","stream":true"#] {
        let clock = Arc::new(ManualClock::default());
        let remote = Arc::new(MemoryRemote::new(clock.clone()));
        let (one, two) = (process(&clock, remote.clone()), process(&clock, remote));
        let (plan, calls) = (plan(&one, members), Calls::default());
        let answer = || match plan.transport() {
            Transport::Plain => plain(200, HELLO),
            Transport::Stream => streamed(&EVENTS),
        };
        let first = passed(calls.ask(&one, &plan, answer()).await);
        let body = read(first.body).await.unwrap();
        if let cache_llm::Storage::Recording(recorded) = first.storage {
            recorded.outcome().await.unwrap();
        }
        clock.advance(Duration::from_secs(600));
        for source in [Source::L2, Source::L1] {
            let found = hit(calls.ask(&two, &plan, answer()).await);
            assert_eq!((found.source, &found.body), (source, &body));
            assert_eq!(found.age, Duration::from_secs(600));
            assert_eq!(found.remaining, Duration::from_secs(3000));
        }
        clock.advance(Duration::from_secs(3000));
        passed(calls.ask(&two, &plan, answer()).await);
        assert_eq!(calls.count(), 2);
    }
}

/// A61, F35: a remote tier that fails or hangs costs its deadline at most, and no answer; a stream
/// does not wait for it at its end, and is in memory then.
#[tokio::test(start_paused = true)]
async fn broken_remote_tier_is_no_trouble() {
    for hang in [false, true] {
        let clock = Arc::new(ManualClock::default());
        let remote = Arc::new(FaultyTier::new(MemoryRemote::new(clock.clone())));
        let cache = process(&clock, remote.clone());
        let calls = Calls::default();
        if hang {
            remote.hang(true);
        } else {
            remote.fail(true);
        }
        for (members, answer) in
            [("", plain(200, HELLO)), (r#","n":1,"stream":true"#, streamed(&EVENTS))]
        {
            let plan = plan(&cache, members);
            let begin = tokio::time::Instant::now();
            let reply = passed(calls.ask(&cache, &plan, answer).await);
            assert!(begin.elapsed() <= Duration::from_millis(210), "{:?}", begin.elapsed());
            let answered = tokio::time::Instant::now();
            read(reply.body).await.unwrap();
            assert_eq!(answered.elapsed(), Duration::ZERO, "the end waited for the remote tier");
            assert_eq!(hit(calls.ask(&cache, &plan, plain(200, "")).await).source, Source::L1);
        }
    }
}

/// A stream does not wait for a remote tier that is only slow to store.
#[tokio::test(start_paused = true)]
async fn slow_remote_tier_delays_no_byte() {
    let clock = Arc::new(ManualClock::default());
    let remote = Arc::new(FaultyTier::new(MemoryRemote::new(clock.clone())));
    let cache = process(&clock, remote.clone());
    let (plan, calls) = (stream_plan(&cache), Calls::default());
    let reply = passed(calls.ask(&cache, &plan, streamed(&EVENTS)).await);
    let notes = remote.inner().len(); // the cache's own
    remote.delay(Duration::from_millis(50));
    let begin = tokio::time::Instant::now();
    assert_eq!(read(reply.body).await.unwrap(), EVENTS.concat());
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert_eq!(hit(calls.ask(&cache, &plan, streamed(&[])).await).source, Source::L1);
    assert_eq!(remote.inner().len(), notes, "it is still on its way to the remote tier");
    let cache_llm::Storage::Recording(recorded) = reply.storage else { panic!("a stream") };
    recorded.outcome().await.unwrap();
    assert_eq!(remote.inner().len(), notes + 1);
}

/// A43: who missed before another's stream was stored, and comes to lead after it, finds it in
/// memory and makes no call.
#[tokio::test(start_paused = true)]
async fn late_leader_looks_again() {
    let clock = Arc::new(ManualClock::default());
    let remote = Arc::new(FaultyTier::new(MemoryRemote::new(clock.clone())));
    let cache = process(&clock, remote.clone());
    let (plan, calls) = (stream_plan(&cache), Calls::default());
    remote.delay(Duration::from_millis(50));
    let mut slow = Box::pin(calls.ask(&cache, &plan, streamed(&[])));
    assert!(poll(&mut slow).await.is_pending(), "it waits for the remote tier");
    remote.delay(Duration::ZERO);
    remote.fail(true);
    let quick = passed(calls.ask(&cache, &plan, streamed(&EVENTS)).await);
    assert_eq!(read(quick.body).await.unwrap(), EVENTS.concat());
    while cache.streams_in_flight() > 0 {
        tokio::task::yield_now().await;
    }
    let slow = hit(slow.await);
    assert_eq!((slow.source, slow.body), (Source::L1, EVENTS.concat().into()));
    assert_eq!(calls.count(), 1);
}
