//! What is aimed at, and what came out.

use super::{Row, SharedRow, THREADS, Table};
use crate::contenders::Role;
use crate::report::Aim;
use crate::trace::Kind;

/// A rival may be ahead by so much anywhere, and threads may cost so much.
const SLACK: f64 = 0.005;

/// One trace at one capacity.
pub(super) struct Pair<'a> {
    pub(super) table: &'a Table,
    at: usize,
}

impl Pair<'_> {
    pub(super) fn name(&self) -> String {
        format!("{} at {}", self.table.trace, self.capacity())
    }

    pub(super) fn capacity(&self) -> usize {
        self.table.capacities[self.at]
    }

    pub(super) fn ours(&self) -> f64 {
        default(self.table).ratios[self.at]
    }

    pub(super) fn optimum(&self) -> f64 {
        self.table.optimum[self.at]
    }

    /// Who of the rivals hits most often, and how often.
    pub(super) fn best_rival(&self) -> (&'static str, f64) {
        let ratios = rivals(self.table).map(|row| (row.contender, row.ratios[self.at]));
        ratios.max_by(|a, b| a.1.total_cmp(&b.1)).expect("there are rivals")
    }

    /// How far ours is ahead of everyone else.
    pub(super) fn lead(&self) -> f64 {
        self.ours() - self.best_rival().1
    }

    fn of(&self, row: &SharedRow) -> f64 {
        row.ratios[self.at]
    }
}

/// Every trace at every capacity.
pub(super) fn pairs(tables: &[Table]) -> impl Iterator<Item = Pair<'_>> {
    tables.iter().flat_map(|table| (0..table.capacities.len()).map(move |at| Pair { table, at }))
}

pub(super) fn default(table: &Table) -> &Row {
    table.rows.iter().find(|row| row.role == Role::Default).expect("ours takes part")
}

fn rivals(table: &Table) -> impl Iterator<Item = &Row> {
    table.rows.iter().filter(|row| !row.role.is_ours())
}

/// The mean over every trace and capacity of the contender in row `row`.
pub(super) fn mean_ratio(tables: &[Table], row: usize) -> f64 {
    mean(tables.iter().flat_map(|table| table.rows[row].ratios.iter().copied()))
}

/// The share of the optimum of the contender in row `row`: the mean over the capacities of a trace.
pub(super) fn share(table: &Table, row: usize) -> f64 {
    let shares = table.rows[row].ratios.iter().zip(&table.optimum);
    mean(shares.map(|(ratio, optimum)| if *optimum > 0.0 { ratio / optimum } else { 1.0 }))
}

pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    sum / f64::from(count)
}

pub(super) fn aims(tables: &[Table]) -> Vec<Aim> {
    let mut aims = Vec::new();
    each(tables, &mut aims);
    overall(tables, &mut aims);
    shares(tables, &mut aims);
    threads(tables, &mut aims);
    aims
}

fn each(tables: &[Table], aims: &mut Vec<Aim>) {
    for pair in pairs(tables) {
        let (lead, rival) = (pair.lead(), pair.best_rival().0);
        let (bound, aim) = match pair.table.kind {
            Kind::Prompts => (0.0, "ahead of the best rival"),
            _ => (-SLACK, "at most 0.5 points behind the best rival"),
        };
        aims.push(Aim {
            what: format!("{}, against {rival}", pair.name()),
            figure: points(lead),
            wanted: aim.to_owned(),
            met: lead >= bound,
        });
    }
}

fn overall(tables: &[Table], aims: &mut Vec<Aim>) {
    let Some(first) = tables.first() else { return };
    let means = first.rows.iter().enumerate().map(|(at, row)| (row, mean_ratio(tables, at)));
    let (mut ours, mut best) = (0.0, ("", 0.0));
    for (row, mean) in means {
        if row.role == Role::Default {
            ours = mean;
        } else if !row.role.is_ours() && mean > best.1 {
            best = (row.contender, mean);
        }
    }
    aims.push(Aim {
        what: format!("mean hit ratio over all, against {}", best.0),
        figure: format!("{:.2} % to {:.2} %", 100.0 * ours, 100.0 * best.1),
        wanted: "ahead of every rival".to_owned(),
        met: ours > best.1,
    });
}

fn shares(tables: &[Table], aims: &mut Vec<Aim>) {
    let judged: Vec<&Table> = tables.iter().filter(|table| table.kind != Kind::Prompts).collect();
    let Some(first) = judged.first() else { return };
    let at = first.rows.iter().position(|row| row.role == Role::Default).expect("ours takes part");
    let each = || judged.iter().map(|table| (table.trace.as_str(), share(table, at)));
    // What would come out if the best rival at each trace and capacity were one cache.
    let best = mean(judged.iter().map(|table| {
        mean(pairs(std::slice::from_ref(*table)).map(|pair| pair.best_rival().1 / pair.optimum()))
    }));
    let what = format!(
        "share of the optimum, but for prompts, mean over the traces (the best rival at each trace \
         and capacity: {best:.2})"
    );
    aims.push(Aim::at_least(what, mean(each().map(|(_, share)| share)), 0.83));
    for (what, kind) in [("recorded", Kind::Storage), ("synthetic", Kind::Synthetic)] {
        let those = judged.iter().filter(|table| table.kind == kind);
        let figure = mean(those.map(|table| share(table, at)));
        if figure.is_finite() {
            aims.push(Aim::at_least(format!("of these, the {what} ones"), figure, 0.83));
        }
    }
    let lowest = each().min_by(|a, b| a.1.total_cmp(&b.1)).expect("one at least");
    aims.push(Aim::at_least(format!("lowest of a trace ({})", lowest.0), lowest.1, 0.60));
    let single = pairs(tables).filter(|pair| pair.table.kind != Kind::Prompts);
    let single = single.map(|pair| (pair.name(), pair.ours() / pair.optimum()));
    if let Some((name, share)) = single.min_by(|a, b| a.1.total_cmp(&b.1)) {
        aims.push(Aim::at_least(
            format!("lowest of a trace at one capacity ({name})"),
            share,
            0.60,
        ));
    }
}

fn threads(tables: &[Table], aims: &mut Vec<Aim>) {
    for threads in THREADS {
        let falls = pairs(tables).flat_map(|pair| {
            let ours = pair.table.shared.iter();
            let ours = ours.filter(|row| row.role == Role::Default && row.threads == threads);
            ours.map(|row| (pair.ours() - pair.of(row), pair.name())).collect::<Vec<_>>()
        });
        if let Some((fall, name)) = falls.max_by(|a, b| a.0.total_cmp(&b.0)) {
            aims.push(Aim {
                what: format!("{threads} threads against 1, largest fall ({name})"),
                figure: points(-fall),
                wanted: "a fall of at most 0.5 points".to_owned(),
                met: fall <= SLACK,
            });
        }
    }
}

/// A difference of hit ratios.
pub(super) fn points(difference: f64) -> String {
    format!("{:+.2} points", 100.0 * difference)
}
