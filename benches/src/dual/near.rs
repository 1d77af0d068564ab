//! Hits in memory: what `DualCache` adds to its memory tier, and what rivals take.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use cache_benches_readers::digits;
use cache_core::{CacheKey, Clock as _, Entry, Lifetime, LocalTier, SystemClock};
use cache_memory::LocalCache;
use serde::Serialize;

#[cfg(feature = "slow-rivals")]
use super::contenders::Litellm;
use super::contenders::{Dual, Hitbox, MultiTier, Ours, with_recorder};
use super::origin::Origin;
use super::values::{Value, values};
use super::{LIFE, Scale};
use crate::contenders::{Role, finished};
use crate::counting::allocations;
use crate::random::{Zipf, sequences};
use crate::turns::{in_turns, middle, together};

/// Threads of the loads.
pub(super) const THREADS: [usize; 2] = [1, 2];
/// How uneven lookups are.
pub(super) const EXPONENT: f64 = 0.99;

/// What is called. The memory tier by itself, without a copy:
pub(super) const HANDLE: &str = "MemoryCache::get";
/// And with one:
pub(super) const FLOOR: &str = "LocalTier::get";
/// Both tiers:
pub(super) const GET: &str = "get";
pub(super) const GET_OR_FETCH: &str = "get_or_fetch";
/// With a recorder of metrics.
pub(super) const RECORDED: &str = "get, recorder installed";

/// Medians over the rounds.
#[derive(Serialize)]
pub(super) struct Hits {
    pub(super) contender: &'static str,
    pub(super) role: Role,
    pub(super) call: &'static str,
    /// Million a second of all threads together, at `THREADS`.
    pub(super) speed: [f64; 2],
    /// Of one hit.
    pub(super) allocations: f64,
}

/// One call of a contender, which has every key stored.
trait Lane: Sync {
    fn name(&self) -> (&'static str, Role, &'static str);
    /// How many were hits.
    fn look_up_all(&self, sequence: &[u32]) -> usize;
}

struct Of<K, F> {
    name: (&'static str, Role, &'static str),
    keys: Arc<[K]>,
    look_up: F,
}

/// `look_up` says whether the value is the answer; `None` is a miss.
impl<K: Send + Sync, F: Fn(&K, u32) -> Option<bool> + Sync> Lane for Of<K, F> {
    fn name(&self) -> (&'static str, Role, &'static str) {
        self.name
    }

    fn look_up_all(&self, sequence: &[u32]) -> usize {
        let mut hits = 0;
        for &number in sequence {
            if let Some(right) = (self.look_up)(&self.keys[number as usize], number) {
                assert!(right, "a wrong answer");
                hits += 1;
            }
        }
        hits
    }
}

/// The memory tier that `DualCache` has by default, with such entries as it stores: as it is read, and
/// as it is read by `DualCache`, which takes a copy of the entry.
fn floors(keys: &Arc<[CacheKey]>, stock: &[Bytes]) -> Result<[Box<dyn Lane>; 2], Box<dyn Error>> {
    let cache = LocalCache::local().max_entries(2 * keys.len() as u64).build()?;
    let cache = Arc::new(cache);
    for (key, value) in keys.iter().zip(stock) {
        let entry = Entry::new(value.clone(), SystemClock.now(), Lifetime::new(LIFE));
        let _ = cache.insert(*key, entry);
    }
    let same = Arc::clone(&cache);
    Ok([
        Box::new(Of {
            name: ("cache-memory", Role::Floor, HANDLE),
            keys: Arc::clone(keys),
            look_up: move |key: &CacheKey, number| {
                cache.get(key).map(|entry| entry.value.answers(number))
            },
        }),
        Box::new(Of {
            name: ("cache-memory", Role::Floor, FLOOR),
            keys: Arc::clone(keys),
            look_up: move |key: &CacheKey, number| {
                LocalTier::get(&*same, key).map(|entry| entry.value.answers(number))
            },
        }),
    ])
}

fn keys<D: Dual>(count: usize) -> Arc<[D::Key]> {
    (0..count).map(|number| D::key(&digits(number))).collect()
}

fn filled<D: Dual>(cache: D, keys: &[D::Key], stock: &[Bytes]) -> D {
    for (key, value) in keys.iter().zip(stock) {
        let stored = finished(cache.get_or_fetch(key, &Origin::immediate(D::Value::of(value))));
        assert!(stored.is_some(), "{} does not store", D::NAME);
    }
    cache
}

/// Both calls of one cache.
fn calls<D: Dual>(stock: &[Bytes]) -> Result<[Box<dyn Lane>; 2], Box<dyn Error>> {
    let keys = keys::<D>(stock.len());
    let cache = finished(D::build(2 * stock.len(), None))?;
    let cache = filled(cache, &keys, stock);
    // Nobody's value: whoever fetches gives a wrong answer.
    let origin = Origin::immediate(D::Value::of(&Bytes::from_static(b"never")));
    let same = cache.clone();
    Ok([
        Box::new(Of {
            name: (D::NAME, D::ROLE, GET),
            keys: Arc::clone(&keys),
            look_up: move |key: &D::Key, number| {
                finished(cache.get(key)).map(|value| value.answers(number))
            },
        }),
        Box::new(Of {
            name: (D::NAME, D::ROLE, GET_OR_FETCH),
            keys,
            look_up: move |key: &D::Key, number| {
                finished(same.get_or_fetch(key, &origin)).map(|value| value.answers(number))
            },
        }),
    ])
}

/// Everyone in turns.
pub(super) fn hits(scale: &Scale) -> Result<Vec<Hits>, Box<dyn Error>> {
    // Nobody has to evict, however unevenly it divides its capacity.
    let stock = values(scale.near_keys);
    let ours = keys::<Ours>(stock.len());
    let recorded = filled(with_recorder(2 * stock.len())?, &ours, &stock);
    let mut lanes = Vec::new();
    lanes.extend(floors(&ours, &stock)?);
    lanes.extend(calls::<Ours>(&stock)?);
    lanes.push(Box::new(Of {
        name: (Ours::NAME, Role::Ours, RECORDED),
        keys: ours,
        look_up: move |key: &CacheKey, number| {
            finished(recorded.get(key)).map(|value| value.answers(number))
        },
    }));
    lanes.extend(calls::<MultiTier>(&stock)?);
    lanes.extend(calls::<Hitbox>(&stock)?);
    #[cfg(feature = "slow-rivals")]
    lanes.extend(calls::<Litellm>(&stock)?);

    let zipf = Zipf::new(stock.len(), EXPONENT);
    let sequences = sequences(2, scale.lookups, |random| zipf.sample(random));
    let slices: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
    let results = in_turns(lanes.len(), scale.rounds, |_, at| {
        THREADS.map(|threads| {
            let run = together(&slices[..threads], |sequence| lanes[at].look_up_all(sequence));
            assert!(run.hit_ratio > 0.99, "this is to measure hits, and they missed");
            run.lookups
        })
    });
    let rows = lanes.iter().zip(&results).map(|(lane, results)| {
        let ((contender, role, call), lookups) = (lane.name(), slices[0].len());
        let (_, made) = allocations(|| lane.look_up_all(slices[0]));
        Hits {
            contender,
            role,
            call,
            speed: [0, 1].map(|at| middle(results, |speed| speed[at])),
            allocations: made as f64 / lookups as f64,
        }
    });
    Ok(rows.collect())
}
