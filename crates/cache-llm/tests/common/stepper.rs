//! Callers driven by hand: each takes a step when it is its turn, and only if something woke it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Lets others take a step.
pub(crate) async fn step() {
    let mut has_yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Whether somebody is to be polled.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A future that is polled when it is told to be, and only if it was woken.
pub(crate) struct Stepped<T> {
    future: Option<Pin<Box<dyn Future<Output = T>>>>,
    woken: Arc<Flag>,
    output: Option<T>,
}

impl<T> Stepped<T> {
    pub(crate) fn new(future: impl Future<Output = T> + 'static) -> Self {
        let woken = Arc::new(Flag(AtomicBool::new(true)));
        Self { future: Some(Box::pin(future)), woken, output: None }
    }

    /// Polls it if it was woken; whether it was.
    pub(crate) fn step(&mut self) -> bool {
        let Some(future) = &mut self.future else { return false };
        if !self.woken.0.swap(false, Ordering::SeqCst) {
            return false;
        }
        let waker = Waker::from(Arc::clone(&self.woken));
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            self.output = Some(output);
            self.future = None;
        }
        true
    }

    /// Drops it; whether it was under way.
    pub(crate) fn leave(&mut self) -> bool {
        self.future.take().is_some()
    }

    /// Whether it has come to its end, or was dropped.
    pub(crate) fn is_over(&self) -> bool {
        self.future.is_none()
    }

    /// What it came to; `None` if it was dropped.
    pub(crate) fn output(self) -> Option<T> {
        self.output
    }
}
