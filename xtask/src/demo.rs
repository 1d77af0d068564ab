//! `cargo xtask demo`: watch the proxy work.

use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;

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

        build()?;
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

/// Run the simulated provider on its own, to try the proxy by hand. Ends with Ctrl-C.
#[derive(clap::Args)]
pub(crate) struct Provider {
    /// The port to listen on.
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// Answer at once, without the delays of a real model.
    #[arg(long)]
    instant: bool,
}

impl Provider {
    pub(crate) fn run(self) -> Outcome {
        build()?;
        let mut provider = program(built("simulated-provider"), "--port");
        provider.arg(self.port.to_string());
        if self.instant {
            provider.arg("--instant");
        }
        run(&mut provider)
    }
}

/// Builds all at once: apart, each would compile the crates they share with other features.
fn build() -> Outcome {
    if !built("demo").exists() {
        println!("The first build compiles some 200 crates: three to six minutes on two cores.");
    }
    run(&mut cargo(
        "build --release -p cache-proxy -p testbed --features testbed/demo \
         --bin cache-proxy --bin demo --bin simulated-provider",
    ))
}

fn built(name: &str) -> PathBuf {
    target_dir().join("release").join(format!("{name}{EXE_SUFFIX}"))
}
