//! [`Segments`]: window, probation and protected, and who leaves them.

use super::shape::{Admission, Shape};
use super::sketch::Sketch;
use crate::line::{Links, List, reach};
use crate::policy::SECOND_CHANCES;

/// Corrections of one kind that one call makes at most: lists drift to their shares.
const STEPS: usize = 16;

/// What the segments have to know of the entries in them.
pub(super) trait Uses {
    fn hash(&self, place: u32) -> u32;
    /// Whether the entry was used since its uses were last taken.
    fn touched(&self, place: u32) -> bool;
    /// How often it was used since then, up to a point.
    fn take(&self, place: u32) -> u32;
}

/// A new entry begins in the window. Who leaves the window for lack of space there has to be let into
/// the main segments, where it is on probation first and protected once it was used.
///
/// Lists stand from the entry that is next to leave them to the one that came last. Hits move
/// nothing: what they count on the entries is settled when an entry is first in its list.
#[derive(Debug, Default)]
pub(super) struct Segments {
    links: Links,
    window: List,
    probation: List,
    protected: List,
    standing: Vec<Standing>,
    sketch: Sketch,
    /// How many entries there will be, as far as anybody can tell.
    expected: usize,
}

/// Where an entry stands, in a byte: there is one of these for each.
#[derive(Clone, Copy, Debug, Default)]
struct Standing(u8);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Segment {
    Window,
    Probation,
    Protected,
}

impl Standing {
    const fn new(segment: Segment, chances: u8) -> Self {
        Self(chances << 2 | segment as u8)
    }

    const fn segment(self) -> Segment {
        match self.0 & 3 {
            0 => Segment::Window,
            1 => Segment::Probation,
            _ => Segment::Protected,
        }
    }

    /// Rounds that it may yet pass unused.
    const fn chances(self) -> u8 {
        self.0 >> 2
    }
}

impl Segments {
    pub(super) fn new(expected: usize) -> Self {
        Self { expected, ..Self::default() }
    }

    pub(super) fn expected(&self) -> usize {
        self.expected
    }

    pub(super) fn expect(&mut self, entries: usize) {
        self.expected = entries.max(1);
    }

    pub(super) fn len(&self) -> u32 {
        self.window.len() + self.probation.len() + self.protected.len()
    }

    /// Takes in a new entry.
    pub(super) fn enter(&mut self, place: u32, shape: &Shape, uses: &impl Uses) {
        self.sketch.fit(self.len() as usize + 1, self.expected);
        let period = self.period(shape);
        self.sketch.add(uses.hash(place), 1, period);
        reach(&mut self.standing, place, Standing::default());
        self.standing[place as usize] = Standing::default();
        self.window.push(&mut self.links, place);
        // Room was made already, so whoever has to leave the window moves on without a contest.
        for _ in 0..STEPS {
            if self.window.len() <= shape.window(self.len()) {
                return;
            }
            let Some(first) = self.window.first() else { return };
            let touched = uses.touched(first);
            self.settle(first, shape, uses);
            if touched {
                self.window.rotate(&mut self.links);
                continue;
            }
            self.shift(first, Segment::Probation);
            self.demote(shape, uses); // after a change of shape the protected segment shrinks here
        }
    }

    /// Takes out an entry, whatever the reason.
    pub(super) fn remove(&mut self, place: u32) {
        let segment = self.standing[place as usize].segment();
        let Self { links, window, probation, protected, .. } = self;
        match segment {
            Segment::Window => window.remove(links, place),
            Segment::Probation => probation.remove(links, place),
            Segment::Protected => protected.remove(links, place),
        }
    }

    /// Who leaves, so that another may enter.
    pub(super) fn victim(&mut self, shape: &Shape, uses: &impl Uses) -> Option<u32> {
        for _ in 0..STEPS {
            if self.window.len() < shape.window(self.len()) {
                break;
            }
            let Some(candidate) = self.window.first() else { break };
            let touched = uses.touched(candidate);
            self.settle(candidate, shape, uses);
            if touched {
                self.window.rotate(&mut self.links);
                continue;
            }
            let Some(victim) = self.main_victim(shape, uses) else { return Some(candidate) };
            if !self.admits(shape.admission, candidate, victim, uses) {
                return Some(candidate);
            }
            self.shift(candidate, Segment::Probation);
            return Some(victim);
        }
        self.main_victim(shape, uses).or_else(|| self.window.first())
    }

    /// Who is next to leave the main segments. Each round takes a use or a chance from an entry.
    fn main_victim(&mut self, shape: &Shape, uses: &impl Uses) -> Option<u32> {
        for _ in 0..SECOND_CHANCES {
            let (first, on_probation) = match self.probation.first() {
                Some(first) => (first, true),
                None => (self.protected.first()?, false),
            };
            if !self.is_live(first, uses) {
                return Some(first);
            }
            self.settle(first, shape, uses);
            self.shift(first, Segment::Protected);
            if on_probation {
                self.demote(shape, uses);
            }
        }
        self.probation.first().or_else(|| self.protected.first())
    }

    /// Moves who is first in the protected segment back on probation while there are too many.
    fn demote(&mut self, shape: &Shape, uses: &impl Uses) {
        for _ in 0..STEPS {
            if self.protected.len() <= shape.protected(self.len()) {
                return;
            }
            let Some(first) = self.protected.first() else { return };
            if self.is_live(first, uses) {
                self.settle(first, shape, uses);
                self.protected.rotate(&mut self.links);
            } else {
                self.shift(first, Segment::Probation);
            }
        }
    }

    fn admits(&self, admission: Admission, candidate: u32, victim: u32, uses: &impl Uses) -> bool {
        let seen = |place| self.sketch.estimate(uses.hash(place));
        match admission {
            Admission::Known => seen(candidate) >= 2,
            Admission::Strict => seen(candidate) > seen(victim),
            Admission::Clear => {
                let victim = seen(victim);
                seen(candidate) > victim + u32::from(victim >= 4)
            }
        }
    }

    fn is_live(&self, place: u32, uses: &impl Uses) -> bool {
        self.standing[place as usize].chances() > 0 || uses.touched(place)
    }

    /// Enters an entry's uses into the sketch. In the main segments they are worth chances, too.
    fn settle(&mut self, place: u32, shape: &Shape, uses: &impl Uses) {
        let taken = uses.take(place);
        let standing = &mut self.standing[place as usize];
        let chances = u32::from(standing.chances()) + taken;
        let chances = u8::try_from(chances).unwrap_or(u8::MAX).min(shape.chances);
        *standing = Standing::new(standing.segment(), chances.saturating_sub(1));
        let period = self.period(shape);
        self.sketch.add(uses.hash(place), taken, period);
    }

    fn shift(&mut self, place: u32, to: Segment) {
        self.remove(place);
        let Self { links, window, probation, protected, .. } = self;
        match to {
            Segment::Window => window.push(links, place),
            Segment::Probation => probation.push(links, place),
            Segment::Protected => protected.push(links, place),
        }
        let standing = &mut self.standing[place as usize];
        *standing = Standing::new(to, standing.chances());
    }

    fn period(&self, shape: &Shape) -> usize {
        shape.period * (self.len() as usize).max(1)
    }
}
