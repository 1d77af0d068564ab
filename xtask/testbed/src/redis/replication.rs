//! Whether replicas have what their master has.

use std::io;
use std::time::Duration;

use super::process::wait_until;
use super::server::RedisServer;

/// Far more than it takes on a machine that is not busy.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(30);

/// Waits until `replicas` have all that `master` has been told so far.
///
/// `WAIT` does not say that: it speaks of the writes of its own connection only.
pub(super) fn wait_until_caught_up<'a>(
    master: &RedisServer,
    replicas: impl Iterator<Item = &'a RedisServer>,
) -> io::Result<()> {
    let wanted = offset(master, "master_repl_offset")?;
    for replica in replicas {
        wait_until("replication", CATCH_UP_LIMIT, || {
            let port = replica.port();
            match offset(replica, "slave_repl_offset") {
                Ok(there) if there >= wanted => Ok(()),
                Ok(there) => Err(format!("{port} is at {there} of {wanted}")),
                Err(error) => Err(format!("{port}: {error}")),
            }
        })?;
    }
    Ok(())
}

fn offset(server: &RedisServer, field: &str) -> io::Result<u64> {
    let info = server.command("INFO replication")?;
    let value = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value
        .and_then(|value| value.trim().parse().ok())
        .ok_or_else(|| io::Error::other(format!("no {field} in {info:?}")))
}
