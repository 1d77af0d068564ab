//! A Cluster of real servers.

mod options;
mod view;

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

pub use options::RedisClusterOptions;

use self::view::{NodeLine, lines_of};
use super::options::RedisServerOptions;
use super::port::ReservedPort;
use super::process::{ANSWER_LIMIT, wait_until};
use super::random::random_id;
use super::replication::wait_until_caught_up;
use super::resp::bulk_strings;
use super::server::RedisServer;
use super::slot::{SLOTS, slot_of};
use super::wire;

/// How long the nodes may take to agree. Far more than they need: a busy machine is no failure.
const AGREEMENT_LIMIT: Duration = Duration::from_secs(30);
/// A node gives up a failover that was asked for after 5 seconds.
const FAILOVER_LIMIT: Duration = Duration::from_secs(6);
/// How many keys of a slot move at once.
const KEYS_PER_MOVE: u32 = 100;

/// A running Redis Cluster: at the start the masters have the indices from 0, in the order of their
/// slots, and the replicas follow (the first one of each master, then the second of each).
///
/// ```no_run
/// use testbed::redis::{RedisCluster, RedisClusterOptions};
///
/// let mut cluster = RedisCluster::start(&RedisClusterOptions::default())?;
/// let master = cluster.master_of_key(b"greeting")?;
/// cluster.kill(master);
/// cluster.wait_until_ok()?; // a replica has taken over
/// assert_ne!(cluster.master_of_key(b"greeting")?, master);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    /// The name that each node has in the Cluster, in the order of `nodes`.
    ids: Vec<String>,
}

impl RedisCluster {
    /// Starts all nodes and waits until they agree that all is well and the replicas follow.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::start`]; [`io::ErrorKind::TimedOut`] if the nodes do not get along.
    pub fn start(options: &RedisClusterOptions) -> io::Result<Self> {
        let count = options.node_count();
        let ports = (0..count)
            .map(|_| ReservedPort::with_bus())
            .collect::<io::Result<Vec<ReservedPort>>>()?;
        let ids: Vec<String> = (0..count).map(|_| random_id()).collect();
        let seeds: Vec<String> =
            (0..count).map(|myself| seed(options, myself, &ports, &ids)).collect();

        let mut nodes = Vec::with_capacity(count);
        for (port, seed) in ports.into_iter().zip(&seeds) {
            let arguments = options.arguments();
            let node = RedisServer::prepare(options.node_options(), port, &arguments)?;
            std::fs::write(node.process().folder().join("nodes.conf"), seed)?;
            nodes.push(node);
        }
        let mut cluster = Self { nodes, ids };
        for node in &mut cluster.nodes {
            node.process_mut().launch()?;
        }
        for node in &mut cluster.nodes {
            node.process_mut().wait_until_it_answers()?;
        }
        cluster.wait_until_ok()?;
        Ok(cluster)
    }

    /// The URLs of all nodes, also of those that are down.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::url).collect()
    }

    /// All nodes, also those that are down.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The node with this index.
    ///
    /// # Panics
    ///
    /// If there is none. The same is true of all methods that take an index.
    pub fn node(&self, index: usize) -> &RedisServer {
        &self.nodes[index]
    }

    /// The index of the node that owns `slot`, as the nodes see it that are up.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if none of those owns it.
    pub fn master_of_slot(&self, slot: u16) -> io::Result<usize> {
        // Who comes back from a pause claims its old slots for a moment: the later claim counts.
        let mut claims = Vec::new();
        for index in self.up() {
            let myself = self.own_line(index)?;
            if myself.owns(slot) {
                claims.push((myself.epoch, index));
            }
        }
        claims.into_iter().max().map(|(_, index)| index).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("slot {slot} has no master that is up"))
        })
    }

    /// The index of the node that owns the slot of `key`.
    ///
    /// # Errors
    ///
    /// As [`Self::master_of_slot`].
    pub fn master_of_key(&self, key: &[u8]) -> io::Result<usize> {
        self.master_of_slot(slot_of(key))
    }

    /// The indices of the replicas that are up and follow the node `master`.
    ///
    /// # Errors
    ///
    /// If a node does not answer.
    pub fn replicas_of(&self, master: usize) -> io::Result<Vec<usize>> {
        let mut replicas = Vec::new();
        for index in self.up() {
            if self.own_line(index)?.master.as_ref() == Some(&self.ids[master]) {
                replicas.push(index);
            }
        }
        Ok(replicas)
    }

    /// Ends a node at once (SIGKILL).
    pub fn kill(&mut self, index: usize) {
        self.nodes[index].kill();
    }

    /// Stops a node from running without ending it (SIGSTOP).
    ///
    /// # Errors
    ///
    /// If it is not running.
    pub fn pause(&self, index: usize) -> io::Result<()> {
        self.nodes[index].pause()
    }

    /// Lets a paused node run on (SIGCONT).
    ///
    /// # Errors
    ///
    /// If it was killed meanwhile.
    pub fn resume(&self, index: usize) -> io::Result<()> {
        self.nodes[index].resume()
    }

    /// Starts a node again, on the same port and under the same name, without its data. It finds its
    /// place by itself: [`Self::wait_until_ok`] waits for that.
    ///
    /// # Errors
    ///
    /// What kept it from starting.
    pub fn restart(&mut self, index: usize) -> io::Result<()> {
        self.nodes[index].restart()
    }

    /// [`RedisServer::command`] of one node.
    ///
    /// # Errors
    ///
    /// If the node does not answer within a few seconds.
    pub fn command(&self, index: usize, line: &str) -> io::Result<String> {
        self.nodes[index].command(line)
    }

    /// Moves a slot with its keys to another master, and waits until all nodes know.
    ///
    /// # Errors
    ///
    /// What a node says against it.
    pub fn migrate_slot(&self, slot: u16, to: usize) -> io::Result<()> {
        self.begin_slot_migration(slot, to)?;
        self.move_keys(slot, to)?;
        self.finish_slot_migration(slot, to)
    }

    /// The first step of [`Self::migrate_slot`], and the state in which clients see `ASK`: the owner
    /// says `MIGRATING`, the other `IMPORTING`. Keys stay where they are; who asks the owner for a key
    /// that it does not have is sent to the other.
    ///
    /// # Errors
    ///
    /// What a node says against it.
    pub fn begin_slot_migration(&self, slot: u16, to: usize) -> io::Result<()> {
        let from = self.master_of_slot(slot)?;
        let (source, target) = (&self.ids[from], &self.ids[to]);
        self.order(to, &format!("CLUSTER SETSLOT {slot} IMPORTING {source}"))?;
        self.order(from, &format!("CLUSTER SETSLOT {slot} MIGRATING {target}"))
    }

    /// The second step: moves all keys of the slot from its owner to the node `to`.
    ///
    /// # Errors
    ///
    /// What a node says against it.
    pub fn move_keys(&self, slot: u16, to: usize) -> io::Result<()> {
        let from = self.nodes[self.master_of_slot(slot)?].process();
        let port = self.nodes[to].port().to_string();
        let limit = ANSWER_LIMIT.as_millis().to_string();
        loop {
            let list = format!("CLUSTER GETKEYSINSLOT {slot} {KEYS_PER_MOVE}");
            let keys = bulk_strings(&from.ask_line(&list)?)?;
            if keys.is_empty() {
                return Ok(());
            }
            let mut words = vec!["MIGRATE", "127.0.0.1", &port, "", "0", &limit, "REPLACE"];
            let ours = self.nodes[to].process().credentials();
            if let Some(ours) = ours {
                words.extend(["AUTH2", &ours.user, &ours.password]);
            }
            words.push("KEYS");
            let words = words.into_iter().map(str::as_bytes);
            let reply = from.ask(&wire::command(words.chain(keys.iter().map(Vec::as_slice))))?;
            if reply.starts_with(b"-") {
                return Err(io::Error::other(wire::text(&reply)));
            }
        }
    }

    /// The last step: the slot belongs to the node `to`, and all nodes that are up know.
    ///
    /// # Errors
    ///
    /// What a node says against it; also if the old owner still has keys of the slot, which would be
    /// lost.
    pub fn finish_slot_migration(&self, slot: u16, to: usize) -> io::Result<()> {
        let from = self.master_of_slot(slot)?;
        let left = self.command(from, &format!("CLUSTER COUNTKEYSINSLOT {slot}"))?;
        if left != ":0\r\n" {
            return Err(io::Error::other(format!("keys in slot {slot} have not moved: {left:?}")));
        }
        // The new owner first: the other way round the slot would belong to nobody for a moment.
        for node in [to, from] {
            self.order(node, &format!("CLUSTER SETSLOT {slot} NODE {}", self.ids[to]))?;
        }
        wait_until("moving a slot", AGREEMENT_LIMIT, || {
            for index in self.up() {
                let lines = self.lines(index).map_err(|error| error.to_string())?;
                if !lines.iter().any(|line| line.id == self.ids[to] && line.owns(slot)) {
                    return Err(format!("node {index} does not know"));
                }
            }
            Ok(())
        })
    }

    /// Ends a migration that was begun, without moving the slot.
    ///
    /// # Errors
    ///
    /// What a node says against it.
    pub fn cancel_slot_migration(&self, slot: u16, to: usize) -> io::Result<()> {
        for node in [self.master_of_slot(slot)?, to] {
            self.order(node, &format!("CLUSTER SETSLOT {slot} STABLE"))?;
        }
        Ok(())
    }

    /// Makes a replica the master in place of its own, which must be up and becomes its replica.
    /// Returns when all nodes that are up know.
    ///
    /// # Errors
    ///
    /// What the replica says against it; [`io::ErrorKind::TimedOut`] if it does not come about.
    pub fn failover(&self, replica: usize) -> io::Result<()> {
        let take_over = || {
            self.order(replica, "CLUSTER FAILOVER")?;
            wait_until("a failover", FAILOVER_LIMIT, || match self.own_line(replica) {
                Ok(myself) if myself.master.is_none() => Ok(()),
                Ok(_) => Err("it is still a replica".to_owned()),
                Err(error) => Err(error.to_string()),
            })
        };
        // The other masters' votes may come too late on a busy machine. Then nothing has changed.
        take_over().or_else(|error| match error.kind() {
            io::ErrorKind::TimedOut => take_over(),
            _ => Err(error),
        })?;
        self.wait_until_ok()
    }

    /// Waits until the nodes that are up (neither killed nor paused) are a whole Cluster: every slot
    /// belongs to one of them, all of them agree about that and say `cluster_state:ok`, and each
    /// replica among them follows its master. So after the death of a master it waits for the takeover.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] with what is amiss if that takes more than half a minute.
    pub fn wait_until_ok(&self) -> io::Result<()> {
        wait_until("agreement in the Cluster", AGREEMENT_LIMIT, || self.amiss())
    }

    /// Waits until the replicas of the node `master` have all that it has been told so far.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] if that takes more than half a minute.
    pub fn wait_until_replicated(&self, master: usize) -> io::Result<()> {
        let replicas = self.replicas_of(master)?;
        wait_until_caught_up(&self.nodes[master], replicas.iter().map(|&index| &self.nodes[index]))
    }

    /// What is still in the way of [`Self::wait_until_ok`].
    fn amiss(&self) -> Result<(), String> {
        let up: Vec<usize> = self.up().collect();
        let up_ids: Vec<&String> = up.iter().map(|&index| &self.ids[index]).collect();
        let mut first_map = None;
        for index in up {
            let at = |error: io::Error| format!("node {index}: {error}");
            let info = self.nodes[index].command("CLUSTER INFO").map_err(at)?;
            if !info.contains("cluster_state:ok") {
                return Err(format!("node {index} does not say cluster_state:ok"));
            }
            let lines = self.lines(index).map_err(at)?;
            let ours = lines.iter().filter(|line| up_ids.contains(&&line.id));
            let ours: Vec<&NodeLine> = ours.collect();
            if ours.len() < up_ids.len() {
                return Err(format!("node {index} knows {} nodes that are up", ours.len()));
            }
            if let Some(line) = ours.iter().find(|line| !line.is_well()) {
                return Err(format!("node {index} says that {} is {}", line.id, line.flags));
            }
            let owned: usize = ours.iter().map(|line| line.slot_count()).sum();
            if owned != usize::from(SLOTS) {
                return Err(format!("node {index} knows living owners of {owned} slots only"));
            }
            let replica = ours.iter().any(|line| line.is_myself() && line.master.is_some());
            if replica && !self.follows_its_master(index).map_err(at)? {
                return Err(format!("node {index} has no link to its master"));
            }
            let mut map: Vec<_> =
                ours.iter().map(|line| (&line.id, &line.master, &line.slots)).collect();
            map.sort_unstable();
            let map = format!("{map:?}");
            if *first_map.get_or_insert_with(|| map.clone()) != map {
                return Err(format!("node {index} sees another order than the first"));
            }
        }
        Ok(())
    }

    fn follows_its_master(&self, index: usize) -> io::Result<bool> {
        let info = self.nodes[index].command("INFO replication")?;
        Ok(info.contains("role:slave") && info.contains("master_link_status:up"))
    }

    fn up(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|&index| self.nodes[index].process().is_up())
    }

    fn order(&self, index: usize, line: &str) -> io::Result<()> {
        self.nodes[index].process().ask_line(line).map(drop)
    }

    /// What the node `index` knows of all.
    fn lines(&self, index: usize) -> io::Result<Vec<NodeLine>> {
        lines_of(&self.nodes[index].process().ask_line("CLUSTER NODES")?)
    }

    /// What the node `index` says of itself.
    fn own_line(&self, index: usize) -> io::Result<NodeLine> {
        let mut lines = self.lines(index)?.into_iter();
        lines.find(NodeLine::is_myself).ok_or_else(|| io::Error::other("a node without itself"))
    }
}

/// What the node `myself` would have written to its `nodes.conf` had it met all others already. So
/// nobody has to be introduced, and the Cluster is there as soon as its masters dare to take writes,
/// which is two seconds after the start of a node.
fn seed(
    options: &RedisClusterOptions,
    myself: usize,
    ports: &[ReservedPort],
    ids: &[String],
) -> String {
    let masters = options.master_count();
    let mut text = String::new();
    for (index, (port, id)) in ports.iter().zip(ids).enumerate() {
        let me = if index == myself { "myself," } else { "" };
        let (number, bus) = (port.number(), port.bus());
        let master = index % masters;
        write!(text, "{id} 127.0.0.1:{number}@{bus} {me}").expect("a String takes all");
        let rest = if index == master {
            let (first, last) = options.slots_of(master);
            format!("master - 0 0 {} connected {first}-{last}", master + 1)
        } else {
            format!("slave {} 0 0 {} connected", ids[master], master + 1)
        };
        writeln!(text, "{rest}").expect("a String takes all");
    }
    text + &format!("vars currentEpoch {masters} lastVoteEpoch 0\n")
}
