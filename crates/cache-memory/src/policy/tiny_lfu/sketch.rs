//! [`Sketch`]: about how often a key was seen, present or not.

/// Bytes that an entry's share of the sketch takes.
pub(super) const BYTES_AN_ENTRY: usize = 8;
/// Entries whose share makes a block.
const A_BLOCK: usize = size_of::<Block>() / BYTES_AN_ENTRY;
/// Blocks that it begins with at least, so that rounding up adds next to nothing in the end.
const FEWEST: usize = 64;
/// The most that a counter of four bits can say.
const MOST: u32 = 15;
const ROWS: usize = 4;
/// The low three bits of each counter: what is left of it when it is halved.
const HALVED: u64 = 0x7777_7777_7777_7777;
/// Odd numbers that spread a hash differently for each row (two of them from `MurmurHash3`, two from
/// xxHash).
const SEEDS: [u32; ROWS] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f];

/// A block of counters, one cache line: all that is known of a key is in one of them.
type Block = [u64; 8];

/// A count-min sketch (Cormode and Muthukrishnan, 2005) of four-bit counters with conservative
/// update, halved as it ages (Einziger, Friedman and Manes, "`TinyLFU`", 2017).
#[derive(Debug, Default)]
pub(super) struct Sketch {
    blocks: Vec<Block>,
    additions: usize,
}

impl Sketch {
    /// Makes the sketch fit `entries`, of which it expects `expected` in the end.
    ///
    /// It grows by doubling: a key of block `b` is in block `2b` or `2b + 1` afterwards, so both
    /// begin as copies of it and nothing is forgotten. It begins at such a size that doubling leads
    /// to the one that is expected.
    #[inline]
    pub(super) fn fit(&mut self, entries: usize, expected: usize) {
        if self.blocks.len() * A_BLOCK < entries {
            self.grow(entries, expected);
        }
    }

    #[cold]
    fn grow(&mut self, entries: usize, expected: usize) {
        let blocks = |entries: usize| entries.div_ceil(A_BLOCK);
        let wanted = blocks(entries);
        if self.blocks.is_empty() {
            let expected = blocks(expected).max(1);
            let doublings = (expected / wanted.max(FEWEST)).max(1).ilog2();
            self.blocks = vec![[0; 8]; expected.div_ceil(1 << doublings)];
        }
        while self.blocks.len() < wanted {
            self.blocks = self.blocks.iter().flat_map(|block| [*block; 2]).collect();
        }
    }

    /// About how often a key was added; never less, until it was halved.
    pub(super) fn estimate(&self, hash: u32) -> u32 {
        least(counts(&self.blocks[self.block(hash)], places(hash)))
    }

    /// Adds so many times of a key. All counters are halved whenever `period` were added, but not more
    /// often than there are blocks to halve: the sketch of a cache that was made smaller stays large.
    pub(super) fn add(&mut self, hash: u32, times: u32, period: usize) {
        if times == 0 {
            return;
        }
        let block = self.block(hash);
        let block = &mut self.blocks[block];
        let places = places(hash);
        let counts = counts(block, places);
        let target = (least(counts) + times).min(MOST);
        for row in 0..ROWS {
            let Place { word, shift } = places[row];
            block[word] += u64::from(target.saturating_sub(counts[row])) << shift;
        }
        self.additions += times as usize;
        if self.additions >= period.max(self.blocks.len()) {
            self.halve();
        }
    }

    fn halve(&mut self) {
        self.additions /= 2;
        for word in self.blocks.iter_mut().flatten() {
            *word = *word >> 1 & HALVED;
        }
    }

    fn block(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.blocks.len() as u64) >> 32) as usize
    }
}

/// Where a counter is within its block.
#[derive(Clone, Copy)]
struct Place {
    word: usize,
    shift: u32,
}

/// Where the counters of a key are: each row has two words of the block.
#[inline]
fn places(hash: u32) -> [Place; ROWS] {
    // The block was chosen by the high bits, so all bits have their say here.
    let mixed = hash ^ hash >> 15;
    let place = |row: usize| {
        let spread = mixed.wrapping_mul(SEEDS[row]) >> 16;
        Place { word: 2 * row + (spread & 1) as usize, shift: spread >> 2 & 0x3c }
    };
    [place(0), place(1), place(2), place(3)]
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "four bits are looked at")]
fn counts(block: &Block, places: [Place; ROWS]) -> [u32; ROWS] {
    let count = |Place { word, shift }: Place| (block[word] >> shift) as u32 & MOST;
    [count(places[0]), count(places[1]), count(places[2]), count(places[3])]
}

fn least(counts: [u32; ROWS]) -> u32 {
    counts[0].min(counts[1]).min(counts[2].min(counts[3]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(key: u32) -> u32 {
        key.wrapping_mul(0x9e37_79b1) ^ key.wrapping_mul(0x85eb_ca77) >> 13
    }

    #[test]
    fn counts_are_never_too_low_and_rarely_too_high() {
        let mut sketch = Sketch::default();
        sketch.fit(1_000, 1_000);
        for key in 0..1_000 {
            sketch.add(spread(key), key % 7 + 1, usize::MAX);
        }
        let over = (0..1_000).map(|key| sketch.estimate(spread(key)) - (key % 7 + 1));
        assert!(over.clone().filter(|&over| over > 1).count() < 50, "{:?}", over.max());
    }

    #[test]
    fn halving_halves_and_counters_saturate() {
        let mut sketch = Sketch::default();
        sketch.fit(10, 10);
        for _ in 0..40 {
            sketch.add(7, 1, usize::MAX);
        }
        assert_eq!(sketch.estimate(7), 15);
        sketch.add(9, 1, 41);
        assert_eq!((sketch.estimate(7), sketch.additions), (7, 20));
    }

    #[test]
    fn growing_forgets_nothing_and_ends_where_expected() {
        let mut sketch = Sketch::default();
        for (entries, key) in (1..=1_250).zip(1..) {
            sketch.fit(entries, 1_250);
            sketch.add(spread(key), 3, usize::MAX);
        }
        assert!((1..=1_250).all(|key| sketch.estimate(spread(key)) >= 3));
        assert!(sketch.blocks.len() <= 160, "{} blocks for 157", sketch.blocks.len());
        sketch.fit(5_000, 1_250); // more than expected
        assert!((1..=1_250).all(|key| sketch.estimate(spread(key)) >= 3));
    }
}
