//! A TCP relay in front of a server, that can hold back what one of its connections sends, and repeat
//! or swallow what it was sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Relay {
    pub(crate) port: u16,
    /// Which connection is held back, by the order in which they came.
    held: Arc<watch::Sender<Option<usize>>>,
    /// Which connection gets every reply again before the next one.
    repeated: Arc<watch::Sender<Option<usize>>>,
    /// Which connection gets nothing any more, as when a router forgets it.
    swallowed: Arc<watch::Sender<Option<usize>>>,
    /// Where connections go that come from now on.
    server: Arc<AtomicU16>,
}

impl Relay {
    pub(crate) async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let held = Arc::new(watch::Sender::new(None));
        let repeated = Arc::new(watch::Sender::new(None));
        let swallowed = Arc::new(watch::Sender::new(None));
        let server = Arc::new(AtomicU16::new(server));
        let (holds, repeats) = (Arc::clone(&held), Arc::clone(&repeated));
        let (swallows, target) = (Arc::clone(&swallowed), Arc::clone(&server));
        tokio::spawn(async move {
            let mut connections = 0;
            while let Ok((client, _)) = listener.accept().await {
                let faults = Faults {
                    index: connections,
                    held: holds.subscribe(),
                    repeated: repeats.subscribe(),
                    swallowed: swallows.subscribe(),
                };
                let server = target.load(Ordering::Relaxed);
                tokio::spawn(pass_on(client, server, faults));
                connections += 1;
            }
        });
        Self { port, held, repeated, swallowed, server }
    }

    pub(crate) fn hold(&self, connection: impl Into<Option<usize>>) {
        self.held.send_replace(connection.into());
    }

    pub(crate) fn repeat(&self, connection: impl Into<Option<usize>>) {
        self.repeated.send_replace(connection.into());
    }

    pub(crate) fn swallow(&self, connection: impl Into<Option<usize>>) {
        self.swallowed.send_replace(connection.into());
    }

    pub(crate) fn retarget(&self, server: u16) {
        self.server.store(server, Ordering::Relaxed);
    }
}

/// What can be done to one connection, by its index.
struct Faults {
    index: usize,
    held: watch::Receiver<Option<usize>>,
    repeated: watch::Receiver<Option<usize>>,
    swallowed: watch::Receiver<Option<usize>>,
}

async fn pass_on(client: TcpStream, server: u16, faults: Faults) {
    let Faults { index, mut held, repeated, swallowed } = faults;
    let server = TcpStream::connect(("127.0.0.1", server)).await.expect("the server runs");
    let (mut requests, mut to_client) = client.into_split();
    let (mut replies, mut to_server) = server.into_split();
    let back = tokio::spawn(async move {
        let (mut buffer, mut last) = ([0; 4096], Vec::new());
        while let Ok(read @ 1..) = replies.read(&mut buffer).await {
            let mut reply = buffer[..read].to_vec();
            if *repeated.borrow() == Some(index) {
                reply.splice(0..0, last);
            }
            last = buffer[..read].to_vec();
            if *swallowed.borrow() == Some(index) {
                continue;
            }
            if to_client.write_all(&reply).await.is_err() {
                break;
            }
        }
    });
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = requests.read(&mut buffer).await {
        if held.wait_for(|held| *held != Some(index)).await.is_err() {
            break;
        }
        to_server.write_all(&buffer[..read]).await.expect("the server reads");
    }
    back.abort();
}
