//! [`Event`] and [`Cause`]: what listeners hear, in the order in which it happened.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::record::Handle;
use crate::sync::{AtomicU64, Mutex, Ordering, thread_local};

/// Why a value left the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Its time to live or to stand idle was up.
    Expired,
    /// Space was needed.
    Evicted,
    /// Another value was given for its key, even one that was then refused.
    Replaced,
    /// It was removed, one by one or by `clear`.
    Removed,
}

/// What happened to a value.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<K, V> {
    /// A value was stored.
    Stored(Handle<K, V>),
    /// A value left.
    Left(Handle<K, V>, Cause),
    /// A lookup found a value.
    Hit(Handle<K, V>),
    /// A lookup found none. There is no key to hand out, only the caller's borrowed form of one:
    /// this is its [`key_hash`](crate::MemoryCache::key_hash).
    Missed(u64),
}

pub(crate) type Listener<K, V> = Arc<dyn Fn(&Event<K, V>) + Send + Sync>;

/// Events that wait for delivery beyond which writers wait too.
const BACKLOG: usize = 1_024;

/// How long a writer waits then: a slow listener slows writers down, and a stuck one stops nobody.
const PATIENCE: Duration = Duration::from_millis(1);

/// Events on the way to a listener.
///
/// They are lined up under the lock of the shard in which they happen, so those of one key stand in
/// the order in which they happened, and delivered when nothing is locked, by one thread at a time:
/// whoever finds nobody delivering delivers what there is. A listener that calls the cache makes
/// events that its own delivery comes to afterwards.
pub(crate) struct Events<K, V> {
    listener: Listener<K, V>,
    lookups: bool,
    waiting: Mutex<VecDeque<Event<K, V>>>,
    delivering: Mutex<()>,
    panics: AtomicU64,
}

thread_local! {
    /// Whether this thread is in a listener, of whichever cache: then it must not wait for another
    /// thread's delivery, which may be waiting for its own.
    #[allow(clippy::missing_const_for_thread_local, reason = "`loom`'s macro takes no const block")]
    static LISTENING: Cell<bool> = Cell::new(false);
}

fn listening() -> bool {
    LISTENING.with(Cell::get)
}

impl<K, V> Events<K, V> {
    pub(crate) fn new(listener: Listener<K, V>, lookups: bool) -> Self {
        Self {
            listener,
            lookups,
            waiting: Mutex::default(),
            delivering: Mutex::default(),
            panics: AtomicU64::new(0),
        }
    }

    pub(crate) fn hear_lookups(&self) -> bool {
        self.lookups
    }

    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Lines an event up. Runs no code of the user's.
    pub(crate) fn push(&self, event: Event<K, V>) {
        self.waiting.lock().push_back(event);
    }

    /// Delivers what is lined up, unless another thread is at it. Runs the listener, and drops
    /// values: nothing may be locked.
    pub(crate) fn deliver(&self) {
        // Whoever lines up an event while another thread unlocks sees it unlocked, or is seen by
        // the look into the queue after that: no event is left behind.
        while !self.waiting.lock().is_empty() {
            let guard = match self.delivering.try_lock() {
                Some(guard) => guard,
                None if listening() || self.waiting.lock().len() < BACKLOG => return,
                // For a while only: who delivers may itself be waiting for this thread.
                None => match self.delivering.try_lock_for(PATIENCE) {
                    Some(guard) => guard,
                    None => return,
                },
            };
            for _ in 0..BACKLOG {
                let Some(event) = self.waiting.lock().pop_front() else { break };
                self.hand_over(event);
            }
            drop(guard);
        }
    }

    /// A panic of the listener, or of the drop of a value, is contained and counted: the next event
    /// is delivered all the same.
    fn hand_over(&self, event: Event<K, V>) {
        let nested = LISTENING.with(|listening| listening.replace(true));
        let call = AssertUnwindSafe(|| {
            (self.listener)(&event);
            drop(event);
        });
        if catch_unwind(call).is_err() {
            self.panics.fetch_add(1, Ordering::Relaxed);
        }
        LISTENING.with(|listening| listening.set(nested));
    }
}

/// Delivers when it is dropped.
pub(crate) struct Delivery<'a, K, V>(pub(crate) &'a Events<K, V>);

impl<K, V> Drop for Delivery<'_, K, V> {
    fn drop(&mut self) {
        self.0.deliver();
    }
}

#[cfg(all(test, loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::sync::model;

    /// Two threads line up events and deliver: each is heard once, those of one thread in order, and
    /// none is left behind.
    #[test]
    fn every_event_is_heard_once_and_in_order() {
        model(3, || {
            let heard = Arc::new(Mutex::<Vec<u64>>::default());
            let hears = Arc::clone(&heard);
            let listener = move |event: &Event<(), ()>| {
                if let Event::Missed(name) = event {
                    hears.lock().push(*name);
                }
            };
            let events = Arc::new(Events::new(std::sync::Arc::new(listener), true));
            let tell = |events: &Events<(), ()>, names: [u64; 2]| {
                for name in names {
                    events.push(Event::Missed(name));
                    events.deliver();
                }
            };
            let other = thread::spawn({
                let events = Arc::clone(&events);
                move || tell(&events, [1, 2])
            });
            tell(&events, [11, 12]);
            other.join().unwrap();
            let heard = heard.lock().clone();
            assert_eq!(heard.len(), 4, "{heard:?}");
            for pair in [[1, 2], [11, 12]] {
                let order: Vec<u64> = heard.iter().copied().filter(|n| pair.contains(n)).collect();
                assert_eq!(order, pair);
            }
        });
    }
}
