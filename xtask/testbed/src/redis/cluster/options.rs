//! What a Cluster can be told.

use std::time::Duration;

use super::{RedisServerOptions, SLOTS};

/// How a [`RedisCluster`](super::RedisCluster) is to run. The default: three masters with a replica
/// each, which take each other for dead after a second without an answer.
#[derive(Clone, Debug)]
pub struct RedisClusterOptions {
    masters: usize,
    replicas_per_master: usize,
    node_timeout: Duration,
    node: RedisServerOptions,
}

impl Default for RedisClusterOptions {
    fn default() -> Self {
        Self {
            masters: 3,
            replicas_per_master: 1,
            node_timeout: Duration::from_secs(1),
            node: RedisServerOptions::default(),
        }
    }
}

impl RedisClusterOptions {
    /// How many masters share the slots. With less than three no replica can be elected.
    ///
    /// # Panics
    ///
    /// If it is 0.
    #[must_use]
    pub fn masters(mut self, count: usize) -> Self {
        assert!(count > 0, "a Cluster has at least one master");
        self.masters = count;
        self
    }

    /// How many replicas each master has; may be 0.
    #[must_use]
    pub fn replicas_per_master(mut self, count: usize) -> Self {
        self.replicas_per_master = count;
        self
    }

    /// After how long without an answer nodes take each other for dead (`cluster-node-timeout`).
    #[must_use]
    pub fn node_timeout(mut self, timeout: Duration) -> Self {
        self.node_timeout = timeout;
        self
    }

    /// What every node is told: passwords, users, TLS, directives.
    #[must_use]
    pub fn node(mut self, options: RedisServerOptions) -> Self {
        self.node = options;
        self
    }

    pub(in crate::redis) const fn node_options(&self) -> &RedisServerOptions {
        &self.node
    }

    pub(super) const fn master_count(&self) -> usize {
        self.masters
    }

    pub(super) const fn node_count(&self) -> usize {
        self.masters * (1 + self.replicas_per_master)
    }

    /// The first and the last slot of a master.
    pub(super) fn slots_of(&self, master: usize) -> (usize, usize) {
        let start = |master: usize| master * usize::from(SLOTS) / self.masters;
        (start(master), start(master + 1) - 1)
    }

    pub(super) fn arguments(&self) -> Vec<String> {
        let timeout = self.node_timeout.as_millis().to_string();
        let mut arguments = vec![
            ["--cluster-enabled", "yes"],
            ["--cluster-config-file", "nodes.conf"],
            ["--cluster-node-timeout", &timeout],
            // However long its link was down, a replica may take over: what counts here is that it does.
            ["--cluster-replica-validity-factor", "0"],
            ["--repl-diskless-sync", "yes"],
            ["--repl-diskless-sync-delay", "0"],
        ];
        if self.node.uses_tls() {
            arguments.push(["--tls-cluster", "yes"]);
        }
        arguments.into_iter().flatten().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_masters_share_all_slots() {
        for count in [1, 3, 5, 7] {
            let options = RedisClusterOptions::default().masters(count);
            let shares: Vec<_> = (0..count).map(|master| options.slots_of(master)).collect();
            assert_eq!((shares[0].0, shares[count - 1].1), (0, 16_383));
            assert!(shares.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
        }
    }
}
