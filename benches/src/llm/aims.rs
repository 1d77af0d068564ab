//! What is aimed at, and what came out.

use super::Report;
use super::parts::SHORT_KEY;
use crate::contenders::Role;
use crate::report::Aim;

/// What a hit of LiteLLM's Python SDK takes, as measured elsewhere, in microseconds.
const LITELLM_PYTHON: f64 = 900.0;

pub(super) fn aims(report: &Report) -> Vec<Aim> {
    let mut aims = Vec::new();
    let [ours, ..] = &report.hits[..] else { return aims };
    // 3 µs where that key takes 2 µs: on any machine.
    let short = report.short_key;
    let what = format!("a hit, p50 ({:.2} µs), times the {SHORT_KEY} ({short:.2} µs)", ours.p50);
    aims.push(Aim::at_most(what, ours.p50 / short, 1.5));
    for rival in report.hits.iter().filter(|row| row.role == Role::Rival) {
        let what = format!("a hit, p50, times as fast as {}", rival.contender);
        aims.push(Aim::at_least(what, rival.p50 / ours.p50, 1.0));
    }
    let what = "a hit, p50, times as fast as 0.9 ms, which is said of LiteLLM's Python SDK";
    aims.push(Aim::at_least(what, LITELLM_PYTHON / ours.p50, 1.0));
    let recorded = &report.recorded;
    for cost in &recorded.costs {
        let [direct, through] = cost.event;
        let name = cost.name;
        let what = format!(
            "recording, {name}: µs of processor time added to an event, judging and storing included"
        );
        aims.push(Aim::at_most(what, through - direct, 1.0));
    }
    let [direct, through] = recorded.first;
    let what = "recording, µs that the first event comes later";
    aims.push(Aim::at_most(what, through - direct, 1_000.0));
    let what = format!(
        "{} followers, ms after the leader until 99 of 100 have the first event",
        report.followers
    );
    aims.push(Aim::at_most(what, report.waits.p99, 1.0));
    aims
}
