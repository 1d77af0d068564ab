//! [`Link`]: a connection that many calls share, to one server or to all of a cluster.

use std::fmt;
use std::time::Duration;

use cache_core::Timestamp;
use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo, SingleNodeRoutingInfo};
use redis::{Cmd, FromRedisValue as _, RedisResult, Value};
use tokio::time::sleep;

use super::slots::{self, Range, unexpected};

/// Before a command is sent again whose slot is being handed over.
const HANDED_OVER: Duration = Duration::from_millis(5);

/// Clones share one connection; each may have a request of its own on the way.
#[derive(Clone)]
pub(crate) enum Link {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// A server that holds keys of its own: the one there is, or a master of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Master {
    Only,
    At { host: String, port: u16 },
}

impl Link {
    /// Sends one command to the server that it concerns. Whoever calls has a time limit.
    pub(crate) async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        let cluster = match self {
            Self::Node(node) => return node.send_packed_command(command).await,
            Self::Cluster(cluster) => cluster,
        };
        loop {
            match cluster.req_packed_command(command).await {
                // The driver follows these a few times. A slot that is just being handed over can take
                // longer, and a node that redirects has not done anything.
                Err(error) if error.redirect_node().is_some() => sleep(HANDED_OVER).await,
                reply => return reply,
            }
        }
    }

    /// Sends a command that concerns no key to one master.
    pub(crate) async fn send_to(&mut self, master: &Master, command: &Cmd) -> RedisResult<Value> {
        match (self, master) {
            (Self::Cluster(cluster), Master::At { host, port }) => {
                let to = SingleNodeRoutingInfo::ByAddress { host: host.clone(), port: *port };
                cluster.route_command(command.clone(), RoutingInfo::SingleNode(to)).await
            }
            (link, _) => link.send(command).await,
        }
    }

    /// Tells the server who is there. Not worth failing for: rights to do so may be missing.
    pub(crate) async fn introduce(&self, name: &str) -> RedisResult<()> {
        let mut command = redis::cmd("CLIENT");
        command.arg("SETNAME").arg(name);
        match self.to_all(&command).await {
            Err(error) if error.is_unrecoverable_error() => Err(error),
            _ => Ok(()),
        }
    }

    /// The server's time: a sign of life, too. A cluster's is that of the clock that is furthest
    /// behind, so that all clients reckon with the same one; all masters have to answer.
    pub(crate) async fn time(&self) -> RedisResult<Timestamp> {
        let reply = self.to_all(&redis::cmd("TIME")).await?;
        let replies = match (self, reply) {
            (Self::Cluster(_), Value::Map(replies)) => {
                replies.into_iter().map(|(_, reply)| reply).collect()
            }
            (Self::Cluster(_), Value::Array(replies)) => replies,
            (_, reply) => vec![reply],
        };
        let times = replies.into_iter().map(read_time).collect::<RedisResult<Vec<_>>>()?;
        times.into_iter().min().ok_or_else(|| unexpected("no master answered"))
    }

    /// All servers that hold keys of their own.
    pub(crate) async fn masters(&mut self) -> RedisResult<Vec<Master>> {
        let Self::Cluster(cluster) = self else {
            return Ok(vec![Master::Only]);
        };
        let any = RoutingInfo::SingleNode(SingleNodeRoutingInfo::RandomPrimary);
        let reply = cluster.route_command(slots::question(), any).await?;
        let mut masters = Vec::new();
        for Range { host, port, .. } in slots::read(reply)? {
            let master = Master::At { host, port };
            if !masters.contains(&master) {
                masters.push(master);
            }
        }
        Ok(masters)
    }

    /// Sends a command to every master.
    async fn to_all(&self, command: &Cmd) -> RedisResult<Value> {
        match self.clone() {
            Self::Node(mut node) => node.send_packed_command(command).await,
            Self::Cluster(mut cluster) => {
                let all = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                cluster.route_command(command.clone(), all).await
            }
        }
    }
}

fn read_time(reply: Value) -> RedisResult<Timestamp> {
    let (seconds, micros) = <(u64, u64)>::from_redis_value(reply.extract_error()?)?;
    Ok(Timestamp::from_unix_millis(seconds.saturating_mul(1_000).saturating_add(micros / 1_000)))
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Node(_) => "Link(one server)",
            Self::Cluster(_) => "Link(a cluster)",
        })
    }
}
