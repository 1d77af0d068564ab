//! [`Lookups`]: hits and misses, counted where nobody else counts.

use std::sync::atomic::{AtomicU64, Ordering};

use thread_local::ThreadLocal;

/// A pair of counters for each thread.
///
/// One pair for all would be written by every lookup of every thread, and cost more than the
/// lookup. A thread's own is written by that thread alone, so adding to it needs no locked
/// instruction; a thread that ends leaves its pair to the next one.
#[derive(Default)]
pub(crate) struct Lookups(ThreadLocal<Pair>);

#[derive(Default)]
#[repr(align(128))] // the pairs of two threads are not on one cache line
struct Pair {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Lookups {
    #[inline]
    pub(crate) fn count(&self, hit: bool) {
        let pair = self.0.get_or_default();
        let counter = if hit { &pair.hits } else { &pair.misses };
        // Nobody else writes it, so no addition is lost between the load and the store.
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Hits and misses of all threads.
    pub(crate) fn read(&self) -> (u64, u64) {
        self.0.iter().fold((0, 0), |(hits, misses), pair| {
            let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            (hits + get(&pair.hits), misses + get(&pair.misses))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A77: a thousand increments from many threads at once are a thousand, and counts outlive
    /// their threads.
    #[test]
    fn nothing_is_lost() {
        let lookups = Lookups::default();
        for _ in 0..4 {
            std::thread::scope(|threads| {
                for _ in 0..25 {
                    threads.spawn(|| (0..10).for_each(|n| lookups.count(n % 5 != 0)));
                }
            });
        }
        assert_eq!(lookups.read(), (800, 200));
    }
}
