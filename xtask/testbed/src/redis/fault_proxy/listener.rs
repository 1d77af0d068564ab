//! The port of the proxy, which can be closed and opened again.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::connection;
use super::plan::Shared;
use crate::redis::port::{ReservedPort, bind, stop_listening};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;

/// Between two attempts to wake the thread that accepts.
const KNOCK_PERIOD: Duration = Duration::from_millis(10);

/// A thread that accepts connections while the port is open.
#[derive(Debug)]
pub(super) struct Listener {
    port: ReservedPort,
    gate: Arc<Gate>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    wanted: Wanted,
    /// What the thread has made of it.
    open: bool,
    /// Why the port could not be opened.
    failure: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Open,
    Closed,
    Gone,
}

impl Listener {
    pub(super) fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let port = ReservedPort::new()?;
        let state = State { wanted: Wanted::Open, open: false, failure: None };
        let gate = Arc::new(Gate { state: Mutex::new(state), changed: Condvar::new() });
        let (of_thread, shared, number) = (Arc::clone(&gate), Arc::clone(shared), port.number());
        let thread = thread::Builder::new()
            .name("fault-proxy".to_owned())
            .spawn(move || of_thread.serve(number, &shared))?;
        let listener = Self { port, gate, thread: Some(thread) };
        listener.gate.wait_until_open()?;
        Ok(listener)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Returns when the port is as it is wanted.
    ///
    /// # Panics
    ///
    /// If it cannot be opened.
    pub(super) fn set_open(&self, open: bool) {
        if open {
            self.gate.want(Wanted::Open);
            self.gate.wait_until_open().expect("the port that was ours can be opened again");
        } else {
            self.shut(Wanted::Closed);
        }
    }

    pub(super) fn stop(&mut self) {
        self.shut(Wanted::Gone);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it has nothing to say
        }
    }

    fn shut(&self, wanted: Wanted) {
        self.gate.want(wanted);
        let mut state = self.gate.lock();
        while state.open {
            drop(state);
            // The thread waits for a connection: here is one. It may meet a port that is just closed.
            let _ = TcpStream::connect(self.address());
            let woken = self.gate.changed.wait_timeout(self.gate.lock(), KNOCK_PERIOD);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Gate {
    fn serve(&self, port: u16, shared: &Arc<Shared>) {
        while self.wait_for_a_change() == Wanted::Open {
            match listen(port) {
                Ok(listener) => {
                    self.set(true, None);
                    self.accept(&listener, shared);
                    stop_listening(&listener);
                    drop(listener);
                    self.set(false, None);
                }
                Err(error) => {
                    self.set(false, Some(error.to_string()));
                    return;
                }
            }
        }
    }

    fn accept(&self, listener: &TcpListener, shared: &Arc<Shared>) {
        loop {
            let accepted = listener.accept();
            if self.lock().wanted != Wanted::Open {
                return; // and nobody serves this connection, which is likely to be our own knock
            }
            if let Ok((client, _)) = accepted {
                connection::serve(client, shared);
            }
        }
    }

    /// Waits while the port is to stay closed.
    fn wait_for_a_change(&self) -> Wanted {
        let state = self.changed.wait_while(self.lock(), |state| state.wanted == Wanted::Closed);
        state.unwrap_or_else(PoisonError::into_inner).wanted
    }

    fn wait_until_open(&self) -> io::Result<()> {
        let state =
            self.changed.wait_while(self.lock(), |state| !state.open && state.failure.is_none());
        match &state.unwrap_or_else(PoisonError::into_inner).failure {
            Some(error) => Err(io::Error::other(error.clone())),
            None => Ok(()),
        }
    }

    fn want(&self, wanted: Wanted) {
        self.lock().wanted = wanted;
        self.changed.notify_all();
    }

    fn set(&self, open: bool, failure: Option<String>) {
        let mut state = self.lock();
        state.open = open;
        state.failure = failure;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = bind(port)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
