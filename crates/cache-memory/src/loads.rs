//! [`Loads`]: one initialiser per key at a time, and none that brings back what was removed.

use std::sync::Arc;

use crate::store::Spot;
use crate::sync::{AtomicBool, AtomicUsize, Condvar, Mutex, Ordering, ThreadId, fence, thread};

/// One under `loom`, which bounds how many things there may be.
const STRIPES: usize = if cfg!(loom) { 1 } else { 16 };

/// The initialisers that are running, by the hashes of their keys. Two keys of one hash, which is
/// rare, take turns as if they were one.
pub(crate) struct Loads {
    running: AtomicUsize,
    stripes: [Stripe; STRIPES],
}

#[derive(Default)]
struct Stripe {
    loads: Mutex<Vec<Load>>,
    landed: Condvar,
}

struct Load {
    spot: Spot,
    thread: ThreadId,
    void: Arc<AtomicBool>,
}

/// The right to initialise a key; given up when dropped, by a panic too.
pub(crate) struct Turn<'a> {
    loads: &'a Loads,
    spot: Spot,
    void: Arc<AtomicBool>,
}

impl Default for Loads {
    fn default() -> Self {
        Self { running: AtomicUsize::new(0), stripes: Default::default() }
    }
}

impl Loads {
    /// Waits until nobody else initialises the key.
    ///
    /// # Panics
    ///
    /// If this very thread does: it would wait for itself.
    pub(crate) fn turn(&self, spot: Spot) -> Turn<'_> {
        let void = Arc::new(AtomicBool::new(false));
        let thread = thread::current().id();
        // Before anything is read. The fences pair: either the writer in `void` sees this load
        // running, or whatever it changed before it looked is seen by what this load reads.
        self.running.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let stripe = self.stripe(spot);
        let mut loads = stripe.loads.lock();
        while let Some(load) = loads.iter().find(|load| load.spot == spot) {
            if load.thread == thread {
                drop(loads);
                self.running.fetch_sub(1, Ordering::SeqCst);
                panic!("an initialiser asked the cache to initialise its own key");
            }
            stripe.landed.wait(&mut loads);
        }
        loads.push(Load { spot, thread, void: Arc::clone(&void) });
        Turn { loads: self, spot, void }
    }

    /// The key is written or removed: what a running initialiser brings is not to be stored. Always
    /// true, to end a condition with.
    #[inline]
    pub(crate) fn void(&self, spot: Spot) -> bool {
        if self.any() {
            self.void_if(self.stripe(spot), |load| load.spot == spot);
        }
        true
    }

    /// The same for who holds the lock of the key's shard, which saves a fence: every load looks for
    /// its key under that lock once it is running. Either it did so before, and is seen here, or it
    /// does so later, and sees what was changed before this.
    #[inline]
    pub(crate) fn void_locked(&self, spot: Spot) -> bool {
        if self.running.load(Ordering::Relaxed) > 0 {
            self.void_if(self.stripe(spot), |load| load.spot == spot);
        }
        true
    }

    fn any(&self) -> bool {
        fence(Ordering::SeqCst);
        self.running.load(Ordering::SeqCst) > 0
    }

    /// The same for all keys.
    pub(crate) fn void_all(&self) {
        if self.any() {
            self.stripes.iter().for_each(|stripe| self.void_if(stripe, |_| true));
        }
    }

    #[allow(clippy::unused_self, reason = "reads as a method of what it changes")]
    fn void_if(&self, stripe: &Stripe, is_it: impl Fn(&Load) -> bool) {
        for load in stripe.loads.lock().iter().filter(|load| is_it(load)) {
            // Read under the lock of the key's shard, which the writer takes after this.
            load.void.store(true, Ordering::Release);
        }
    }

    fn stripe(&self, spot: Spot) -> &Stripe {
        &self.stripes[spot.hash as usize % STRIPES]
    }
}

impl Turn<'_> {
    /// Whether the key was neither written nor removed since the turn began.
    pub(crate) fn holds(&self) -> bool {
        !self.void.load(Ordering::Acquire)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let stripe = self.loads.stripe(self.spot);
        stripe.loads.lock().retain(|load| load.spot != self.spot);
        stripe.landed.notify_all();
        self.loads.running.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(all(test, loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::sync::{Mutex, model};

    const SPOT: Spot = Spot { shard: 0, hash: 7 };

    /// A removal after a change of what is loaded: whatever the order of steps, no value from before
    /// the change is there in the end.
    #[test]
    fn what_was_removed_does_not_come_back() {
        model(3, || {
            let loads = Arc::new(Loads::default());
            let source = Arc::new(AtomicUsize::new(0));
            let stored = Arc::new(Mutex::<Option<usize>>::default());
            let loading = thread::spawn({
                let (loads, source, stored) =
                    (Arc::clone(&loads), Arc::clone(&source), Arc::clone(&stored));
                move || {
                    let turn = loads.turn(SPOT);
                    let value = source.load(Ordering::Relaxed);
                    let mut stored = stored.lock();
                    if turn.holds() {
                        *stored = Some(value);
                    }
                }
            });
            source.store(1, Ordering::Relaxed);
            loads.void(SPOT);
            *stored.lock() = None;
            loading.join().unwrap();
            assert_ne!(*stored.lock(), Some(0));
        });
    }

    /// A write that tells of itself only under the lock under which a load looks for its key.
    #[test]
    fn what_was_written_is_not_overwritten_with_what_was_before() {
        model(3, || {
            let loads = Arc::new(Loads::default());
            let source = Arc::new(AtomicUsize::new(0));
            let stored = Arc::new(Mutex::<Option<usize>>::default());
            let loading = thread::spawn({
                let (loads, source, stored) =
                    (Arc::clone(&loads), Arc::clone(&source), Arc::clone(&stored));
                move || {
                    let turn = loads.turn(SPOT);
                    if stored.lock().is_some() {
                        return;
                    }
                    let value = source.load(Ordering::Relaxed);
                    let mut stored = stored.lock();
                    if turn.holds() {
                        *stored = Some(value);
                    }
                }
            });
            source.store(1, Ordering::Relaxed);
            {
                let mut stored = stored.lock();
                loads.void_locked(SPOT);
                *stored = Some(1);
            }
            *stored.lock() = None; // evicted
            loading.join().unwrap();
            assert_ne!(*stored.lock(), Some(0));
        });
    }

    /// Two initialisers of one key never run at once, and the second one gets its turn.
    #[test]
    fn one_at_a_time() {
        model(3, || {
            let loads = Arc::new(Loads::default());
            let running = Arc::new(AtomicUsize::new(0));
            let load = |loads: &Loads, running: &AtomicUsize| {
                let turn = loads.turn(SPOT);
                assert_eq!(running.fetch_add(1, Ordering::Relaxed), 0);
                running.fetch_sub(1, Ordering::Relaxed);
                drop(turn);
            };
            let other = thread::spawn({
                let (loads, running) = (Arc::clone(&loads), Arc::clone(&running));
                move || load(&loads, &running)
            });
            load(&loads, &running);
            other.join().unwrap();
            assert_eq!(loads.running.load(Ordering::SeqCst), 0);
        });
    }
}
