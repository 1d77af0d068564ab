//! A43, A45: a thousand identical requests of which every second leaves on the way, the first one
//! included, cost as few calls as can be, and all who stay get the whole answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cache_dual::DualCache;
use cache_llm::{Body, CacheMode, EndpointKind, KeyScope, LlmCache, OriginAnswer, Reply, Tenant};
use futures_util::{StreamExt, stream};

type Cache = LlmCache<(), Infallible>;

async fn ask(cache: Cache, streamed: bool, calls: Arc<AtomicUsize>) -> Vec<u8> {
    let body = format!(r#"{{"model":"m","stream":{streamed},"messages":[]}}"#);
    let scope = KeyScope::new(Tenant::Shared);
    let plan = cache
        .prepare(EndpointKind::ChatCompletions, body.as_bytes(), &scope)
        .expect("no step of this test fails");
    let origin = || async move {
        calls.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut pieces: Vec<Bytes> = Vec::new();
        if streamed {
            for n in 0..20 {
                pieces.push(
                    format!(r#"data: {{"choices":[{{"index":0,"delta":{{"content":"{n}"}}}}]}}"#)
                        .into(),
                );
                pieces.push("\n\n".into());
            }
            pieces.push(
                r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#.into(),
            );
            pieces.push("\n\ndata: [DONE]\n\n".into());
        } else {
            pieces.push(r#"{"choices":[{"message":{"content":"a"},"#.into());
            pieces.push(r#""finish_reason":"stop"}]}"#.into());
        }
        let body = stream::iter(pieces).then(|piece| async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok(piece)
        });
        let is_event_stream = streamed;
        Ok(OriginAnswer {
            status: 200,
            head: (),
            is_event_stream,
            content_encoded: false,
            body: body.boxed(),
        })
    };
    match cache.answer(&plan, CacheMode::Use, origin).await.expect("no step of this test fails") {
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
    }
}

// One thread: all who leave do so at the same moment, so a caller who takes over stays.
#[tokio::test(start_paused = true)]
async fn half_of_a_crowd_leaves() {
    for (streamed, leave_after, most) in
        [(false, 20, 2), (false, 55, 2), (true, 20, 2), (true, 90, 1)]
    {
        let cache =
            Cache::builder(DualCache::builder().build().expect("no step of this test fails"))
                .build()
                .expect("no step of this test fails");
        let calls = Arc::new(AtomicUsize::new(0));
        let asking: Vec<_> = (0..1000)
            .map(|_| tokio::spawn(ask(cache.clone(), streamed, Arc::clone(&calls))))
            .collect();
        tokio::time::sleep(Duration::from_millis(leave_after)).await;
        let mut answers = Vec::new();
        for (n, task) in asking.into_iter().enumerate() {
            if n % 2 == 0 {
                task.abort();
            } else {
                answers.push(task);
            }
        }
        let mut seen = Vec::new();
        for answer in answers {
            seen.push(answer.await.expect("no step of this test fails"));
        }
        assert_eq!(seen.len(), 500);
        assert!(seen.iter().all(|answer| answer == &seen[0] && !answer.is_empty()));
        let calls = calls.load(Ordering::Relaxed);
        assert!(calls <= most, "{calls} calls, stream {streamed}, left after {leave_after} ms");
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!((cache.streams_in_flight(), cache.dual().in_flight()), (0, 0));
    }
}
