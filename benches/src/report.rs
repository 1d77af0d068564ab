//! Tables, and what a reader must know about the run behind them.

use std::fmt::Write;
use std::process::Command;
use std::time::Instant;

use serde::Serialize;

/// Rows of cells as a Markdown table; the first row is the head. Numbers stand to the right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(text, "| {cell:<width$} "),
                _ => write!(text, "| {cell:>width$} "),
            };
        }
        text.push_str("|\n");
        if number == 0 {
            for (column, &width) in widths.iter().enumerate() {
                let right = if column == 0 { '-' } else { ':' };
                let _ = write!(text, "|-{}{right}", "-".repeat(width));
            }
            text.push_str("|\n");
        }
    }
    text
}

/// The middle of the values, which it sorts.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Does `work`, and then tells whoever waits that this part is done and how long it took.
pub(crate) fn told<T>(part: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    eprintln!("{part}: {:.0} s", start.elapsed().as_secs_f64());
    done
}

/// The commit that is being measured; says so if the tree has changes beside it.
pub(crate) fn commit() -> String {
    commit_of(&["cache-core", "cache-memory"])
}

/// The same of a suite that measures these crates.
pub(crate) fn commit_of(crates: &[&str]) -> String {
    let git = |args: &[&str]| {
        let here = env!("CARGO_MANIFEST_DIR"); // wherever the user stands
        let output = Command::new("git").current_dir(here).args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".to_owned();
    };
    let paths: Vec<String> = crates.iter().map(|name| format!(":/crates/{name}")).collect();
    let mut measured = vec!["status", "--porcelain", "--"];
    measured.extend(paths.iter().map(String::as_str));
    match git(&measured) {
        Some(changes) if changes.is_empty() => commit,
        _ => format!("{commit} with local changes"),
    }
}

/// Processor and how many of it.
pub(crate) fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{model}, {cores} threads; load average when the run began {load}")
}

/// One thing that was aimed at.
#[derive(Serialize)]
pub(crate) struct Aim {
    /// What is compared with what.
    pub(crate) what: String,
    /// What came out.
    pub(crate) figure: String,
    /// What was wanted.
    pub(crate) wanted: String,
    pub(crate) met: bool,
}

impl Aim {
    /// An aim at a number that is at least `bound`.
    pub(crate) fn at_least(what: impl Into<String>, figure: f64, bound: f64) -> Self {
        let (shown, wanted) = (format!("{figure:.2}"), format!("at least {bound}"));
        Self { what: what.into(), figure: shown, wanted, met: figure >= bound }
    }

    /// An aim at a number that is at most `bound`.
    pub(crate) fn at_most(what: impl Into<String>, figure: f64, bound: f64) -> Self {
        let (shown, wanted) = (format!("{figure:.2}"), format!("at most {bound}"));
        Self { what: what.into(), figure: shown, wanted, met: figure <= bound }
    }
}

/// The aims as a list; one that is not met stands out.
pub(crate) fn listed(aims: &[Aim]) -> String {
    let line = |aim: &Aim| {
        let met = if aim.met { "met" } else { "**not met**" };
        format!("- {}: {} (aim: {}): {met}.\n", aim.what, aim.figure, aim.wanted)
    };
    aims.iter().map(line).collect()
}

/// A row of a table from words.
pub(crate) fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}
