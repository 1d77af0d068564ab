//! `cargo xtask demo`: watch the proxy work.

use crate::failure::Outcome;
use crate::shell::{cargo, run, target_dir};

/// Build the proxy and watch it answer OpenAI-format traffic. No API key, no Redis needed.
#[derive(clap::Args)]
pub(crate) struct Demo {
    /// Two proxies that share a real Redis, which is killed and restarted on the way.
    #[arg(long)]
    redis: bool,
    /// Passed on to the demo, e.g. `-- --requests 2000 --seed 7`.
    #[arg(last = true)]
    rest: Vec<String>,
}

impl Demo {
    pub(crate) fn run(self) -> Outcome {
        run(&mut cargo("build --release -p cache-proxy --bin cache-proxy"))?;

        let mut demo =
            cargo("run --release --quiet -p testbed --features demo --bin demo -- --proxy");
        demo.arg(
            target_dir()
                .join("release")
                .join(format!("cache-proxy{}", std::env::consts::EXE_SUFFIX)),
        );
        if self.redis {
            demo.arg("--redis");
            if let Some(server) = crate::prepare::redis_server() {
                demo.env("TESTBED_REDIS_SERVER", server);
            }
        }
        run(demo.args(self.rest))
    }
}
