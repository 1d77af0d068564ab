//! `cargo xtask bench`: a benchmark suite of the workspace in `benches/`.

use std::env;
use std::path::PathBuf;

use crate::failure::{Failure, Outcome};
use crate::prepare;
use crate::shell::{cargo, root, run};

/// Run a benchmark suite, ours beside its rivals, and print its table.
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// Which suite: keys, memory, hit-ratio, redis, dual or llm.
    suite: String,
    /// Also write every number as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Seconds instead of minutes: shows that the suite runs, not how fast anything is.
    #[arg(long)]
    smoke: bool,
    /// Suite hit-ratio: replay this trace too (.lis, .lis.zst, .jsonl). May be given several times.
    #[arg(long, value_name = "FILE")]
    trace: Vec<PathBuf>,
    /// Suite hit-ratio: leave out the synthetic loads, and the report as it is.
    #[arg(long)]
    only_traces: bool,
    /// Compile litellm-rs and vex-llm too, for suites memory, dual and llm; this takes minutes.
    #[arg(long)]
    slow_rivals: bool,
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
        let needs_redis = ["redis", "dual"].contains(&self.suite.as_str());
        if needs_redis && prepare::redis_server().is_none() {
            return Err(Failure::new(
                "this suite runs against a server of its own, and there is no redis-server",
                "install Redis, or name a server binary in TESTBED_REDIS_SERVER",
            ));
        }
        let mut bench = cargo("run --release --quiet --manifest-path benches/Cargo.toml");
        if self.slow_rivals {
            bench.args(["--features", "slow-rivals"]);
        }
        bench.arg("--").arg(&self.suite);
        // Relative to where the user stands, although the suite runs from the workspace root.
        let absolute = |file: PathBuf| match env::current_dir() {
            Ok(here) => here.join(file),
            Err(_) => file,
        };
        if let Some(file) = self.json {
            bench.arg("--json").arg(absolute(file));
        }
        for file in self.trace {
            bench.arg("--trace").arg(absolute(file));
        }
        if self.only_traces {
            bench.arg("--only-traces");
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
