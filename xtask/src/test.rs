//! `cargo xtask test`: all tests, on a fresh machine too.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, process};

use crate::failure::{Failure, Outcome};
use crate::prepare;
use crate::shell::{cargo, in_ci, run, target_dir};

/// Run every test of the workspace: finds or installs Redis and the `openai` client first.
///
/// The tests start their servers themselves, on ports and in folders of their own. What could not run
/// is named in the closing line; when `CI` is set, nothing may be skipped.
#[derive(clap::Args)]
pub(crate) struct Test {
    /// Only tests whose name contains this.
    filter: Option<String>,
}

impl Test {
    pub(crate) fn run(self) -> Outcome {
        let redis = prepare::redis_server();
        let python = prepare::openai_client();

        let skipped = target_dir().join(format!("skipped-tests-{}.txt", process::id()));
        let unwritable = |error| {
            let what = format!("{} could not be written: {error}", skipped.display());
            Failure::new(what, "make that folder writable")
        };
        fs::create_dir_all(target_dir()).map_err(unwritable)?;
        fs::write(&skipped, "").map_err(unwritable)?;

        let mut tests = cargo("test --workspace --all-features --no-fail-fast");
        tests.args(self.filter).env("TESTBED_SKIPPED", &skipped);
        if let Some(server) = redis {
            tests.env("TESTBED_REDIS_SERVER", server);
        }
        if let Some(folder) = python {
            tests.env("TESTBED_PYTHON_PATH", folder);
        }
        if in_ci() {
            tests.env("TESTBED_REQUIRE_ALL", "1");
        }
        let outcome = run(&mut tests);
        let names = read_skipped(&skipped);
        fs::remove_file(&skipped).ok();
        let closing = closing_line(&names);
        outcome.map_err(|failure| {
            failure.advise(
                "the failed tests are named above; `cargo xtask test NAME` runs one of them again",
            )
        })?;
        if in_ci() && !names.is_empty() {
            return Err(Failure::new(
                closing,
                "in CI nothing may be skipped: install what is missing",
            ));
        }
        println!("{closing}");
        Ok(())
    }
}

fn read_skipped(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// One line, whatever happened: the last thing that a newcomer reads.
fn closing_line(skipped: &BTreeSet<String>) -> String {
    if skipped.is_empty() {
        return "nothing was skipped".to_owned();
    }
    let names: Vec<&str> = skipped.iter().map(String::as_str).collect();
    format!("skipped: {}", names.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_names_each_skip_once() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("skipped.txt");
        assert_eq!(closing_line(&read_skipped(&file)), "nothing was skipped");

        fs::write(&file, "openai_client: no python3\nredis: no server\n\nredis: no server\n")
            .expect("write");
        let line = closing_line(&read_skipped(&file));
        assert_eq!(line, "skipped: openai_client: no python3; redis: no server");
    }
}
