//! What is aimed at, and what came out.

use super::Report;
use super::lookups::{Churn, Hits};
use crate::contenders::Role;
use crate::report::Aim;

pub(super) fn aims(report: &Report) -> Vec<Aim> {
    let mut aims = Vec::new();
    hits(report, &mut aims);
    churn(report, &mut aims);
    insertions(report, &mut aims);
    bytes(report, &mut aims);
    aims
}

/// Our default with these keys.
fn default<'a>(rows: &'a [Hits], key: &str) -> Option<&'a Hits> {
    rows.iter().find(|row| row.role == Role::Default && row.key == key)
}

fn rival<'a>(rows: &'a [Hits], contender: &str, key: &str) -> Option<&'a Hits> {
    rows.iter().find(|row| row.contender == contender && row.key == key)
}

fn hits(report: &Report, aims: &mut Vec<Aim>) {
    let rows = &report.hits;
    let Some(ours) = default(rows, "CacheKey") else { return };
    let rivals = [("quick_cache", "String", 3.0), ("moka", "String", 10.0)];
    for (name, key, aim) in rivals.into_iter().chain([("quick_cache", "CacheKey", 1.0)]) {
        let Some(rival) = rival(rows, name, key) else { continue };
        for (at, threads) in ["1 thread", "2 threads"].into_iter().enumerate() {
            let what = format!("hits, {threads}, times as fast as {name} with `{key}`");
            aims.push(Aim::at_least(what, ours.zipf[at] / rival.zipf[at], aim));
        }
    }
    for timed in rows.iter().filter(|row| row.role == Role::Timed && row.key == "CacheKey") {
        for (at, threads) in ["1 thread", "2 threads"].into_iter().enumerate() {
            let what = format!("hits, {threads}, {} against off", timed.contender);
            aims.push(Aim::at_least(what, timed.zipf[at] / ours.zipf[at], 0.9));
        }
    }
    let what = "hits on uniform keys, 2 threads together against 1";
    aims.push(Aim::at_least(what, ours.uniform[1] / ours.uniform[0], 1.0));
}

fn churn(report: &Report, aims: &mut Vec<Aim>) {
    let rows = || report.churn.iter();
    for key in ["CacheKey", "String"] {
        let find =
            |matches: &dyn Fn(&Churn) -> bool| rows().find(|row| row.key == key && matches(row));
        let (ours, rival) =
            (find(&|row| row.role == Role::Default), find(&|row| row.contender == "quick_cache"));
        let (Some(ours), Some(rival)) = (ours, rival) else { continue };
        for (at, threads) in ["1 thread", "2 threads"].into_iter().enumerate() {
            let what = format!("churn, {threads}, `{key}`, times as fast as quick_cache");
            aims.push(Aim::at_least(what, ours.lookups[at] / rival.lookups[at], 1.0));
            let (mine, its) = (100.0 * ours.hit_ratios[at], 100.0 * rival.hit_ratios[at]);
            aims.push(Aim {
                what: format!("churn, {threads}, `{key}`, hit ratio"),
                figure: format!("{mine:.2} % to {its:.2} % of quick_cache"),
                wanted: "at least quick_cache's".to_owned(),
                met: mine >= its,
            });
        }
    }
}

fn insertions(report: &Report, aims: &mut Vec<Aim>) {
    let rows = &report.insertions;
    let rival = rows.iter().find(|row| row.contender == "quick_cache");
    for ours in rows.iter().filter(|row| row.role.is_ours()) {
        let most = ours.ns.iter().copied().fold(0.0, f64::max);
        let least = ours.ns.iter().copied().fold(f64::MAX, f64::min);
        let what = format!("insertion, {}, slowest size over fastest", ours.contender);
        aims.push(Aim::at_most(what, most / least, 3.0));
        if let Some(rival) = rival {
            let ratios = ours.ns.iter().zip(&rival.ns).map(|(ours, its)| ours / its);
            let what = format!("insertion, {}, most times quick_cache's", ours.contender);
            aims.push(Aim::at_most(what, ratios.fold(0.0, f64::max), 1.5));
        }
    }
}

fn bytes(report: &Report, aims: &mut Vec<Aim>) {
    let find = |matches: &dyn Fn(Role, &str) -> bool| {
        report.bytes.iter().find(|row| matches(row.role, row.contender))
    };
    let ours = find(&|role, _| role == Role::Default);
    let rival = find(&|_, name| name == "quick_cache");
    let (Some(ours), Some(rival)) = (ours, rival) else { return };
    for (size, (ours, its)) in
        report.byte_sizes.iter().zip(ours.per_entry.iter().zip(&rival.per_entry))
    {
        aims.push(Aim {
            what: format!("bytes per entry over key and value at {size} entries"),
            figure: format!("{ours:.1}"),
            wanted: format!("at most quick_cache's {its:.1}"),
            met: ours <= its,
        });
    }
}
