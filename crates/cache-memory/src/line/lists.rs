//! [`List`]: a doubly linked list of places, whose links stand in an array beside it.

const NIL: u32 = u32::MAX;

/// The links of all lists of a shard: a place is in one list at most.
#[derive(Debug, Default)]
pub(crate) struct Links(Vec<Link>);

#[derive(Clone, Copy, Debug)]
struct Link {
    prev: u32,
    next: u32,
}

/// From the one that came first to the one that came last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    first: u32,
    last: u32,
    len: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { first: NIL, last: NIL, len: 0 }
    }
}

impl List {
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn first(&self) -> Option<u32> {
        (self.first != NIL).then_some(self.first)
    }

    /// Lines `place` up as the last. It must be in no list.
    pub(crate) fn push(&mut self, links: &mut Links, place: u32) {
        links.reach(place);
        links.0[place as usize] = Link { prev: self.last, next: NIL };
        match self.last {
            NIL => self.first = place,
            last => links.0[last as usize].next = place,
        }
        self.last = place;
        self.len += 1;
    }

    /// Takes `place` out of this list, which it must be in.
    pub(crate) fn remove(&mut self, links: &mut Links, place: u32) {
        let Link { prev, next } = links.0[place as usize];
        match prev {
            NIL => self.first = next,
            prev => links.0[prev as usize].next = next,
        }
        match next {
            NIL => self.last = prev,
            next => links.0[next as usize].prev = prev,
        }
        self.len -= 1;
    }

    /// Takes out the first.
    #[inline]
    pub(crate) fn pop(&mut self, links: &mut Links) -> Option<u32> {
        let first = self.first()?;
        self.first = links.0[first as usize].next;
        match self.first {
            NIL => self.last = NIL,
            next => links.0[next as usize].prev = NIL,
        }
        self.len -= 1;
        Some(first)
    }

    /// Makes the first the last.
    pub(crate) fn rotate(&mut self, links: &mut Links) {
        if let Some(first) = self.pop(links) {
            self.push(links, first);
        }
    }
}

impl Links {
    fn reach(&mut self, place: u32) {
        let absent = Link { prev: NIL, next: NIL };
        super::grow::reach(&mut self.0, place, absent);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn places(list: &List, links: &Links) -> Vec<u32> {
        let mut at = list.first;
        std::iter::from_fn(|| {
            let place = (at != NIL).then_some(at)?;
            at = links.0[place as usize].next;
            Some(place)
        })
        .collect()
    }

    proptest! {
        /// Two lists over one set of links, against two queues.
        #[test]
        fn are_queues(ops in prop::collection::vec((0..3_u8, 0..2_usize, 0..20_u32), 0..200)) {
            let mut links = Links::default();
            let mut lists = [List::default(); 2];
            let mut models = [VecDeque::new(), VecDeque::new()];
            for (op, which, place) in ops {
                match op {
                    0 if models.iter().all(|model| !model.contains(&place)) => {
                        lists[which].push(&mut links, place);
                        models[which].push_back(place);
                    }
                    1 if models[which].contains(&place) => {
                        lists[which].remove(&mut links, place);
                        models[which].retain(|&held| held != place);
                    }
                    2 => {
                        lists[which].rotate(&mut links);
                        if !models[which].is_empty() {
                            models[which].rotate_left(1);
                        }
                    }
                    _ => {}
                }
                for (list, model) in lists.iter().zip(&models) {
                    prop_assert_eq!(places(list, &links), model.iter().copied().collect::<Vec<_>>());
                    prop_assert_eq!(list.len() as usize, model.len());
                }
            }
        }
    }
}
