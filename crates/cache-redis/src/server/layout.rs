//! [`Layout`]: one server, one found by sentinels, or a cluster. [`Access`]: how one is let in.

use std::fmt;

use redis::cluster::ClusterClientBuilder;
use redis::sentinel::SentinelClientBuilder;
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisResult, TlsMode,
};

use super::tls::Tls;

/// Which servers there are.
#[derive(Clone)]
pub(crate) enum Layout {
    Single(Box<ConnectionInfo>),
    /// The master that these sentinels know under this name.
    Sentinel {
        sentinels: Vec<ConnectionInfo>,
        service: String,
    },
    /// All masters of a cluster that has these nodes.
    Cluster(Vec<ConnectionInfo>),
}

impl Layout {
    pub(crate) fn nodes(&self) -> &[ConnectionInfo] {
        match self {
            Self::Single(server) => std::slice::from_ref(server),
            Self::Sentinel { sentinels: nodes, .. } | Self::Cluster(nodes) => nodes,
        }
    }

    /// Whether the URLs ask for TLS.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.nodes().iter().any(|node| matches!(node.addr(), ConnectionAddr::TcpTls { .. }))
    }

    pub(crate) const fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }
}

/// Without credentials.
impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<String> =
            self.nodes().iter().map(|node| node.addr().to_string()).collect();
        match self {
            Self::Single(_) => f.debug_tuple("Single").field(&addresses[0]).finish(),
            Self::Sentinel { service, .. } => {
                f.debug_tuple("Sentinel").field(service).field(&addresses).finish()
            }
            Self::Cluster(_) => f.debug_tuple("Cluster").field(&addresses).finish(),
        }
    }
}

/// Reads the URL of a node.
pub(crate) fn node(url: &str) -> RedisResult<ConnectionInfo> {
    let node = url.into_connection_info()?;
    let tcp = node.tcp_settings().clone().set_nodelay(true);
    Ok(node.set_tcp_settings(tcp))
}

/// What is said to be let in, beside what is in the URLs.
#[derive(Clone, Default)]
pub(crate) struct Access {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: Option<u16>,
    pub(crate) tls: Option<Tls>,
}

impl Access {
    /// A single server with this access.
    pub(crate) fn applied_to(&self, server: &ConnectionInfo) -> RedisResult<ConnectionInfo> {
        let mut settings = server.redis_settings().clone();
        if let Some(username) = &self.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        if let Some(database) = self.database {
            settings = settings.set_db(database.into());
        }
        let server = server.clone().set_redis_settings(settings);
        match &self.tls {
            Some(tls) => Ok(Client::build_with_tls(server, tls.certificates())?
                .get_connection_info()
                .clone()),
            None => Ok(server),
        }
    }

    /// The URLs' credentials are for the sentinels, ours for the server that they name. If the one is
    /// spoken to over TLS, so is the other.
    pub(crate) fn of_sentinel(
        &self,
        mut builder: SentinelClientBuilder,
        sentinels: &[ConnectionInfo],
    ) -> SentinelClientBuilder {
        if let Some(first) = sentinels.first() {
            let (asks, tcp) = (first.redis_settings(), first.tcp_settings().clone());
            if let Some(username) = asks.username() {
                builder = builder.set_client_to_sentinel_username(username);
            }
            if let Some(password) = asks.password() {
                builder = builder.set_client_to_sentinel_password(password);
            }
            builder = builder
                .set_client_to_sentinel_protocol(asks.protocol())
                .set_client_to_redis_protocol(asks.protocol())
                .set_client_to_sentinel_tcp_settings(tcp.clone())
                .set_client_to_redis_tcp_settings(tcp);
            if matches!(first.addr(), ConnectionAddr::TcpTls { .. }) {
                builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
            }
        }
        if let Some(username) = &self.username {
            builder = builder.set_client_to_redis_username(username);
        }
        if let Some(password) = &self.password {
            builder = builder.set_client_to_redis_password(password);
        }
        if let Some(database) = self.database {
            builder = builder.set_client_to_redis_db(database.into());
        }
        if let Some(tls) = &self.tls {
            builder = builder
                .set_client_to_redis_certificates(tls.certificates())
                .set_client_to_sentinel_certificates(tls.certificates());
        }
        builder
    }

    pub(crate) fn of_cluster(&self, mut builder: ClusterClientBuilder) -> ClusterClientBuilder {
        if let Some(username) = &self.username {
            builder = builder.username(username);
        }
        if let Some(password) = &self.password {
            builder = builder.password(password);
        }
        if let Some(tls) = &self.tls {
            builder = builder.certs(tls.certificates());
        }
        builder
    }
}

/// Without the password.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| ".."))
            .field("database", &self.database)
            .field("tls", &self.tls)
            .finish()
    }
}
