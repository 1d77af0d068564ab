//! [`Request`]: what can be sent over a connection.

use std::future::Future;

use futures_util::future::try_join_all;
use redis::{Cmd, Pipeline, RedisResult, ServerErrorKind, Value};

use crate::server::{Link, Master};

/// Something to send: one command, or several at once.
pub(crate) trait Request: Sync {
    type Reply: Send;

    fn send(&self, link: &mut Link) -> impl Future<Output = RedisResult<Self::Reply>> + Send;

    /// Whether the server refused because it is a replica.
    fn is_of_replica(reply: &Self::Reply) -> bool;
}

impl Request for Cmd {
    type Reply = Value;

    async fn send(&self, link: &mut Link) -> RedisResult<Value> {
        link.send(self).await
    }

    fn is_of_replica(reply: &Value) -> bool {
        read_only(reply)
    }
}

/// All replies, those that are errors included.
impl Request for Pipeline {
    type Reply = Vec<Value>;

    async fn send(&self, link: &mut Link) -> RedisResult<Vec<Value>> {
        match link {
            Link::Node(node) => node.send_packed_commands(self, 0, self.len()).await,
            // Each to the master of its slot, over connections that pipeline: one round trip, too.
            Link::Cluster(_) => {
                let send = |command: &Cmd| {
                    let (mut link, command) = (link.clone(), command.clone());
                    async move { link.send(&command).await }
                };
                try_join_all(self.cmd_iter().map(send)).await
            }
        }
    }

    fn is_of_replica(replies: &Vec<Value>) -> bool {
        replies.iter().any(read_only)
    }
}

/// A command that concerns no key, to one master.
pub(crate) struct To<'m>(pub(crate) &'m Master, pub(crate) Cmd);

impl Request for To<'_> {
    type Reply = Value;

    async fn send(&self, link: &mut Link) -> RedisResult<Value> {
        link.send_to(self.0, &self.1).await
    }

    fn is_of_replica(reply: &Value) -> bool {
        read_only(reply)
    }
}

/// Who are the masters?
pub(super) struct Masters;

impl Request for Masters {
    type Reply = Vec<Master>;

    async fn send(&self, link: &mut Link) -> RedisResult<Vec<Master>> {
        link.masters().await
    }

    fn is_of_replica(_: &Vec<Master>) -> bool {
        false
    }
}

fn read_only(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::ReadOnly))
}
