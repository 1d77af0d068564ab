//! One server process: its folder, its port, its life and death.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::port::ReservedPort;
use super::wire::{self, Credentials};

/// How long a server may take to answer its first `PING`, and any command of ours.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at something that is about to change.
pub(super) const POLL: Duration = Duration::from_millis(5);

/// A server process with a temporary folder and a port; killed when dropped.
#[derive(Debug)]
pub(super) struct ServerProcess {
    program: PathBuf,
    arguments: Vec<String>,
    credentials: Option<Credentials>,
    port: ReservedPort,
    child: Option<Child>,
    // Only ever a hint for those who would otherwise wait for an answer: no ordering hangs on it.
    paused: AtomicBool,
    // Last: the process is gone before its folder.
    folder: TempDir,
}

impl ServerProcess {
    /// Nothing runs yet; [`Self::set_arguments`] and [`Self::launch`] come next.
    pub(super) fn new(
        program: PathBuf,
        port: ReservedPort,
        credentials: Option<Credentials>,
    ) -> io::Result<Self> {
        Ok(Self {
            program,
            arguments: Vec::new(),
            credentials,
            port,
            child: None,
            paused: AtomicBool::new(false),
            folder: tempfile::Builder::new().prefix("redis-").tempdir()?,
        })
    }

    /// What stands on the command line before what every server of ours is told.
    pub(super) fn set_arguments(&mut self, arguments: Vec<String>) {
        self.arguments = arguments;
    }

    pub(super) const fn port(&self) -> &ReservedPort {
        &self.port
    }

    pub(super) const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn socket(&self) -> PathBuf {
        self.folder().join("redis.sock")
    }

    /// Whether it can be expected to answer.
    pub(super) fn is_up(&self) -> bool {
        self.child.is_some() && !self.paused.load(Ordering::Relaxed)
    }

    /// Starts the process and does not wait for it, so that many can start at once.
    pub(super) fn launch(&mut self) -> io::Result<()> {
        let said = File::create(self.folder().join("output.log"))?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .args(["--daemonize", "no", "--dir"])
            .arg(self.folder())
            .arg("--logfile")
            .arg(self.folder().join("redis.log"))
            .arg("--unixsocket")
            .arg(self.socket())
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said);
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// Waits until the launched process answers; kills it if it does not.
    pub(super) fn wait_until_it_answers(&mut self) -> io::Result<()> {
        self.poll_until_it_answers().inspect_err(|_| self.kill())
    }

    fn poll_until_it_answers(&mut self) -> io::Result<()> {
        let start = Instant::now();
        loop {
            let child = self.child.as_mut().ok_or_else(not_running)?;
            if let Some(status) = child.try_wait()? {
                let log = self.log_tail();
                return Err(io::Error::other(format!("{}: {status}\n{log}", self.name())));
            }
            // The socket is in our own folder and is served only once the ports are, so the answer
            // does not come from a stranger.
            let reply = wire::ask(&self.socket(), None, b"PING\r\n", ANSWER_LIMIT);
            if reply.is_ok_and(|reply| is_ready(&reply)) {
                return Ok(());
            }
            if start.elapsed() > ANSWER_LIMIT {
                let log = self.log_tail();
                let name = self.name();
                let what = format!("{name} gave no answer within {ANSWER_LIMIT:?}\n{log}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, what));
            }
            thread::sleep(POLL);
        }
    }

    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only if the process is gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
        *self.paused.get_mut() = false;
    }

    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.kill();
        self.launch()?;
        self.wait_until_it_answers()
    }

    pub(super) fn pause(&self) -> io::Result<()> {
        self.signal("STOP")?;
        self.paused.store(true, Ordering::Relaxed);
        self.wait_until_stopped();
        Ok(())
    }

    pub(super) fn resume(&self) -> io::Result<()> {
        self.signal("CONT")?;
        self.paused.store(false, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn ask(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        wire::ask(&self.socket(), self.credentials.as_ref(), request, ANSWER_LIMIT)
    }

    /// As [`Self::ask`] with a line in the inline form; what the server calls an error is one.
    pub(super) fn ask_line(&self, line: &str) -> io::Result<Vec<u8>> {
        let reply = self.ask(format!("{line}\r\n").as_bytes())?;
        if reply.starts_with(b"-") {
            return Err(io::Error::other(format!("{line}: {}", wire::text(&reply).trim_end())));
        }
        Ok(reply)
    }

    /// `unsafe` is forbidden here and the standard library sends no signals: `kill(1)` does.
    fn signal(&self, name: &str) -> io::Result<()> {
        let child = self.child.as_ref().ok_or_else(not_running)?;
        let status =
            Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("kill -{name}: {status}")))
        }
    }

    /// A stopped process may still answer what it was about to answer; where the system tells when it
    /// has really stopped, that is waited for.
    fn wait_until_stopped(&self) {
        let Some(child) = &self.child else { return };
        let file = format!("/proc/{}/stat", child.id());
        for _ in 0..200 {
            let Ok(stat) = fs::read_to_string(&file) else { return };
            // "PID (NAME) STATE ..."
            if stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T')) {
                return;
            }
            thread::sleep(POLL);
        }
    }

    fn name(&self) -> String {
        self.program.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The last lines that it wrote, for error messages.
    fn log_tail(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.folder().join(name)).unwrap_or_default();
        let log = read("redis.log") + &read("output.log");
        let mut lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.reverse();
        lines.join("\n")
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether the first `PING` was answered by a server that is done with loading.
fn is_ready(reply: &[u8]) -> bool {
    [b"+PONG".as_slice(), b"-NOAUTH", b"-MASTERDOWN"].iter().any(|ready| reply.starts_with(ready))
}

fn not_running() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the server is not running")
}

/// Looks until `what` is so.
///
/// # Errors
///
/// [`io::ErrorKind::TimedOut`] after `limit`, with what was last in the way.
pub(super) fn wait_until(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<(), String>,
) -> io::Result<()> {
    let start = Instant::now();
    loop {
        match look() {
            Ok(()) => return Ok(()),
            Err(why) if start.elapsed() > limit => {
                let text = format!("{what} took longer than {limit:?}: {why}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            Err(_) => thread::sleep(4 * POLL),
        }
    }
}
