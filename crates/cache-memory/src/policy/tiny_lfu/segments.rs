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
            if self.settle(first, shape, uses) > 0 {
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
            if self.settle(candidate, shape, uses) > 0 {
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

    /// Enters an entry's uses into the sketch; how many there were. In the main segments they are worth
    /// chances, too.
    fn settle(&mut self, place: u32, shape: &Shape, uses: &impl Uses) -> u32 {
        let taken = uses.take(place);
        let standing = &mut self.standing[place as usize];
        let chances = u32::from(standing.chances()) + taken;
        let chances = u8::try_from(chances).unwrap_or(u8::MAX).min(shape.chances);
        *standing = Standing::new(standing.segment(), chances.saturating_sub(1));
        let period = self.period(shape);
        self.sketch.add(uses.hash(place), taken, period);
        taken
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::super::shape::SHAPES;
    use super::*;

    /// Entries whose uses are plain numbers.
    #[derive(Default)]
    struct Plain(RefCell<HashMap<u32, u32>>);

    impl Uses for Plain {
        fn hash(&self, place: u32) -> u32 {
            place.wrapping_mul(0x9e37_79b1)
        }

        fn touched(&self, place: u32) -> bool {
            self.0.borrow().get(&place).is_some_and(|&uses| uses > 0)
        }

        fn take(&self, place: u32) -> u32 {
            self.0.borrow_mut().insert(place, 0).unwrap_or(0)
        }
    }

    /// The same policy on plain vectors, without links, places or packed bytes: an entry is found by
    /// looking through all of them.
    #[derive(Default)]
    struct Model {
        lists: [Vec<u32>; 3],
        chances: HashMap<u32, u8>,
        sketch: Sketch,
        uses: Plain,
    }

    const WINDOW: usize = 0;
    const PROBATION: usize = 1;
    const PROTECTED: usize = 2;

    impl Model {
        fn len(&self) -> usize {
            self.lists.iter().map(Vec::len).sum()
        }

        fn shift(&mut self, entry: u32, to: usize) {
            self.remove(entry);
            self.lists[to].push(entry);
        }

        fn remove(&mut self, entry: u32) {
            self.lists.iter_mut().for_each(|list| list.retain(|&held| held != entry));
        }

        fn live(&self, entry: u32) -> bool {
            self.chances[&entry] > 0 || self.uses.touched(entry)
        }

        fn settle(&mut self, entry: u32, shape: &Shape) {
            let taken = self.uses.take(entry);
            let chances = (u32::from(self.chances[&entry]) + taken).min(u32::from(shape.chances));
            self.chances.insert(entry, u8::try_from(chances.saturating_sub(1)).expect("few"));
            let period = shape.period * self.len().max(1);
            self.sketch.add(self.uses.hash(entry), taken, period);
        }

        fn demote(&mut self, shape: &Shape) {
            for _ in 0..STEPS {
                let len = u32::try_from(self.len()).expect("few");
                if self.lists[PROTECTED].len() <= shape.protected(len) as usize {
                    return;
                }
                let first = self.lists[PROTECTED][0];
                if self.live(first) {
                    self.settle(first, shape);
                    self.shift(first, PROTECTED);
                } else {
                    self.shift(first, PROBATION);
                }
            }
        }

        fn enter(&mut self, entry: u32, shape: &Shape) {
            self.sketch.fit(self.len() + 1, 30);
            let period = shape.period * self.len().max(1);
            self.sketch.add(self.uses.hash(entry), 1, period);
            self.chances.insert(entry, 0);
            self.lists[WINDOW].push(entry);
            for _ in 0..STEPS {
                let len = u32::try_from(self.len()).expect("few");
                if self.lists[WINDOW].len() <= shape.window(len) as usize {
                    return;
                }
                let first = self.lists[WINDOW][0];
                let touched = self.uses.touched(first);
                self.settle(first, shape);
                self.shift(first, if touched { WINDOW } else { PROBATION });
                if !touched {
                    self.demote(shape);
                }
            }
        }

        fn main_victim(&mut self, shape: &Shape) -> Option<u32> {
            for _ in 0..SECOND_CHANCES {
                let on_probation = !self.lists[PROBATION].is_empty();
                let list = if on_probation { PROBATION } else { PROTECTED };
                let first = *self.lists[list].first()?;
                if !self.live(first) {
                    return Some(first);
                }
                self.settle(first, shape);
                self.shift(first, PROTECTED);
                if on_probation {
                    self.demote(shape);
                }
            }
            self.lists[PROBATION].first().or(self.lists[PROTECTED].first()).copied()
        }

        fn victim(&mut self, shape: &Shape) -> Option<u32> {
            for _ in 0..STEPS {
                let len = u32::try_from(self.len()).expect("few");
                if self.lists[WINDOW].len() < shape.window(len) as usize {
                    break;
                }
                let Some(&candidate) = self.lists[WINDOW].first() else { break };
                let touched = self.uses.touched(candidate);
                self.settle(candidate, shape);
                if touched {
                    self.shift(candidate, WINDOW);
                    continue;
                }
                let Some(victim) = self.main_victim(shape) else { return Some(candidate) };
                let seen = |entry| self.sketch.estimate(self.uses.hash(entry));
                let (new, old) = (seen(candidate), seen(victim));
                let admitted = match shape.admission {
                    Admission::Known => new >= 2,
                    Admission::Strict => new > old,
                    Admission::Clear => new > if old >= 4 { old + 1 } else { old },
                };
                if admitted {
                    self.shift(candidate, PROBATION);
                    return Some(victim);
                }
                return Some(candidate);
            }
            self.main_victim(shape).or(self.lists[WINDOW].first().copied())
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// A19: inserts with evictions, hits, removals and changes of shape, step by step.
        #[test]
        fn agree_with_a_model(
            ops in prop::collection::vec((0..12_u8, 0..80_u32), 0..400),
            capacity in 1..30_u32,
        ) {
            let (mut segments, uses) = (Segments::new(30), Plain::default());
            let mut model = Model::default();
            let mut shape = &SHAPES[0];
            let mut held = Vec::new();
            for (op, key) in ops {
                let hit = held.contains(&key);
                match op {
                    0 => shape = &SHAPES[key as usize % SHAPES.len()],
                    1 if hit => {
                        segments.remove(key);
                        model.remove(key);
                        held.retain(|&other| other != key);
                    }
                    _ if hit => {
                        *uses.0.borrow_mut().entry(key).or_default() += 1;
                        *model.uses.0.borrow_mut().entry(key).or_default() += 1;
                    }
                    _ => {
                        if segments.len() == capacity {
                            let victim = segments.victim(shape, &uses);
                            prop_assert_eq!(victim, model.victim(shape));
                            let victim = victim.expect("somebody is there");
                            segments.remove(victim);
                            model.remove(victim);
                            held.retain(|&other| other != victim);
                        }
                        uses.take(key);
                        model.uses.take(key);
                        segments.enter(key, shape, &uses);
                        model.enter(key, shape);
                        held.push(key);
                    }
                }
                let Segments { window, probation, protected, .. } = &segments;
                let lens = [window, probation, protected].map(|list| list.len() as usize);
                prop_assert_eq!(lens, [0, 1, 2].map(|list| model.lists[list].len()));
                prop_assert_eq!(segments.len() as usize, held.len());
            }
        }
    }
}
