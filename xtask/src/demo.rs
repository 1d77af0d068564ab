//! `cargo xtask demo`: watch the proxy work.

use std::env::consts::EXE_SUFFIX;

use crate::failure::Outcome;
use crate::prepare;
use crate::shell::{cargo, program, run, target_dir};

/// Build the proxy and watch it answer OpenAI-format traffic. No API key, no Redis needed.
#[derive(clap::Args)]
pub(crate) struct Demo {
    /// Two proxies that share a real Redis, which is killed and restarted on the way.
    #[arg(long)]
    redis: bool,
    /// Passed on to the demo, e.g. `-- --requests 3000 --seed 7`; `-- --help` lists them.
    #[arg(last = true)]
    rest: Vec<String>,
}

impl Demo {
    pub(crate) fn run(self) -> Outcome {
        let redis = if self.redis { prepare::redis_server() } else { None };

        // Both in one build: apart, each would compile the crates they share with other features.
        run(&mut cargo(
            "build --release -p cache-proxy -p testbed --features testbed/demo \
             --bin cache-proxy --bin demo",
        ))?;
        let built = |name: &str| target_dir().join("release").join(format!("{name}{EXE_SUFFIX}"));
        let mut demo = program(built("demo"), "");
        demo.arg("--proxy").arg(built("cache-proxy"));
        if self.redis {
            demo.arg("--redis");
        }
        if let Some(server) = redis {
            demo.env("TESTBED_REDIS_SERVER", server);
        }
        run(demo.args(self.rest))
            .map_err(|failure| failure.advise("its own words above say what it could not do"))
    }
}
