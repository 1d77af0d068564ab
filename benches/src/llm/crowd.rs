//! Many who join one stream: how long after the first of them the others have an event.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use cache_key::EndpointKind;
use cache_llm::{CacheMode, HitOptions, Reply};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio::runtime::Builder;
use tokio::sync::{Barrier, mpsc};

use super::Scale;
use super::contenders::{Cache, Known, policies, provided};
use super::recording::plan;
use super::streams::chat;

/// Of all streams and followers, in milliseconds after the leader.
#[derive(Serialize)]
pub(super) struct Waits {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) most: f64,
}

/// One stream after the other.
pub(super) fn crowd(scale: &Scale) -> Result<Waits, Box<dyn Error>> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let cache = policies(1_000, HitOptions::default(), Known::AsItComes)?;
    let events = chat(5);
    let mut waits = Vec::new();
    for number in 0..=scale.streams {
        let followers = one(&cache, &events, number, scale.followers);
        let all = runtime.block_on(async { tokio::spawn(followers).await })?;
        if number > 0 {
            waits.extend(all); // the first warms up
        }
    }
    waits.sort_by(f64::total_cmp);
    let of = |percent: usize| waits[(waits.len() * percent / 100).min(waits.len() - 1)];
    Ok(Waits { p50: of(50), p99: of(99), most: of(100) })
}

/// When each follower had the first event, after the leader.
fn one(
    cache: &Cache,
    events: &[Bytes],
    number: usize,
    followers: usize,
) -> impl Future<Output = Vec<f64>> + Send + use<> {
    let (cache, events) = (cache.clone(), events.to_vec());
    async move {
        let (feed, fed) = mpsc::unbounded_channel();
        let fed = stream::unfold(fed, |mut fed| async {
            let event: Bytes = fed.recv().await?;
            Some((Ok(event), fed))
        });
        let mut fed = Some(fed.boxed());
        let (joined, plan) = (
            Arc::new(Barrier::new(followers + 2)),
            plan(&cache, EndpointKind::ChatCompletions, number),
        );
        let mut readers = Vec::new();
        for _ in 0..=followers {
            let fed = fed.take(); // of the first, who leads
            let leads = fed.is_some();
            let (cache, plan, joined) = (cache.clone(), plan.clone(), Arc::clone(&joined));
            let read = async move {
                let origin = || async { Ok(provided(fed.expect("the one call"), true)) };
                let reply = cache.answer(&plan, CacheMode::Use, origin).await;
                let Ok(Reply::Passed(passed)) = reply else { panic!("not passed on: {reply:?}") };
                assert_ne!(passed.collapsed, leads, "who leads is the first");
                let mut body = passed.body.into_stream();
                joined.wait().await;
                let first = body.next().await;
                let came = Instant::now();
                first.expect("an event").expect("it does not break off");
                while let Some(event) = body.next().await {
                    event.expect("it does not break off");
                }
                came
            };
            readers.push(tokio::spawn(read));
            if leads {
                tokio::task::yield_now().await; // to it
            }
        }
        joined.wait().await;
        for event in events {
            feed.send(event).expect("it is read");
        }
        drop(feed);
        let mut came = Vec::new();
        for reader in readers {
            came.push(reader.await.expect("right answers"));
        }
        let after = |at: &Instant| at.saturating_duration_since(came[0]).as_secs_f64() * 1e3;
        came[1..].iter().map(after).collect()
    }
}
