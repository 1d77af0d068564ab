//! What is counted, and that it is really emitted.

mod common;

use std::collections::BTreeMap;
use std::convert::Infallible;

use cache_dual::InsertOptions;
use common::{World, bytes, key};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

/// A73, F55: each lookup counts once, whatever tier answers.
#[tokio::test]
async fn each_lookup_counts_once() {
    let world = World::new();
    let _ = world.process().cache.insert(key("remote"), bytes("v"), InsertOptions::new()).await;
    let cache = world.process().cache;
    let _ = cache.insert(key("local"), bytes("v"), InsertOptions::new()).await;
    for _ in 0..5 {
        cache.get(&key("local")).await; // five of L1
    }
    cache.get(&key("remote")).await; // one of L2, then one of L1
    cache.get(&key("remote")).await;
    cache.get(&key("nowhere")).await;
    let fetch = || async { Ok::<_, Infallible>(bytes("v")) };
    cache.get_or_fetch(&key("fetched"), fetch).await.unwrap();
    cache.get_or_fetch(&key("fetched"), fetch).await.unwrap(); // and one more of L1
    cache.peek(&key("local")); // not a lookup
    let stats = cache.stats();
    assert_eq!((stats.l1_hits, stats.l2_hits, stats.misses), (7, 1, 2));
    assert!((stats.hit_rate() - 0.8).abs() < f64::EPSILON);
    assert_eq!((stats.l1.writes, stats.l2.writes), (3, 2), "A74: one write a store and tier");
    assert_eq!(stats.l1.entries, 3);
}

/// A75, F56: metrics are emitted under the documented names, with fixed labels only (A78).
#[test]
fn metrics_are_emitted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let process = World::new().process();
            let fetch = || async { Ok::<_, Infallible>(bytes("v")) };
            process.cache.get_or_fetch(&key("k"), fetch).await.unwrap();
            process.cache.get(&key("k")).await;
            process.cache.remove(&key("k")).await.unwrap();
            process.faults.fail(true);
            process.cache.get(&key("k")).await;
        });
    });
    let emitted: BTreeMap<String, DebugValue> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let labels: Vec<_> =
                key.key().labels().map(|l| format!("{}={}", l.key(), l.value())).collect();
            (format!("{}{{{}}}", key.key().name(), labels.join(",")), value)
        })
        .collect();
    let counted = |name: &str| match emitted.get(name) {
        Some(DebugValue::Counter(count)) => *count,
        other => panic!("{name}: {other:?} in {:?}", emitted.keys()),
    };
    assert_eq!(counted("cache_lookups_total{cache=default,outcome=l1_hit}"), 1);
    assert_eq!(counted("cache_lookups_total{cache=default,outcome=miss}"), 2);
    assert_eq!(counted("cache_fetches_total{cache=default}"), 1);
    assert_eq!(counted("cache_remote_writes_total{cache=default}"), 1);
    assert_eq!(counted("cache_remote_removals_total{cache=default}"), 1);
    assert_eq!(counted("cache_remote_calls_failed_total{cache=default,failure=error}"), 1);
    let timed =
        [("l1", "get"), ("l2", "get"), ("l2", "put"), ("l2", "remove"), ("origin", "fetch")];
    for (tier, op) in timed {
        let name = format!("cache_operation_seconds{{cache=default,tier={tier},op={op}}}");
        assert!(
            matches!(&emitted[&name], DebugValue::Histogram(took) if !took.is_empty()),
            "{name} is declared and never recorded"
        );
    }
    for gauge in ["cache_entries", "cache_weight_bytes", "cache_remote_up"] {
        let gauge = format!("{gauge}{{cache=default}}");
        assert!(matches!(emitted[&gauge], DebugValue::Gauge(_)), "{gauge}");
    }
}
