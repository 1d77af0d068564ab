//! Processor time.

use std::fs;
use std::time::Duration;

/// What the threads of a process, by its number or `self`, have run for; `None` where there is no
/// `/proc` or no such process. Ended threads do not count: ask of processes that keep theirs.
pub fn cpu_time(process: &str) -> Option<Duration> {
    let mut nanos = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task")).ok()? {
        let figures = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        nanos += figures.split(' ').next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(nanos))
}
