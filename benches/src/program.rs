//! A rival that needs a lock file of its own, and so a process of its own.

use std::fmt::Display;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A program in a folder beside this crate's sources, which takes lines and answers each with one.
/// Ended when dropped.
pub(crate) struct Program {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Program {
    /// Builds and starts it.
    pub(crate) fn start(folder: &str, arguments: &[&str]) -> io::Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join("Cargo.toml");
        let program = std::env::current_exe()?;
        // target/release/cache-benches: what it needs is built beside it.
        let target = program.ancestors().nth(2).ok_or_else(|| io::Error::other("no folder"))?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["run", "--release", "--quiet", "--locked", "--manifest-path"]).arg(manifest);
        command.arg("--target-dir").arg(target).arg("--").args(arguments);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = process.stdin.take().expect("it is piped");
        let answers = BufReader::new(process.stdout.take().expect("it is piped"));
        Ok(Self { process, orders, answers })
    }

    /// Waits until it has done what it does first.
    pub(crate) fn until_ready(mut self) -> io::Result<Self> {
        match self.answer()?.as_str() {
            "ready" => Ok(self),
            other => Err(io::Error::other(format!("it began with {other:?}"))),
        }
    }

    /// Gives it a line.
    pub(crate) fn order(&mut self, line: impl Display) -> io::Result<()> {
        writeln!(self.orders, "{line}")
    }

    /// The next line that it gives.
    pub(crate) fn answer(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
