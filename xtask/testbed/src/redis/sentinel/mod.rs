//! A master with replicas, and sentinels who watch it.

mod options;

use std::io;
use std::time::{Duration, Instant};

pub use options::RedisSentinelOptions;

use super::options::RedisServerOptions;
use super::port::ReservedPort;
use super::process::{ServerProcess, wait_until};
use super::random::random_id;
use super::replication::wait_until_caught_up;
use super::resp::bulk_strings;
use super::server::RedisServer;
use super::wire::Credentials;
use super::{program, wire};

/// How long the sentinels may take to agree. Far more than they need: a busy machine is no failure,
/// and after a vote without a winner they wait before the next one.
const AGREEMENT_LIMIT: Duration = Duration::from_secs(40);
/// How long a failover may take before another sentinel tries; they wait twice that in between.
const FAILOVER_TIMEOUT_MILLIS: &str = "1500";
/// How long one that was asked for may take before it is asked for again.
const FAILOVER_TAKES: Duration = Duration::from_secs(6);
/// Sentinels look at their nodes every ten seconds by default, and tests would wait for that. The
/// last two: they do nothing for half a minute after a pause of their own, which a busy machine has,
/// and try a node that came back every fifteen seconds only.
const PERIODS: &str = "SENTINEL DEBUG INFO-PERIOD 250 PUBLISH-PERIOD 250 PING-PERIOD 200 \
                       ASK-PERIOD 200 TILT-TRIGGER 60000 MIN-LINK-RECONNECT-PERIOD 1000";

/// A running master (data node 0 at the start) with replicas (data nodes from 1) and sentinels.
///
/// ```no_run
/// use testbed::redis::{RedisSentinel, RedisSentinelOptions};
///
/// let mut sentinel = RedisSentinel::start(&RedisSentinelOptions::default())?;
/// println!("ask {:?} for {}", sentinel.sentinel_urls(), sentinel.service_name());
/// let dead = sentinel.kill_master()?;
/// assert_ne!(sentinel.wait_for_other_master_than(dead)?, dead);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct RedisSentinel {
    options: RedisSentinelOptions,
    // Sentinels first: whoever goes first when this is dropped cannot start a failover any more.
    sentinels: Vec<ServerProcess>,
    nodes: Vec<RedisServer>,
}

impl RedisSentinel {
    /// Starts all of it and waits until the replicas follow and every sentinel knows everyone.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::start`]; [`io::ErrorKind::TimedOut`] if they do not get along.
    pub fn start(options: &RedisSentinelOptions) -> io::Result<Self> {
        let mut setup = Self { options: options.clone(), sentinels: Vec::new(), nodes: Vec::new() };
        for _ in 0..=options.replicas {
            setup.start_node()?;
        }
        // A sentinel asks for the replicas at once and then only every ten seconds, so these come first.
        wait_until("replication", AGREEMENT_LIMIT, || setup.replicas_amiss(0))?;
        setup.start_sentinels()?;
        setup.wait_until_ok()?;
        Ok(setup)
    }

    /// The URLs of the sentinels, with their password if they have one.
    pub fn sentinel_urls(&self) -> Vec<String> {
        // They are servers, too, as far as their URL goes.
        let options = match &self.options.sentinel_password {
            Some(password) => RedisServerOptions::default().password(password),
            None => RedisServerOptions::default(),
        };
        self.sentinels.iter().map(|sentinel| options.url(sentinel.port().number())).collect()
    }

    /// Under which name the sentinels know the master.
    pub fn service_name(&self) -> &str {
        &self.options.service_name
    }

    /// The master and the replicas, also those that are down.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The data node with this index.
    ///
    /// # Panics
    ///
    /// If there is none. The same is true of all methods that take an index.
    pub fn node(&self, index: usize) -> &RedisServer {
        &self.nodes[index]
    }

    /// The index of the data node that most sentinels call the master now. It may have died without
    /// their notice.
    ///
    /// # Errors
    ///
    /// If a sentinel does not answer, or if no node has more than half of the sentinels.
    pub fn master(&self) -> io::Result<usize> {
        let mut votes = vec![0; self.nodes.len()];
        for sentinel in self.live_sentinels() {
            if let Some(index) = self.master_for(sentinel)? {
                votes[index] += 1;
            }
        }
        let elected = votes.iter().position(|&count| count > self.sentinels.len() / 2);
        elected.ok_or_else(|| io::Error::other(format!("the sentinels do not agree: {votes:?}")))
    }

    /// Ends the master at once (SIGKILL) and returns which it was.
    ///
    /// # Errors
    ///
    /// As [`Self::master`].
    pub fn kill_master(&mut self) -> io::Result<usize> {
        let master = self.master()?;
        self.nodes[master].kill();
        Ok(master)
    }

    /// Stops the master from running without ending it (SIGSTOP) and returns which it was.
    ///
    /// # Errors
    ///
    /// As [`Self::master`].
    pub fn pause_master(&self) -> io::Result<usize> {
        let master = self.master()?;
        self.nodes[master].pause()?;
        Ok(master)
    }

    /// Lets a paused data node run on (SIGCONT).
    ///
    /// # Errors
    ///
    /// If it was killed meanwhile.
    pub fn resume(&self, index: usize) -> io::Result<()> {
        self.nodes[index].resume()
    }

    /// Ends a data node at once (SIGKILL).
    pub fn kill(&mut self, index: usize) {
        self.nodes[index].kill();
    }

    /// Starts a data node again, on the same port, without its data. A former master starts as a
    /// master; the sentinels make a replica of it after a while ([`Self::wait_until_ok`]).
    ///
    /// # Errors
    ///
    /// What kept it from starting.
    pub fn restart(&mut self, index: usize) -> io::Result<()> {
        self.nodes[index].restart()
    }

    /// Ends a sentinel at once (SIGKILL).
    pub fn kill_sentinel(&mut self, index: usize) {
        self.sentinels[index].kill();
    }

    /// Starts a sentinel again: it remembers what it knew.
    ///
    /// # Errors
    ///
    /// What kept it from starting.
    pub fn restart_sentinel(&mut self, index: usize) -> io::Result<()> {
        self.sentinels[index].restart()?;
        hurry(&self.sentinels[index])
    }

    /// [`RedisServer::command`] of one sentinel.
    ///
    /// # Errors
    ///
    /// If it does not answer within a few seconds.
    pub fn sentinel_command(&self, index: usize, line: &str) -> io::Result<String> {
        let reply = self.sentinels[index].ask(format!("{line}\r\n").as_bytes())?;
        Ok(wire::text(&reply))
    }

    /// Has a replica take the place of the master, which lives on as a replica. Returns the new master
    /// once all live sentinels name it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`], with what the sentinel says against it, if it does not come about
    /// within 40 seconds.
    pub fn failover(&self) -> io::Result<usize> {
        let old = self.master()?;
        let line = format!("SENTINEL FAILOVER {}", self.service_name());
        let mut asked: Option<Instant> = None;
        let mut new = old;
        wait_until("a failover", AGREEMENT_LIMIT, || {
            // One that was begun may be given up, when the replica turns out to be behind: asked again.
            if asked.is_none_or(|asked| asked.elapsed() > FAILOVER_TAKES) {
                let sentinel = self.live_sentinels().next().ok_or("all sentinels are dead")?;
                sentinel.ask_line(&line).map_err(|error| error.to_string())?;
                asked = Some(Instant::now());
            }
            new = self.agreed_master()?;
            if new == old { Err(format!("node {old} is still the master")) } else { Ok(()) }
        })?;
        Ok(new)
    }

    /// Waits until all live sentinels name the same master, which is not the node `old`, and that one
    /// says so too. Returns it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] if that takes more than 40 seconds.
    pub fn wait_for_other_master_than(&self, old: usize) -> io::Result<usize> {
        let mut new = old;
        wait_until("the election of a master", AGREEMENT_LIMIT, || {
            new = self.agreed_master()?;
            if new == old { Err(format!("node {old} is still the master")) } else { Ok(()) }
        })?;
        Ok(new)
    }

    /// Waits until all live sentinels name the same master, that one says so too, and every replica
    /// that is up follows it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] with what is amiss if that takes more than 40 seconds.
    pub fn wait_until_ok(&self) -> io::Result<()> {
        wait_until("agreement of the sentinels", AGREEMENT_LIMIT, || {
            let master = self.agreed_master()?;
            self.replicas_amiss(master)
        })
    }

    /// Waits until the replicas that are up have all that the master has been told so far.
    ///
    /// # Errors
    ///
    /// As [`Self::master`]; [`io::ErrorKind::TimedOut`] if that takes more than half a minute.
    pub fn wait_until_replicated(&self) -> io::Result<()> {
        let master = &self.nodes[self.master()?];
        let others = self.nodes.iter().filter(|node| node.port() != master.port());
        wait_until_caught_up(master, others.filter(|node| node.process().is_up()))
    }

    fn start_node(&mut self) -> io::Result<()> {
        let mut arguments: Vec<String> =
            ["--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"]
                .map(str::to_owned)
                .to_vec();
        if let Some(master) = self.nodes.first() {
            let port = master.port().to_string();
            arguments.extend(["--replicaof", "127.0.0.1", &port].map(str::to_owned));
        }
        let mut node = RedisServer::prepare(&self.options.node, ReservedPort::new()?, &arguments)?;
        node.process_mut().restart()?;
        self.nodes.push(node);
        Ok(())
    }

    fn start_sentinels(&mut self) -> io::Result<()> {
        let count = self.options.sentinels;
        let ports =
            (0..count).map(|_| ReservedPort::new()).collect::<io::Result<Vec<ReservedPort>>>()?;
        let ids: Vec<String> = (0..count).map(|_| random_id()).collect();
        let peers: Vec<(u16, &String)> = ports.iter().map(ReservedPort::number).zip(&ids).collect();
        let configs: Vec<String> = (0..count).map(|myself| self.config(myself, &peers)).collect();
        let chosen = program::choose(self.options.node.given_program())?;
        for (port, config) in ports.into_iter().zip(configs) {
            let password = self.options.sentinel_password.clone();
            let ours =
                password.map(|password| Credentials { user: "default".to_owned(), password });
            let mut sentinel = ServerProcess::new(chosen.clone(), port, ours)?;
            let file = sentinel.folder().join("sentinel.conf");
            std::fs::write(&file, config)?;
            sentinel.set_arguments(vec![file.display().to_string(), "--sentinel".to_owned()]);
            sentinel.launch()?;
            self.sentinels.push(sentinel);
        }
        self.sentinels.iter_mut().try_for_each(|sentinel| {
            sentinel.wait_until_it_answers()?;
            hurry(sentinel)
        })
    }

    /// The file of the sentinel `myself`. It names the others and the replicas, so that nobody has to
    /// find anybody, which would take seconds.
    fn config(&self, myself: usize, peers: &[(u16, &String)]) -> String {
        let name = self.service_name();
        let quorum = peers.len() / 2 + 1;
        let down_after = self.options.down_after.as_millis();
        let (port, id) = peers[myself];
        let mut lines = vec![
            format!("bind 127.0.0.1\nport {port}"),
            format!("sentinel myid {id}"),
            format!("sentinel monitor {name} 127.0.0.1 {} {quorum}", self.nodes[0].port()),
            format!("sentinel down-after-milliseconds {name} {down_after}"),
            format!("sentinel failover-timeout {name} {FAILOVER_TIMEOUT_MILLIS}"),
        ];
        if let Some(password) = &self.options.sentinel_password {
            lines.push(format!("requirepass \"{password}\""));
            lines.push(format!("sentinel sentinel-pass \"{password}\""));
        }
        if let Some(ours) = self.options.node.our_credentials() {
            lines.push(format!("sentinel auth-user {name} {}", ours.user));
            lines.push(format!("sentinel auth-pass {name} {}", ours.password));
        }
        for replica in &self.nodes[1..] {
            lines.push(format!("sentinel known-replica {name} 127.0.0.1 {}", replica.port()));
        }
        for (index, (port, id)) in peers.iter().enumerate() {
            if index != myself {
                lines.push(format!("sentinel known-sentinel {name} 127.0.0.1 {port} {id}"));
            }
        }
        lines.join("\n") + "\n"
    }

    fn live_sentinels(&self) -> impl Iterator<Item = &ServerProcess> {
        self.sentinels.iter().filter(|sentinel| sentinel.is_up())
    }

    /// Whom one sentinel calls the master.
    fn master_for(&self, sentinel: &ServerProcess) -> io::Result<Option<usize>> {
        let line = format!("SENTINEL GET-MASTER-ADDR-BY-NAME {}", self.service_name());
        let address = bulk_strings(&sentinel.ask_line(&line)?)?;
        let port = address.last().map(|port| wire::text(port));
        Ok(self.nodes.iter().position(|node| Some(node.port().to_string()) == port))
    }

    /// The master that all live sentinels name and that says so itself.
    fn agreed_master(&self) -> Result<usize, String> {
        let mut agreed = None;
        for sentinel in self.live_sentinels() {
            let master = self.master_for(sentinel).map_err(|error| error.to_string())?;
            let master = master.ok_or("a sentinel names no master of ours")?;
            if *agreed.get_or_insert(master) != master {
                return Err(format!("some say {master}, some say {agreed:?}"));
            }
        }
        let master = agreed.ok_or("all sentinels are dead")?;
        if !self.nodes[master].process().is_up() {
            return Err(format!("node {master} is the master, but is down"));
        }
        let role = self.replication(master)?;
        if role.contains("role:master") {
            Ok(master)
        } else {
            Err(format!("{master} is a replica"))
        }
    }

    /// Why not every replica that is up follows `master`.
    fn replicas_amiss(&self, master: usize) -> Result<(), String> {
        let port = format!("master_port:{}\r\n", self.nodes[master].port());
        for (index, node) in self.nodes.iter().enumerate() {
            if index != master && node.process().is_up() {
                let said = self.replication(index)?;
                if !said.contains(&port) || !said.contains("master_link_status:up") {
                    return Err(format!("node {index} does not follow {master}"));
                }
            }
        }
        Ok(())
    }

    fn replication(&self, index: usize) -> Result<String, String> {
        self.nodes[index].command("INFO replication").map_err(|error| error.to_string())
    }
}

/// Shortens the periods of a sentinel. One from before Redis 7.0 refuses and is as slow as it is.
fn hurry(sentinel: &ServerProcess) -> io::Result<()> {
    sentinel.ask(format!("{PERIODS}\r\n").as_bytes()).map(drop)
}
