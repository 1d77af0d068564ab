//! A real Redis server of one's own: on loopback, on a free port, in a temporary folder.
//!
//! ```no_run
//! use testbed::redis::{RedisServer, RedisServerOptions};
//!
//! let mut server = RedisServer::start(&RedisServerOptions::default())?;
//! println!("redis-cli -u {}", server.url());
//! server.kill(); // as the OOM killer would
//! server.restart()?; // on the same port, empty
//! # Ok::<(), std::io::Error>(())
//! ```

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use tempfile::TempDir;

/// Names the `redis-server` to use, in place of the one on `PATH`.
const SERVER_VARIABLE: &str = "TESTBED_REDIS_SERVER";

/// How long a server may take to answer its first `PING`.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Another process may take the free port before Redis binds it: then the next port is tried.
const PORT_ATTEMPTS: u32 = 5;

/// How a [`RedisServer`] is to run. The default: no persistence, no password.
#[derive(Clone, Debug, Default)]
pub struct RedisServerOptions {
    password: Option<String>,
    arguments: Vec<String>,
}

impl RedisServerOptions {
    /// Clients must give this password; [`RedisServer::url`] holds it then.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// A further directive of `redis.conf`, e.g. `("maxmemory", "2mb")`.
    #[must_use]
    pub fn directive(mut self, name: &str, value: &str) -> Self {
        self.arguments.extend([format!("--{name}"), value.to_owned()]);
        self
    }
}

/// A running `redis-server`; killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    program: PathBuf,
    options: RedisServerOptions,
    port: u16,
    folder: TempDir,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if there is no `redis-server`; otherwise what kept it from
    /// starting, with the end of its log.
    pub fn start(options: &RedisServerOptions) -> io::Result<Self> {
        let program = available().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("no redis-server on PATH and {SERVER_VARIABLE} is not set"),
            )
        })?;
        let mut server = Self {
            program,
            options: options.clone(),
            port: 0,
            folder: tempfile::Builder::new().prefix("redis-").tempdir()?,
            process: None,
        };
        let mut attempt = 1;
        loop {
            server.port = free_port()?;
            match server.launch() {
                Err(_) if attempt < PORT_ATTEMPTS => attempt += 1,
                result => return result.map(|()| server),
            }
        }
    }

    /// `redis://127.0.0.1:PORT/`, with the password if there is one.
    pub fn url(&self) -> String {
        let port = self.port;
        match &self.options.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{port}/"),
            None => format!("redis://127.0.0.1:{port}/"),
        }
    }

    /// The port that it listens on, or did before it was killed.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Ends it at once (SIGKILL), as a crash would; also when it is paused.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Both fail only if the process is gone already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts it again, on the same port and with the same options, after [`RedisServer::kill`] or
    /// in place of the running one. Without persistence it is empty then.
    ///
    /// # Errors
    ///
    /// What kept it from starting.
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill();
        self.launch()
    }

    /// Stops it from running without ending it (SIGSTOP): connections stay open, nothing answers.
    ///
    /// # Errors
    ///
    /// If it is not running.
    pub fn pause(&self) -> io::Result<()> {
        self.signal("STOP")
    }

    /// Lets a paused server run on (SIGCONT).
    ///
    /// # Errors
    ///
    /// If it was killed meanwhile.
    pub fn resume(&self) -> io::Result<()> {
        self.signal("CONT")
    }

    /// Sends one command in the inline form, e.g. `CONFIG RESETSTAT`, and returns the raw first
    /// chunk of the reply: enough to look at a counter from outside.
    ///
    /// # Errors
    ///
    /// If the server does not answer within a few seconds.
    pub fn command(&self, line: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.address(), START_LIMIT)?;
        stream.set_read_timeout(Some(START_LIMIT))?;
        if let Some(password) = &self.options.password {
            write!(stream, "AUTH {password}\r\n")?;
            read_chunk(&mut stream)?;
        }
        write!(stream, "{line}\r\n")?;
        read_chunk(&mut stream)
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("redis.log")
    }

    fn launch(&mut self) -> io::Result<()> {
        let mut command = Command::new(&self.program);
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--daemonize", "no", "--port", &self.port.to_string()])
            .arg("--dir")
            .arg(self.folder.path())
            .arg("--logfile")
            .arg(self.log_file());
        if let Some(password) = &self.options.password {
            command.args(["--requirepass", password]);
        }
        command
            .args(&self.options.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.process = Some(command.spawn()?);
        self.wait_until_it_answers().inspect_err(|_| self.kill())
    }

    fn wait_until_it_answers(&mut self) -> io::Result<()> {
        let start = Instant::now();
        loop {
            // It is our own process that must answer, not a stranger that has taken the port.
            let ended = match &mut self.process {
                Some(process) => process.try_wait()?,
                None => return Err(io::Error::other("redis-server was not started")),
            };
            if let Some(status) = ended {
                let log = log_tail(&self.log_file());
                return Err(io::Error::other(format!("redis-server: {status}\n{log}")));
            }
            if answers(self.address()) {
                return Ok(());
            }
            if start.elapsed() > START_LIMIT {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("redis-server gave no answer within {START_LIMIT:?}"),
                ));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// `unsafe` is forbidden here and the standard library sends no signals: `kill(1)` does.
    fn signal(&self, name: &str) -> io::Result<()> {
        let process = self
            .process
            .as_ref()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the server is not running"))?;
        let status =
            Command::new("kill").arg(format!("-{name}")).arg(process.id().to_string()).status()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("kill -{name}: {status}")))
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The `redis-server` that tests would use: the one named by the environment
/// variable `TESTBED_REDIS_SERVER`, then the first on `PATH`.
pub fn available() -> Option<PathBuf> {
    if let Some(named) = env::var_os(SERVER_VARIABLE) {
        return Some(PathBuf::from(named)).filter(|path| path.is_file());
    }
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join("redis-server"))
        .find(|path| path.is_file())
}

/// A server for the test called `test_name`; `None`, said aloud, where there is no `redis-server`.
///
/// The skip is recorded as [`crate::skip`] says.
///
/// # Panics
///
/// Where nothing may be skipped (see [`crate::skip`]), and if there is a `redis-server` and it does
/// not start.
pub fn server_or_skip(test_name: &str) -> Option<RedisServer> {
    server_with_or_skip(test_name, &RedisServerOptions::default())
}

/// As [`server_or_skip`], for a server with options.
///
/// # Panics
///
/// As [`server_or_skip`].
pub fn server_with_or_skip(test_name: &str, options: &RedisServerOptions) -> Option<RedisServer> {
    if available().is_none() {
        crate::skip(test_name, "no redis-server on PATH, and TESTBED_REDIS_SERVER names none");
        return None;
    }
    Some(RedisServer::start(options).expect("the redis-server that is there starts"))
}

fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Whether there is a Redis at `address` that is ready, with or without a password.
fn answers(address: SocketAddr) -> bool {
    let ping = || -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"PING\r\n")?;
        read_chunk(&mut stream)
    };
    ping().is_ok_and(|reply| reply.starts_with("+PONG") || reply.starts_with("-NOAUTH"))
}

fn read_chunk(stream: &mut TcpStream) -> io::Result<String> {
    let mut chunk = vec![0; 64 * 1024];
    let length = stream.read(&mut chunk)?;
    Ok(String::from_utf8_lossy(&chunk[..length]).into_owned())
}

/// The last lines of the server's log, for error messages.
fn log_tail(file: &Path) -> String {
    let log = fs::read_to_string(file).unwrap_or_default();
    let mut lines: Vec<&str> = log.lines().rev().take(5).collect();
    lines.reverse();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_lives_dies_and_comes_back_empty() {
        let Some(mut server) = server_or_skip("a_server_lives_dies_and_comes_back_empty") else {
            return;
        };
        let port = server.port();
        assert!(server.command("SET k v").unwrap().starts_with("+OK"));
        server.kill();
        assert!(server.command("GET k").is_err());
        server.restart().unwrap();
        assert_eq!(server.port(), port);
        assert_eq!(server.command("GET k").unwrap(), "$-1\r\n");
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
        stream.set_read_timeout(Some(START_LIMIT)).unwrap();
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
    }

    #[test]
    fn the_folder_goes_with_the_server() {
        let Some(server) = server_or_skip("the_folder_goes_with_the_server") else {
            return;
        };
        let folder = server.folder.path().to_owned();
        assert!(folder.is_dir());
        drop(server);
        assert!(!folder.exists());
    }
}
