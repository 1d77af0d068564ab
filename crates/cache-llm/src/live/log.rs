//! [`Log`]: what the task that reads the upstream and the readers share, under one lock.

use std::collections::VecDeque;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use slab::Slab;
use tokio::time::Instant;

use super::{LiveError, Recording};

/// As long as that is as good as without end, and can be added to any time.
const FOR_EVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// The chunks that are kept, who is where in them, and who waits for what.
///
/// Whoever waits leaves a waker, and is woken by whoever changes what it waits for, when the lock is
/// given back.
pub(super) struct Log {
    max_bytes: usize,
    /// How long the upstream is read on when nobody is left.
    linger: Duration,
    chunks: VecDeque<Bytes>,
    /// How many readers are about to read each chunk that is kept, and, last, the one to come.
    positions: VecDeque<usize>,
    /// How many chunks came before the first one kept.
    dropped: u64,
    /// What the chunks kept count for.
    kept: usize,
    /// More came than is kept: no joining, no recording, and the readers set the pace.
    overflowed: bool,
    /// Those who are there, by whom to wake when there is more.
    readers: Slab<Option<Waker>>,
    /// The task, when it waits for room or for the upstream.
    task: Option<Waker>,
    /// Nobody is left: until when to read on all the same.
    deserted_until: Option<Instant>,
    /// The upstream is, or is being, dropped, or at its end: the end of the readers ends nothing.
    upstream_done: bool,
    /// It was dropped before its end, since nobody was left.
    abandoned: bool,
    end: Option<Result<(), LiveError>>,
}

/// Where a reader is.
pub(super) struct Place {
    slot: usize,
    position: u64,
}

/// What a reader finds.
pub(super) enum Found {
    /// A chunk, and the task to wake, if it waits for room.
    Chunk(Bytes, Option<Waker>),
    End(Result<(), LiveError>),
    /// Nothing yet; it is woken.
    Nothing,
}

/// What the task may do.
pub(super) enum Turn {
    /// Read the next chunk; not longer than until then, if nobody is there to have it.
    Read(Option<Instant>),
    /// Nothing until it is woken.
    Wait,
    /// Drop the upstream: nobody is left.
    Leave(Recording),
}

impl Log {
    pub(super) fn new(max_bytes: usize, linger: Duration) -> Self {
        Self {
            max_bytes,
            linger: linger.min(FOR_EVER),
            chunks: VecDeque::new(),
            positions: VecDeque::from([0]),
            dropped: 0,
            kept: 0,
            overflowed: false,
            readers: Slab::new(),
            task: None,
            deserted_until: None,
            upstream_done: false,
            abandoned: false,
            end: None,
        }
    }

    pub(super) fn kept(&self) -> usize {
        self.kept
    }

    pub(super) fn readers(&self) -> usize {
        self.readers.len()
    }

    pub(super) fn end(&self) -> Option<&Result<(), LiveError>> {
        self.end.as_ref()
    }

    // For the task.

    /// What to do next. If it is to wait, for this or for the upstream, it is woken when that changes.
    pub(super) fn turn(&mut self, context: &Context<'_>) -> Turn {
        if self.deserted_until.is_some_and(|until| self.overflowed || Instant::now() >= until) {
            self.abandoned = true;
            self.upstream_done = true;
            return Turn::Leave(if self.overflowed {
                Recording::TooLarge
            } else {
                Recording::Abandoned(self.all())
            });
        }
        leave_waker(&mut self.task, context);
        if self.overflowed && self.kept > self.max_bytes {
            return Turn::Wait;
        }
        Turn::Read(self.deserted_until)
    }

    /// Adds a chunk, which is not empty; whom to wake is put into `woken`.
    pub(super) fn append(&mut self, chunk: Bytes, woken: &mut Vec<Waker>) {
        self.kept += weight(&chunk);
        self.chunks.push_back(chunk);
        self.positions.push_back(0);
        if !self.overflowed && self.kept > self.max_bytes {
            self.overflowed = true;
            self.drop_read();
        }
        self.wake_readers(woken);
    }

    /// The upstream ended by itself: what there is of it.
    pub(super) fn recorded(&mut self) -> Recording {
        self.upstream_done = true;
        if self.overflowed { Recording::TooLarge } else { Recording::Ended(self.all()) }
    }

    /// Tells the readers how it ended; the first call counts.
    pub(super) fn finish(&mut self, end: Result<(), LiveError>, woken: &mut Vec<Waker>) {
        self.upstream_done = true;
        self.end.get_or_insert(end);
        self.wake_readers(woken);
    }

    fn all(&self) -> Vec<Bytes> {
        self.chunks.iter().cloned().collect()
    }

    fn wake_readers(&mut self, woken: &mut Vec<Waker>) {
        woken.extend(self.readers.iter_mut().filter_map(|(_, waker)| waker.take()));
    }

    // For readers.

    /// One more, from the first byte on; `None` if that is gone, or the body known to be broken.
    pub(super) fn enter(&mut self) -> Option<Place> {
        if self.overflowed || self.abandoned || matches!(self.end, Some(Err(_))) {
            return None;
        }
        self.deserted_until = None;
        self.positions[0] += 1; // nothing is dropped before it overflows
        Some(Place { slot: self.readers.insert(None), position: 0 })
    }

    /// What there is at this place, which moves on behind it.
    pub(super) fn read(&mut self, place: &mut Place, context: &Context<'_>) -> Found {
        let at = self.at(place);
        let Some(chunk) = self.chunks.get(at).cloned() else {
            if let Some(end) = &self.end {
                return Found::End(end.clone());
            }
            leave_waker(&mut self.readers[place.slot], context);
            return Found::Nothing;
        };
        self.positions[at] -= 1;
        self.positions[at + 1] += 1;
        place.position += 1;
        Found::Chunk(chunk, self.make_room())
    }

    /// One reader less; the task to wake.
    pub(super) fn leave(&mut self, place: &Place) -> Option<Waker> {
        let at = self.at(place);
        self.positions[at] -= 1;
        self.readers.remove(place.slot);
        if self.readers.is_empty() && !self.upstream_done {
            // The upstream is given up by who reads it: whoever joins before that has it.
            self.deserted_until = Some(Instant::now() + self.linger);
            return self.task.take();
        }
        self.make_room()
    }

    fn at(&self, place: &Place) -> usize {
        usize::try_from(place.position - self.dropped).expect("what a reader has not read is kept")
    }

    /// If readers set the pace, drops what all have; the task to wake.
    fn make_room(&mut self) -> Option<Waker> {
        if !self.overflowed {
            return None;
        }
        self.drop_read();
        self.task.take()
    }

    fn drop_read(&mut self) {
        while self.positions[0] == 0
            && !self.readers.is_empty()
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.positions.pop_front();
            self.dropped += 1;
            self.kept -= weight(&chunk);
        }
    }
}

/// What a chunk counts for. Events are longer than that; bytes one by one are not to fill the memory
/// with what goes with each.
fn weight(chunk: &Bytes) -> usize {
    chunk.len().max(16)
}

/// Whoever waits is mostly the same task as before, whose waker is there then.
fn leave_waker(slot: &mut Option<Waker>, context: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(context.waker()),
        None => *slot = Some(context.waker().clone()),
    }
}

/// Wakes all of these, without the lock.
pub(super) fn wake(woken: &mut Vec<Waker>) {
    woken.drain(..).for_each(Waker::wake);
}
