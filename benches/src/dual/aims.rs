//! What is aimed at, and what came out.

use super::Report;
use super::far::{self, What};
use super::near::{FLOOR, GET, GET_OR_FETCH, HANDLE, Hits, RECORDED};
use super::stampede;
use crate::contenders::Role;
use crate::report::Aim;

const THREADS: [&str; 2] = ["1 thread", "2 threads"];

pub(super) fn aims(report: &Report) -> Vec<Aim> {
    let mut aims = Vec::new();
    ours(report, &mut aims);
    rivals(report, &mut aims);
    for (what, rows) in &report.loads {
        loads(*what, rows, &report.tasks, &mut aims);
    }
    stampedes(report, &mut aims);
    tags(report, &mut aims);
    aims
}

/// What calls of ours take beside one another.
fn ours(report: &Report, aims: &mut Vec<Aim>) {
    let bounds = [
        (GET, HANDLE, 1.5),
        (GET, FLOOR, 1.5),
        (GET_OR_FETCH, GET, 1.2),
        (RECORDED, HANDLE, 2.5),
        (RECORDED, FLOOR, 2.5),
    ];
    for (call, other, bound) in bounds {
        let (Some(row), Some(other)) = (report.ours(call), report.ours(other)) else { continue };
        for (at, threads) in THREADS.iter().enumerate() {
            let what = format!("hits, {threads}, time of `{call}` against `{}`", other.call);
            aims.push(Aim::at_most(what, other.speed[at] / row.speed[at], bound));
        }
    }
    // A recorder keeps samples, and where is its affair.
    for call in [GET, GET_OR_FETCH] {
        let Some(row) = report.ours(call) else { continue };
        aims.push(Aim::at_most(format!("allocations of a hit by `{call}`"), row.allocations, 0.0));
    }
}

/// Hits beside those of rivals, by the same call.
fn rivals(report: &Report, aims: &mut Vec<Aim>) {
    let is_rival = |row: &&Hits| row.role == Role::Rival;
    for rival in report.hits.iter().filter(is_rival) {
        let Some(ours) = report.ours(rival.call) else { continue };
        for (at, threads) in THREADS.iter().enumerate() {
            let (name, call) = (rival.contender, rival.call);
            let what = format!("hits, {threads}, `{call}`, times as fast as {name}");
            aims.push(Aim::at_least(what, ours.speed[at] / rival.speed[at], 1.0));
        }
    }
}

fn loads(what: What, rows: &[far::Row], tasks: &[usize], aims: &mut Vec<Aim>) {
    let Some((ours, others)) = rows.split_first() else { return };
    for rival in others {
        for (tasks, (ours, its)) in tasks.iter().zip(ours.figures.iter().zip(&rival.figures)) {
            let (what, name) = (what.told(), rival.contender);
            let what = format!("{what}, {tasks} at once, times as many as {name}");
            aims.push(Aim::at_least(what, ours.operations / its.operations, 1.0));
        }
    }
    for (tasks, figures) in tasks.iter().zip(&ours.figures) {
        let what = format!("{}, {tasks} at once, failed", what.told());
        aims.push(Aim::at_most(what, figures.failed as f64, 0.0));
    }
}

fn stampedes(report: &Report, aims: &mut Vec<Aim>) {
    let Some((ours, others)) = report.stampedes.split_first() else { return };
    for (which, crowd) in report.crowds.iter().enumerate() {
        let mine: &stampede::Figures = &ours.figures[which];
        let tasks = crowd.tasks;
        let what = format!("{tasks} miss one key, fetches");
        aims.push(Aim::at_most(what, mine.fetches as f64, 1.0));
        let what = format!("{tasks} miss one key, ms after the fetch, p99");
        aims.push(Aim::at_most(what, mine.p99, 2.0));
        for rival in others.iter().filter(|row| row.role == Role::Rival) {
            let (its, name) = (&rival.figures[which], rival.contender);
            let what = format!("{tasks} miss one key, time until all have it, against {name}");
            aims.push(Aim::at_most(what, mine.all / its.all, 1.0));
        }
    }
}

fn tags(report: &Report, aims: &mut Vec<Aim>) {
    let tags = &report.tags;
    let [_, (half, at_half), .., (all, at_end)] = tags.bytes[..] else { return };
    let what = format!("tags, bytes alive after {all} invalidations against {half}");
    aims.push(Aim::at_most(what, at_end as f64 / at_half as f64, 1.1));
    let what = "tags, time of a hit after all invalidations against before";
    aims.push(Aim::at_most(what, tags.before / tags.after, 1.1));
    let what = "tags, share of entries without tags that is still there";
    aims.push(Aim::at_least(what, tags.plain, 1.0));
    let what = "tags, share of entries with other tags that is still there";
    aims.push(Aim::at_least(what, tags.tagged, 1.0));
}
