//! `cargo xtask bench`: a benchmark suite of the workspace in `benches/`.

use std::env;
use std::path::PathBuf;

use crate::failure::{Failure, Outcome};
use crate::shell::{cargo, root, run};

/// Run a benchmark suite, ours beside its rivals, and print its table.
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// Which suite, e.g. memory.
    suite: String,
    /// Also write every number as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Seconds instead of minutes: shows that the suite runs, not how fast anything is.
    #[arg(long)]
    smoke: bool,
}

impl Bench {
    pub(crate) fn run(self) -> Outcome {
        let manifest = root().join("benches/Cargo.toml");
        if !manifest.is_file() {
            return Err(Failure::new(
                "benches/Cargo.toml is not there",
                "run this from a complete checkout of the repository",
            ));
        }
        let mut bench = cargo("run --release --quiet --manifest-path benches/Cargo.toml --");
        bench.arg(&self.suite);
        if let Some(file) = self.json {
            // Relative to where the user stands, although the suite runs from the workspace root.
            let file = env::current_dir().map_or_else(|_| file.clone(), |here| here.join(&file));
            bench.arg("--json").arg(file);
        }
        if self.smoke {
            // What is not to be measured need not be quick, and then builds in half the time.
            bench.arg("--smoke");
            bench.env("CARGO_PROFILE_RELEASE_LTO", "off");
            bench.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
            bench.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
        }
        run(&mut bench).map_err(|failure| {
            failure
                .advise("`cargo xtask bench help` names the suites; otherwise fix what it printed")
        })
    }
}
