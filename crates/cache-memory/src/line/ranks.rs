//! [`Ranks`]: small ids in the order of their ranks, at a bounded cost per operation.

/// Bits of a rank that one level of the tree tells apart, so that one word says which are in use.
const BITS: u32 = 6;
const FAN: usize = 1 << BITS;
/// Levels that tell all 64 bits apart.
const MAX_HEIGHT: u32 = u64::BITS.div_ceil(BITS);
/// A bucket into which so many ids came is divided, if half of them are left and there is a level below.
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
///
/// Mostly ranks come close to each other, and the lowest leave: the lists that were last inserted into
/// and last looked at are remembered, which saves the way down to them.
#[derive(Debug, Default)]
pub(crate) struct Ranks {
    links: Vec<Link>,
    branches: Vec<Branch>,
    free: Vec<u32>,
    height: u32,
    /// Where the last one was inserted.
    recent: Option<Leaf>,
    /// Where the lowest are.
    lowest: Option<Leaf>,
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
    /// How many ids are in the list at most: who leaves from between two others is still counted.
    len: u32,
}

/// Where a list is: that of all ranks from `from` on that differ in their lowest bits only.
#[derive(Clone, Copy, Debug)]
struct Leaf {
    from: u64,
    lowest_bits: u32,
    at: u32,
    slot: usize,
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

impl Leaf {
    fn new(at: u32, level: u32, rank: u64) -> Self {
        let lowest_bits = BITS * level;
        Self { from: rank >> lowest_bits << lowest_bits, lowest_bits, at, slot: digit(rank, level) }
    }

    fn covers(&self, rank: u64) -> bool {
        (rank ^ self.from) >> self.lowest_bits == 0
    }
}

impl Ranks {
    /// The id of the lowest rank with that rank.
    #[inline]
    pub(crate) fn first(&mut self) -> Option<(u32, u64)> {
        if let Some(leaf) = self.lowest
            && let Some(&mut Slot { head, .. }) = self.in_order(leaf)
        {
            return Some((head, self.links[head as usize].rank));
        }
        self.find_first()
    }

    /// The list in a leaf that is remembered, if there still is one and its first is its lowest.
    #[inline]
    fn in_order(&mut self, leaf: Leaf) -> Option<&mut Slot> {
        let branch = &mut self.branches[leaf.at as usize];
        let is_list = !branch.is_split(leaf.slot);
        let slot = &mut branch.slots[leaf.slot];
        let in_order = leaf.lowest_bits == 0 || slot.head == slot.tail;
        (is_list && slot.head != NIL && in_order).then_some(slot)
    }

    fn find_first(&mut self) -> Option<(u32, u64)> {
        if self.branches.is_empty() || self.branches[ROOT as usize].full == 0 {
            return None;
        }
        let (mut at, mut level) = (ROOT, self.height - 1);
        loop {
            let branch = &self.branches[at as usize];
            let digit = branch.full.trailing_zeros() as usize;
            let slot = branch.slots[digit];
            if !branch.is_split(digit) {
                if level == 0 || slot.head == slot.tail {
                    let rank = self.links[slot.head as usize].rank;
                    self.lowest = Some(Leaf::new(at, level, rank));
                    return Some((slot.head, rank));
                }
                self.divide(at, level, digit);
            }
            at = self.branches[at as usize].slots[digit].head;
            level -= 1;
        }
    }

    /// Takes out the id of the lowest rank.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(u32, u64)> {
        if let Some(leaf) = self.lowest
            && let Some(&mut Slot { head, tail, .. }) = self.in_order(leaf)
            && head != tail
        {
            let Link { rank, next, .. } = self.links[head as usize];
            self.links[head as usize].prev = ABSENT;
            self.links[next as usize].prev = NIL;
            let slot = &mut self.branches[leaf.at as usize].slots[leaf.slot];
            slot.head = next;
            slot.len -= 1;
            return Some((head, rank));
        }
        let first = self.find_first()?;
        self.remove(first.0);
        Some(first)
    }

    /// Lines `id` up behind all of its rank. It must not be in line.
    #[inline]
    pub(crate) fn insert(&mut self, id: u32, rank: u64) {
        super::grow::reach(&mut self.links, id, Link { rank: 0, prev: ABSENT, next: NIL });
        debug_assert_eq!(self.links[id as usize].prev, ABSENT, "id is in line already");
        self.links[id as usize].rank = rank;
        if self.lowest.is_some_and(|lowest| rank < lowest.from) {
            self.lowest = None;
        }
        match self.recent {
            Some(leaf) if self.is_list(leaf, rank) => {
                let len = self.append(leaf.at, leaf.slot, id);
                if leaf.lowest_bits > 0 && len > BUCKET {
                    self.thin_out(leaf.at, leaf.lowest_bits / BITS, leaf.slot);
                }
            }
            _ => self.insert_anywhere(id, rank),
        }
    }

    /// Whether a leaf that is remembered is still the list for this rank.
    fn is_list(&self, leaf: Leaf, rank: u64) -> bool {
        leaf.covers(rank) && !self.branches[leaf.at as usize].is_split(leaf.slot)
    }

    fn insert_anywhere(&mut self, id: u32, rank: u64) {
        self.grow(rank);
        let (mut at, mut level) = (ROOT, self.height - 1);
        while self.branches[at as usize].is_split(digit(rank, level)) {
            at = self.branches[at as usize].slots[digit(rank, level)].head;
            level -= 1;
        }
        let leaf = Leaf::new(at, level, rank);
        self.recent = Some(leaf);
        if self.append(at, leaf.slot, id) > BUCKET && level > 0 {
            self.thin_out(at, level, leaf.slot);
        }
    }

    /// Divides a list into which many came, if many of them are still there. Half a bucket has come
    /// since they were last counted, which pays for this.
    fn thin_out(&mut self, at: u32, level: u32, slot: usize) {
        let list = &mut self.branches[at as usize].slots[slot];
        let next = |id: &u32| Some(self.links[*id as usize].next).filter(|&id| id != NIL);
        list.len = std::iter::successors(Some(list.head), next).fold(0, |len, _| len + 1);
        if list.len > BUCKET / 2 {
            self.divide(at, level, slot);
        }
    }

    /// The rank at which `id` stands, if it is in line.
    pub(crate) fn rank(&self, id: u32) -> Option<u64> {
        self.links.get(id as usize).filter(|link| link.prev != ABSENT).map(|link| link.rank)
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

    fn take_out(&mut self, id: u32, link: Link) {
        let Link { rank, prev, next } = link;
        self.links[id as usize].prev = ABSENT;
        if prev != NIL && next != NIL {
            // The list begins and ends as before.
            self.links[next as usize].prev = prev;
            self.links[prev as usize].next = next;
            return;
        }
        if next != NIL {
            self.links[next as usize].prev = prev;
        }
        if prev != NIL {
            self.links[prev as usize].next = next;
        }
        match self.lowest.filter(|leaf| (prev != NIL || next != NIL) && self.is_list(*leaf, rank)) {
            Some(leaf) => self.shorten(leaf.at, leaf.slot, link),
            None => self.shorten_any(link),
        }
    }

    /// The first or the last of a list was taken out.
    fn shorten(&mut self, at: u32, digit: usize, Link { prev, next, .. }: Link) {
        let slot = &mut self.branches[at as usize].slots[digit];
        slot.len -= 1;
        if prev == NIL {
            slot.head = next;
        }
        if next == NIL {
            slot.tail = prev;
        }
    }

    fn shorten_any(&mut self, link: Link) {
        // Down to the list that it was in, remembering the way: branches that empty are freed.
        let rank = link.rank;
        let mut way = [ROOT; MAX_HEIGHT as usize];
        let (mut depth, mut level) = (0, self.height - 1);
        while self.branches[way[depth] as usize].is_split(digit(rank, level)) {
            way[depth + 1] = self.branches[way[depth] as usize].slots[digit(rank, level)].head;
            depth += 1;
            level -= 1;
        }
        self.shorten(way[depth], digit(rank, level), link);
        let branch = &mut self.branches[way[depth] as usize];
        let slot = &mut branch.slots[digit(rank, level)];
        if slot.head != NIL {
            return;
        }
        slot.len = 0;
        branch.full &= !(1 << digit(rank, level));
        while depth > 0 && self.branches[way[depth] as usize].full == 0 {
            self.free.push(way[depth]);
            (self.recent, self.lowest) = (None, None);
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
        let before = self.height;
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
        if self.height != before {
            (self.recent, self.lowest) = (None, None);
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

    /// How many there are in the list then, at most.
    #[inline]
    fn append(&mut self, at: u32, digit: usize, id: u32) -> u32 {
        let branch = &mut self.branches[at as usize];
        branch.full |= 1 << digit;
        let slot = &mut branch.slots[digit];
        let last = std::mem::replace(&mut slot.tail, id);
        slot.len += 1;
        let len = slot.len;
        if last == NIL {
            slot.head = id;
        } else {
            self.links[last as usize].next = id;
        }
        let link = &mut self.links[id as usize];
        (link.prev, link.next) = (last, NIL);
        len
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
                        let popped = model.pop_first().map(|(rank, id)| (id, rank));
                        prop_assert_eq!(ranks.pop(), popped);
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
