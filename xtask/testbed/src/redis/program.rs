//! Which `redis-server` there is.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names the `redis-server` to use, in place of the one on `PATH`.
const SERVER_VARIABLE: &str = "TESTBED_REDIS_SERVER";

/// Why a test that needs a server cannot run.
pub(super) const NOT_THERE: &str = "no redis-server on PATH, and TESTBED_REDIS_SERVER names none";

/// The `redis-server` that tests would use: the one named by the environment
/// variable `TESTBED_REDIS_SERVER`, then the first on `PATH`.
pub fn available() -> Option<PathBuf> {
    if let Some(named) = env::var_os(SERVER_VARIABLE) {
        return Some(PathBuf::from(named)).filter(|path| path.is_file());
    }
    on_path("redis-server")
}

/// Every server program that is here: [`available`] first, then `redis-server` and `valkey-server`
/// on `PATH`. Each is there once, whatever the names under which it can be found.
pub fn server_programs() -> Vec<PathBuf> {
    let found = [available(), on_path("redis-server"), on_path("valkey-server")];
    let mut programs: Vec<PathBuf> = Vec::new();
    for program in found.into_iter().flatten() {
        // Distributions link one name to the other.
        let same = |other: &PathBuf| other.canonicalize().ok() == program.canonicalize().ok();
        if !programs.iter().any(same) {
            programs.push(program);
        }
    }
    programs
}

/// `given`, else [`available`].
pub(super) fn choose(given: Option<&Path>) -> io::Result<PathBuf> {
    given
        .map(Path::to_owned)
        .or_else(available)
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, NOT_THERE))
}

/// Whether `program` was built with TLS; some are not.
pub(super) fn speaks_tls(program: &Path) -> bool {
    // With no port at all a server ends at once, after it has read its directives.
    let output = Command::new(program)
        .args(["--port", "0", "--tls-port", "0", "--daemonize", "no"])
        .stdin(Stdio::null())
        .output();
    output.is_ok_and(|output| {
        let said = [output.stdout, output.stderr].concat();
        !String::from_utf8_lossy(&said).contains("Bad directive")
    })
}

fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}
