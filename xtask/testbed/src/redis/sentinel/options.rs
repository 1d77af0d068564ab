//! What a Sentinel setup can be told.

use std::time::Duration;

use super::RedisServerOptions;

/// How a [`RedisSentinel`](super::RedisSentinel) is to run. The default: a master with a replica,
/// three sentinels that take it for dead after 750 milliseconds without an answer.
#[derive(Clone, Debug)]
pub struct RedisSentinelOptions {
    pub(super) service_name: String,
    pub(super) replicas: usize,
    pub(super) sentinels: usize,
    pub(super) down_after: Duration,
    pub(super) sentinel_password: Option<String>,
    pub(super) node: RedisServerOptions,
}

impl Default for RedisSentinelOptions {
    fn default() -> Self {
        Self {
            service_name: "mymaster".to_owned(),
            replicas: 1,
            sentinels: 3,
            down_after: Duration::from_millis(750),
            sentinel_password: None,
            node: RedisServerOptions::default(),
        }
    }
}

impl RedisSentinelOptions {
    /// Under which name clients ask for the master.
    #[must_use]
    pub fn service_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.service_name);
        self
    }

    /// How many replicas the master has.
    #[must_use]
    pub fn replicas(mut self, count: usize) -> Self {
        self.replicas = count;
        self
    }

    /// How many sentinels watch. More than half of them have to agree about the master's death.
    #[must_use]
    pub fn sentinels(mut self, count: usize) -> Self {
        self.sentinels = count;
        self
    }

    /// After how long without an answer a sentinel takes the master for dead.
    #[must_use]
    pub fn down_after(mut self, duration: Duration) -> Self {
        self.down_after = duration;
        self
    }

    /// Clients must give this password to the sentinels, too, which have none otherwise.
    #[must_use]
    pub fn sentinel_password(mut self, password: &str) -> Self {
        self.sentinel_password = Some(password.to_owned());
        self
    }

    /// What the master and its replicas are told: passwords, users, directives, but not TLS: the
    /// sentinels here speak plain TCP.
    ///
    /// # Panics
    ///
    /// If the options say TLS.
    #[must_use]
    pub fn node(mut self, options: RedisServerOptions) -> Self {
        assert!(!options.uses_tls(), "sentinels of the testbed speak plain TCP");
        self.node = options;
        self
    }

    pub(in crate::redis) const fn node_options(&self) -> &RedisServerOptions {
        &self.node
    }
}
