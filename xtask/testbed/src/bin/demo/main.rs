//! The program behind `cargo xtask demo`: real traffic through real proxies, told in plain words.

mod answer;
mod chaos;
mod client;
mod oracle;
mod proxy;
mod report;
mod run;
mod tally;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Watch a caching proxy answer OpenAI-format traffic.
#[derive(Debug, Parser)]
struct Options {
    /// The built `cache-proxy` binary.
    #[arg(long, value_name = "FILE")]
    proxy: PathBuf,
    /// Two proxies that share a real Redis, which is killed and restarted on the way.
    #[arg(long)]
    redis: bool,
    /// With --redis: leave Redis alone.
    #[arg(long, requires = "redis")]
    steady: bool,
    /// How many requests to send.
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u64).range(50..))]
    requests: u64,
    /// Other seeds give other traffic.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    match run::run(&Options::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("demo: requests failed or got wrong answers; the table above counts them");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}
