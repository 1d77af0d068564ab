//! What the proxy is to do, shared by all its threads.

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::Counts;
use super::fault::{Fault, Kind};

/// All threads of a proxy share one.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Whoever waits for the end of a fault waits here.
    changed: Condvar,
    counters: Counters,
}

#[derive(Debug)]
struct State {
    target: SocketAddr,
    fault: Option<Fault>,
    /// Counts what was set. A delay that began under an earlier fault is over.
    generation: u64,
    closing: bool,
    next_connection: u64,
    connections: HashMap<u64, Ends>,
}

/// Both sides of a connection, the server's once it is there. Only the threads that serve it and this
/// hold them, so that a reset really is one: a socket that is open elsewhere is not closed.
#[derive(Debug)]
struct Ends {
    client: Arc<TcpStream>,
    server: Option<Arc<TcpStream>>,
}

/// Plain counts, which order nothing.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) replies: AtomicU64,
    pub(super) faults: AtomicU64,
}

impl Shared {
    pub(super) fn new(target: SocketAddr) -> Self {
        let state = State {
            target,
            fault: None,
            generation: 0,
            closing: false,
            next_connection: 0,
            connections: HashMap::new(),
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), counters: Counters::default() }
    }

    pub(super) const fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            connections: read(&self.counters.connections),
            requests: read(&self.counters.requests),
            replies: read(&self.counters.replies),
            faults: read(&self.counters.faults),
        }
    }

    pub(super) fn target(&self) -> SocketAddr {
        self.lock().target
    }

    pub(super) fn set_target(&self, target: SocketAddr) {
        self.lock().target = target;
    }

    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        let mut state = self.lock();
        state.fault = fault.filter(|fault| fault.left != Some(0));
        state.generation += 1;
        self.changed.notify_all();
    }

    /// The bytes to answer a request with in place of the server.
    pub(super) fn take_for_request(&self, command: &str) -> Option<Vec<u8>> {
        match self.take(|fault| fault.strikes_requests() && fault.concerns(command))? {
            (Kind::Answer(bytes), _) => Some(bytes),
            _ => None,
        }
    }

    /// What is to be done to a reply, and the generation of that order. A message that nobody asked for
    /// can only be slowed down.
    pub(super) fn take_for_reply(&self, command: &str, asked_for: bool) -> Option<(Kind, u64)> {
        self.take(|fault| {
            let passive = fault.strikes_requests() || fault.holds() || fault.refuses();
            !passive && fault.concerns(command) && (asked_for || fault.only_slows())
        })
    }

    fn take(&self, strikes: impl FnOnce(&Fault) -> bool) -> Option<(Kind, u64)> {
        let mut state = self.lock();
        let generation = state.generation;
        let fault = state.fault.as_mut().filter(|fault| strikes(fault))?;
        let kind = fault.kind.clone();
        if let Some(left) = &mut fault.left {
            *left -= 1;
            if *left == 0 {
                state.fault = None; // the generation stays: what it struck last is still under way
            }
        }
        self.counters.faults.fetch_add(1, Ordering::Relaxed);
        Some((kind, generation))
    }

    /// Waits as long as everything is held back; not when the connection `id` ends meanwhile.
    pub(super) fn wait_while_held(&self, id: u64, command: &str) {
        let held = |state: &mut State| {
            let fault = state.fault.as_ref();
            state.connections.contains_key(&id)
                && fault.is_some_and(|fault| fault.holds() && fault.concerns(command))
        };
        drop(self.changed.wait_while(self.lock(), held).unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits until `end`, until something else is set than what was at `generation`, or until the
    /// connection `id` ends.
    pub(super) fn wait_until(&self, id: u64, end: Instant, generation: u64) {
        let early = |state: &mut State| {
            state.connections.contains_key(&id) && state.generation == generation
        };
        let left = end.saturating_duration_since(Instant::now());
        let woken = self.changed.wait_timeout_while(self.lock(), left, early);
        drop(woken.unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes a connection on; `None` when the proxy is closing.
    pub(super) fn register(&self, client: &Arc<TcpStream>) -> Option<u64> {
        let mut state = self.lock();
        if state.closing {
            return None;
        }
        self.counters.connections.fetch_add(1, Ordering::Relaxed);
        state.next_connection += 1;
        let id = state.next_connection;
        state.connections.insert(id, Ends { client: Arc::clone(client), server: None });
        Some(id)
    }

    /// The other side of the connection `id`; `None` if that has ended.
    pub(super) fn attach(&self, id: u64, server: &Arc<TcpStream>) -> Option<()> {
        self.lock().connections.get_mut(&id)?.server = Some(Arc::clone(server));
        Some(())
    }

    /// Ends both sides in good order, and with them the threads that read from them.
    pub(super) fn close_connection(&self, id: u64) {
        if let Some(ends) = self.lock().connections.remove(&id) {
            ends.close();
            self.changed.notify_all();
        }
    }

    /// Ends both sides, the client's by a reset: at once, or when the last thread lets go of it.
    pub(super) fn reset_connection(&self, id: u64) {
        if let Some(ends) = self.lock().connections.remove(&id) {
            ends.reset();
            self.changed.notify_all();
        }
    }

    pub(super) fn reset_connections(&self) {
        for (_, ends) in self.lock().connections.drain() {
            ends.reset();
        }
        self.changed.notify_all();
    }

    pub(super) fn open_connections(&self) -> usize {
        self.lock().connections.len()
    }

    /// Ends all connections and all waiting, for good.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closing = true;
        for (_, ends) in state.connections.drain() {
            ends.close();
        }
        self.changed.notify_all();
    }

    /// A thread that panicked has left nothing half done: every change is one assignment.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// Errors here mean that the other side was faster.
impl Ends {
    fn close(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        self.leave_server();
    }

    /// With a linger of zero, closing the socket resets the connection. Shutting down its reading half
    /// sends nothing, but ends the thread that reads from it and keeps the socket open.
    fn reset(&self) {
        let _ = SockRef::from(&*self.client).set_linger(Some(Duration::ZERO));
        let _ = self.client.shutdown(Shutdown::Read);
        self.leave_server();
    }

    fn leave_server(&self) {
        if let Some(server) = &self.server {
            let _ = server.shutdown(Shutdown::Both);
        }
    }
}
