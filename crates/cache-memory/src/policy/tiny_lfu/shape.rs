//! [`Shape`]: what the policy can look like.

/// Shares are counted in so many parts.
const WHOLE: u64 = 1 << 16;

/// One configuration of W-TinyLFU: how its segments are cut, who is let in, and how fast it forgets.
#[derive(Debug)]
pub(super) struct Shape {
    /// The window's share of all entries, in parts of 65,536.
    window: u64,
    /// The protected segment's share of the others, likewise.
    protected: u64,
    pub(super) admission: Admission,
    /// How many times as many entries as are held are counted before all counts are halved.
    pub(super) period: usize,
    /// How many rounds a much used entry of the main segments may pass without a use.
    pub(super) chances: u8,
}

/// Who is let into the main segments: the entry that has passed the window, or the one there that
/// would have to leave for it. In a draw the latter stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Who was seen before.
    Known,
    /// Who was seen more often.
    Strict,
    /// The same, by two where the other was seen four times or more.
    Clear,
}

impl Shape {
    /// How many of `entries` belong in the window.
    pub(super) fn window(&self, entries: u32) -> u32 {
        share(entries, self.window).clamp(1, entries.saturating_sub(1).max(1))
    }

    /// How many of `entries` belong in the protected segment.
    pub(super) fn protected(&self, entries: u32) -> u32 {
        share(entries - self.window(entries).min(entries), self.protected)
    }
}

/// Rounded to the nearest.
fn share(entries: u32, parts: u64) -> u32 {
    let share = (u64::from(entries) * parts + WHOLE / 2) / WHOLE;
    u32::try_from(share).unwrap_or(entries)
}

/// A share given in hundredths of a percent.
const fn of_10_000(hundredths: u64) -> u64 {
    (hundredths * WHOLE + 5_000) / 10_000
}

/// What there is to choose from; the first is what a cache begins with.
pub(super) static SHAPES: [Shape; 5] = [
    // As S3-FIFO: a small queue on probation, and whoever was there before is let in.
    Shape {
        window: of_10_000(2_00),
        protected: of_10_000(30_00),
        admission: Admission::Known,
        period: 5,
        chances: 3,
    },
    // Next to no window, and a long memory: frequency alone, as for loops and Zipf.
    Shape {
        window: of_10_000(5),
        protected: of_10_000(80_00),
        admission: Admission::Clear,
        period: 20,
        chances: 3,
    },
    // The same with a long probation: keys come back late or never.
    Shape {
        window: of_10_000(5),
        protected: of_10_000(30_00),
        admission: Admission::Clear,
        period: 20,
        chances: 3,
    },
    // A quarter for what is recent: databases, mixed loads.
    Shape {
        window: of_10_000(25_00),
        protected: of_10_000(80_00),
        admission: Admission::Strict,
        period: 20,
        chances: 3,
    },
    // All but LRU: recency is everything.
    Shape {
        window: of_10_000(95_00),
        protected: of_10_000(80_00),
        admission: Admission::Strict,
        period: 10,
        chances: 0,
    },
];
