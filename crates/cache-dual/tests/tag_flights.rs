//! A34: flights that found a tagged value, by callers who named no tags.

mod common;

use std::time::Duration;

use cache_dual::{DetachedOptions, InsertOptions, Tag};
use common::{Refused, TTL, World, bytes, key};

/// A stale value was announced to all who wait for its successor. Once its tag is invalidated, nobody
/// who asks is given it.
#[tokio::test(start_paused = true)]
async fn a_stale_value_on_the_board_does_not_outlive_its_tag() {
    let world = World::new();
    let soft = DetachedOptions::new().soft_timeout(Duration::from_millis(10));
    let cache = world.process_with(None, |options| options.grace = Duration::from_secs(600)).cache;
    let (k, tag) = (key("k"), Tag::named("t"));
    let _ = cache.query(&k).tags(&[tag]).insert(bytes("old"), InsertOptions::new()).await;
    world.clock.advance(TTL);
    let slow = || async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok::<_, Refused>(bytes("new"))
    };
    assert!(cache.get_or_fetch_detached(&k, soft, slow).await.unwrap().is_stale());
    assert!(cache.get_or_fetch_detached(&k, soft, slow).await.unwrap().is_stale());
    assert_eq!(cache.stats().fetches, 1);
    cache.remove_tag(&Tag::named("another")).await.unwrap();
    assert!(cache.get_or_fetch_detached(&k, soft, slow).await.unwrap().is_stale());
    assert_eq!(cache.stats().fetches, 1, "another tag costs no fetch");
    cache.remove_tag(&tag).await.unwrap();
    let asked = cache.get_or_fetch_detached(&k, soft, slow).await.unwrap();
    assert_eq!(asked.value, "new");
    assert_eq!(cache.get(&k).await.unwrap().value, "new");
}
