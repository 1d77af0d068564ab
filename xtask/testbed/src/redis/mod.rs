//! Redis of one's own, for tests: real processes on loopback, on free ports, in temporary folders.
//!
//! ```no_run
//! use testbed::redis::{RedisServer, RedisServerOptions};
//!
//! let mut server = RedisServer::start(&RedisServerOptions::default())?;
//! println!("redis-cli -u {}", server.url());
//! server.kill(); // as the OOM killer would
//! server.restart()?; // on the same port, empty
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! * [`RedisServer`]: one server, with a password, ACL users ([`RedisServerOptions::user`]) or TLS
//!   ([`Certificates`]) if asked for.
//! * [`RedisCluster`]: masters and replicas, with slots that can be moved and nodes that can die.
//! * [`RedisSentinel`]: a master, its replicas, and sentinels who replace it.
//! * [`FaultProxy`]: in front of any of these, for what networks do.
//!
//! Everything is stopped and removed when its value is dropped. A test starts what it needs with the
//! function whose name ends in `_or_skip`, so that a machine without `redis-server` says so.

mod certificates;
mod cluster;
mod fault_proxy;
mod options;
mod port;
mod process;
mod program;
mod random;
mod replication;
mod resp;
mod sentinel;
mod server;
mod skip;
mod slot;
mod wire;

pub use certificates::Certificates;
pub use cluster::{RedisCluster, RedisClusterOptions};
pub use fault_proxy::{Counts, Fault, FaultProxy};
pub use options::RedisServerOptions;
pub use program::{available, server_programs};
pub use sentinel::{RedisSentinel, RedisSentinelOptions};
pub use server::RedisServer;
pub use skip::{
    cluster_or_skip, cluster_with_or_skip, sentinel_or_skip, sentinel_with_or_skip, server_or_skip,
    server_with_or_skip,
};
pub use slot::slot_of;
