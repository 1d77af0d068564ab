//! What the driver says, as the words of `cache-core`.

use std::io;
use std::time::Duration;

use cache_core::Error;
use redis::{ErrorKind, RedisError, ServerError, ServerErrorKind, Value};

/// What errors, metrics and reports call this tier.
pub(crate) const TIER: &str = "redis";

/// Maps a failure of the driver. Its messages hold no credentials: they quote the server, and the
/// server never quotes a password.
pub(crate) fn from_driver(error: RedisError) -> Error {
    let transient = match error.kind() {
        ErrorKind::Io
        | ErrorKind::Parse
        | ErrorKind::ClusterConnectionNotFound
        | ErrorKind::MasterNameNotFoundBySentinel => true,
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain
                | ServerErrorKind::Ask
                | ServerErrorKind::Moved
        ),
        // A script of somebody else keeps the server busy.
        ErrorKind::Extension => error.code() == Some("BUSY"),
        _ => false,
    };
    let source = Box::new(error);
    if transient {
        Error::Unavailable { tier: TIER, source }
    } else {
        Error::Refused { tier: TIER, source }
    }
}

/// Maps an error that the server sent in reply to one command.
pub(crate) fn from_server(error: ServerError) -> Error {
    from_driver(error.into())
}

/// A reply that Redis does not give to this command: something else answers at this address.
pub(crate) fn unexpected(reply: &Value) -> Error {
    let kind = match reply {
        Value::Nil => "nil",
        Value::Int(_) => "an integer",
        Value::BulkString(_) | Value::SimpleString(_) | Value::Okay => "a string",
        Value::Array(_) => "an array",
        Value::ServerError(_) => "an error",
        _ => "a value of another type",
    };
    Error::Refused { tier: TIER, source: format!("unexpected reply: {kind}").into() }
}

/// Connections break again and again before they were of use.
pub(crate) fn unstable() -> Error {
    Error::Unavailable { tier: TIER, source: "connections break too often to go through it".into() }
}

/// No answer within `limit`.
pub(crate) const fn timed_out(limit: Duration) -> Error {
    Error::TimedOut { tier: TIER, limit }
}

/// No connection within `limit`, as an error of the driver: it is kept and told to many callers.
pub(crate) fn connect_timed_out(limit: Duration) -> RedisError {
    io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {limit:?}")).into()
}

/// Whether the key holds a value of another type than string.
pub(crate) fn is_wrong_type(error: &ServerError) -> bool {
    error.code() == "WRONGTYPE"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(code: &str) -> Error {
        from_driver(redis::make_extension_error(code.to_owned(), None))
    }

    #[test]
    fn the_server_s_refusals_are_not_transient() {
        for code in ["OOM", "NOAUTH", "WRONGPASS", "MISCONF", "WRONGTYPE"] {
            assert!(matches!(mapped(code), Error::Refused { .. }), "{code}");
        }
        let read_only = ServerErrorKind::ReadOnly;
        assert!(!from_driver((read_only.into(), "").into()).is_transient());
    }

    #[test]
    fn what_passes_is_transient() {
        assert!(mapped("BUSY").is_transient());
        for kind in
            [ServerErrorKind::BusyLoading, ServerErrorKind::MasterDown, ServerErrorKind::TryAgain]
        {
            assert!(from_driver((kind.into(), "").into()).is_transient());
        }
        assert!(from_driver(connect_timed_out(Duration::from_secs(1))).is_transient());
    }
}
