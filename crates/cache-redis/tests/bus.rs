//! A39, A72: the contract of the bus against a real server, and that whatever happens to the
//! connections, nothing that was published is missing in silence.

mod common;

use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use cache_conformance::{BusHarness, BusWitness, bus_suite};
use cache_core::{CacheKey, Error, Invalidation, InvalidationBus as _, InvalidationStream, Tag};
use cache_redis::{RedisBuilder, RedisBus, RedisTier};
use common::relay::Relay;
use common::{SLACK, builder, outside};
use testbed::redis::{self, RedisServer, server_or_skip};

/// Short, so that tests need not wait; with a multiple that a busy machine keeps.
const BEAT: Duration = Duration::from_millis(200);
/// The default limit of a call, and what a busy machine may add to it.
const LIMIT: Duration = Duration::from_millis(100);
const LATE: Duration = Duration::from_millis(400);

type Stream = Box<dyn InvalidationStream>;

/// A server for one case. Without `redis-server` all cases are skipped, which is said once.
fn suite() -> Option<BusHarness> {
    static SAID: Once = Once::new();
    if redis::available().is_none() {
        SAID.call_once(|| drop(server_or_skip("cache-redis/bus")));
        return None;
    }
    let server = Arc::new(server_or_skip("cache-redis/bus")?);
    let kept = Arc::clone(&server);
    Some(BusHarness::new(move || common::tier(&server).bus()).keeping(kept))
}

/// Instances of one tier, which share the connections to publish over.
fn suite_of_one_tier() -> Option<BusHarness> {
    let server = redis::available().and_then(|_| server_or_skip("cache-redis/bus"))?;
    let tier = common::tier(&server);
    Some(BusHarness::new(move || tier.bus()).keeping(server))
}

bus_suite!(plain, suite());
bus_suite!(of_one_tier, suite_of_one_tier());

fn quick(server: &RedisServer) -> RedisBuilder {
    builder(server).bus_heartbeat(BEAT)
}

fn bus(server: &RedisServer) -> RedisBus {
    quick(server).build().expect("valid options").bus()
}

/// One that gives its callers an answer soon, over `port`.
fn impatient(port: u16) -> RedisBus {
    let builder = RedisTier::builder(&format!("redis://127.0.0.1:{port}/")).expect("a valid URL");
    let builder = builder.connections(1).command_timeout(LIMIT).connect_timeout(5 * LIMIT);
    builder.bus_heartbeat(BEAT).build().expect("valid options").bus()
}

async fn next(stream: &mut Stream) -> Invalidation {
    let message = tokio::time::timeout(SLACK, stream.next()).await.expect("nothing came");
    message.expect("the stream ended before its bus")
}

/// What comes within `time`.
async fn heard_in(time: Duration, stream: &mut Stream) -> Vec<Invalidation> {
    let mut heard = Vec::new();
    let all = async {
        while let Some(message) = stream.next().await {
            heard.push(message);
        }
    };
    let _ = tokio::time::timeout(time, all).await;
    heard
}

async fn until_a_gap(stream: &mut Stream, witness: &mut BusWitness) {
    let gaps = witness.gaps();
    while witness.gaps() == gaps {
        witness.hear(next(stream).await);
    }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < 2 * SLACK, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn until_subscribed(bus: &RedisBus) -> Stream {
    let start = Instant::now();
    loop {
        match bus.subscribe().await {
            Ok(stream) => return stream,
            Err(error) => assert!(start.elapsed() < 2 * SLACK, "still not there: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Publishes `number` and those after it, until the bus has taken one; the number of that.
async fn until_published(bus: &RedisBus, publisher: u8, mut number: u64) -> u64 {
    let start = Instant::now();
    loop {
        match bus.publish(BusWitness::numbered(publisher, number)).await {
            Ok(()) => return number,
            Err(error) => assert!(start.elapsed() < 2 * SLACK, "still not there: {error}"),
        }
        number += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Listens until `number` of `publisher` is heard, with all that has to come before.
async fn until_heard(stream: &mut Stream, witness: &mut BusWitness, publisher: u8, number: u64) {
    while witness.next_of(publisher) <= number {
        witness.hear(next(stream).await);
    }
}

/// Publishes what comes after `number` until one of them is heard, with all that has to come before:
/// while a subscriber is away, even what the server took may pass it by.
async fn until_in_touch(
    bus: &RedisBus,
    stream: &mut Stream,
    witness: &mut BusWitness,
    publisher: u8,
    mut number: u64,
) -> u64 {
    let start = Instant::now();
    loop {
        number = until_published(bus, publisher, number + 1).await;
        let heard = until_heard(stream, witness, publisher, number);
        if tokio::time::timeout(BEAT, heard).await.is_ok() {
            return number;
        }
        assert!(start.elapsed() < 2 * SLACK, "still not there: {bus:?}");
    }
}

/// The interval that is used when nothing else is said, and the delay that users see (A39).
#[tokio::test]
async fn the_delay_is_measured() {
    let Some(server) = server_or_skip("the_delay_is_measured") else { return };
    let [here, there] = [(); 2].map(|()| common::tier(&server).bus());
    assert_eq!((here.delay(), here.is_listening()), (None, false));
    here.publish(Invalidation::All).await.unwrap();
    assert_eq!(here.delay(), None, "nobody listens here");

    let mut stream = there.subscribe().await.unwrap();
    assert!(there.is_listening());
    let mut took = Vec::new();
    for number in 0..1_000 {
        let message = BusWitness::numbered(1, number);
        let start = Instant::now();
        here.publish(message).await.unwrap();
        assert_eq!(next(&mut stream).await, message);
        took.push(start.elapsed());
    }
    until("a delay", || there.delay().is_some()).await;
    took.sort_unstable();
    println!(
        "publish to heard: median {:?}, p99 {:?}; told by the bus: {:?}",
        took[500],
        took[990],
        there.delay()
    );
    assert!(there.delay() < Some(SLACK));
    assert_eq!(here.stats().published, 1_001, "the first one too");
    let stats = there.stats();
    assert_eq!((stats.received, stats.published), (1_000, 0));
    assert_eq!((stats.gaps, stats.reconnects, stats.unreadable), (0, 0, 0));
}

/// A61: while the server is down everything fails at once; subscribers are told when it goes, and
/// before anything that comes after it is back.
#[tokio::test]
async fn a_killed_server_is_joined_again() {
    let Some(mut server) = server_or_skip("a_killed_server_is_joined_again") else { return };
    let [here, there] = [(); 2].map(|()| bus(&server));
    let mut stream = there.subscribe().await.unwrap();
    let mut witness = BusWitness::default();
    let mut number = 0;
    here.publish(BusWitness::numbered(1, number)).await.unwrap();
    for round in 1..=3 {
        until_heard(&mut stream, &mut witness, 1, number).await;
        server.kill();
        until_a_gap(&mut stream, &mut witness).await;
        assert!(!there.is_listening());
        for _ in 0..20 {
            number += 1;
            let start = Instant::now();
            let error = here.publish(BusWitness::numbered(1, number)).await.unwrap_err();
            assert!(matches!(error, Error::Unavailable { .. }), "{error}");
            assert!(start.elapsed() < LATE, "{:?}", start.elapsed());
        }
        server.restart().unwrap();
        until_a_gap(&mut stream, &mut witness).await;
        assert_eq!(there.stats().reconnects, round);
        number = until_in_touch(&here, &mut stream, &mut witness, 1, number).await;
    }
    println!("{:?}", there.stats());
}

/// A61, A66: with nothing there calls fail, and soon at once; when it comes it is joined, and a
/// stream that begins then begins without a gap.
#[tokio::test]
async fn a_server_may_come_later() {
    let Some(mut server) = server_or_skip("a_server_may_come_later") else { return };
    server.kill();
    let [here, there] = [(); 2].map(|()| impatient(server.port()));
    for call in 0..20 {
        let start = Instant::now();
        let error = there.subscribe().await.expect_err("there is no server");
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
        let error = here.publish(Invalidation::All).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
        assert!(start.elapsed() < LATE, "call {call}: {:?}", start.elapsed());
    }
    server.restart().unwrap();
    let mut stream = until_subscribed(&there).await;
    let number = until_published(&here, 1, 0).await;
    // The 20 that failed were never heard of by anyone: that is told too, if not as the first.
    let mut heard = next(&mut stream).await;
    while heard == Invalidation::Gap {
        heard = next(&mut stream).await;
    }
    assert_eq!(heard, BusWitness::numbered(1, number));
}

/// A64: a server that hangs costs each call its limit; what was published meanwhile is heard, or
/// told to be missing, when it runs again.
#[tokio::test]
async fn a_paused_server_hides_nothing() {
    let Some(server) = server_or_skip("a_paused_server_hides_nothing") else { return };
    let [here, there] = [(); 2].map(|()| impatient(server.port()));
    let mut stream = until_subscribed(&there).await;
    let mut witness = BusWitness::default();
    let mut number = until_published(&here, 1, 0).await;
    // Shorter than it takes to find out, and longer.
    for pause in [Duration::from_millis(150), 4 * BEAT, 10 * BEAT] {
        until_heard(&mut stream, &mut witness, 1, number).await;
        server.pause().unwrap();
        let since = Instant::now();
        while since.elapsed() < pause {
            number += 1;
            let start = Instant::now();
            let publishing = here.publish(BusWitness::numbered(1, number));
            if number.is_multiple_of(3) {
                // Given up by its caller, it counts as well.
                let _ = tokio::time::timeout(LIMIT / 10, publishing).await;
                continue;
            }
            let error = publishing.await.unwrap_err();
            assert!(error.is_transient(), "{error}");
            assert!(start.elapsed() < LIMIT + LATE, "{:?}", start.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await; // once it fails at once
        }
        let start = Instant::now();
        let _ = there.subscribe().await;
        assert!(start.elapsed() < LIMIT + LATE, "{:?}", start.elapsed());
        server.resume().unwrap();
        number = until_in_touch(&here, &mut stream, &mut witness, 1, number).await;
    }
    assert!(there.stats().reconnects >= 1, "{:?}", there.stats());
}

/// Connections that are killed under load: everything is heard in order, or a gap is told before
/// what comes after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_connections_hide_nothing() {
    let Some(server) = server_or_skip("killed_connections_hide_nothing") else { return };
    let there = bus(&server);
    let mut stream = there.subscribe().await.unwrap();
    let publishers: Vec<_> = (0..4)
        .map(|publisher| {
            let here = bus(&server);
            tokio::spawn(async move {
                for number in 0..1_000 {
                    // An error is one more way to be missing.
                    if here.publish(BusWitness::numbered(publisher, number)).await.is_err() {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
                here
            })
        })
        .collect();
    let mut witness = BusWitness::default();
    for round in 0..40 {
        until_heard(&mut stream, &mut witness, 0, round * 20).await;
        let kind = if round % 4 == 3 { "normal" } else { "pubsub" };
        server.command(&format!("CLIENT KILL TYPE {kind} SKIPME yes")).unwrap();
    }
    for (name, publisher) in (0..).zip(publishers) {
        let here = publisher.await.unwrap();
        until_in_touch(&here, &mut stream, &mut witness, name, 999).await;
    }
    println!("{} of some 4000 heard, {:?}", witness.heard(), there.stats());
    assert!(there.stats().reconnects > 0, "no connection was killed, so nothing was shown");
}

/// Every kind of client of one bus at once, under load, calm: all is heard and no gap is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_calm_bus_under_load_has_no_gaps() {
    let Some(server) = server_or_skip("a_calm_bus_under_load_has_no_gaps") else { return };
    let there = common::tier(&server).bus();
    let mut stream = there.subscribe().await.unwrap();
    let here = common::tier(&server).bus();
    let start = Instant::now();
    let publishers: Vec<_> = (0..50)
        .map(|publisher| {
            let here = here.clone();
            tokio::spawn(async move {
                for number in 0..100 {
                    here.publish(BusWitness::numbered(publisher, number)).await.unwrap();
                }
            })
        })
        .collect();
    let mut witness = BusWitness::default();
    while witness.heard() < 5_000 {
        witness.hear(next(&mut stream).await);
    }
    println!("5000 messages by 50 tasks over one bus took {:?}", start.elapsed());
    for publisher in publishers {
        publisher.await.unwrap();
    }
    assert_eq!(there.stats().gaps, 0);
    assert_eq!((there.stats().received, here.stats().published), (5_000, 5_000));
}

/// A connection that brings nothing any more, without a sign that it is broken, is found out and
/// replaced. What was lost on it is told.
#[tokio::test]
async fn a_connection_that_went_dead_is_noticed() {
    let Some(server) = server_or_skip("a_connection_that_went_dead_is_noticed") else { return };
    let relay = Relay::start(server.port()).await;
    let [here, there] = [impatient(server.port()), impatient(relay.port)];
    let mut stream = until_subscribed(&there).await;
    let mut witness = BusWitness::default();
    let mut number = until_published(&here, 1, 0).await;
    until_heard(&mut stream, &mut witness, 1, number).await;
    // One of the first two connections is the one to listen on.
    for connection in 0..2 {
        relay.swallow(connection);
        let since = Instant::now();
        while since.elapsed() < 5 * BEAT {
            number = until_published(&here, 1, number + 1).await;
        }
        number = until_in_touch(&here, &mut stream, &mut witness, 1, number).await;
    }
    assert_eq!(there.stats().reconnects, 1, "{:?}", there.stats());
    assert!(witness.gaps() > 0);
}

/// Who listens in another place than where it publishes, as after half a failover, finds out by its
/// own heartbeats, which do not come back.
#[tokio::test]
async fn listening_in_the_wrong_place_is_noticed() {
    let name = "listening_in_the_wrong_place_is_noticed";
    let (Some(old), Some(new)) = (server_or_skip(name), server_or_skip(name)) else { return };
    let relay = Relay::start(old.port()).await;
    let [here, there] = [impatient(new.port()), impatient(relay.port)];
    let mut stream = until_subscribed(&there).await;
    until("an echo", || there.delay().is_some()).await;

    relay.retarget(new.port());
    old.command("CLIENT KILL TYPE normal SKIPME yes").unwrap();
    let since = Instant::now();
    assert_eq!(next(&mut stream).await, Invalidation::Gap);
    println!("noticed after {:?}", since.elapsed());
    until("it listens again", || there.stats().reconnects == 1).await;
    let number = until_published(&here, 1, 0).await;
    let mut witness = BusWitness::default();
    witness.hear(Invalidation::Gap);
    until_heard(&mut stream, &mut witness, 1, number).await;
}

/// A second implementation of `docs/bus-format.md`.
struct Stranger {
    connection: ::redis::aio::MultiplexedConnection,
    name: u8,
}

impl Stranger {
    async fn new(server: &RedisServer, name: u8) -> Self {
        Self { connection: outside(server).await, name }
    }

    async fn says(&mut self, kind: u8, number: u64, subject: &[u8]) {
        let mut bytes = vec![0xCE, 0x4C, 0x4C, 0x42, 1, kind, 0, 0];
        bytes.extend([self.name; 16]);
        bytes.extend(number.to_le_bytes());
        bytes.extend(u64::MAX.to_le_bytes());
        bytes.extend(u32::try_from(BEAT.as_millis()).expect("it is short").to_le_bytes());
        bytes.extend(0_u32.to_le_bytes()); // no idling: all is said while somebody listens
        bytes.extend(subject);
        self.raw(&bytes).await;
    }

    async fn raw(&mut self, bytes: &[u8]) {
        let mut publish = ::redis::cmd("PUBLISH");
        publish.arg("llmcache:bus1").arg(bytes);
        let heard: u32 = publish.query_async(&mut self.connection).await.expect("PUBLISH");
        assert_eq!(heard, 1, "the bus listens somewhere else");
    }

    async fn beats(&mut self, number: u64) {
        self.says(5, number, &[]).await;
    }
}

/// The format is what its page says, in both directions.
#[tokio::test]
async fn the_format_is_as_documented() {
    let Some(server) = server_or_skip("the_format_is_as_documented") else { return };
    let there = common::tier(&server).bus();
    let mut stream = there.subscribe().await.unwrap();
    let mut stranger = Stranger::new(&server, 7).await;
    for (number, kind, subject, expected) in [
        (1, 1, vec![0xC0; 32], Invalidation::Key(CacheKey::from_digest([0xC0; 32]))),
        (2, 2, vec![0xD0; 16], Invalidation::Tag(Tag([0xD0; 16]))),
        (3, 3, vec![], Invalidation::All),
        (4, 4, vec![], Invalidation::Gap),
    ] {
        stranger.says(kind, number, &subject).await;
        assert_eq!(next(&mut stream).await, expected);
    }
    assert_eq!(there.stats().gaps, 0, "a gap that somebody tells of is not one of ours");
    assert_eq!(there.stats().received, 4);
}

/// Numbers that were left out are told of before what follows; so is the very last one, with the
/// next heartbeat. What comes again is not told again.
#[tokio::test]
async fn what_was_left_out_is_told() {
    let Some(server) = server_or_skip("what_was_left_out_is_told") else { return };
    let there = common::tier(&server).bus();
    let mut stream = there.subscribe().await.unwrap();
    let mut stranger = Stranger::new(&server, 7).await;
    stranger.beats(0).await;
    stranger.says(3, 1, &[]).await;
    stranger.says(3, 1, &[]).await; // again
    stranger.says(3, 3, &[]).await; // without 2
    stranger.says(3, 2, &[]).await; // late
    stranger.beats(3).await;
    stranger.beats(4).await; // without 4
    stranger.says(4, 5, &[]).await;
    for expected in [
        Invalidation::All,
        Invalidation::Gap,
        Invalidation::All,
        Invalidation::Gap,
        Invalidation::Gap,
    ] {
        assert_eq!(next(&mut stream).await, expected);
    }
    assert_eq!((there.stats().received, there.stats().gaps), (3, 2));
}

/// Somebody else publishes under the name of a sender, with a number from far on: what the sender says
/// then counts as said before. Each of its heartbeats shows it, a gap is told, and in the end it is
/// heard again.
#[tokio::test]
async fn forged_numbers_hide_nothing() {
    let Some(server) = server_or_skip("forged_numbers_hide_nothing") else { return };
    let there = common::tier(&server).bus();
    let mut stream = there.subscribe().await.unwrap();
    let mut stranger = Stranger::new(&server, 7).await;
    stranger.says(3, 1, &[]).await;
    stranger.says(3, u64::MAX, &[]).await; // forged
    for expected in [Invalidation::All, Invalidation::Gap, Invalidation::All] {
        assert_eq!(next(&mut stream).await, expected);
    }
    let start = Instant::now();
    for number in 2.. {
        assert!(start.elapsed() < 2 * SLACK, "it is never heard again");
        stranger.says(1, number, &[0xC0; 32]).await;
        stranger.beats(number).await;
        if next(&mut stream).await != Invalidation::Gap {
            break; // heard, and not only told to be missing
        }
        tokio::time::sleep(BEAT / 2).await;
    }
    assert!(start.elapsed() > 2 * BEAT, "late heartbeats would bring the past back");
}

/// What nobody understands may have been an invalidation. It hurts nobody and is told.
#[tokio::test]
async fn garbage_is_a_gap() {
    let Some(server) = server_or_skip("garbage_is_a_gap") else { return };
    let there = common::tier(&server).bus();
    let mut stream = there.subscribe().await.unwrap();
    let mut stranger = Stranger::new(&server, 7).await;
    let mut later = vec![0xCE, 0x4C, 0x4C, 0x42, 2, 1, 0, 0];
    later.extend([9; 72]);
    let long = vec![0xFF; 100_000];
    let garbage: [&[u8]; 5] = [b"", b"hello", b"\xCE\x4C\x4C\x42\x01", &later, &long];
    for (n, bytes) in (1..).zip(garbage) {
        stranger.raw(bytes).await;
        assert_eq!(next(&mut stream).await, Invalidation::Gap);
        stranger.says(3, n, &[]).await;
        assert_eq!(next(&mut stream).await, Invalidation::All);
    }
    assert_eq!((there.stats().unreadable, there.stats().gaps), (5, 5));
}

/// Who falls silent without a word may be cut off and go on publishing; who says farewell is not.
#[tokio::test]
async fn silence_is_told_and_farewells_are_not() {
    let Some(server) = server_or_skip("silence_is_told_and_farewells_are_not") else { return };
    let there = bus(&server);
    let mut stream = there.subscribe().await.unwrap();
    let mut stranger = Stranger::new(&server, 7).await;
    stranger.beats(0).await;
    let since = Instant::now();
    assert_eq!(next(&mut stream).await, Invalidation::Gap);
    let took = since.elapsed();
    assert!(took + Duration::from_millis(20) > 3 * BEAT && took < 5 * BEAT + LATE, "{took:?}");

    stranger.says(3, 1, &[]).await;
    assert_eq!(next(&mut stream).await, Invalidation::All);
    stranger.says(6, 1, &[]).await; // farewell
    let here = bus(&server);
    here.publish(Invalidation::All).await.unwrap();
    drop(here); // says its own
    assert_eq!(heard_in(6 * BEAT, &mut stream).await, [Invalidation::All]);
}

/// A publish that failed is told as a gap, with the next heartbeat: nothing else need be published.
#[tokio::test]
async fn what_could_not_be_published_is_told() {
    let Some(server) = server_or_skip("what_could_not_be_published_is_told") else { return };
    let user = "ACL SETUSER clerk on >pen ~* &* +@all";
    assert!(server.command(user).unwrap().starts_with("+OK"));
    let url = format!("redis://clerk:pen@127.0.0.1:{}/", server.port());
    let tier = RedisTier::builder(&url).unwrap().command_timeout(SLACK).bus_heartbeat(BEAT);
    let [here, there] = [tier.build().unwrap().bus(), bus(&server)];
    let mut stream = there.subscribe().await.unwrap();
    here.publish(Invalidation::All).await.unwrap();
    assert_eq!(next(&mut stream).await, Invalidation::All);

    assert!(server.command("ACL SETUSER clerk -publish").unwrap().starts_with("+OK"));
    let error = here.publish(BusWitness::numbered(1, 0)).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(server.command("ACL SETUSER clerk +publish").unwrap().starts_with("+OK"));
    assert_eq!(next(&mut stream).await, Invalidation::Gap);
    here.publish(BusWitness::numbered(1, 1)).await.unwrap();
    assert_eq!(next(&mut stream).await, BusWitness::numbered(1, 1));
    assert_eq!(here.stats().published, 2);
}

/// More at once than can wait to be sent, while nothing can be sent: those that had no place are
/// missing too, and told of, though nothing else tells of a gap.
#[tokio::test]
async fn what_never_left_is_told() {
    let Some(server) = server_or_skip("what_never_left_is_told") else { return };
    let [here, there] = [impatient(server.port()), common::tier(&server).bus()];
    let mut stream = there.subscribe().await.unwrap();
    let mut witness = BusWitness::default();
    let first = until_published(&here, 1, 0).await;
    until_heard(&mut stream, &mut witness, 1, first).await;

    server.pause().unwrap();
    let crowd: Vec<_> = (first + 1..first + 3_000)
        .map(|number| {
            let here = here.clone();
            tokio::spawn(async move { here.publish(BusWitness::numbered(1, number)).await })
        })
        .collect();
    for publishing in crowd {
        assert!(publishing.await.unwrap().is_err(), "the server is paused");
    }
    server.resume().unwrap();
    let last = BusWitness::numbered(1, until_published(&here, 1, first + 3_000).await);
    let mut heard = vec![next(&mut stream).await];
    while heard.last() != Some(&last) {
        heard.push(next(&mut stream).await);
    }
    assert!(heard.contains(&Invalidation::Gap));
    assert_eq!(there.stats().reconnects, 0, "it was told for another reason");
    assert!(heard.len() < 3_000, "there was a place for everything");
}

/// A message that was held up and comes after its publisher gave up is heard in its place, or told
/// and not heard: never after what was published later.
#[tokio::test]
async fn a_late_message_is_in_nobody_s_way() {
    let Some(server) = server_or_skip("a_late_message_is_in_nobody_s_way") else { return };
    let relay = Relay::start(server.port()).await;
    let [here, there] = [impatient(relay.port), impatient(server.port())];
    let mut stream = until_subscribed(&there).await;
    let mut witness = BusWitness::default();
    let mut number = until_published(&here, 1, 0).await;
    until_heard(&mut stream, &mut witness, 1, number).await;
    for connection in 0..4 {
        relay.hold(connection);
        number += 1;
        let error = here.publish(BusWitness::numbered(1, number)).await.unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        number = until_published(&here, 1, number + 1).await; // over the next connection
        relay.hold(None);
        number = until_published(&here, 1, number + 1).await;
        until_heard(&mut stream, &mut witness, 1, number).await;
    }
    assert!(witness.gaps() > 0, "nothing was late, so nothing was shown");
}

/// Instances with different prefixes do not hear each other.
#[tokio::test]
async fn prefixes_are_buses_of_their_own() {
    let Some(server) = server_or_skip("prefixes_are_buses_of_their_own") else { return };
    let other = builder(&server).prefix("other").build().unwrap().bus();
    let there = common::tier(&server).bus();
    let mut stream = there.subscribe().await.unwrap();
    other.publish(Invalidation::All).await.unwrap();
    let here = common::tier(&server).bus();
    here.publish(BusWitness::numbered(1, 0)).await.unwrap();
    assert_eq!(next(&mut stream).await, BusWitness::numbered(1, 0));
}

/// With the last clone of the bus its tasks end, its connections close and its streams end.
#[tokio::test]
async fn dropping_the_bus_ends_everything() {
    let Some(mut server) = server_or_skip("dropping_the_bus_ends_everything") else { return };
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for is_up in [true, false] {
        if !is_up {
            server.kill();
        }
        let bus = bus(&server);
        let stream = bus.subscribe().await;
        assert_eq!(stream.is_ok(), is_up);
        assert_eq!(bus.publish(Invalidation::All).await.is_ok(), is_up);
        let clone = bus.clone();
        drop(bus);
        assert_eq!(clone.publish(Invalidation::All).await.is_ok(), is_up, "a clone is the same");
        assert!(tasks() > before);
        drop(clone);
        if let Ok(mut stream) = stream {
            let end = async { while stream.next().await.is_some() {} };
            tokio::time::timeout(SLACK, end).await.expect("the stream outlives its bus");
        }
        let since = Instant::now();
        while tasks() > before {
            assert!(since.elapsed() < SLACK, "tasks outlive their bus");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// A bus outlives the runtime that it was first used on.
#[test]
fn a_second_runtime_gets_its_own_connections() {
    let Some(server) = server_or_skip("a_second_runtime_gets_its_own_connections") else { return };
    let [here, there] = [(); 2].map(|()| common::tier(&server).bus()); // no runtime yet
    for number in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut stream = there.subscribe().await.unwrap();
            here.publish(BusWitness::numbered(1, number)).await.unwrap();
            assert_eq!(next(&mut stream).await, BusWitness::numbered(1, number));
        });
    }
}

/// A user with the rights that the README names, and no other, can use the bus; and F59: the
/// password is in no message.
#[tokio::test]
async fn few_rights_suffice() {
    let Some(server) = server_or_skip("few_rights_suffice") else { return };
    let rights = "PUBLISH SUBSCRIBE HELLO PING TIME CLIENT SELECT";
    let readme = include_str!("../README.md");
    assert!(readme.contains(&format!("`{rights}`")), "the README names other rights");
    let rights = rights.split(' ').map(|right| format!("+{}", right.to_lowercase()));
    let rights = rights.collect::<Vec<_>>().join(" ");
    let user = format!("ACL SETUSER clerk on >hunter2 resetchannels &llmcache:bus1 {rights}");
    assert!(server.command(&user).unwrap().starts_with("+OK"));

    let url = format!("redis://clerk:hunter2@127.0.0.1:{}/1", server.port());
    let builder = RedisTier::builder(&url).unwrap().command_timeout(SLACK);
    let [here, there] = [(); 2].map(|()| builder.clone().build().unwrap().bus());
    let mut stream = there.subscribe().await.unwrap();
    here.publish(Invalidation::All).await.unwrap();
    assert_eq!(next(&mut stream).await, Invalidation::All);

    let elsewhere = builder.prefix("elsewhere").build().unwrap().bus();
    let error = elsewhere.publish(Invalidation::All).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    let refused = elsewhere.subscribe().await.expect_err("no right to that channel");
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");
    let told = format!("{error} {error:?} {refused:?} {there:?} {stream:?}");
    assert!(!told.contains("hunter2"), "{told}");
    assert!(told.contains("llmcache:bus1"), "{told}");
}
