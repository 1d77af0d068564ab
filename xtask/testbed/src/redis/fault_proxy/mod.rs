//! A proxy that does to connections what networks and tired servers do to them.

mod connection;
mod fault;
mod listener;
mod plan;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

pub use fault::Fault;

use self::listener::Listener;
use self::plan::Shared;

/// Stands between a client and a Redis server on loopback, and misbehaves when it is told to.
///
/// It reads requests and replies as RESP, so a fault strikes whole replies, or stops in the middle of
/// one. What is not RESP (TLS, the stream of a replica) is passed as it comes, and each piece counts as
/// one reply. It runs on threads of its own: neither a paused clock nor a blocked runtime of the client
/// stops it. When it is dropped, its connections end and its port is free.
///
/// ```no_run
/// use testbed::redis::{Fault, FaultProxy, RedisServer, RedisServerOptions};
///
/// let server = RedisServer::start(&RedisServerOptions::default())?;
/// let proxy = FaultProxy::start(server.address())?;
/// println!("redis-cli -u {}", proxy.url());
/// proxy.set(Fault::reset_after(3).on("GET").times(1)); // one GET is answered by "$5\r" and a reset
/// proxy.set(Fault::hold()); // and from now on silence
/// proxy.pass(); // what was held back comes now
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct FaultProxy {
    // Dropped first: nobody is let in any more while connections end.
    listener: Listener,
    shared: Arc<Shared>,
    /// One change of the port at a time, whoever wants it.
    setting: Mutex<()>,
}

/// What went through a [`FaultProxy`] so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections accepted.
    pub connections: u64,
    /// Requests that clients sent, whether they were forwarded or not.
    pub requests: u64,
    /// Replies that clients got as the server gave them, also late ones.
    pub replies: u64,
    /// Replies that a fault cut off, took the place of, or delayed.
    pub faults: u64,
}

impl FaultProxy {
    /// Listens on a free port and forwards all to `target`, which need not be there yet.
    ///
    /// # Errors
    ///
    /// If no port can be had.
    pub fn start(target: SocketAddr) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(target));
        let listener = Listener::start(&shared)?;
        Ok(Self { listener, shared, setting: Mutex::new(()) })
    }

    /// `redis://127.0.0.1:PORT/`, without credentials; see [`RedisServer::url_at`] for others.
    ///
    /// [`RedisServer::url_at`]: crate::redis::RedisServer::url_at
    pub fn url(&self) -> String {
        format!("redis://{}/", self.address())
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.address().port()
    }

    /// Loopback and [`Self::port`].
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// From now on `fault` strikes, in place of what was set before. Connections stay open, except
    /// that [`Fault::refuse`] closes the port when this returns.
    ///
    /// # Panics
    ///
    /// If the port was closed and cannot be opened again, because another process has taken it.
    pub fn set(&self, fault: Fault) {
        self.change(Some(fault));
    }

    /// No fault any more.
    ///
    /// # Panics
    ///
    /// As [`Self::set`].
    pub fn pass(&self) {
        self.change(None);
    }

    /// Resets all connections that are open now, as the death of the other host does.
    pub fn reset_connections(&self) {
        self.shared.reset_connections();
    }

    /// Forwards to another server from now on; connections that are open stay where they are.
    pub fn set_target(&self, target: SocketAddr) {
        self.shared.set_target(target);
    }

    /// What went through so far.
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> usize {
        self.shared.open_connections()
    }

    fn change(&self, fault: Option<Fault>) {
        // The guard is of nothing that a panic could leave half done.
        let _guard = self.setting.lock().unwrap_or_else(PoisonError::into_inner);
        let open = !fault.as_ref().is_some_and(Fault::refuses);
        self.shared.set_fault(fault);
        self.listener.set_open(open);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.listener.stop();
        self.shared.close();
    }
}
