//! A15: invalidation by tenant, by model, by tag and by request.

mod common;

use std::sync::Arc;

use bytes::Bytes;
use cache_conformance::{LocalBus, MemoryRemote};
use cache_core::{CacheKey, ManualClock, Raw};
use cache_dual::DualCache;
use cache_llm::{CacheMode, EndpointKind, KeyScope, LlmCache, RemoveError, Storage, Tag, Tenant};
use common::*;

/// Asks `plans` once and says which of them are stored afterwards.
async fn fill(cache: &Cache, plans: &[cache_llm::Plan]) {
    for plan in plans {
        passed(Calls::default().ask(cache, plan, plain(200, HELLO)).await);
    }
}

async fn hits(cache: &Cache, plans: &[cache_llm::Plan]) -> Vec<bool> {
    let mut hits = Vec::new();
    for plan in plans {
        hits.push(cache.dual().get(plan.key()).await.is_some());
    }
    hits
}

fn plan_of(cache: &Cache, tenant: &Tenant, model: &str) -> cache_llm::Plan {
    let body = format!(r#"{{"model":"{model}","messages":[]}}"#);
    let scope = KeyScope::new(tenant.clone());
    cache.prepare(EndpointKind::ChatCompletions, body.as_bytes(), &scope).expect("it may be cached")
}

/// A15: one tenant's answers go, and nobody else's, whatever the tenants are called.
#[tokio::test]
async fn by_tenant() {
    let cache = cache();
    let tenants = [
        Tenant::named("acme"),
        Tenant::named("other"),
        Tenant::named(""),
        Tenant::Anonymous,
        Tenant::Shared,
        Tenant::credential(b"acme"),
    ];
    let plans: Vec<_> = tenants.iter().map(|tenant| plan_of(&cache, tenant, "m")).collect();
    for (at, tenant) in tenants.iter().enumerate() {
        fill(&cache, &plans).await;
        cache.remove_tenant(tenant).await.unwrap();
        let left: Vec<_> = (0..plans.len()).map(|other| other != at).collect();
        assert_eq!(hits(&cache, &plans).await, left, "{tenant:?}");
        cache.dual().clear().await.unwrap();
    }
}

#[tokio::test]
async fn by_model_and_by_tag() {
    let cache = cache();
    let tenant = Tenant::named("acme");
    let tag = Tag::named("prompt:7");
    let plans = [
        plan_of(&cache, &tenant, "a"),
        plan_of(&cache, &tenant, "b").with_tags([tag]),
        plan_of(&cache, &Tenant::Shared, "a"),
    ];
    fill(&cache, &plans).await;
    cache.remove_model("a").await.unwrap();
    assert_eq!(hits(&cache, &plans).await, [false, true, false]);
    cache.remove_tag(&Tag::named("acme")).await.unwrap();
    assert_eq!(hits(&cache, &plans).await, [false, true, false], "no name is another's tag");
    cache.remove_tag(&tag).await.unwrap();
    assert_eq!(hits(&cache, &plans).await, [false; 3]);
}

#[tokio::test]
async fn by_request() {
    let cache = cache();
    let scope = KeyScope::new(Tenant::named("tenant"));
    let plans = [plan(&cache, ""), plan(&cache, r#","seed":1"#)];
    fill(&cache, &plans).await;
    let body = br#"{"messages":[], "stream":true, "model":"m"}"#;
    let removed = cache.remove_request(EndpointKind::ChatCompletions, body, &scope).await;
    assert!(removed.unwrap(), "in another spelling and transport");
    assert_eq!(hits(&cache, &plans).await, [false, true]);
    let other = KeyScope::new(Tenant::named("other"));
    let body = br#"{"model":"m","messages":[],"seed":1}"#;
    assert!(!cache.remove_request(EndpointKind::ChatCompletions, body, &other).await.unwrap());
    let refused = cache.remove_request(EndpointKind::ChatCompletions, b"{", &scope).await;
    assert!(matches!(refused, Err(RemoveError::Request(_))));
}

/// A15: a stream that began before the invalidation is neither joined after it nor stored.
#[tokio::test]
async fn streams_under_way_are_detached() {
    type Removal = fn(&Cache) -> futures_util::future::BoxFuture<'_, ()>;
    let removals: [Removal; 3] = [
        |cache| Box::pin(async { cache.remove_tenant(&Tenant::named("tenant")).await.unwrap() }),
        |cache| Box::pin(async { cache.remove_model("m").await.unwrap() }),
        |cache| Box::pin(async { cache.remove_tag(&Tag::named("t")).await.unwrap() }),
    ];
    for removal in removals {
        let (cache, calls) = (cache(), Calls::default());
        let plan = stream_plan(&cache).with_tags([Tag::named("t")]);
        let (feed, answer) = fed_stream();
        let leader = passed(calls.ask(&cache, &plan, answer).await);
        send(&feed, EVENTS[0]).await;
        assert!(passed(calls.ask(&cache, &plan, plain(500, "")).await).collapsed);
        removal(&cache).await;
        let later = passed(calls.ask(&cache, &plan, plain(500, "{}")).await);
        assert!(!later.collapsed, "a call of its own");
        let rest = async {
            for event in &EVENTS[1..] {
                send(&feed, event).await;
            }
            drop(feed);
        };
        let (whole, ()) = tokio::join!(read(leader.body), rest);
        assert_eq!(whole.unwrap(), Bytes::from(EVENTS.concat()), "who had it keeps it");
        let Storage::Recording(recorded) = leader.storage else { panic!("it is a good stream") };
        let _either_way = recorded.outcome().await;
        assert_eq!(hits(&cache, &[plan]).await, [false], "nobody gets what came before");
        assert_eq!(calls.count(), 2);
    }
}

/// A plain call under way is not stored after the invalidation either.
#[tokio::test]
async fn plain_calls_under_way_are_fenced() {
    let cache = cache();
    let plan = plan(&cache, "");
    let remover = cache.clone();
    let origin = || async move {
        remover.remove_tenant(&Tenant::named("tenant")).await.unwrap();
        Ok(plain(200, HELLO))
    };
    passed(cache.answer(&plan, CacheMode::Use, origin).await.unwrap());
    assert_eq!(hits(&cache, &[plan]).await, [false]);
}

/// A39: nor are they joined after an invalidation by another instance, or of the cache underneath.
#[tokio::test]
async fn nobody_joins_what_others_invalidated() {
    type Removal = for<'a> fn(&'a Cache, &'a CacheKey) -> futures_util::future::BoxFuture<'a, ()>;
    let removals: [Removal; 4] = [
        |cache, _| Box::pin(async { cache.remove_tenant(&Tenant::named("tenant")).await.unwrap() }),
        |cache, key| Box::pin(async { assert!(!cache.remove(key).await.unwrap()) }),
        |cache, key| Box::pin(async { assert!(!cache.dual().remove(key).await.unwrap()) }),
        |cache, _| Box::pin(async { cache.dual().clear().await.unwrap() }),
    ];
    for (removal, is_elsewhere) in removals.into_iter().flat_map(|r| [(r, true), (r, false)]) {
        let (clock, bus) = (Arc::new(ManualClock::default()), LocalBus::new());
        let remote = Arc::new(MemoryRemote::new(clock.clone()));
        let instance = |bus: LocalBus| -> Cache {
            let dual = DualCache::builder().clock(clock.clone()).remote(remote.clone(), Raw);
            LlmCache::builder(dual.bus(Arc::new(bus)).build().unwrap()).build().unwrap()
        };
        let (here, there) = (instance(bus.clone()), instance(bus.peer()));
        let (calls, plan) = (Calls::default(), stream_plan(&here));
        let (feed, answer) = fed_stream();
        let leader = passed(calls.ask(&here, &plan, answer).await);
        send(&feed, EVENTS[0]).await;
        assert!(passed(calls.ask(&here, &plan, plain(500, "")).await).collapsed);
        removal(if is_elsewhere { &there } else { &here }, plan.key()).await;
        for _ in 0..10 {
            tokio::task::yield_now().await; // the message arrives
        }
        let later = passed(calls.ask(&here, &plan, plain(500, "{}")).await);
        assert!(!later.collapsed, "a call of its own");
        drop((leader, feed));
    }
}
