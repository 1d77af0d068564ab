//! [`Loads`]: one initialiser per key at a time, and none that brings back what was removed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::thread::{self, ThreadId};

use parking_lot::{Condvar, Mutex};

use crate::store::Spot;

const STRIPES: usize = 16;

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
