//! Connections for who listens to a channel: each its own, to the server that carries the channel.

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ProtocolVersion, RedisResult,
};
use tokio::time::timeout;

use super::slots::{self, unexpected};
use super::{Layout, Server};

impl Server {
    /// Whether keys and channels have slots, each with its own master.
    pub(crate) const fn has_slots(&self) -> bool {
        self.layout.is_cluster()
    }

    /// A connection by RESP3, over which pushes come, to the server that carries `channel`.
    pub(crate) async fn listener(
        &self,
        channel: &[u8],
        driver: &AsyncConnectionConfig,
    ) -> RedisResult<MultiplexedConnection> {
        match &self.layout {
            Layout::Single(server) => open(by_resp3(self.access.applied_to(server)?), driver).await,
            Layout::Sentinel { sentinels, service } => {
                let builder = self.sentinel(sentinels, service)?;
                let builder = builder.set_client_to_redis_protocol(ProtocolVersion::RESP3);
                builder.build()?.get_async_connection_with_config(driver).await
            }
            Layout::Cluster(seeds) => {
                let master = self.master_of(channel, seeds).await?;
                open(by_resp3(master), driver).await
            }
        }
    }

    /// The master of the slot of `name`, by the first node that answers.
    async fn master_of(
        &self,
        name: &[u8],
        seeds: &[ConnectionInfo],
    ) -> RedisResult<ConnectionInfo> {
        let mut failure = unexpected("no node answered");
        for seed in self.in_turn(seeds) {
            let seed = self.access.applied_to(seed)?;
            match timeout(self.limit / 3, ask(&seed, name)).await {
                Ok(Ok(address)) => return Ok(seed.set_addr(address)),
                Ok(Err(error)) => failure = error,
                Err(_) => {}
            }
        }
        Err(failure)
    }
}

/// Asks a node where the slot of `name` is.
async fn ask(node: &ConnectionInfo, name: &[u8]) -> RedisResult<ConnectionAddr> {
    let mut connection = open(node.clone(), &super::driver()).await?;
    let slot: u16 =
        redis::cmd("CLUSTER").arg("KEYSLOT").arg(name).query_async(&mut connection).await?;
    let ranges = slots::read(slots::question().query_async(&mut connection).await?)?;
    let range = ranges.into_iter().find(|range| (range.first..=range.last).contains(&slot));
    let range = range.ok_or_else(|| unexpected("a slot without a master"))?;
    Ok(match node.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
            host: range.host,
            port: range.port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(range.host, range.port),
    })
}

async fn open(
    server: ConnectionInfo,
    driver: &AsyncConnectionConfig,
) -> RedisResult<MultiplexedConnection> {
    Client::open(server)?.get_multiplexed_async_connection_with_config(driver).await
}

fn by_resp3(server: ConnectionInfo) -> ConnectionInfo {
    let settings = server.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    server.set_redis_settings(settings)
}
