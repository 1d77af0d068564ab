//! Tags invalidated by the million, by a cache without a remote tier: what that leaves behind.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use cache_benches_readers::digits;
use cache_dual::{CacheKey, DualCache, InsertOptions, Tag};
use serde::Serialize;

use super::Scale;
use super::near::EXPONENT;
use super::values::{Value as _, values};
use crate::contenders::finished;
use crate::counting::live_bytes;
use crate::random::{Zipf, sequences};
use crate::turns::{in_turns, middle, together};

/// Tags that entries have, of which none is invalidated.
const BORNE: usize = 1_000;

#[derive(Serialize)]
pub(super) struct Tags {
    /// After each quarter of the invalidations: how many, and the bytes that they left alive.
    pub(super) bytes: Vec<(usize, i64)>,
    /// What one took, in nanoseconds.
    pub(super) ns: f64,
    /// Hits by one thread, million a second: where nothing was invalidated.
    pub(super) before: f64,
    /// And where all those tags were.
    pub(super) after: f64,
    /// The share of entries still there, of those without tags.
    pub(super) plain: f64,
    /// And of those with a tag that was not invalidated.
    pub(super) tagged: f64,
}

struct Filled {
    cache: DualCache<Bytes>,
    keys: Arc<[CacheKey]>,
}

impl Filled {
    /// The first half of the keys has no tag, the other half has one each.
    fn new(stock: &[Bytes]) -> Result<Self, Box<dyn Error>> {
        let entries = 2 * stock.len() as u64;
        let cache = DualCache::builder().tune(|options| options.max_entries = entries).build()?;
        let keys: Arc<[CacheKey]> =
            (0..stock.len()).map(|number| CacheKey::from_text(&digits(number))).collect();
        for (number, (key, value)) in keys.iter().zip(stock).enumerate() {
            let tags = [Tag::named(&format!("borne {}", number % BORNE))];
            let tags = if number < stock.len() / 2 { &[][..] } else { &tags };
            let query = cache.query(key).tags(tags);
            let _ = finished(query.insert(value.clone(), InsertOptions::new()));
        }
        Ok(Self { cache, keys })
    }

    fn look_up_all(&self, sequence: &[u32]) -> usize {
        let mut hits = 0;
        for &number in sequence {
            if let Some(found) = finished(self.cache.get(&self.keys[number as usize])) {
                assert!(found.value.answers(number), "a wrong answer");
                hits += 1;
            }
        }
        hits
    }

    /// The share of these that are there.
    fn there(&self, numbers: std::ops::Range<usize>) -> f64 {
        let numbers: Vec<u32> =
            numbers.map(|number| u32::try_from(number).expect("keys are few")).collect();
        self.look_up_all(&numbers) as f64 / numbers.len() as f64
    }
}

pub(super) fn tags(scale: &Scale) -> Result<Tags, Box<dyn Error>> {
    let stock = values(scale.near_keys);
    let (untouched, invalidated) = (Filled::new(&stock)?, Filled::new(&stock)?);
    let quarter = scale.tags / 4;
    let (mut bytes, mut live) = (Vec::new(), 0);
    let mut took = 0.0;
    for step in 0..4 {
        let start = std::time::Instant::now();
        let (result, more) = live_bytes(|| {
            (step * quarter..(step + 1) * quarter).try_for_each(|number| {
                finished(invalidated.cache.remove_tag(&Tag::named(&number.to_string())))
            })
        });
        result?;
        took += start.elapsed().as_secs_f64();
        live += more;
        bytes.push(((step + 1) * quarter, live));
    }
    let half = stock.len() / 2;
    let (plain, tagged) = (invalidated.there(0..half), invalidated.there(half..stock.len()));
    // Only the first half, which no invalidation of a tag can concern.
    let zipf = Zipf::new(half, EXPONENT);
    let sequences = sequences(1, scale.lookups, |random| zipf.sample(random));
    let caches = [&untouched, &invalidated];
    let results = in_turns(2, scale.rounds, |_, at| {
        let run = together(&[&sequences[0]], |sequence| caches[at].look_up_all(sequence));
        run.lookups
    });
    let speed = |at: usize| middle(&results[at], |&speed| speed);
    let ns = took * 1e9 / (4 * quarter) as f64;
    Ok(Tags { bytes, ns, before: speed(0), after: speed(1), plain, tagged })
}
