//! [`Tuner`]: which shape suits the present load, told by miniatures of the cache.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::MOST_USES;
use super::miniature::Miniature;
use super::shape::{SHAPES, Shape};

/// A miniature stands for a cache of so many entries, a 48th of the real one in between.
const SMALLEST: usize = 64;
const LARGEST: usize = 1_024;
const ONE_IN: usize = 48;
/// No more than one access in so many is worked on, over time.
const WORKED_ON: usize = 32;
/// Miniatures hold a little less than their share, so that they fill, and tell, before the cache does.
const SCALE: f64 = 0.9;
/// Scores fade over so many sampled accesses for each entry of a miniature.
const HORIZON: f64 = 16.0;
/// How often shapes are compared while as many accesses are sampled as a miniature has entries.
const COMPARISONS: usize = 8;
/// A shape takes over if it leads by this share of the accesses, and by so many standard deviations.
const LEAD: f64 = 0.002;
const DEVIATIONS: f64 = 0.25;
/// Accesses without a change, for each entry of a miniature, after which the tuner takes a nap, and
/// after it those that only bring the miniatures up to date. Where more than one key in `WORKED_ON` is
/// sampled, as in small caches, the nap is so long that no more than that are worked on.
const QUIET: usize = 16;
const WARM_UP: usize = 2;
/// What is left of the scores after a nap.
const KEPT: f64 = 0.25;
/// Sampled hits that wait for the next insertion; more are lost.
const WAITING: usize = 64;

/// Chooses the shape of all shards of a cache.
///
/// Keys are sampled by their hashes, and each shape has a miniature that sees the sampled ones only:
/// it makes the hits that a cache of that shape would make (Waldspurger, Saemundsson, Ahmad and Park,
/// "Cache Modeling and Optimization using Miniature Simulations", 2017). Where the window should end
/// is then not climbed to but read off.
#[derive(Debug)]
pub(crate) struct Tuner {
    /// What most accesses read, and few change.
    settings: Settings,
    /// Sampled hits that wait: written by them alone.
    waiting: Waiting,
    work: Mutex<Work>,
}

#[derive(Debug)]
#[repr(align(128))]
struct Settings {
    /// Hashes below this, once spread, are sampled.
    sampled_below: AtomicU32,
    /// The same for hits: none during a nap.
    hits_below: AtomicU32,
    /// Sampled misses until the nap is over.
    nap: AtomicUsize,
    current: AtomicUsize,
}

#[derive(Debug)]
#[repr(align(128))]
struct Waiting {
    count: AtomicUsize,
    hits: Mutex<Vec<u32>>,
}

/// The miniatures and their scores.
#[derive(Default)]
struct Work {
    miniatures: Vec<Miniature>,
    scores: [f64; SHAPES.len()],
    accesses: f64,
    /// Accesses and misses among them since the last change of shape, or nap.
    awake: usize,
    awake_misses: usize,
    /// Accesses until the miniatures are up to date after a nap.
    warm_up: usize,
    /// How many entries a miniature stands for.
    stands_for: usize,
    /// Accesses since shapes were last compared, and after how many they are.
    since: usize,
    every: usize,
    decay: f64,
    /// How many entries the miniatures were made for.
    entries: usize,
    /// Room for the hits that wait next.
    hits: Vec<u32>,
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("scores", &self.scores).finish_non_exhaustive()
    }
}

// Relaxed throughout: what is read here steers the policy and publishes nothing.
impl Tuner {
    /// A tuner for a cache that is expected to hold so many entries.
    pub(crate) fn new(entries: usize) -> Self {
        let tuner = Self {
            settings: Settings {
                sampled_below: AtomicU32::new(0),
                hits_below: AtomicU32::new(0),
                nap: AtomicUsize::new(0),
                current: AtomicUsize::new(0),
            },
            waiting: Waiting {
                count: AtomicUsize::new(0),
                hits: Mutex::new(Vec::with_capacity(WAITING)),
            },
            work: Mutex::default(),
        };
        tuner.rescale(&mut tuner.work.lock(), entries);
        tuner
    }

    pub(super) fn shape(&self) -> &'static Shape {
        &SHAPES[self.settings.current.load(Ordering::Relaxed) % SHAPES.len()]
    }

    /// Notes a hit, if its key is sampled. `uses` are those of the entry since they were last taken:
    /// of hits on hot entries, which every shape would make, most are left out.
    #[inline]
    pub(crate) fn hit(&self, hash: u32, uses: u32) {
        if spread(hash) < self.settings.hits_below.load(Ordering::Relaxed)
            && uses < u32::from(MOST_USES)
        {
            self.wait(hash);
        }
    }

    #[cold]
    fn wait(&self, hash: u32) {
        if self.waiting.count.load(Ordering::Relaxed) < WAITING
            && let Some(mut hits) = self.waiting.hits.try_lock()
        {
            hits.push(hash);
            self.waiting.count.store(hits.len(), Ordering::Relaxed);
        }
    }

    /// Notes a miss, and works off the hits that wait, unless another thread is at it.
    #[inline]
    pub(super) fn miss(&self, hash: u32) {
        let sampled = spread(hash) < self.settings.sampled_below.load(Ordering::Relaxed);
        if sampled || self.waiting.count.load(Ordering::Relaxed) > 0 {
            self.work_off(sampled.then_some(hash));
        }
    }

    fn work_off(&self, miss: Option<u32>) {
        let nap = self.settings.nap.load(Ordering::Relaxed);
        if nap > 0 {
            self.settings.nap.store(nap - usize::from(miss.is_some()), Ordering::Relaxed);
            if nap > 1 || miss.is_none() {
                return;
            }
            let sampled_below = self.settings.sampled_below.load(Ordering::Relaxed);
            self.settings.hits_below.store(sampled_below, Ordering::Relaxed);
        }
        let Some(mut work) = self.work.try_lock() else { return };
        let mut hits = std::mem::take(&mut work.hits);
        std::mem::swap(&mut *self.waiting.hits.lock(), &mut hits);
        self.waiting.count.store(0, Ordering::Relaxed);
        let before = self.settings.current.load(Ordering::Relaxed);
        let after = hits.drain(..).chain(miss).fold(before, |shape, hash| work.access(hash, shape));
        work.hits = hits; // empty, for the next ones: a hit must not allocate
        if after != before {
            self.settings.current.store(after, Ordering::Relaxed);
            work.stir();
        } else if let Some(misses) = work.nap() {
            self.settings.hits_below.store(0, Ordering::Relaxed);
            self.settings.nap.store(misses, Ordering::Relaxed);
        }
    }

    /// Makes miniatures for another number of entries, if it differs much from what they are for.
    pub(super) fn expect(&self, entries: usize) {
        if let Some(mut work) = self.work.try_lock()
            && (entries > 2 * work.entries || 2 * entries < work.entries)
        {
            self.rescale(&mut work, entries);
        }
    }

    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "small positive numbers, to be about right"
    )]
    fn rescale(&self, work: &mut Work, entries: usize) {
        let entries = entries.max(1);
        let stands_for = (entries / ONE_IN).clamp(SMALLEST, LARGEST).min(entries);
        let capacity = (stands_for as f64 * SCALE).max(16.0) as u16;
        let every = (stands_for / COMPARISONS).max(16);
        *work = Work {
            miniatures: SHAPES.iter().map(|_| Miniature::new(capacity)).collect(),
            every,
            decay: (-(every as f64) / (HORIZON * stands_for as f64)).exp(),
            stands_for,
            entries,
            hits: Vec::with_capacity(WAITING),
            ..Work::default()
        };
        let share = stands_for as f64 / entries as f64;
        let below = (share * f64::from(u32::MAX)) as u32;
        self.settings.sampled_below.store(below, Ordering::Relaxed);
        self.settings.hits_below.store(below, Ordering::Relaxed);
        self.settings.nap.store(0, Ordering::Relaxed);
    }
}

impl Work {
    /// Lets all miniatures make an access; which shape is to be the cache's after it.
    fn access(&mut self, hash: u32, current: usize) -> usize {
        let warm = self.warm_up == 0;
        let mut hits = 0;
        for ((miniature, shape), score) in
            self.miniatures.iter_mut().zip(&SHAPES).zip(&mut self.scores)
        {
            let hit = miniature.access(hash, shape);
            hits += usize::from(hit);
            *score += f64::from(u8::from(hit && warm));
        }
        if !warm {
            self.warm_up -= 1;
            return current;
        }
        self.awake += 1;
        self.awake_misses += usize::from(hits < SHAPES.len());
        self.accesses += 1.0;
        self.since += 1;
        if self.since < self.every {
            return current;
        }
        self.since = 0;
        let scores = &self.scores;
        let best = (0..scores.len())
            .fold(current, |best, shape| if scores[shape] > scores[best] { shape } else { best });
        let lead = scores[best] - scores[current];
        let enough = LEAD * self.accesses + DEVIATIONS * scores[best].sqrt();
        self.scores = self.scores.map(|score| score * self.decay);
        self.accesses *= self.decay;
        if lead > enough { best } else { current }
    }

    /// The shape was changed: it is worth to stay awake.
    fn stir(&mut self) {
        (self.awake, self.awake_misses) = (0, 0);
    }

    /// After how many more sampled misses to go on, if it is time for a nap.
    fn nap(&mut self) -> Option<usize> {
        let Self { stands_for, entries, awake, awake_misses, .. } = *self;
        if awake < QUIET * stands_for {
            return None;
        }
        self.stir();
        // Sampled are so many times the accesses that should be worked on.
        let too_many = (WORKED_ON * stands_for).saturating_sub(entries);
        let accesses = (QUIET + WARM_UP) * stands_for * too_many / entries.max(1);
        if accesses == 0 {
            return None;
        }
        self.warm_up = WARM_UP * stands_for;
        self.scores = self.scores.map(|score| score * KEPT);
        self.accesses *= KEPT;
        // Nobody counts hits meanwhile, so the nap is measured in misses, as frequent as they were.
        Some((accesses * awake_misses / awake).max(1))
    }
}

/// Spreads a hash once more: shards and tables have used it as it is.
fn spread(hash: u32) -> u32 {
    (hash ^ hash >> 15).wrapping_mul(0xd6e8_feb9)
}
