//! Skipping in words: a run never looks greener than it is.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::{env, io};

/// Records that `what` does not run because of `why`, for the closing line of `cargo xtask test`.
///
/// The caller returns from its test afterwards. The line goes to stderr and, when `TESTBED_SKIPPED`
/// names a file, to the end of that file.
///
/// # Panics
///
/// When `TESTBED_REQUIRE_ALL` is `1`, as in CI, where nothing may be skipped; and when the file named
/// by `TESTBED_SKIPPED` cannot be written, because the skip would then pass unseen.
pub fn skip(what: &str, why: &str) {
    assert!(
        env::var_os("TESTBED_REQUIRE_ALL").is_none_or(|value| value != "1"),
        "{what} cannot run ({why}), and TESTBED_REQUIRE_ALL=1 allows no skipping"
    );
    eprintln!("skipped {what}: {why}");
    if let Some(file) = env::var_os("TESTBED_SKIPPED") {
        // One write per line: test binaries may append at the same time.
        let append = || -> io::Result<()> {
            let mut file = OpenOptions::new().create(true).append(true).open(&file)?;
            file.write_all(format!("{what}: {why}\n").as_bytes())
        };
        append().expect("TESTBED_SKIPPED names a file that can be written");
    }
}
