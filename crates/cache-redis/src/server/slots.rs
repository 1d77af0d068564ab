//! Which master has which slots of a cluster, by `CLUSTER SLOTS`.

use redis::{Cmd, ErrorKind, FromRedisValue as _, RedisError, RedisResult, Value};

/// A run of slots, and the address of their master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) host: String,
    pub(super) port: u16,
}

/// What asks for all of them.
pub(super) fn question() -> Cmd {
    let mut slots = redis::cmd("CLUSTER");
    slots.arg("SLOTS");
    slots
}

/// Reads the reply: of each range the first slot, the last, the master, its replicas; of each node its
/// host, its port and more.
pub(super) fn read(reply: Value) -> RedisResult<Vec<Range>> {
    let ranges = Vec::<Value>::from_redis_value(reply.extract_error()?)?;
    let range = |range: Value| {
        let mut range = Vec::<Value>::from_redis_value(range)?.into_iter();
        let (Some(first), Some(last), Some(master)) = (range.next(), range.next(), range.next())
        else {
            return Err(unexpected("a range of slots without a master"));
        };
        let mut master = Vec::<Value>::from_redis_value(master)?.into_iter();
        let (Some(host), Some(port)) = (master.next(), master.next()) else {
            return Err(unexpected("a master without an address"));
        };
        Ok(Range {
            first: number(first)?,
            last: number(last)?,
            host: String::from_redis_value(host)?,
            port: number(port)?,
        })
    };
    ranges.into_iter().map(range).collect()
}

/// The driver would cut a number that does not fit.
fn number(value: Value) -> RedisResult<u16> {
    u16::try_from(i64::from_redis_value(value)?).map_err(|_| unexpected("no slot and no port"))
}

pub(super) fn unexpected(what: &'static str) -> RedisError {
    (ErrorKind::UnexpectedReturnType, what).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: impl Into<Vec<Value>>) -> Value {
        Value::Array(items.into())
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn ranges_are_read_and_anything_else_refused() {
        let master = list([text("10.0.0.1"), Value::Int(7000), text("id"), list([])]);
        let replica = list([text("10.0.0.2"), Value::Int(7001), text("id"), list([])]);
        let range = list([Value::Int(0), Value::Int(16_383), master.clone(), replica]);
        let expected = Range { first: 0, last: 16_383, host: "10.0.0.1".to_owned(), port: 7000 };
        assert_eq!(read(list([range])).unwrap(), [expected]);
        for nonsense in [
            Value::Int(1),
            list([Value::Int(1)]),
            list([list([Value::Int(0), Value::Int(1)])]),
            list([list([Value::Int(0), Value::Int(1), list([])])]),
            list([list([Value::Int(0), Value::Int(70_000), master])]),
        ] {
            assert!(read(nonsense).is_err());
        }
    }
}
