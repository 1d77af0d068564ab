//! [`Line`]: all that the bus knows of Redis: where the channel is, how to listen and to speak.
//!
//! RESP3, because there a subscribed connection is one like any other: it answers `PING`, and
//! `SSUBSCRIBE` works over it as `SUBSCRIBE` does.

use deadpool::managed::Pool;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, PushInfo, PushKind, RedisResult, Value};

use super::message;
use crate::server::Server;

/// Where one bus is.
#[derive(Clone)]
pub(crate) struct Line {
    /// Of the tier; only its manager is asked for a connection.
    pool: Pool<Server>,
    channel: Vec<u8>,
    subscribe: &'static str,
    publish: &'static str,
}

/// What comes over a connection that listens, in this order: once `Subscribed`, then messages, then
/// at most one `Ended`.
#[derive(Debug)]
pub(super) enum Heard {
    /// The server has confirmed: what is published from now on will come.
    Subscribed,
    /// What somebody published.
    Message(Vec<u8>),
    /// Something that is no message and ought to be one.
    Nonsense,
    /// Nothing more will come.
    Ended,
}

impl Line {
    /// The channel of `prefix`: in a cluster a sharded one, which only the nodes of its slot carry.
    pub(crate) fn new(pool: Pool<Server>, prefix: &str) -> Self {
        let channel = format!("{prefix}:bus{}", message::VERSION).into_bytes();
        let (subscribe, publish) = if pool.manager().has_slots() {
            ("SSUBSCRIBE", "SPUBLISH")
        } else {
            ("SUBSCRIBE", "PUBLISH")
        };
        Self { pool, channel, subscribe, publish }
    }

    /// The name of the channel.
    pub(super) fn channel(&self) -> &[u8] {
        &self.channel
    }

    /// A connection of its own that listens for as long as it is kept. It tells `tell` what it
    /// hears, on the task that reads from the socket, so `tell` must not block.
    pub(super) async fn listen(
        &self,
        tell: impl Fn(Heard) + Send + Sync + 'static,
    ) -> RedisResult<MultiplexedConnection> {
        let on_push = move |push: PushInfo| -> Result<(), std::convert::Infallible> {
            if let Some(heard) = heard(push) {
                tell(heard);
            }
            Ok(())
        };
        // The driver's own limits are off: ours is around the whole attempt.
        let driver = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_push_sender(on_push);
        let server = self.pool.manager();
        let mut connection = server.listener(self.channel(), &driver).await?;
        let mut subscribe = redis::cmd(self.subscribe);
        subscribe.arg(self.channel()).exec_async(&mut connection).await?;
        Ok(connection)
    }

    /// What publishes all of `messages`, in order.
    pub(super) fn publish<'a>(&self, messages: impl IntoIterator<Item = &'a [u8]>) -> Pipeline {
        let mut pipeline = Pipeline::new();
        for message in messages {
            pipeline.cmd(self.publish).arg(self.channel()).arg(message);
        }
        pipeline
    }
}

/// By the name of its channel.
impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Line({})", self.channel.escape_ascii())
    }
}

/// Asks the other end for a sign of life.
pub(super) async fn ping(connection: &MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("PING").exec_async(&mut connection.clone()).await
}

fn heard(push: PushInfo) -> Option<Heard> {
    Some(match push.kind {
        PushKind::Subscribe | PushKind::SSubscribe => Heard::Subscribed,
        // The connection has one subscription, so every message is of our channel.
        PushKind::Message | PushKind::SMessage => match push.data.into_iter().nth(1) {
            Some(Value::BulkString(bytes)) => Heard::Message(bytes),
            _ => Heard::Nonsense,
        },
        // Unasked, the server unsubscribes who listens to a slot that moves to another node. The
        // driver takes that for the reply to a request, so the connection is of no more use.
        PushKind::Disconnection | PushKind::Unsubscribe | PushKind::SUnsubscribe => Heard::Ended,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::server::{Access, Layout, node};

    #[test]
    fn the_channel_is_prefix_and_version() {
        let layout = Layout::Single(Box::new(node("redis://:secret@127.0.0.1:1/").unwrap()));
        let limit = Duration::from_secs(1);
        let server = Server::new(layout, Access::default(), limit, "name".to_owned());
        let line = Line::new(Pool::builder(server).build().unwrap(), "p:\n");
        assert_eq!(line.channel(), b"p:\n:bus1");
        assert_eq!(format!("{line:?}"), r"Line(p:\n:bus1)");
    }

    #[test]
    fn pushes_are_told_apart() {
        let push = |kind, data| heard(PushInfo { kind, data });
        let bytes = |text: &str| Value::BulkString(text.into());
        let message = push(PushKind::SMessage, vec![bytes("channel"), bytes("payload")]);
        assert!(matches!(message, Some(Heard::Message(bytes)) if bytes == b"payload"));
        for nonsense in [vec![], vec![bytes("channel")], vec![bytes("channel"), Value::Nil]] {
            assert!(matches!(push(PushKind::Message, nonsense), Some(Heard::Nonsense)));
        }
        assert!(matches!(push(PushKind::SUnsubscribe, vec![]), Some(Heard::Ended)));
        assert!(push(PushKind::Invalidate, vec![]).is_none());
    }
}
