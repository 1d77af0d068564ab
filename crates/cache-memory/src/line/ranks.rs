//! [`Ranks`]: small ids in the order of their ranks, at a bounded cost per operation.

/// Bits of a rank that one level of the tree tells apart, so that one word says which are in use.
const BITS: u32 = 6;
const FAN: usize = 1 << BITS;
/// Levels that tell all 64 bits apart.
const MAX_HEIGHT: u32 = u64::BITS.div_ceil(BITS);
/// A bucket with more ids than this is divided, if there is a level below it.
const BUCKET: u32 = 64;
const ROOT: u32 = 0;
const NIL: u32 = u32::MAX;
/// In `Link::prev`: the id stands nowhere.
const ABSENT: u32 = u32::MAX - 1;

/// Ids in the order of their ranks; ids of equal rank in the order in which they came.
///
/// A tree of 64-way branches over the digits of the rank, most significant first, whose leaves are
/// linked lists. It is as high as the highest rank needs (four levels for sixteen million ranks,
/// seven for milliseconds since 1970), and a list is divided only when it is long or the lowest
/// rank is sought in it. So every operation takes at most a step a level, and `insert` and `first`
/// now and then up to 64 more to divide a list: a burst trie (Heinz, Zobel and Williams, 2002)
/// with the bitmaps of a van Emde Boas layout. Ids that share one rank cost what a plain linked
/// list does.
#[derive(Debug, Default)]
pub(crate) struct Ranks {
    links: Vec<Link>,
    branches: Vec<Branch>,
    free: Vec<u32>,
    height: u32,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    rank: u64,
    prev: u32,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct Branch {
    /// Which slots are not empty.
    full: u64,
    /// Which of them hold a branch and not a list.
    split: u64,
    slots: [Slot; FAN],
}

/// A list of ids, or in `head` the number of a branch.
#[derive(Clone, Copy, Debug)]
struct Slot {
    head: u32,
    tail: u32,
    len: u32,
}

impl Slot {
    const EMPTY: Self = Self { head: NIL, tail: NIL, len: 0 };
}

impl Branch {
    const EMPTY: Self = Self { full: 0, split: 0, slots: [Slot::EMPTY; FAN] };

    fn is_split(&self, digit: usize) -> bool {
        self.split >> digit & 1 == 1
    }
}

/// Which slot a rank belongs to in a branch of this level; leaves' parents are level 0.
fn digit(rank: u64, level: u32) -> usize {
    usize::from((rank >> (BITS * level)).to_le_bytes()[0]) % FAN
}

impl Ranks {
    /// The id of the lowest rank with that rank.
    pub(crate) fn first(&mut self) -> Option<(u32, u64)> {
        if self.branches.is_empty() || self.branches[ROOT as usize].full == 0 {
            return None;
        }
        let (mut at, mut level) = (ROOT, self.height - 1);
        loop {
            let branch = &self.branches[at as usize];
            let digit = branch.full.trailing_zeros() as usize;
            let slot = branch.slots[digit];
            if !branch.is_split(digit) {
                if level == 0 || slot.len == 1 {
                    return Some((slot.head, self.links[slot.head as usize].rank));
                }
                self.divide(at, level, digit);
            }
            at = self.branches[at as usize].slots[digit].head;
            level -= 1;
        }
    }

    /// Lines `id` up behind all of its rank. It must not be in line.
    pub(crate) fn insert(&mut self, id: u32, rank: u64) {
        let index = id as usize;
        super::grow::reach(&mut self.links, id, Link { rank: 0, prev: ABSENT, next: NIL });
        debug_assert_eq!(self.links[index].prev, ABSENT, "id is in line already");
        self.links[index].rank = rank;
        self.grow(rank);
        let (mut at, mut level) = (ROOT, self.height - 1);
        while self.branches[at as usize].is_split(digit(rank, level)) {
            at = self.branches[at as usize].slots[digit(rank, level)].head;
            level -= 1;
        }
        self.append(at, digit(rank, level), id);
        if level > 0 && self.branches[at as usize].slots[digit(rank, level)].len > BUCKET {
            self.divide(at, level, digit(rank, level));
        }
    }

    /// Takes `id` out of the line; nothing happens if it is not in it.
    #[inline]
    pub(crate) fn remove(&mut self, id: u32) {
        if let Some(&link) = self.links.get(id as usize)
            && link.prev != ABSENT
        {
            self.take_out(id, link);
        }
    }

    fn take_out(&mut self, id: u32, Link { rank, prev, next }: Link) {
        self.links[id as usize].prev = ABSENT;
        // Down to the list that it is in, remembering the way: branches that empty are freed.
        let mut way = [ROOT; MAX_HEIGHT as usize];
        let (mut depth, mut level) = (0, self.height - 1);
        while self.branches[way[depth] as usize].is_split(digit(rank, level)) {
            way[depth + 1] = self.branches[way[depth] as usize].slots[digit(rank, level)].head;
            depth += 1;
            level -= 1;
        }
        if next != NIL {
            self.links[next as usize].prev = prev;
        }
        if prev != NIL {
            self.links[prev as usize].next = next;
        }
        let branch = &mut self.branches[way[depth] as usize];
        let slot = &mut branch.slots[digit(rank, level)];
        slot.len -= 1;
        if slot.head == id {
            slot.head = next;
        }
        if slot.tail == id {
            slot.tail = prev;
        }
        if slot.len > 0 {
            return;
        }
        branch.full &= !(1 << digit(rank, level));
        while depth > 0 && self.branches[way[depth] as usize].full == 0 {
            self.free.push(way[depth]);
            depth -= 1;
            level += 1;
            let parent = &mut self.branches[way[depth] as usize];
            parent.slots[digit(rank, level)] = Slot::EMPTY;
            parent.full &= !(1 << digit(rank, level));
            parent.split &= !(1 << digit(rank, level));
        }
    }

    /// How many ids are in line.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.links.iter().filter(|link| link.prev != ABSENT).count()
    }

    /// Makes the tree high enough for `rank`; an empty tree also lower.
    fn grow(&mut self, rank: u64) {
        if self.branches.is_empty() {
            self.branches.push(Branch::EMPTY);
        }
        if self.branches[ROOT as usize].full == 0 {
            self.height = 1;
        }
        while self.height < MAX_HEIGHT && rank >> (BITS * self.height) != 0 {
            self.height += 1;
            let old = self.branches[ROOT as usize];
            if old.full != 0 {
                let below = self.branch();
                self.branches[below as usize] = old;
                let root = &mut self.branches[ROOT as usize];
                *root = Branch::EMPTY;
                root.slots[0].head = below;
                (root.full, root.split) = (1, 1);
            }
        }
    }

    fn branch(&mut self) -> u32 {
        if let Some(number) = self.free.pop() {
            self.branches[number as usize] = Branch::EMPTY;
            return number;
        }
        let number = u32::try_from(self.branches.len()).expect("fewer branches than ids");
        self.branches.push(Branch::EMPTY);
        number
    }

    /// Turns the list in a slot into a branch of shorter lists, order kept.
    fn divide(&mut self, at: u32, level: u32, slot: usize) {
        let below = self.branch();
        let branch = &mut self.branches[at as usize];
        branch.split |= 1 << slot;
        let list = std::mem::replace(&mut branch.slots[slot], Slot { head: below, ..Slot::EMPTY });
        let mut id = list.head;
        while id != NIL {
            let Link { rank, next, .. } = self.links[id as usize];
            self.append(below, digit(rank, level - 1), id);
            id = next;
        }
    }

    fn append(&mut self, at: u32, digit: usize, id: u32) {
        let branch = &mut self.branches[at as usize];
        branch.full |= 1 << digit;
        let slot = &mut branch.slots[digit];
        let last = std::mem::replace(&mut slot.tail, id);
        slot.len += 1;
        if last == NIL {
            slot.head = id;
        } else {
            self.links[last as usize].next = id;
        }
        let link = &mut self.links[id as usize];
        (link.prev, link.next) = (last, NIL);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Op {
        Insert(u64),
        Remove(prop::sample::Index),
        PopFirst,
    }

    fn rank() -> impl Strategy<Value = u64> {
        prop_oneof![
            0..4_u64,
            0..5_000_u64,
            1_767_225_600_000..1_767_225_700_000_u64,
            any::<u64>(),
            Just(u64::MAX),
        ]
    }

    proptest! {
        /// Against an ordered map keyed by rank and arrival.
        #[test]
        fn is_an_ordered_map(ops in prop::collection::vec(prop_oneof![
            4 => rank().prop_map(Op::Insert),
            1 => any::<prop::sample::Index>().prop_map(Op::Remove),
            2 => Just(Op::PopFirst),
        ], 0..600)) {
            let (mut ranks, mut model) = (Ranks::default(), BTreeSet::new());
            for (id, op) in (0_u32..).zip(ops) {
                match op {
                    Op::Insert(rank) => {
                        ranks.insert(id, rank);
                        model.insert((rank, id));
                    }
                    Op::Remove(index) if !model.is_empty() => {
                        let &(rank, id) = model.iter().nth(index.index(model.len())).unwrap();
                        ranks.remove(id);
                        ranks.remove(id); // a second time: nothing
                        model.remove(&(rank, id));
                    }
                    Op::Remove(_) => ranks.remove(id),
                    Op::PopFirst => {
                        if let Some((_, id)) = model.pop_first() {
                            ranks.remove(id);
                        }
                    }
                }
                let first = model.first().map(|&(rank, id)| (id, rank));
                prop_assert_eq!(ranks.first(), first);
            }
            let live = ranks.branches.len() - ranks.free.len();
            prop_assert!(model.len() > 1 || live <= MAX_HEIGHT as usize, "branches leak");
        }
    }

    /// However ids are spread, memory stays within a few branches for every 64 ids.
    #[test]
    fn branches_are_few() {
        let mut ranks = Ranks::default();
        for id in 0..100_000_u32 {
            ranks.insert(
                id,
                1_767_225_600_000 + u64::from(id).wrapping_mul(2_654_435_761) % 3_600_000,
            );
        }
        assert!(ranks.branches.len() < 2_000, "{}", ranks.branches.len());
        for id in 0..100_000 {
            ranks.remove(id);
        }
        assert_eq!(ranks.first(), None);
        assert_eq!(ranks.branches.len() - ranks.free.len(), 1, "only the root is left");
    }
}
