//! One contender, in this process or in one of its own, and how it is told to run.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use cache_benches_readers::{Order, Run, Store};
use tokio::runtime::Runtime;

use crate::contenders::Role;

/// A contender with its keys stored.
pub(super) struct Lane {
    pub(super) name: &'static str,
    pub(super) role: Role,
    /// What it stores with, as the server's statistics call it.
    pub(super) put_command: &'static str,
    pub(super) place: Box<dyn Place>,
}

/// Where a contender runs.
pub(super) trait Place {
    fn run(&mut self, order: Order) -> io::Result<Run>;
}

/// In this process.
pub(super) struct Here<S> {
    pub(super) store: S,
    pub(super) runtime: Arc<Runtime>,
}

impl<S: Store> Place for Here<S> {
    fn run(&mut self, order: Order) -> io::Result<Run> {
        Ok(self.runtime.block_on(order.run(&self.store)))
    }
}

/// The program in `benches/llmix`; ended when dropped.
pub(super) struct Elsewhere {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Elsewhere {
    /// Builds and starts it, and waits until it has stored all keys.
    pub(super) fn start(url: &str, keys: usize) -> io::Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("llmix/Cargo.toml");
        let program = std::env::current_exe()?;
        // target/release/cache-benches: what it needs is built beside it.
        let target = program.ancestors().nth(2).ok_or_else(|| io::Error::other("no folder"))?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["run", "--release", "--quiet", "--locked", "--manifest-path"]).arg(manifest);
        command.arg("--target-dir").arg(target).arg("--").arg(url).arg(keys.to_string());
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = process.stdin.take().expect("it is piped");
        let answers = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut started = Self { process, orders, answers };
        match started.line()?.as_str() {
            "ready" => Ok(started),
            other => Err(io::Error::other(format!("it began with {other:?}"))),
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Place for Elsewhere {
    fn run(&mut self, order: Order) -> io::Result<Run> {
        writeln!(self.orders, "{}", serde_json::to_string(&order)?)?;
        Ok(serde_json::from_str(&self.line()?)?)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
