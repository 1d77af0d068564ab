//! A75, A78, F56: the documented metrics are the emitted ones, and the dashboard shows no others.
#![allow(clippy::unwrap_used, reason = "what a test's helper unwraps is what it expects")]

use std::collections::BTreeSet;
use std::convert::Infallible;

use cache_conformance::MemoryRemote;
use cache_dual::codec::Raw;
use cache_dual::{CacheKey, DualCache, InsertOptions, ManualClock, Tag};
use metrics_util::debugging::DebuggingRecorder;

const DOCUMENTED: &str = include_str!("../../../docs/metrics.md");
const DASHBOARD: &str = include_str!("../../../docs/grafana/cache.json");

/// Names and label names of everything that a cache emits.
fn emitted() -> BTreeSet<(String, Vec<String>)> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let clock = std::sync::Arc::new(ManualClock::default());
            let remote = std::sync::Arc::new(MemoryRemote::new(clock.clone()));
            let builder = DualCache::builder().remote(remote, Raw).clock(clock);
            let cache = builder.build().expect("valid options");
            let key = CacheKey::from_text("a secret prompt");
            let fetch = || async { Ok::<_, Infallible>(bytes::Bytes::from_static(b"v")) };
            cache.get_or_fetch(&key, fetch).await.expect("it is fetched");
            cache.get(&key).await;
            let _ = cache.insert(key, bytes::Bytes::new(), InsertOptions::new()).await;
            cache.remove(&key).await.expect("it is removed");
            cache.remove_tag(&Tag::named("tenant:acme")).await.expect("it is told");
        });
    });
    let all = snapshotter.snapshot().into_vec().into_iter().map(|(key, ..)| {
        let labels = key.key().labels().map(|label| {
            assert!(!label.value().contains("acme") && !label.value().contains("prompt"), "A78");
            label.key().to_owned()
        });
        (key.key().name().to_owned(), labels.collect())
    });
    all.collect()
}

/// Names in the first column of the table.
fn documented() -> BTreeSet<&'static str> {
    let rows = DOCUMENTED.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once('`').map(|(name, _)| name)).collect()
}

#[test]
fn the_table_is_what_is_emitted() {
    let emitted = emitted();
    let names: BTreeSet<&str> = emitted.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(documented(), names);
    for (name, labels) in &emitted {
        let row = DOCUMENTED.lines().find(|line| line.starts_with(&format!("| `{name}`")));
        let row = row.expect("it is in the table");
        for label in labels.iter().filter(|label| *label != "cache") {
            assert!(row.contains(&format!("`{label}`")), "{name} has a label {label}");
        }
    }
}

#[test]
fn the_dashboard_shows_all_of_them_and_no_others() {
    let mut shown = BTreeSet::new();
    for (at, _) in DASHBOARD.match_indices("cache_") {
        let is_start = !DASHBOARD[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let end = DASHBOARD[at..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let name = &DASHBOARD[at..at + end.expect("a file does not end in a name")];
        if is_start {
            shown.insert(name.strip_suffix("_bucket").unwrap_or(name));
        }
    }
    assert_eq!(shown, documented());
}
