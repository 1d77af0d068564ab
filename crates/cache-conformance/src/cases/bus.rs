//! The promises of [`InvalidationBus`]: delivery to others, order, gaps, ends.
//!
//! The bus is calm in all but two of them: who tells of a gap then where nothing is missing is no use
//! to anyone, and fails.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use cache_core::{CacheKey, Invalidation, InvalidationBus, InvalidationStream, Tag};
use tokio::time::timeout;

use crate::bus_harness::{BusHarness, BusWitness};

/// What comes later than this does not come.
const SLACK: Duration = Duration::from_secs(10);
/// More messages than a reasonable bus keeps for one subscriber that takes none.
const MANY: u64 = 3_000;

type Stream = Box<dyn InvalidationStream>;

async fn subscribe(bus: &Arc<dyn InvalidationBus>) -> Stream {
    let stream = timeout(SLACK, bus.subscribe()).await.expect("subscribing takes too long");
    stream.expect("a calm bus can be subscribed to")
}

async fn publish(bus: &Arc<dyn InvalidationBus>, message: Invalidation) {
    let published = timeout(SLACK, bus.publish(message)).await;
    published.expect("publishing takes too long").expect("a calm bus takes messages");
}

async fn next(stream: &mut Stream) -> Invalidation {
    let message = timeout(SLACK, stream.next()).await.expect("nothing came");
    message.expect("the stream ended before its bus")
}

async fn hears(stream: &mut Stream, expected: Invalidation) {
    assert_eq!(next(stream).await, expected);
}

/// What one instance publishes, every other one hears, and with it every subscriber there.
pub async fn others_hear_what_is_published(harness: &BusHarness) {
    let [here, there, elsewhere] = [(); 3].map(|()| harness.instance());
    let mut streams =
        [subscribe(&there).await, subscribe(&there).await, subscribe(&elsewhere).await];
    for message in [
        Invalidation::Key(CacheKey::from_text("k")),
        Invalidation::Tag(Tag::named("t")),
        Invalidation::All,
        Invalidation::Gap,
    ] {
        publish(&here, message).await;
        for stream in &mut streams {
            hears(stream, message).await;
        }
    }
}

/// No instance hears itself.
pub async fn nobody_hears_itself(harness: &BusHarness) {
    let [here, there] = [(); 2].map(|()| harness.instance());
    let mut own = subscribe(&here).await;
    let mut other = subscribe(&there).await;
    for number in 0..20 {
        publish(&here, BusWitness::numbered(1, number)).await;
    }
    for number in 0..20 {
        hears(&mut other, BusWitness::numbered(1, number)).await;
    }
    publish(&there, Invalidation::All).await;
    hears(&mut own, Invalidation::All).await;
}

/// What was published before a subscription is not heard; what is published after it always is.
pub async fn a_subscription_begins_when_it_was_made(harness: &BusHarness) {
    let [here, there] = [(); 2].map(|()| harness.instance());
    for number in 0..50 {
        publish(&here, BusWitness::numbered(1, number)).await;
        let mut stream = subscribe(&there).await;
        // They never met: what was published shortly before may be taken to be published since.
        let never_met = number == 0;
        publish(&here, BusWitness::numbered(2, number)).await;
        loop {
            let heard = next(&mut stream).await;
            if heard == BusWitness::numbered(2, number) {
                break;
            }
            // Published, but under way still when the subscription was made.
            let is_late = heard == BusWitness::numbered(1, number);
            assert!(is_late || (never_met && heard == Invalidation::Gap), "{heard:?}");
        }
    }
}

/// The very first thing that an instance publishes is heard, as is what it publishes much later.
pub async fn the_first_message_is_heard(harness: &BusHarness) {
    let there = harness.instance();
    let mut stream = subscribe(&there).await;
    for publisher in 0..10 {
        let here = harness.instance();
        for number in 0..2 {
            publish(&here, BusWitness::numbered(publisher, number)).await;
            hears(&mut stream, BusWitness::numbered(publisher, number)).await;
        }
    }
}

/// Messages of one publisher come in the order in which they were published.
pub async fn messages_come_in_order(harness: &BusHarness) {
    let [a, b, there] = [(); 3].map(|()| harness.instance());
    let mut stream = subscribe(&there).await;
    for number in 0..200 {
        publish(&a, BusWitness::numbered(1, number)).await;
        publish(&b, BusWitness::numbered(2, number)).await;
    }
    let mut witness = BusWitness::default();
    while witness.heard() < 400 {
        witness.hear(next(&mut stream).await);
    }
    assert_eq!(witness.gaps(), 0, "a gap, and nothing was missing");
}

/// Many may publish at once, over one instance too: everything is heard, once.
pub async fn many_publish_at_once(harness: &BusHarness) {
    let there = harness.instance();
    let mut stream = subscribe(&there).await;
    let here = harness.instance();
    let publishers: Vec<_> = (0..8)
        .map(|publisher| {
            let bus = if publisher % 2 == 0 { Arc::clone(&here) } else { harness.instance() };
            tokio::spawn(async move {
                for number in 0..100 {
                    publish(&bus, BusWitness::numbered(publisher, number)).await;
                }
                bus // kept to the end: what ends is another matter
            })
        })
        .collect();
    let mut witness = BusWitness::default();
    while witness.heard() < 800 {
        witness.hear(next(&mut stream).await);
    }
    assert_eq!(witness.gaps(), 0, "a gap, and nothing was missing");
    for publisher in publishers {
        publisher.await.expect("no publisher panics");
    }
}

/// Who does not listen is in nobody's way, and when it listens again it has everything or is told
/// of the gap before what came after it.
pub async fn who_falls_behind_is_told_first(harness: &BusHarness) {
    let [here, there] = [(); 2].map(|()| harness.instance());
    let mut slow = subscribe(&there).await;
    let mut quick = subscribe(&there).await;
    let mut witness = BusWitness::default();
    for number in 0..MANY {
        publish(&here, BusWitness::numbered(1, number)).await;
        witness.hear(next(&mut quick).await);
    }
    assert_eq!((witness.next_of(1), witness.gaps()), (MANY, 0), "the slow one held it up");

    let mut witness = BusWitness::default();
    while witness.next_of(1) < MANY {
        witness.hear(next(&mut slow).await);
    }
    publish(&here, BusWitness::numbered(1, MANY)).await;
    hears(&mut slow, BusWitness::numbered(1, MANY)).await;
}

/// Dropping a subscription ends it and no other.
pub async fn a_dropped_subscription_ends_alone(harness: &BusHarness) {
    let [here, there] = [(); 2].map(|()| harness.instance());
    let mut kept = subscribe(&there).await;
    for number in 0..20 {
        let dropped = subscribe(&there).await;
        publish(&here, BusWitness::numbered(1, number)).await;
        drop(dropped);
        hears(&mut kept, BusWitness::numbered(1, number)).await;
    }
    drop(kept);
    publish(&here, Invalidation::All).await;
    let mut fresh = subscribe(&there).await;
    publish(&here, BusWitness::numbered(1, 20)).await;
    while next(&mut fresh).await != BusWitness::numbered(1, 20) {}
}

/// Waiting for the next message may be given up at any time: none is lost by it.
pub async fn waiting_may_be_given_up(harness: &BusHarness) {
    let [here, there] = [(); 2].map(|()| harness.instance());
    let mut stream = subscribe(&there).await;
    let publisher = tokio::spawn(async move {
        for number in 0..200 {
            publish(&here, BusWitness::numbered(1, number)).await;
        }
        here
    });
    let mut witness = BusWitness::default();
    let mut round = 0;
    while witness.heard() < 200 {
        let patience = Duration::from_micros(round % 40);
        round += 1;
        assert!(round < 1_000_000, "nothing came");
        if let Ok(message) = timeout(patience, stream.next()).await {
            witness.hear(message.expect("the stream ended before its bus"));
        }
    }
    assert_eq!(witness.gaps(), 0, "a gap, and nothing was missing");
    publisher.await.expect("the publisher does not panic");
}

/// Publishing may be given up at any time: the message is then published or not, and what is
/// published afterwards comes after it.
pub async fn publishing_may_be_given_up(harness: &BusHarness) {
    let [here, there] = [(); 2].map(|()| harness.instance());
    let mut stream = subscribe(&there).await;
    let mut witness = BusWitness::default();
    for round in 0..100 {
        let given_up = BusWitness::numbered(1, 2 * round);
        let finished = BusWitness::numbered(1, 2 * round + 1);
        if round % 3 > 0 {
            let mut publishing = pin!(here.publish(given_up));
            for _ in 0..round % 3 {
                let mut unheard = Context::from_waker(Waker::noop());
                if publishing.as_mut().poll(&mut unheard).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        publish(&here, finished).await;
        // That the one before is missing need not be told: nobody was promised it. What the witness
        // holds against the bus is a repetition, and the wrong order.
        witness.hear(Invalidation::Gap);
        loop {
            let heard = next(&mut stream).await;
            witness.hear(heard);
            if heard == finished {
                break;
            }
            assert!(heard == given_up || heard == Invalidation::Gap, "{heard:?}");
        }
    }
}

/// Subscribing may be given up at any time, and leaves the bus as it was.
pub async fn subscribing_may_be_given_up(harness: &BusHarness) {
    let [here, there] = [(); 2].map(|()| harness.instance());
    for polls in 0..20 {
        let mut subscribing = pin!(there.subscribe());
        for _ in 0..polls {
            let mut unheard = Context::from_waker(Waker::noop());
            if subscribing.as_mut().poll(&mut unheard).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let mut stream = subscribe(&there).await;
    publish(&here, Invalidation::All).await;
    hears(&mut stream, Invalidation::All).await;
}

/// With the last handle of the bus its streams end, after what they had heard.
pub async fn streams_end_with_the_bus(harness: &BusHarness) {
    let [here, there] = [(); 2].map(|()| harness.instance());
    let mut stream = subscribe(&there).await;
    publish(&here, Invalidation::All).await;
    hears(&mut stream, Invalidation::All).await;
    drop((here, there));
    harness.end();
    // A gap on the way is fair: whoever is to come back is not known to have ended.
    let end = async { while stream.next().await.is_some() {} };
    timeout(SLACK, end).await.expect("the stream outlives its bus");
    assert_eq!(stream.next().await, None, "it goes on after its end");
}

/// That nobody listens is no error.
pub async fn publishing_to_nobody_is_no_error(harness: &BusHarness) {
    let here = harness.instance();
    publish(&here, Invalidation::All).await;
    publish(&here, Invalidation::Gap).await;
}
