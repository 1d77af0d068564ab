//! What tests start with: what they need, or a skip in words.

use std::fmt::Display;

use super::cluster::{RedisCluster, RedisClusterOptions};
use super::options::RedisServerOptions;
use super::program;
use super::sentinel::{RedisSentinel, RedisSentinelOptions};
use super::server::RedisServer;

/// A server for the test called `test_name`; `None`, said aloud, where there is no `redis-server`.
///
/// The skip is recorded as [`crate::skip`] says.
///
/// # Panics
///
/// Where nothing may be skipped (see [`crate::skip`]), and if there is a `redis-server` and it does
/// not start.
pub fn server_or_skip(test_name: &str) -> Option<RedisServer> {
    server_with_or_skip(test_name, &RedisServerOptions::default())
}

/// As [`server_or_skip`], for a server with options. With TLS it is also skipped where the server was
/// built without.
///
/// # Panics
///
/// As [`server_or_skip`].
pub fn server_with_or_skip(test_name: &str, options: &RedisServerOptions) -> Option<RedisServer> {
    can_run(test_name, options).then(|| started(RedisServer::start(options)))
}

/// As [`server_or_skip`], for a Cluster of three masters with a replica each.
///
/// # Panics
///
/// As [`server_or_skip`].
pub fn cluster_or_skip(test_name: &str) -> Option<RedisCluster> {
    cluster_with_or_skip(test_name, &RedisClusterOptions::default())
}

/// As [`server_with_or_skip`], for a Cluster.
///
/// # Panics
///
/// As [`server_or_skip`].
pub fn cluster_with_or_skip(
    test_name: &str,
    options: &RedisClusterOptions,
) -> Option<RedisCluster> {
    can_run(test_name, options.node_options()).then(|| started(RedisCluster::start(options)))
}

/// As [`server_or_skip`], for a master with a replica and three sentinels.
///
/// # Panics
///
/// As [`server_or_skip`].
pub fn sentinel_or_skip(test_name: &str) -> Option<RedisSentinel> {
    sentinel_with_or_skip(test_name, &RedisSentinelOptions::default())
}

/// As [`server_with_or_skip`], for a Sentinel setup.
///
/// # Panics
///
/// As [`server_or_skip`].
pub fn sentinel_with_or_skip(
    test_name: &str,
    options: &RedisSentinelOptions,
) -> Option<RedisSentinel> {
    can_run(test_name, options.node_options()).then(|| started(RedisSentinel::start(options)))
}

/// Whether all is here that `options` need; if not, the skip is recorded.
fn can_run(test_name: &str, options: &RedisServerOptions) -> bool {
    match program::choose(options.given_program()) {
        Err(_) => crate::skip(test_name, program::NOT_THERE),
        Ok(program) if options.uses_tls() && !program::speaks_tls(&program) => {
            crate::skip(test_name, "this redis-server was built without TLS");
        }
        Ok(_) => return true,
    }
    false
}

fn started<T, E: Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("what is there does not start: {error}"))
}
