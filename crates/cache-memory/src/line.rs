//! What stands beside the map: in which order entries leave, and when they expire.

use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::Timestamp;
use parking_lot::Mutex;

use crate::policy::{Age, Ranking};
use crate::ranks::Ranks;

/// A part of the policy state, for the keys of one or more shards of the map.
///
/// # Invariants
///
/// * A ticket is given out and taken back only while the map shard of its entry is write-locked,
///   so an entry is in the map exactly if its ticket is in line. (`clear` alone empties a map shard
///   first and takes the tickets back afterwards; a ticket without an entry is harmless: whoever
///   meets it takes it back.)
/// * Locks are taken in the order map shard, line, and no user code runs under the line's.
#[derive(Default)]
pub(crate) struct Shard {
    pub(crate) age: Age,
    soonest: Soonest,
    line: Mutex<Line>,
}

/// No entry of the shard expires before this, in Unix milliseconds: a lower bound, so that writers
/// can skip the line when nothing can have expired.
#[repr(align(128))]
struct Soonest(AtomicU64);

impl Default for Soonest {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

/// An entry's place in line. Never given out twice, so a stale one can do no harm (A42).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ticket {
    index: u32,
    generation: u32,
}

/// The entry that should leave next, as seen under the line's lock; by now it may be gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// Where in the map it is: with the ticket, that finds it without its key.
    pub(crate) hash: u64,
    pub(crate) ticket: Ticket,
    /// The rank it stands at.
    pub(crate) rank: u64,
    /// Its time is up.
    pub(crate) expired: bool,
}

/// Both orders over the same nodes.
#[derive(Default)]
pub(crate) struct Line {
    nodes: Vec<Node>,
    free: Vec<u32>,
    next_generation: u32,
    /// Insertions since the policy's age last moved on.
    insertions: u64,
    /// By the policy's rank.
    pub(crate) order: Ranks,
    /// By the end of life, those that have one.
    pub(crate) deadlines: Ranks,
}

#[derive(Clone, Copy)]
struct Node {
    hash: u64,
    generation: u32,
}

impl Shard {
    /// Puts a new entry in line; its ticket and first marks.
    pub(crate) fn link(&self, ranking: &dyn Ranking, hash: u64, end: Timestamp) -> (Ticket, u64) {
        let mut line = self.line.lock();
        line.insertions += 1;
        let marks = ranking.stored(None, &self.age);
        let ticket = line.take_node(hash);
        line.order.insert(ticket.index, ranking.rank(marks));
        self.set_deadline(&mut line, ticket.index, None, end);
        self.keep_age(&mut line, ranking);
        (ticket, marks)
    }

    /// Gives the entry that replaces another a ticket of its own. `marks` are the old entry's;
    /// `None` if the policy is not to know of it, since its time was up.
    pub(crate) fn relink(
        &self,
        ranking: &dyn Ranking,
        old: Ticket,
        marks: Option<u64>,
        ends: (Timestamp, Timestamp),
    ) -> (Ticket, u64) {
        let mut line = self.line.lock();
        let index = old.index;
        let ticket = line.renew(index);
        let inherits = marks.is_some();
        let marks = ranking.stored(marks, &self.age);
        let rank = ranking.rank(marks);
        // The same rank keeps the same place: a FIFO does not queue an overwritten key anew.
        if !inherits || rank != line.order.rank(index) {
            line.order.remove(index);
            line.order.insert(index, rank);
        }
        self.set_deadline(&mut line, index, Some(ends.0), ends.1);
        (ticket, marks)
    }

    /// Takes a ticket back; nothing happens if it is not in line any more.
    pub(crate) fn unlink(&self, ranking: &dyn Ranking, ticket: Ticket) {
        let mut line = self.line.lock();
        if line.holds(ticket) {
            line.order.remove(ticket.index);
            line.deadlines.remove(ticket.index);
            line.give_back(ticket.index);
            self.keep_age(&mut line, ranking);
        }
    }

    /// Moves an entry to the place of `rank`, to which hits have raised it.
    pub(crate) fn rerank(&self, ticket: Ticket, rank: u64) {
        let mut line = self.line.lock();
        if line.holds(ticket) {
            line.order.remove(ticket.index);
            line.order.insert(ticket.index, rank);
        }
    }

    /// Who leaves next: whose time is up, else the policy's choice.
    pub(crate) fn victim(&self, ranking: &dyn Ranking, now: Timestamp) -> Option<Candidate> {
        let mut line = self.line.lock();
        if let Some(expired) = self.first_expired(&mut line, now) {
            return Some(expired);
        }
        let (index, rank) = ranking.victim(&mut line)?;
        Some(line.candidate(index, rank, false))
    }

    /// An entry whose time is up. Costs one atomic read when there is none.
    pub(crate) fn expired(&self, now: Timestamp) -> Option<Candidate> {
        if now.as_unix_millis() < self.soonest.0.load(Ordering::Relaxed) {
            return None;
        }
        self.first_expired(&mut self.line.lock(), now)
    }

    fn first_expired(&self, line: &mut Line, now: Timestamp) -> Option<Candidate> {
        if now.as_unix_millis() < self.soonest.0.load(Ordering::Relaxed) {
            return None;
        }
        let first = line.deadlines.first();
        self.soonest.0.store(first.map_or(u64::MAX, |(_, end)| end), Ordering::Relaxed);
        let (index, end) = first.filter(|&(_, end)| end <= now.as_unix_millis())?;
        Some(line.candidate(index, end, true))
    }

    fn set_deadline(&self, line: &mut Line, index: u32, old: Option<Timestamp>, end: Timestamp) {
        if old == Some(end) {
            return;
        }
        line.deadlines.remove(index);
        if end < Timestamp::MAX {
            let end = end.as_unix_millis();
            line.deadlines.insert(index, end);
            // All stores happen under the line's lock, so none is lost.
            if end < self.soonest.0.load(Ordering::Relaxed) {
                self.soonest.0.store(end, Ordering::Relaxed);
            }
        }
    }

    fn keep_age(&self, line: &mut Line, ranking: &dyn Ranking) {
        let held = line.live();
        if ranking.period(held).is_some_and(|period| line.insertions >= period) {
            line.insertions = 0;
            self.age.advance();
        }
        self.age.set_fine(ranking.is_fine(held));
    }

    /// How many places there are, free ones included: what the line's memory grows with.
    #[cfg(test)]
    pub(crate) fn places(&self) -> usize {
        self.line.lock().nodes.len()
    }

    /// The tickets that are out, and how many stand in either order: for tests of the invariant.
    #[cfg(test)]
    pub(crate) fn audit(&self) -> (Vec<Ticket>, usize, usize) {
        let line = self.line.lock();
        let tickets = (0_u32..).zip(&line.nodes);
        let tickets = tickets.filter(|(index, _)| !line.free.contains(index));
        let ticket = |(index, node): (u32, &Node)| Ticket { index, generation: node.generation };
        (tickets.map(ticket).collect(), line.order.count(), line.deadlines.count())
    }
}

impl Line {
    /// How many entries are in line.
    fn live(&self) -> u64 {
        (self.nodes.len() - self.free.len()) as u64
    }

    fn holds(&self, ticket: Ticket) -> bool {
        self.nodes
            .get(ticket.index as usize)
            .is_some_and(|node| node.generation == ticket.generation)
    }

    fn candidate(&self, index: u32, rank: u64, expired: bool) -> Candidate {
        let Node { hash, generation } = self.nodes[index as usize];
        Candidate { hash, ticket: Ticket { index, generation }, rank, expired }
    }

    fn take_node(&mut self, hash: u64) -> Ticket {
        let index = self.free.pop().unwrap_or_else(|| {
            let index = u32::try_from(self.nodes.len()).ok().filter(|&index| index < u32::MAX - 1);
            self.nodes.push(Node { hash, generation: 0 });
            index.expect("four thousand million entries of a shard do not fit in memory")
        });
        self.nodes[index as usize].hash = hash;
        self.renew(index)
    }

    /// Voids the tickets given out for this place and makes the next.
    fn renew(&mut self, index: u32) -> Ticket {
        self.next_generation = self.next_generation.wrapping_add(1);
        self.nodes[index as usize].generation = self.next_generation;
        Ticket { index, generation: self.next_generation }
    }

    fn give_back(&mut self, index: u32) {
        self.renew(index);
        self.free.push(index);
        // After a burst or a `clear` the memory goes back too; small lines keep theirs.
        if self.live() == 0 && self.nodes.len() > 1024 {
            *self = Self { next_generation: self.next_generation, ..Self::default() };
        }
    }
}
