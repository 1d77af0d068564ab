//! One contender, in this process or in one of its own, and how it is told to run.

use std::io;
use std::sync::Arc;

use cache_benches_readers::{Order, Run, Store};
use tokio::runtime::Runtime;

use crate::contenders::Role;
use crate::program::Program;

/// A contender with its keys stored.
pub(super) struct Lane {
    pub(super) name: &'static str,
    pub(super) role: Role,
    /// What it stores with, as the server's statistics call it.
    pub(super) put_command: &'static str,
    pub(super) place: Box<dyn Place>,
}

/// Where a contender runs.
pub(super) trait Place {
    fn run(&mut self, order: Order) -> io::Result<Run>;
}

/// In this process.
pub(super) struct Here<S> {
    pub(super) store: S,
    pub(super) runtime: Arc<Runtime>,
}

impl<S: Store> Place for Here<S> {
    fn run(&mut self, order: Order) -> io::Result<Run> {
        Ok(self.runtime.block_on(order.run(&self.store)))
    }
}

/// The program in `benches/llmix`.
pub(super) struct Elsewhere(Program);

impl Elsewhere {
    /// Builds and starts it, and waits until it has stored all keys.
    pub(super) fn start(url: &str, keys: usize) -> io::Result<Self> {
        Ok(Self(Program::start("llmix", &[url, &keys.to_string()])?.until_ready()?))
    }
}

impl Place for Elsewhere {
    fn run(&mut self, order: Order) -> io::Result<Run> {
        self.0.order(serde_json::to_string(&order)?)?;
        Ok(serde_json::from_str(&self.0.answer()?)?)
    }
}
