//! Physical removal of one namespace, a page at a time, so that the server is never held up.

use std::sync::Arc;
use std::time::Duration;

use cache_core::Result;
use redis::{FromRedisValue, Pipeline, Value};

use crate::connections::{Call, Connections, To, Via};
use crate::errors;
use crate::names::Names;
use crate::server::Master;

/// About how many keys the server looks at for one page.
const PAGE: usize = 500;
/// How often a server is gone through from the beginning before it counts as not answering.
const ATTEMPTS: usize = 5;

/// Removes every key of `names`, of one master after the other; how many there were. Each step has the
/// time limit `limit`.
pub(crate) async fn run(
    connections: &Arc<Connections>,
    names: &Names,
    limit: Duration,
) -> Result<u64> {
    let mut removed = 0;
    for master in connections.masters(Call::new(limit)).await? {
        removed += run_at(&master, connections, names, limit).await?;
    }
    Ok(removed)
}

/// Goes through all keys of `master`. A cursor means nothing to another process, which has its keys in
/// another order: when the connection was replaced, the server behind it may have been, too.
async fn run_at(
    master: &Master,
    connections: &Arc<Connections>,
    names: &Names,
    limit: Duration,
) -> Result<u64> {
    let pattern = names.pattern();
    let (mut cursor, mut removed) = (0, 0);
    let (mut scanned, mut attempts): (Option<Via>, usize) = (None, 0);
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor);
        scan.arg("MATCH").arg(&pattern).arg("COUNT").arg(PAGE);
        let (page, via) =
            connections.exchange(&To(master, scan), Call::new(limit).on_one_lane()).await?;
        let (next, found): (u64, Vec<Vec<u8>>) = read(page)?;
        if cursor == 0 {
            scanned = Some(via);
            attempts += 1;
        } else if !scanned.as_ref().is_some_and(|before| before.is_same(&via)) {
            if attempts == ATTEMPTS {
                return Err(errors::unstable());
            }
            cursor = 0;
            continue;
        }
        // A command for each, since Cluster refuses one with keys of several slots.
        let mut unlinks = Pipeline::new();
        for name in found.iter().filter(|name| names.is_ours(name)) {
            unlinks.cmd("UNLINK").arg(name);
        }
        if !unlinks.is_empty() {
            for reply in connections.send(&unlinks, Call::new(limit)).await? {
                removed += read::<u64>(reply)?;
            }
        }
        if next == 0 {
            return Ok(removed);
        }
        cursor = next;
    }
}

fn read<T: FromRedisValue>(reply: Value) -> Result<T> {
    let reply = reply.extract_error().map_err(errors::from_driver)?;
    T::from_redis_value(reply).map_err(|error| errors::from_driver(error.into()))
}
