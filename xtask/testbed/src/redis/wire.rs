//! Asking a server from the side: over a Unix socket in its folder, which works whatever the port
//! speaks and however many clients are on it.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::resp::Framer;

/// Name and password of an ACL user.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

/// Sends one request and returns the whole reply, as it came.
///
/// # Errors
///
/// If no whole reply comes; each read may take up to `limit`.
pub(super) fn ask(
    socket: &Path,
    credentials: Option<&Credentials>,
    request: &[u8],
    limit: Duration,
) -> io::Result<Vec<u8>> {
    let mut stream = unless_interrupted(|| UnixStream::connect(socket))?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    if let Some(Credentials { user, password }) = credentials {
        let auth = [b"AUTH".as_slice(), user.as_bytes(), password.as_bytes()];
        stream.write_all(&command(auth))?;
        let reply = read_reply(&mut stream)?;
        if !reply.starts_with(b"+OK") {
            return Err(io::Error::other(text(&reply)));
        }
    }
    stream.write_all(request)?;
    read_reply(&mut stream)
}

/// A command as RESP, whose arguments may hold any bytes.
pub(super) fn command<'a>(arguments: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut count = 0;
    let mut body = Vec::new();
    for argument in arguments {
        count += 1;
        body.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        body.extend_from_slice(argument);
        body.extend_from_slice(b"\r\n");
    }
    [format!("*{count}\r\n").into_bytes(), body].concat()
}

pub(super) fn text(reply: &[u8]) -> String {
    String::from_utf8_lossy(reply).into_owned()
}

/// Tries again when a signal came between, as that of a child that was stopped: reads with a limit are
/// not taken up again by the kernel.
fn unless_interrupted<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

fn read_reply(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut framer = Framer::new();
    let mut reply = Vec::new();
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let length = unless_interrupted(|| stream.read(&mut chunk))?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        reply.extend_from_slice(&chunk[..length]);
        if framer.end(&reply)?.is_some() {
            return Ok(reply);
        }
    }
}
