//! What can go wrong.

use std::time::Duration;

/// One thing that a [`FaultProxy`](super::FaultProxy) does to replies: to all as long as it is set, or
/// to the next few ([`Fault::times`]), or to those of one command ([`Fault::on`]).
#[derive(Clone, Debug)]
pub struct Fault {
    pub(super) kind: Kind,
    /// `None`: as long as it is set.
    pub(super) left: Option<u32>,
    /// In capitals.
    pub(super) command: Option<String>,
}

/// What a fault does.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Delay(Duration),
    Hold,
    Refuse,
    Cut {
        after: usize,
        then: Then,
    },
    /// In place of asking the server.
    Answer(Vec<u8>),
    /// In place of what the server has said.
    Replace(Vec<u8>),
    Bandwidth(u32),
}

/// What follows the first bytes of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Reset,
    Close,
    Silence,
}

impl Fault {
    /// Each reply comes that much after the server gave it. Replies in a pipeline do not add up.
    pub fn delay(duration: Duration) -> Self {
        Self::new(Kind::Delay(duration))
    }

    /// A black hole: connections are accepted, and nothing goes through in either direction. When it
    /// ends, all that was held back goes on its way, as after a gap in the network.
    pub fn hold() -> Self {
        Self::new(Kind::Hold)
    }

    /// New connections are refused. Those that are open work on; see
    /// [`FaultProxy::reset_connections`](super::FaultProxy::reset_connections).
    pub fn refuse() -> Self {
        Self::new(Kind::Refuse)
    }

    /// The first `bytes` of the reply, then the connection is reset.
    pub fn reset_after(bytes: usize) -> Self {
        Self::new(Kind::Cut { after: bytes, then: Then::Reset })
    }

    /// The first `bytes` of the reply, then the connection is closed in good order.
    pub fn close_after(bytes: usize) -> Self {
        Self::new(Kind::Cut { after: bytes, then: Then::Close })
    }

    /// The first `bytes` of the reply, then nothing more ever on this connection, which stays open.
    pub fn stall_after(bytes: usize) -> Self {
        Self::new(Kind::Cut { after: bytes, then: Then::Silence })
    }

    /// These bytes in place of asking the server, e.g. `-LOADING Redis is loading the dataset in
    /// memory\r\n`. The server never sees the request.
    pub fn answer(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(Kind::Answer(bytes.into()))
    }

    /// These bytes in place of the reply. The server has carried out the request.
    pub fn replace(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(Kind::Replace(bytes.into()))
    }

    /// Replies trickle: so many bytes a second on each connection.
    ///
    /// # Panics
    ///
    /// If it is 0; that would be [`Fault::hold`].
    pub fn bandwidth(bytes_per_second: u32) -> Self {
        assert!(bytes_per_second > 0, "no bytes at all are a black hole: use Fault::hold");
        Self::new(Kind::Bandwidth(bytes_per_second))
    }

    /// Only the next `count` replies that it would strike. [`Fault::hold`] and [`Fault::refuse`] do
    /// not count.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.left = Some(count);
        self
    }

    /// Only replies to this command, e.g. `GET`. Clients ask more than one thinks: `HELLO` and
    /// `CLIENT SETINFO` when they connect, for instance.
    #[must_use]
    pub fn on(mut self, command: &str) -> Self {
        self.command = Some(command.to_ascii_uppercase());
        self
    }

    const fn new(kind: Kind) -> Self {
        Self { kind, left: None, command: None }
    }

    pub(super) const fn refuses(&self) -> bool {
        matches!(self.kind, Kind::Refuse)
    }

    pub(super) const fn holds(&self) -> bool {
        matches!(self.kind, Kind::Hold)
    }

    /// Whether it is decided when the request comes. All others are decided when the reply comes, so
    /// that they strike what is under way already.
    pub(super) const fn strikes_requests(&self) -> bool {
        matches!(self.kind, Kind::Answer(_))
    }

    /// Whether it only takes time and leaves every byte as it is.
    pub(super) const fn only_slows(&self) -> bool {
        matches!(self.kind, Kind::Delay(_) | Kind::Bandwidth(_))
    }

    pub(super) fn concerns(&self, command: &str) -> bool {
        self.command.as_ref().is_none_or(|wanted| wanted == command)
    }
}
