//! `cargo xtask ci`: what continuous integration runs, in its order.

use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};
use crate::key_features::key_features;
use crate::models::models;
use crate::shell::{cargo, find, in_ci, program, run, succeeds};
use crate::tidy;

/// Every crate without its default features, then with each feature alone: features only add, so the
/// combinations in between follow from these. Crates without features are there once.
/// `tidy` fails when a crate or a feature is missing here.
pub(crate) const FEATURE_CHECKS: &[(&str, &[&str])] = &[
    ("cache-core", &["settings"]),
    ("cache-key", &["llmix", "serde"]),
    ("cache-memory", &[]),
    ("cache-redis", &["encryption", "internals", "llmix"]),
    ("cache-dual", &["bincode", "json", "messagepack", "redis", "serde"]),
    ("cache-llm", &["serde"]),
    ("cache-conformance", &[]),
    ("cache-tower", &[]),
    ("cache-proxy", &[]),
    ("testbed", &["provider", "traffic", "demo"]),
];

/// Cheap steps and those likely to fail come first.
pub(crate) fn ci() -> Outcome {
    let mut steps = Steps::default();
    steps.step("format", || {
        run(&mut cargo("fmt --all -- --check"))
            .map_err(|failure| failure.advise("run `cargo fmt --all`"))
    })?;
    steps.step("tidy", tidy::tidy)?;
    steps.step("kept entries", kept_entries)?;
    steps.step("dependencies", dependencies)?;
    steps.step("clippy", || {
        run(&mut cargo("clippy --workspace --all-targets --all-features -- -D warnings"))
    })?;
    steps.step("features", features)?;
    steps.step("features of keys", key_features)?;
    steps.step("documentation", || {
        let mut doc = cargo("doc --workspace --all-features --no-deps");
        run(doc.env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    // The README's own command, so that what a newcomer is told is what is proven.
    steps.step("test", || run(&mut cargo("xtask test")))?;
    steps.step("models of threads", models)?;
    steps.step("bench smoke", || {
        run(&mut cargo("xtask bench memory --smoke"))?;
        run(&mut cargo("xtask bench llm --smoke"))
    })?;
    steps.report();
    Ok(())
}

fn features() -> Outcome {
    for (package, features) in FEATURE_CHECKS {
        // One package at a time and no tests: neighbours and dev-dependencies would switch features on.
        let check = |more: &str| {
            let mut command = cargo("check --no-default-features -p");
            command.arg(package).args(more.split_whitespace());
            run(&mut command)
        };
        check("")?;
        for feature in *features {
            check(&format!("--features {feature}"))?;
        }
    }
    Ok(())
}

/// The entries that the tests of `cache-redis` read are those that a second implementation of the stored
/// format writes.
fn kept_entries() -> Outcome {
    if !succeeds(&mut program("python3", "--version")) {
        if in_ci() {
            let advice = "install Python 3; only its standard library is used";
            return Err(Failure::new("python3 does not run", advice));
        }
        println!(
            "skipped: the second implementation of the stored format, because python3 is missing"
        );
        return Ok(());
    }
    run(&mut program("python3", "crates/cache-redis/tests/entries/write.py --check"))
}

fn dependencies() -> Outcome {
    if find("cargo-deny").is_none() {
        let install = "cargo install --locked cargo-deny";
        if in_ci() {
            return Err(Failure::new("cargo-deny is not installed", format!("`{install}`")));
        }
        println!(
            "skipped: licences, bans and sources, because cargo-deny is missing (`{install}`)"
        );
        return Ok(());
    }
    run(&mut cargo("deny --all-features check bans licenses sources"))?;
    // The advisory database comes over the network, which may be closed: that is nobody's fault here.
    if run(&mut cargo("deny fetch db")).is_err() {
        println!("skipped: advisories, because their database could not be fetched");
        return Ok(());
    }
    run(&mut cargo("deny --all-features check --disable-fetch advisories"))?;
    Ok(())
}

/// Runs steps and remembers how long each took.
#[derive(Default)]
struct Steps(Vec<(&'static str, Duration)>);

impl Steps {
    fn step(&mut self, name: &'static str, body: impl FnOnce() -> Outcome) -> Outcome {
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = body();
        self.0.push((name, start.elapsed()));
        if outcome.is_err() {
            self.report();
            println!("failed in: {name}");
        }
        outcome
    }

    fn report(&self) {
        println!();
        for (name, time) in &self.0 {
            println!("{:>7.1} s  {name}", time.as_secs_f64());
        }
        let total: Duration = self.0.iter().map(|(_, time)| *time).sum();
        println!("{:>7.1} s  in all", total.as_secs_f64());
    }
}
