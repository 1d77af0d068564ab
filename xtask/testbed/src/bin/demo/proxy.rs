//! A `cache-proxy` process.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::Outcome;

/// How many answers a proxy keeps in memory when it has Redis behind it: far fewer than the traffic
/// repeats, as on a busy day, so that Redis has something to do.
pub(crate) const SMALL_MEMORY: usize = 60;

/// A running proxy; killed when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) url: String,
    _process: Child,
}

impl Proxy {
    /// Starts a proxy on a port of its own and waits until it listens.
    pub(crate) async fn start(binary: &Path, upstream: &str, redis: Option<&str>) -> Outcome<Self> {
        let mut command = Command::new(binary);
        // Settings of somebody's real proxy in the environment are none of ours.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CACHE_PROXY_") {
                command.env_remove(name);
            }
        }
        command.args(["--listen", "127.0.0.1:0", "--upstream", upstream]);
        if let Some(url) = redis {
            let entries = SMALL_MEMORY.to_string();
            command.args(["--redis", url, "--memory-entries", &entries]);
        }
        // It says on stderr what it notices, e.g. that Redis is down: worth seeing here, but the
        // account of the demo already tells it in words.
        command.env("RUST_LOG", std::env::var_os("RUST_LOG").unwrap_or_else(|| "error".into()));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command
            .spawn()
            .map_err(|error| format!("{} could not be started: {error}", binary.display()))?;
        let stdout = process.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines();
        let first = timeout(Duration::from_secs(10), lines.next_line())
            .await
            .map_err(|_| "the proxy did not listen within 10 s")??;
        let url = first.as_deref().and_then(|line| line.strip_prefix("listening on "));
        let url = url.ok_or("the proxy ended before it listened; its reason is above")?.to_owned();
        Ok(Self { url, _process: process })
    }
}
