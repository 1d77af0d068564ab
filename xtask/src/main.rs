//! The workspace's own commands. Run `cargo xtask help` for the list.

mod bench;
mod ci;
mod demo;
mod failure;
mod key;
mod key_features;
mod models;
mod prepare;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::Parser;

/// The workspace's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Verb {
    Demo(demo::Demo),
    Provider(demo::Provider),
    Test(test::Test),
    /// Run everything that continuous integration runs, in its order; stops at the first failure.
    Ci,
    Bench(bench::Bench),
    Key(key::Key),
    /// Check the rules that no compiler checks: which crate may know what, links, key format.
    Tidy,
}

fn main() -> ExitCode {
    let outcome = match Verb::parse() {
        Verb::Demo(demo) => demo.run(),
        Verb::Provider(provider) => provider.run(),
        Verb::Test(test) => test.run(),
        Verb::Ci => ci::ci(),
        Verb::Bench(bench) => bench.run(),
        Verb::Key(key) => key.run(),
        Verb::Tidy => tidy::tidy(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
