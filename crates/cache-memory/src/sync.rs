//! Where the protocols between threads ([`Budget`](crate::budget), [`Loads`](crate::loads),
//! [`Events`](crate::events)) get their atomics and locks from: `loom`'s when `--cfg loom` is set, so
//! that their models try every order of steps, else those of the standard library and `parking_lot`.

#[cfg(not(loom))]
pub(crate) use {
    parking_lot::{Condvar, Mutex},
    std::{
        sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence},
        thread,
        thread::ThreadId,
        thread_local,
    },
};

#[cfg(loom)]
pub(crate) use {
    loom::{
        sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence},
        thread,
        thread::ThreadId,
        thread_local,
    },
    shapes::{Condvar, Mutex},
};

/// `loom`'s locks in the shape of `parking_lot`'s.
#[cfg(loom)]
mod shapes {
    use std::ops::{Deref, DerefMut};
    use std::time::Duration;

    use loom::sync;

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(sync::Mutex<T>);

    /// Empty only while a condition is waited for.
    pub(crate) struct Guard<'a, T>(Option<sync::MutexGuard<'a, T>>);

    impl<T> Mutex<T> {
        pub(crate) fn lock(&self) -> Guard<'_, T> {
            Guard(self.0.lock().ok())
        }

        pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
            self.0.try_lock().ok().map(|guard| Guard(Some(guard)))
        }

        /// `loom` knows no time: it is up at once.
        pub(crate) fn try_lock_for(&self, _: Duration) -> Option<Guard<'_, T>> {
            self.try_lock()
        }
    }

    impl<T> Deref for Guard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.0.as_ref().expect("nobody waits")
        }
    }

    impl<T> DerefMut for Guard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().expect("nobody waits")
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(sync::Condvar);

    impl Condvar {
        pub(crate) fn wait<T>(&self, guard: &mut Guard<'_, T>) {
            let held = guard.0.take().expect("nobody waits");
            guard.0 = self.0.wait(held).ok();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}

/// Tries every order of steps of the threads in `run` in which no more than so many are interrupted
/// where they would not have to wait: most faults between threads need one or two (Musuvathi and Qadeer,
/// PLDI 2007).
#[cfg(all(test, loom))]
pub(crate) fn model(interruptions: usize, run: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(interruptions);
    model.check(run);
}
