//! An allocator that counts the bytes alive and the allocations, while it is asked to.
#![allow(unsafe_code, reason = "there is no other way to see what a cache allocates")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// Off outside of `live_bytes` and `allocations`: contenders that allocate on each insertion must not pay for counting
// while they are timed. No memory is published through these, hence `Relaxed`.
static COUNTS: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicI64 = AtomicI64::new(0);
static MADE: AtomicU64 = AtomicU64::new(0);

struct Counting;

fn count(bytes: usize, sign: i64) {
    if COUNTS.load(Ordering::Relaxed) {
        LIVE.fetch_add(sign * bytes.cast_signed() as i64, Ordering::Relaxed);
        MADE.fetch_add(u64::from(sign > 0), Ordering::Relaxed);
    }
}

// SAFETY: every call goes to `System` with the arguments it came with, so its promises hold; and
// counting neither allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: as above. Not left to the provided method, which would touch every page.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: as above; what `alloc` returned came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(layout.size(), -1);
        count(size, 1);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Runs `work` and returns what it made, and how many bytes more were alive when it was done. On
/// every thread, so nothing else may run meanwhile.
pub(crate) fn live_bytes<T>(work: impl FnOnce() -> T) -> (T, i64) {
    (counted(work), LIVE.load(Ordering::Relaxed))
}

/// The same with how often memory was asked for; to grow what there is counts as once more.
pub(crate) fn allocations<T>(work: impl FnOnce() -> T) -> (T, u64) {
    (counted(work), MADE.load(Ordering::Relaxed))
}

fn counted<T>(work: impl FnOnce() -> T) -> T {
    LIVE.store(0, Ordering::Relaxed);
    MADE.store(0, Ordering::Relaxed);
    COUNTS.store(true, Ordering::Relaxed);
    let made = work();
    COUNTS.store(false, Ordering::Relaxed);
    made
}
