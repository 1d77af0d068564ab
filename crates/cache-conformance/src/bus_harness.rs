//! [`BusHarness`] and [`BusWitness`]: a bus to be tested, and who sees to it that nothing is lost.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use cache_core::{CacheKey, Invalidation, InvalidationBus};

use crate::harness::IntoHarness;

type Maker = Box<dyn Fn() -> Arc<dyn InvalidationBus> + Send>;

/// A bus to be tested: makes instances that are on it.
///
/// ```
/// use cache_conformance::{BusHarness, LocalBus};
/// use cache_core::InvalidationBus;
///
/// let bus = LocalBus::new();
/// let harness = BusHarness::new(move || bus.peer());
/// let (here, there) = (harness.instance(), harness.instance()); // which hear each other
/// # drop((here, there));
/// ```
pub struct BusHarness {
    make: Mutex<Option<Maker>>,
    /// Dropped with the harness: the server behind the bus, for instance.
    kept: Vec<Box<dyn Any + Send + Sync>>,
}

impl BusHarness {
    /// For the bus on which `make` makes another instance each time. No other test may use it.
    pub fn new<B: InvalidationBus>(make: impl Fn() -> B + Send + 'static) -> Self {
        let make: Maker = Box::new(move || Arc::new(make()));
        Self { make: Mutex::new(Some(make)), kept: Vec::new() }
    }

    /// Keeps `guard` for as long as the case runs.
    ///
    /// ```
    /// # use cache_conformance::{BusHarness, LocalBus};
    /// let server = "whatever has to live as long";
    /// let harness = BusHarness::new(LocalBus::new).keeping(server);
    /// ```
    #[must_use]
    pub fn keeping(mut self, guard: impl Any + Send + Sync) -> Self {
        self.kept.push(Box::new(guard));
        self
    }

    /// Another instance on the bus.
    ///
    /// ```
    /// # use cache_conformance::{BusHarness, LocalBus};
    /// let instance = BusHarness::new(LocalBus::new).instance();
    /// ```
    ///
    /// # Panics
    ///
    /// After [`BusHarness::end`].
    pub fn instance(&self) -> Arc<dyn InvalidationBus> {
        let make = self.make.lock().unwrap_or_else(PoisonError::into_inner);
        make.as_ref().expect("the bus has not ended")()
    }

    /// Lets go of the bus: it ends with the instances that there are.
    ///
    /// ```
    /// # use cache_conformance::{BusHarness, LocalBus};
    /// BusHarness::new(LocalBus::new).end();
    /// ```
    pub fn end(&self) {
        self.make.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl fmt::Debug for BusHarness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BusHarness").finish_non_exhaustive()
    }
}

impl IntoHarness for BusHarness {
    type Harness = Self;

    fn into_harness(self) -> Option<Self> {
        Some(self)
    }
}

impl IntoHarness for Option<BusHarness> {
    type Harness = BusHarness;

    fn into_harness(self) -> Self {
        self
    }
}

/// Sees to it that a stream keeps the promise: each numbered message once and in the order of its
/// publisher, or a gap before anything later by that publisher.
///
/// ```
/// use cache_conformance::BusWitness;
/// use cache_core::Invalidation;
///
/// let mut witness = BusWitness::default();
/// witness.hear(BusWitness::numbered(7, 0));
/// witness.hear(Invalidation::Gap);
/// witness.hear(BusWitness::numbered(7, 5)); // 1 to 4 were told to be missing
/// assert_eq!(witness.next_of(7), 6);
/// ```
///
/// ```should_panic
/// # use cache_conformance::BusWitness;
/// let mut witness = BusWitness::default();
/// witness.hear(BusWitness::numbered(7, 1)); // and where is 0?
/// ```
#[derive(Debug, Default)]
pub struct BusWitness {
    /// The number that is to come next, and whether a gap was told since the one before.
    expected: HashMap<u8, (u64, bool)>,
    gaps: u64,
    heard: u64,
}

impl BusWitness {
    /// Message `number`, from 0, of `publisher`.
    ///
    /// ```
    /// # use cache_conformance::BusWitness;
    /// assert_ne!(BusWitness::numbered(1, 2), BusWitness::numbered(2, 1));
    /// ```
    pub fn numbered(publisher: u8, number: u64) -> Invalidation {
        let mut digest = [publisher; 32];
        digest[1..9].copy_from_slice(&number.to_be_bytes());
        Invalidation::Key(CacheKey::from_digest(digest))
    }

    /// Takes what came out of the stream next. What is not numbered passes.
    ///
    /// ```
    /// # use cache_conformance::BusWitness;
    /// # use cache_core::Invalidation;
    /// let mut witness = BusWitness::default();
    /// witness.hear(Invalidation::All);
    /// assert_eq!(witness.heard(), 0);
    /// ```
    ///
    /// # Panics
    ///
    /// If something is missing without a gap, or comes twice or out of order.
    pub fn hear(&mut self, message: Invalidation) {
        match message {
            Invalidation::Gap => {
                self.gaps += 1;
                for (_, is_excused) in self.expected.values_mut() {
                    *is_excused = true;
                }
            }
            Invalidation::Key(key) => {
                let [publisher, number @ ..] = *key.as_bytes().first_chunk::<9>().expect("of 32");
                let number = u64::from_be_bytes(number);
                let before = (0, self.gaps > 0);
                let (expected, is_excused) = *self.expected.get(&publisher).unwrap_or(&before);
                assert!(number >= expected, "{number} of {publisher} again, or after a later one");
                assert!(
                    number == expected || is_excused,
                    "{expected} to {number} of {publisher} are missing, and no gap was told"
                );
                self.expected.insert(publisher, (number + 1, false));
                self.heard += 1;
            }
            _ => {}
        }
    }

    /// The number after the last that was heard of `publisher`.
    ///
    /// ```
    /// # use cache_conformance::BusWitness;
    /// assert_eq!(BusWitness::default().next_of(1), 0);
    /// ```
    pub fn next_of(&self, publisher: u8) -> u64 {
        self.expected.get(&publisher).map_or(0, |(next, _)| *next)
    }

    /// How many numbered messages were heard.
    ///
    /// ```
    /// # use cache_conformance::BusWitness;
    /// let mut witness = BusWitness::default();
    /// witness.hear(BusWitness::numbered(1, 0));
    /// assert_eq!(witness.heard(), 1);
    /// ```
    pub fn heard(&self) -> u64 {
        self.heard
    }

    /// How many gaps were told.
    ///
    /// ```
    /// # use cache_conformance::BusWitness;
    /// # use cache_core::Invalidation;
    /// let mut witness = BusWitness::default();
    /// witness.hear(Invalidation::Gap);
    /// assert_eq!(witness.gaps(), 1);
    /// ```
    pub fn gaps(&self) -> u64 {
        self.gaps
    }
}
