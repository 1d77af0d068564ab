//! Hits in memory, one by one.

use std::error::Error;

use serde::Serialize;

use super::Scale;
use super::contenders::lanes;
use super::parts::Yardstick;
use super::questions::Question;
use crate::contenders::Role;
use crate::random::sequences;
use crate::report::median;
use crate::turns::in_turns;

/// Of all calls of all rounds, in microseconds.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) contender: &'static str,
    pub(super) role: Role,
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// Everyone in turns, and in each round the yardstick, of which the median is returned: a machine's speed
/// may change from one minute to the next.
pub(super) fn hits(
    questions: &[Question],
    scale: &Scale,
) -> Result<(Vec<Row>, f64), Box<dyn Error>> {
    let lanes = lanes(questions)?;
    let order = &sequences(1, questions.len(), |random| random.below(questions.len()))[0];
    let (yardstick, mut measured) = (Yardstick::new(), Vec::new());
    let results = in_turns(lanes.len(), scale.rounds, |_, at| {
        if at == 0 {
            measured.push(yardstick.time());
        }
        let mut times = Vec::with_capacity(order.len());
        lanes[at].ask_all(questions, order, &mut times);
        times
    });
    let rows = lanes.iter().zip(results).map(|(lane, rounds)| {
        let mut times: Vec<u32> = rounds.concat();
        times.sort_unstable();
        let of = |percent: usize| f64::from(times[times.len() * percent / 100]) / 1e3;
        let (contender, role) = lane.name();
        Row { contender, role, p50: of(50), p99: of(99) }
    });
    Ok((rows.collect(), median(&mut measured)))
}
