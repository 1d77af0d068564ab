//! Ports that stay ours.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};

use socket2::{Domain, SockRef, Socket, Type};

/// A Redis Cluster node talks to the others on its port plus this.
const BUS_OFFSET: u16 = 10_000;
/// How many free ports may be looked at for one whose bus port is free as well.
const ATTEMPTS: u32 = 1_000;

/// A free port of the loopback address, kept from others even while nothing listens on it.
///
/// It is held by a socket that is bound but does not listen. Linux lets a second socket listen there
/// as long as both say `SO_REUSEADDR`, as Redis does, hands the port to nobody else, and refuses
/// connections while only the first is there. So a killed server always finds its port again.
/// Elsewhere the port is only known to have been free.
#[derive(Debug)]
pub(super) struct ReservedPort {
    number: u16,
    _holders: Vec<Socket>,
}

impl ReservedPort {
    pub(super) fn new() -> io::Result<Self> {
        let holder = hold(0)?;
        Ok(Self { number: port_of(&holder)?, _holders: keep(vec![holder]) })
    }

    /// A port whose cluster bus port is free, and reserved, too.
    pub(super) fn with_bus() -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let holder = hold(0)?;
            let number = port_of(&holder)?;
            let bus = number.checked_add(BUS_OFFSET).map(hold);
            if let Some(Ok(bus)) = bus {
                return Ok(Self { number, _holders: keep(vec![holder, bus]) });
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "no port with a free cluster bus port"))
    }

    pub(super) const fn number(&self) -> u16 {
        self.number
    }

    pub(super) const fn bus(&self) -> u16 {
        self.number + BUS_OFFSET
    }

    pub(super) fn address(&self) -> SocketAddr {
        loopback(self.number)
    }
}

/// A socket bound to `port`, which nobody else is bound to; 0 is any that is free.
fn hold(port: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    // Said before, `SO_REUSEADDR` would share the port with an outgoing connection of a Redis that has
    // it for its own end; Linux then goes on to give the port to connections of others.
    socket.bind(&loopback(port).into())?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}

/// A socket bound to a port that is held.
pub(super) fn bind(port: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&loopback(port).into())?;
    Ok(socket)
}

/// Closing a listener is not enough: a process that another thread is just starting has a copy of it
/// for a moment, and the port would still accept.
pub(super) fn stop_listening<'a>(listener: impl Into<SockRef<'a>>) {
    // Where the system does not know this, nobody could have done better.
    let _ = listener.into().shutdown(Shutdown::Read);
}

fn keep(holders: Vec<Socket>) -> Vec<Socket> {
    if cfg!(target_os = "linux") { holders } else { Vec::new() }
}

fn port_of(socket: &Socket) -> io::Result<u16> {
    let address = socket.local_addr()?.as_socket();
    address.map(|address| address.port()).ok_or_else(|| io::Error::other("not an IP socket"))
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_reserved_port_refuses_until_someone_listens() {
        let port = ReservedPort::with_bus().unwrap();
        for _ in 0..2 {
            assert!(TcpStream::connect(port.address()).is_err());
            let listener = bind(port.number()).unwrap();
            listener.listen(8).unwrap();
            TcpStream::connect(port.address()).unwrap();
            stop_listening(&listener);
        }
    }

    /// Redis says `SO_REUSEADDR` for its outgoing connections, too.
    #[test]
    #[cfg(target_os = "linux")]
    fn the_port_of_somebody_s_connection_is_not_free() {
        let there = hold(0).unwrap();
        there.listen(8).unwrap();
        let outgoing = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        outgoing.set_reuse_address(true).unwrap();
        outgoing.connect(&there.local_addr().unwrap()).unwrap();
        let port = port_of(&outgoing).unwrap();
        assert!(bind(port).is_ok(), "nothing else is in the way");
        assert_eq!(hold(port).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
