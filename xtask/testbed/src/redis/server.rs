//! One server.

use std::io;
use std::net::SocketAddr;

use super::options::RedisServerOptions;
use super::port::ReservedPort;
use super::process::ServerProcess;
use super::{program, wire};

/// Where the port is only known to have been free, another process may take it before Redis does.
const PORT_ATTEMPTS: u32 = 5;

/// A running `redis-server`; killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    options: RedisServerOptions,
    process: ServerProcess,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if there is no `redis-server`; otherwise what kept it from
    /// starting, with the end of its log.
    pub fn start(options: &RedisServerOptions) -> io::Result<Self> {
        let mut attempt = 1;
        loop {
            let mut server = Self::prepare(options, ReservedPort::new()?, &[])?;
            match server.process.restart() {
                Ok(()) => return Ok(server),
                Err(_) if attempt < PORT_ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// A server that does not run yet. `more` comes before the directives of `options`, which win.
    pub(super) fn prepare(
        options: &RedisServerOptions,
        port: ReservedPort,
        more: &[String],
    ) -> io::Result<Self> {
        let program = program::choose(options.given_program())?;
        let arguments = [more, &options.arguments(port.number())].concat();
        let mut process = ServerProcess::new(program, port, options.our_credentials())?;
        process.set_arguments(arguments);
        Ok(Self { options: options.clone(), process })
    }

    pub(super) const fn process(&self) -> &ServerProcess {
        &self.process
    }

    pub(super) const fn process_mut(&mut self) -> &mut ServerProcess {
        &mut self.process
    }

    /// `redis://127.0.0.1:PORT/`, or `rediss://` with TLS; with the credentials of the first ACL user
    /// or with the password, if there is one.
    pub fn url(&self) -> String {
        self.options.url(self.port())
    }

    /// The URL with other credentials, which may be wrong. An empty user is the default one.
    pub fn url_with(&self, user: &str, password: &str) -> String {
        self.options.url_with(self.port(), user, password)
    }

    /// The URL with another port: that of a [`FaultProxy`](crate::redis::FaultProxy) in front of it.
    pub fn url_at(&self, port: u16) -> String {
        self.options.url(port)
    }

    /// The port that it listens on, or did before it was killed.
    pub const fn port(&self) -> u16 {
        self.process.port().number()
    }

    /// Loopback and [`Self::port`].
    pub fn address(&self) -> SocketAddr {
        self.process.port().address()
    }

    /// Ends it at once (SIGKILL), as a crash would; also when it is paused.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, on the same port and with the same options, after [`RedisServer::kill`] or
    /// in place of the running one. Without persistence it is empty then.
    ///
    /// # Errors
    ///
    /// What kept it from starting.
    pub fn restart(&mut self) -> io::Result<()> {
        self.process.restart()
    }

    /// Stops it from running without ending it (SIGSTOP): connections stay open, nothing answers.
    ///
    /// # Errors
    ///
    /// If it is not running.
    pub fn pause(&self) -> io::Result<()> {
        self.process.pause()
    }

    /// Lets a paused server run on (SIGCONT).
    ///
    /// # Errors
    ///
    /// If it was killed meanwhile.
    pub fn resume(&self) -> io::Result<()> {
        self.process.resume()
    }

    /// Sends one command in the inline form, e.g. `CONFIG RESETSTAT`, and returns the raw reply:
    /// enough to look at a counter from outside. It goes past the port and may do everything,
    /// whatever the ACL says about others.
    ///
    /// # Errors
    ///
    /// If the server does not answer within a few seconds. What the server calls an error is a reply.
    pub fn command(&self, line: &str) -> io::Result<String> {
        self.process.ask(format!("{line}\r\n").as_bytes()).map(|reply| wire::text(&reply))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;
    use crate::redis::process::ANSWER_LIMIT;
    use crate::redis::{server_or_skip, server_with_or_skip};

    fn read_chunk(stream: &mut TcpStream) -> io::Result<String> {
        let mut chunk = [0; 1024];
        let length = stream.read(&mut chunk)?;
        Ok(wire::text(&chunk[..length]))
    }

    #[test]
    fn a_server_lives_dies_and_comes_back_empty() {
        let Some(mut server) = server_or_skip("a_server_lives_dies_and_comes_back_empty") else {
            return;
        };
        let port = server.port();
        assert!(server.command("SET k v").unwrap().starts_with("+OK"));
        server.kill();
        assert!(server.command("GET k").is_err());
        assert!(TcpStream::connect(server.address()).is_err());
        server.restart().unwrap();
        assert_eq!(server.port(), port);
        assert_eq!(server.command("GET k").unwrap(), "$-1\r\n");
        TcpStream::connect(server.address()).unwrap();
    }

    #[test]
    fn a_paused_server_is_silent_until_it_is_resumed() {
        let Some(server) = server_or_skip("a_paused_server_is_silent_until_it_is_resumed") else {
            return;
        };
        server.pause().unwrap();
        let mut stream = TcpStream::connect(server.address()).unwrap(); // the kernel accepts
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        stream.write_all(b"PING\r\n").unwrap();
        assert!(read_chunk(&mut stream).is_err());
        server.resume().unwrap();
        stream.set_read_timeout(Some(ANSWER_LIMIT)).unwrap();
        assert_eq!(read_chunk(&mut stream).unwrap(), "+PONG\r\n");
    }

    #[test]
    fn a_password_is_asked_for_and_given() {
        let options = RedisServerOptions::default().password("open-sesame");
        let Some(server) = server_with_or_skip("a_password_is_asked_for_and_given", &options)
        else {
            return;
        };
        assert!(server.url().contains("open-sesame"));
        assert!(server.command("PING").unwrap().starts_with("+PONG"));
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(b"PING\r\n").unwrap();
        assert!(read_chunk(&mut stream).unwrap().starts_with("-NOAUTH"));
        stream.write_all(b"AUTH open-sesame\r\n").unwrap();
        assert_eq!(read_chunk(&mut stream).unwrap(), "+OK\r\n");
    }

    #[test]
    fn a_wrong_directive_is_named_in_the_error() {
        let options = RedisServerOptions::default().directive("nonsense", "1");
        let name = "a_wrong_directive_is_named_in_the_error";
        if crate::redis::available().is_none() {
            crate::skip(name, program::NOT_THERE);
            return;
        }
        let error = RedisServer::start(&options).unwrap_err().to_string();
        assert!(error.contains("nonsense"), "{error}");
    }

    #[test]
    fn a_panic_leaves_no_process_behind() {
        let Some(server) = server_or_skip("a_panic_leaves_no_process_behind") else { return };
        let address = server.address();
        let test = std::panic::catch_unwind(move || {
            assert_eq!(server.command("PING").unwrap(), "no test is without faults");
        });
        assert!(test.is_err());
        assert!(TcpStream::connect(address).is_err());
    }

    #[test]
    fn the_folder_goes_with_the_server() {
        let Some(server) = server_or_skip("the_folder_goes_with_the_server") else {
            return;
        };
        let folder = server.process().folder().to_owned();
        assert!(folder.is_dir());
        drop(server);
        assert!(!folder.exists());
    }
}
