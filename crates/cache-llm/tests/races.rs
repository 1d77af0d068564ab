//! Races of removals against plain fetches, streams and refreshes, with callers that leave at any
//! moment: nobody who asks after a removal gets what was fetched before it, and no flight is left.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cache_conformance::MemoryRemote;
use cache_dual::codec::Raw;
use cache_dual::{DualCache, SystemClock};
use cache_llm::{Body, CacheMode, EndpointKind, KeyScope, LlmCache, OriginAnswer, Reply, Tenant};
use futures_util::{StreamExt, stream};

type Cache = LlmCache<(), Infallible>;

struct Rng(u64);
impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// What the provider knows of each question: raised, then removed from the cache.
struct World {
    caches: Vec<Cache>,
    versions: Vec<AtomicU64>,
}

async fn ask(
    world: &World,
    process: usize,
    question: usize,
    streamed: bool,
    mode: CacheMode,
    pace: u64,
) -> Option<u64> {
    // With usage, so that plain requests wait for streams and read what they leave.
    let options = if streamed { r#","stream_options":{"include_usage":true}"# } else { "" };
    let body = format!(
        r#"{{"model":"m","stream":{streamed}{options},"messages":[{{"role":"user","content":"{question}"}}]}}"#
    );
    let cache = &world.caches[process];
    let plan = cache
        .prepare(EndpointKind::ChatCompletions, body.as_bytes(), &KeyScope::new(Tenant::Shared))
        .expect("no step of this test fails");
    let origin = || async {
        let version = world.versions[question].load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_micros(pace)).await;
        let pieces: Vec<Bytes> = if streamed {
            vec![
                format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"<{version}>\"}}}}]}}\n\n").into(),
                "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n".into(),
                "data: {\"choices\":[],\"usage\":{}}\n\n".into(),
                "data: [DONE]\n\n".into(),
            ]
        } else {
            vec![format!(r#"{{"choices":[{{"message":{{"content":"<{version}>"}},"finish_reason":"stop"}}],"usage":{{}}}}"#).into()]
        };
        let body = stream::iter(pieces).then(move |piece| async move {
            tokio::time::sleep(Duration::from_micros(pace / 3)).await;
            Ok(piece)
        });
        Ok(OriginAnswer {
            status: 200,
            head: (),
            is_event_stream: streamed,
            content_encoded: false,
            body: body.boxed(),
        })
    };
    let text = match cache.answer(&plan, mode, origin).await.ok()? {
        Reply::Hit(hit) => hit.body.to_vec(),
        Reply::Passed(passed) => match passed.body {
            Body::Whole(bytes) => bytes.to_vec(),
            Body::Stream(mut pieces) => {
                let mut all = Vec::new();
                while let Some(piece) = pieces.next().await {
                    all.extend_from_slice(&piece.expect("no step of this test fails"));
                }
                all
            }
        },
    };
    let text = String::from_utf8(text).expect("no step of this test fails");
    text.split(['<', '>']).nth(1)?.parse().ok()
}

fn world(processes: usize) -> Arc<World> {
    let remote = Arc::new(MemoryRemote::new(Arc::new(SystemClock)));
    let caches = (0..processes).map(|_| {
        Cache::builder(
            DualCache::builder()
                .remote(remote.clone(), Raw)
                .build()
                .expect("no step of this test fails"),
        )
        .build()
        .expect("no step of this test fails")
    });
    Arc::new(World {
        caches: caches.collect(),
        versions: (0..4).map(|_| AtomicU64::new(0)).collect(),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_from_before_a_removal_is_seen_after_it() {
    let world = world(1);
    let mut tasks = Vec::new();
    for seed in 0..24_u64 {
        let world = world.clone();
        tasks.push(tokio::spawn(async move {
            let mut rng = Rng(seed * 7919 + 1);
            for _ in 0..400 {
                let (question, streamed) = (usize::try_from(rng.below(4)).expect("below 4"), rng.below(2) == 0);
                if seed < 4 && rng.below(3) == 0 {
                    let version = world.versions[question].fetch_add(1, Ordering::SeqCst) + 1;
                    for streamed in [true, false] {
                        let body = format!(r#"{{"model":"m","stream":{streamed},"messages":[{{"role":"user","content":"{question}"}}]}}"#);
                        let plan = world.caches[0].prepare(EndpointKind::ChatCompletions, body.as_bytes(), &KeyScope::new(Tenant::Shared)).expect("no step of this test fails");
                        world.caches[0].remove(plan.key()).await.expect("no step of this test fails");
                        let seen = ask(&world, 0, question, streamed, CacheMode::Use, 300).await.expect("no step of this test fails");
                        assert!(seen >= version, "asked after {version} was announced, got {seen}, stream {streamed}");
                    }
                    continue;
                }
                let mode = if rng.below(8) == 0 { CacheMode::Refresh } else { CacheMode::Use };
                let pace = rng.below(2_000);
                let asking = ask(&world, 0, question, streamed, mode, pace);
                if rng.below(2) == 0 {
                    let _ = tokio::time::timeout(Duration::from_micros(rng.below(2_500)), asking).await;
                } else {
                    asking.await;
                }
            }
        }));
    }
    for task in tasks {
        task.await.expect("no step of this test fails");
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.caches[0].streams_in_flight(), 0);
    assert_eq!(world.caches[0].dual().in_flight(), 0);
}
