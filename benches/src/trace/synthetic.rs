//! Workloads made here, the same on every run.

use std::collections::VecDeque;

use super::{Kind, Trace};
use crate::random::{Random, Zipf};

/// All of them, of so many accesses each.
pub(crate) fn all(accesses: usize) -> Vec<Trace> {
    let make = |name, blocks: Vec<u64>, capacities: &[usize]| {
        Trace::new(name, Kind::Synthetic, blocks, capacities)
    };
    vec![
        make("Zipf 0.7", zipf(accesses, 0.7), &[500, 2_500, 10_000]),
        make("Zipf 0.9", zipf(accesses, 0.9), &[500, 2_500, 10_000]),
        make("Zipf 1.1", zipf(accesses, 1.1), &[500, 2_500, 10_000]),
        make("loop of 11,000", looped(accesses, 11_000), &[2_500, 5_000, 10_000]),
        make("Zipf and scans", scanned(accesses), &[500, 2_500, 10_000]),
        make("shifting hot set", shifting(accesses), &[500, 1_500, 4_000]),
        make("gateway", gateway(accesses), &[500, 2_500, 10_000]),
    ]
}

/// 50,000 keys, some much more popular than others.
fn zipf(accesses: usize, exponent: f64) -> Vec<u64> {
    let (zipf, mut random) = (Zipf::new(50_000, exponent), Random::seeded(1));
    (0..accesses).map(|_| zipf.sample(&mut random) as u64).collect()
}

/// Round and round: no policy that keeps what was used last ever hits.
fn looped(accesses: usize, keys: u64) -> Vec<u64> {
    (0..accesses as u64).map(|access| access % keys).collect()
}

/// 20,000 keys in use, and now and then 4,000 that are read once, in a row.
fn scanned(accesses: usize) -> Vec<u64> {
    const SCAN: usize = 4_000;
    let (zipf, mut random) = (Zipf::new(20_000, 0.9), Random::seeded(2));
    let mut fresh = 1 << 32;
    let mut blocks = Vec::with_capacity(accesses + SCAN);
    while blocks.len() < accesses {
        blocks.extend((0..2 * SCAN).map(|_| zipf.sample(&mut random) as u64));
        blocks.extend(fresh..fresh + SCAN as u64);
        fresh += SCAN as u64;
    }
    blocks.truncate(accesses);
    blocks
}

/// 10,000 keys in use, of which every so often a fifth makes room for new ones.
fn shifting(accesses: usize) -> Vec<u64> {
    const KEYS: usize = 10_000;
    const EVERY: usize = 25_000;
    let (zipf, mut random) = (Zipf::new(KEYS, 0.9), Random::seeded(3));
    let mut names: Vec<u64> = (0..KEYS as u64).collect();
    let mut fresh = KEYS as u64;
    let mut blocks = Vec::with_capacity(accesses);
    for access in 0..accesses {
        if access % EVERY == EVERY - 1 {
            for _ in 0..KEYS / 5 {
                // Popular ones too: half of these ranks are drawn as accesses are.
                let rank = if random.below(2) == 0 {
                    zipf.sample(&mut random)
                } else {
                    random.below(KEYS)
                };
                names[rank] = fresh;
                fresh += 1;
            }
        }
        blocks.push(names[zipf.sample(&mut random)]);
    }
    blocks
}

/// What a gateway before a model may see: questions that many ask, conversations whose turns are
/// asked again as the next turn comes, requests repeated by impatient clients, and others that
/// never come again.
fn gateway(accesses: usize) -> Vec<u64> {
    const TALKS: usize = 2_000;
    const RECENT: usize = 300;
    let (zipf, mut random) = (Zipf::new(30_000, 0.9), Random::seeded(4));
    let mut fresh = 1_u64 << 32;
    let mut next = || {
        fresh += 1;
        fresh
    };
    let mut talks: Vec<u64> = (0..TALKS).map(|_| next()).collect();
    let mut recent: VecDeque<u64> = VecDeque::from([0]);
    let mut blocks = Vec::with_capacity(accesses + 1);
    while blocks.len() < accesses {
        let key = match random.below(100) {
            0..45 => zipf.sample(&mut random) as u64,
            45..65 => {
                // A few conversations are lively; after a turn comes the next one, or another talk.
                let talk = random.below(TALKS).min(random.below(TALKS));
                blocks.push(talks[talk]);
                talks[talk] = next();
                talks[talk]
            }
            65..75 => recent[random.below(recent.len())],
            _ => next(),
        };
        blocks.push(key);
        recent.push_back(key);
        if recent.len() > RECENT {
            recent.pop_front();
        }
    }
    blocks.truncate(accesses);
    blocks
}
