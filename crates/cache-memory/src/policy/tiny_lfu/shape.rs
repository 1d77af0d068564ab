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
    /// Whether an entry that was used while in the window begins anew there, as in LRU.
    pub(super) rotate: bool,
}

/// Who is let into the main segments: the entry that has passed the window, or the one there that
/// would have to leave for it. In a draw the latter stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Who was seen more often, the miss that brought it not counted.
    Margin,
    /// Who was seen more often.
    Strict,
    /// Who was used while in the window, or was seen more often.
    Touched,
    /// Who was seen before.
    Known,
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

const fn percent_of_a_hundred(hundredths: u64) -> u64 {
    (hundredths * WHOLE + 5_000) / 10_000
}

/// What there is to choose from; the first is what a cache begins with.
pub(super) static SHAPES: [Shape; 7] = [
    // Next to no window: frequency alone, and new keys must show themselves twice. Loops, Zipf.
    Shape {
        window: percent_of_a_hundred(5),
        protected: percent_of_a_hundred(80_00),
        admission: Admission::Margin,
        period: 20,
        chances: 3,
        rotate: true,
    },
    // The same, kinder to new keys: frequency that shifts slowly.
    Shape {
        window: percent_of_a_hundred(5),
        protected: percent_of_a_hundred(80_00),
        admission: Admission::Strict,
        period: 20,
        chances: 3,
        rotate: true,
    },
    // A quarter for what is recent: databases, mixed loads.
    Shape {
        window: percent_of_a_hundred(25_00),
        protected: percent_of_a_hundred(80_00),
        admission: Admission::Strict,
        period: 20,
        chances: 3,
        rotate: true,
    },
    // All but LRU: recency is everything.
    Shape {
        window: percent_of_a_hundred(95_00),
        protected: percent_of_a_hundred(80_00),
        admission: Admission::Strict,
        period: 10,
        chances: 0,
        rotate: true,
    },
    // All but FIFO: keys come back once, after a fixed time.
    Shape {
        window: percent_of_a_hundred(97_00),
        protected: percent_of_a_hundred(80_00),
        admission: Admission::Touched,
        period: 10,
        chances: 0,
        rotate: false,
    },
    // As S3-FIFO: a small queue on probation, and whoever was there before is let in.
    Shape {
        window: percent_of_a_hundred(10_00),
        protected: 0,
        admission: Admission::Known,
        period: 5,
        chances: 3,
        rotate: true,
    },
    // Frequency with a long probation: keys come back late or never.
    Shape {
        window: percent_of_a_hundred(5),
        protected: percent_of_a_hundred(30_00),
        admission: Admission::Strict,
        period: 10,
        chances: 0,
        rotate: true,
    },
];
