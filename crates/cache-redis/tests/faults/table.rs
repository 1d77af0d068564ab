//! The table of all faults.

use std::fmt::Write as _;
use std::time::Duration;

use crate::load::{LIMIT, Seen, in_time};

#[derive(Default)]
pub(crate) struct Table(String);

impl Table {
    /// Adds a row, and checks it: every call in time, errors if there was to be a fault, and none if it
    /// was to go unnoticed; but a busy machine may hold up a few calls for as long as their limit.
    pub(crate) fn add(&mut self, name: &str, unnoticed: bool, seen: &Seen) {
        let errors: Vec<String> =
            seen.errors.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let errors = if errors.is_empty() { "none".to_owned() } else { errors.join(", ") };
        let at = |share: f64| {
            #[allow(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an index of some thousands"
            )]
            let index = (seen.took.len() as f64 * share) as usize;
            seen.took.get(index).or(seen.took.last()).copied().unwrap_or_default()
        };
        let row = format!(
            "| {name} | {} | {} | {} | {errors} | {} | {} | {} |\n",
            seen.hits,
            seen.misses,
            seen.stored,
            millis(at(0.99)),
            millis(at(1.0)),
            millis(seen.healed_after),
        );
        print!("{row}");
        assert!(in_time(seen), "late: {row}");
        if unnoticed {
            let held_up = seen.errors.get("timed out").copied().unwrap_or_default();
            assert!(seen.errors.len() <= 1 && 20 * held_up <= seen.took.len() as u64, "{row}");
        } else {
            assert!(!seen.errors.is_empty(), "{row}");
        }
        self.0.push_str(&row);
    }

    /// Writes it to where the environment says, if it does.
    pub(crate) fn write(self) {
        let Some(file) = std::env::var_os("FAULT_TABLE") else { return };
        let mut page =
            String::from("# What callers of `cache-redis` see while Redis misbehaves\n\n");
        let _ = write!(
            page,
            "Written by `FAULT_TABLE=docs/benchmarks/redis-faults.md cargo test -p cache-redis --test \
             faults`; do not edit. Eight callers read and write 64 keys without rest (a millisecond \
             between rounds), by a tier whose calls have a limit of {} ms. Counted is from shortly \
             before the fault until 32 reads and writes in a row succeeded; \"healed\" is from the end \
             of the fault, or of the wait for a new master, to the first of these. Every value that \
             was read was compared. In each of them calls ended in time; times include what the \
             machine took to wake a task.\n\n",
            LIMIT.as_millis()
        );
        page.push_str("| fault | hits | misses | stored | errors | p99 (ms) | worst (ms) | healed after (ms) |\n");
        page.push_str("|---|---:|---:|---:|---|---:|---:|---:|\n");
        page.push_str(&self.0);
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
        std::fs::write(file, page).expect("the table can be written");
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1_000.0)
}
