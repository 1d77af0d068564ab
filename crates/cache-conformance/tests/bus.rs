//! A72: the in-process bus passes the suite, and each way to break the contract is caught by the
//! case that is about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use cache_conformance::cases::bus;
use cache_conformance::{BusHarness, LocalBus, bus_suite};
use cache_core::{Invalidation, InvalidationBus, InvalidationStream, Result};

fn local() -> BusHarness {
    let bus = LocalBus::new();
    BusHarness::new(move || bus.peer())
}

bus_suite!(plain, local());

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Echoes,
    LosesTheFirst,
    LosesOneOfMany,
    LosesWhenGivenUp,
    Repeats,
    Reverses,
    LagsInSilence,
    TellsOfGapsAlways,
    TagsAreKeys,
    TheLastSubscriberHears,
    NeverEnds,
}

/// The in-process bus with one fault.
#[derive(Debug)]
struct Broken {
    inner: LocalBus,
    fault: Fault,
    published: AtomicU64,
    subscribed: Arc<AtomicU64>,
}

#[async_trait]
impl InvalidationBus for Broken {
    async fn publish(&self, message: Invalidation) -> Result<()> {
        let n = self.published.fetch_add(1, Ordering::Relaxed);
        match (self.fault, message) {
            (Fault::LosesTheFirst, _) if n == 0 => Ok(()),
            (Fault::LosesOneOfMany, _) if n == 99 => Ok(()),
            (Fault::Repeats, _) if n == 99 => {
                self.inner.publish(message).await?;
                self.inner.publish(message).await
            }
            (Fault::TagsAreKeys, Invalidation::Tag(_)) => {
                self.inner.publish(Invalidation::All).await
            }
            _ => self.inner.publish(message).await,
        }
    }

    async fn subscribe(&self) -> Result<Box<dyn InvalidationStream>> {
        let bus = if self.fault == Fault::Echoes { self.inner.peer() } else { self.inner.clone() };
        Ok(Box::new(BrokenStream {
            inner: bus.subscribe().await?,
            fault: self.fault,
            heard: 0,
            held: Vec::new(),
            me: self.subscribed.fetch_add(1, Ordering::Relaxed),
            subscribed: Arc::clone(&self.subscribed),
            _bus: (self.fault == Fault::NeverEnds).then(|| self.inner.clone()),
        }))
    }
}

#[derive(Debug)]
struct BrokenStream {
    inner: Box<dyn InvalidationStream>,
    fault: Fault,
    heard: u64,
    /// What comes out before anything else, the last one first.
    held: Vec<Invalidation>,
    me: u64,
    subscribed: Arc<AtomicU64>,
    _bus: Option<LocalBus>,
}

#[async_trait]
impl InvalidationStream for BrokenStream {
    async fn next(&mut self) -> Option<Invalidation> {
        loop {
            if let Some(held) = self.held.pop() {
                return Some(held);
            }
            let message = self.inner.next().await?;
            self.heard += 1;
            match self.fault {
                Fault::LagsInSilence if message == Invalidation::Gap => {}
                Fault::TellsOfGapsAlways => {
                    self.held = vec![message];
                    return Some(Invalidation::Gap);
                }
                Fault::Reverses if self.heard == 99 => {
                    let (second, third) = (self.inner.next().await?, self.inner.next().await);
                    self.held = vec![message, second];
                    return third;
                }
                Fault::LosesWhenGivenUp => {
                    tokio::task::yield_now().await;
                    return Some(message);
                }
                Fault::TheLastSubscriberHears
                    if self.me + 1 < self.subscribed.load(Ordering::Relaxed) => {}
                _ => return Some(message),
            }
        }
    }
}

fn broken(fault: Fault) -> BusHarness {
    let bus = LocalBus::new();
    let subscribed = Arc::new(AtomicU64::new(0));
    BusHarness::new(move || Broken {
        inner: bus.peer(),
        fault,
        published: AtomicU64::new(0),
        subscribed: Arc::clone(&subscribed),
    })
}

macro_rules! caught {
    ($($fault:ident in $test:ident by $case:ident),+ $(,)?) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $test() {
                let case = tokio::spawn(async { bus::$case(&broken(Fault::$fault)).await });
                assert!(case.await.is_err(), "{:?} went through", Fault::$fault);
            }
        )+
    };
}

caught! {
    Echoes in echoes by nobody_hears_itself,
    LosesTheFirst in loses_the_first by the_first_message_is_heard,
    LosesOneOfMany in loses_one_of_many by messages_come_in_order,
    LosesWhenGivenUp in loses_when_given_up by waiting_may_be_given_up,
    Repeats in repeats by many_publish_at_once,
    Reverses in reverses by messages_come_in_order,
    LagsInSilence in lags_in_silence by who_falls_behind_is_told_first,
    TellsOfGapsAlways in tells_of_gaps_always by messages_come_in_order,
    TagsAreKeys in tags_are_keys by others_hear_what_is_published,
    TheLastSubscriberHears in the_last_subscriber_hears by others_hear_what_is_published,
    NeverEnds in never_ends by streams_end_with_the_bus,
}
