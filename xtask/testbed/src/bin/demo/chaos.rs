//! Redis, which dies in the middle and comes back.

use testbed::redis::RedisServer;

use crate::Outcome;

/// The Redis that the proxies share.
#[derive(Debug)]
pub(crate) struct Redis {
    server: RedisServer,
    with_chaos: bool,
}

impl Redis {
    pub(crate) fn new(server: RedisServer, with_chaos: bool) -> Self {
        Self { server, with_chaos }
    }

    /// Does what is due before this tenth (1 to 10) of the traffic.
    pub(crate) fn before(&mut self, tenth: u64) -> Outcome {
        match tenth {
            4 if self.with_chaos => {
                println!("  Redis is killed. The proxies have to go on with their memory alone.");
                self.server.kill();
            }
            6 if self.with_chaos => {
                self.server.restart()?;
                println!("  Redis is back, and empty. The proxies have to find it by themselves.");
            }
            _ => {}
        }
        Ok(())
    }
}
