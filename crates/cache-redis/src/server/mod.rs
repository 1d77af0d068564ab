//! [`Server`]: where Redis is and how to get at it.

mod layout;
mod link;
mod listener;
mod slots;
mod tls;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{AsyncConnectionConfig, ConnectionInfo, RedisError, RedisResult};

pub(crate) use layout::{Access, Layout, node};
pub(crate) use link::{Link, Master};
pub use tls::Tls;
pub(crate) use tls::choose_provider;

/// Commands that may wait to be written to one connection before callers wait as well.
const QUEUE: usize = 512;
/// How often the cluster client tries again by itself: redirects and slots that are on the move.
const RETRIES: u32 = 4;
/// Between these tries, in milliseconds.
const RETRY_WAIT: (u64, u64) = (5, 50);

/// What connections are made from: the manager of the pool that the keepers draw on.
///
/// `deadpool-redis` has managers for all three layouts. Its one for a single server is used; those for
/// sentinels and clusters take neither certificates nor limits, and the one for sentinels is locked
/// while it connects.
pub(crate) struct Server {
    layout: Layout,
    access: Access,
    /// How long connecting may take in all.
    limit: Duration,
    /// What `CLIENT LIST` calls the connections.
    name: String,
    attempts: AtomicUsize,
}

impl Server {
    pub(crate) fn new(layout: Layout, access: Access, limit: Duration, name: String) -> Self {
        Self { layout, access, limit, name, attempts: AtomicUsize::new(0) }
    }

    /// Finds what can be found wrong without connecting.
    pub(crate) fn check(&self) -> RedisResult<()> {
        match &self.layout {
            Layout::Single(server) => self.access.applied_to(server).map(drop),
            Layout::Sentinel { sentinels, service } => {
                self.sentinel(sentinels, service)?.build().map(drop)
            }
            Layout::Cluster(seeds) => self.cluster(seeds).map(drop),
        }
    }

    /// Hosts and ports, for logs.
    pub(crate) fn addresses(&self) -> String {
        let addresses: Vec<String> =
            self.layout.nodes().iter().map(|node| node.addr().to_string()).collect();
        addresses.join(",")
    }

    async fn connect(&self) -> RedisResult<Link> {
        let link = match &self.layout {
            Layout::Single(server) => {
                let server = self.access.applied_to(server)?;
                let manager = deadpool_redis::Manager::new_with_config(server, driver())?;
                Link::Node(managed::Manager::create(&manager).await?)
            }
            Layout::Sentinel { sentinels, service } => {
                let mut client = self.sentinel(sentinels, service)?.build()?;
                Link::Node(client.get_async_connection_with_config(&driver()).await?)
            }
            Layout::Cluster(seeds) => {
                Link::Cluster(self.cluster(seeds)?.get_async_connection().await?)
            }
        };
        link.introduce(&self.name).await?;
        Ok(link)
    }

    fn sentinel(
        &self,
        sentinels: &[ConnectionInfo],
        service: &str,
    ) -> RedisResult<SentinelClientBuilder> {
        let addresses = self.in_turn(sentinels).map(|sentinel| sentinel.addr().clone());
        let builder = SentinelClientBuilder::new(addresses, service, SentinelServerType::Master)?;
        Ok(self.access.of_sentinel(builder, sentinels))
    }

    /// Another one first each time: one that hangs would take all the time there is.
    fn in_turn<'n>(&self, nodes: &'n [ConnectionInfo]) -> impl Iterator<Item = &'n ConnectionInfo> {
        let first = self.attempts.fetch_add(1, Ordering::Relaxed) % nodes.len().max(1);
        let (later, sooner) = nodes.split_at(first);
        sooner.iter().chain(later)
    }

    fn cluster(&self, seeds: &[ConnectionInfo]) -> RedisResult<ClusterClient> {
        let builder = ClusterClientBuilder::new(seeds.iter().cloned())
            // So short that there is time for the others when one node hangs.
            .connection_timeout(self.limit / 3)
            .response_timeout(self.limit)
            .overall_response_timeout(None)
            .retries(RETRIES)
            .min_retry_wait(RETRY_WAIT.0)
            .max_retry_wait(RETRY_WAIT.1);
        self.access.of_cluster(builder).build()
    }
}

/// The driver's own limits are off: ours are around whole calls and whole attempts.
fn driver() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(QUEUE)
}

impl managed::Manager for Server {
    type Type = Link;
    type Error = RedisError;

    async fn create(&self) -> RedisResult<Link> {
        self.connect().await
    }

    /// A keeper gives back only what is broken.
    async fn recycle(&self, _link: &mut Link, _: &Metrics) -> RecycleResult<RedisError> {
        Err(RecycleError::message("a connection that was given up"))
    }
}

/// Without credentials.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("layout", &self.layout)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
