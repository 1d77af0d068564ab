//! What is measured in a slice of time, and the medians over all of them.

use std::io;

use cache_benches_readers::{Load, Order, Run};
use serde::Serialize;

use super::lane::Lane;
use super::server::Server;
use crate::contenders::Role;
use crate::report::median;

/// One contender.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) contender: &'static str,
    pub(super) role: Role,
    /// For each number of readers or writers.
    pub(super) figures: Vec<Figures>,
}

/// Medians over the rounds; times are in microseconds.
#[derive(Serialize)]
pub(super) struct Figures {
    /// A second, of all readers together.
    pub(super) operations: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// Processor time of the client for an operation.
    pub(super) client_cpu: Option<f64>,
    /// And of the server.
    pub(super) server_cpu: Option<f64>,
    /// What the server took for the command alone, as it says: without reading it from the
    /// connection and writing the answer.
    pub(super) command: f64,
    /// Operations without an answer, in all rounds.
    pub(super) failed: usize,
}

/// What one slice of time came to.
pub(super) struct Slice {
    run: Run,
    server_cpu: Option<f64>,
    command: f64,
}

impl Slice {
    pub(super) fn measure(server: &Server, lane: &mut Lane, order: Order) -> io::Result<Self> {
        server.forget()?;
        let before = server.cpu();
        let run = lane.place.run(order)?;
        let server_cpu = server.cpu().zip(before).map(|(after, before)| {
            after.saturating_sub(before).as_secs_f64() * 1e6 / run.answered as f64
        });
        let command = match order.load {
            Load::Get => "get",
            Load::Put => lane.put_command,
        };
        Ok(Self { run, server_cpu, command: server.micros_per_call(command)? })
    }
}

impl Figures {
    pub(super) fn of(slices: &[Slice]) -> Self {
        let known = |number: &dyn Fn(&Slice) -> Option<f64>| {
            let known: Option<Vec<f64>> = slices.iter().map(number).collect();
            known.map(|mut values| median(&mut values))
        };
        Self {
            operations: middle(slices, |slice| slice.run.operations),
            p50: middle(slices, |slice| slice.run.p50),
            p99: middle(slices, |slice| slice.run.p99),
            client_cpu: known(&|slice| slice.run.client_cpu),
            server_cpu: known(&|slice| slice.server_cpu),
            command: middle(slices, |slice| slice.command),
            failed: slices.iter().map(|slice| slice.run.failed).sum(),
        }
    }
}

/// The median of what `number` takes from each result.
pub(super) fn middle<T>(results: &[T], number: impl Fn(&T) -> f64) -> f64 {
    median(&mut results.iter().map(number).collect::<Vec<_>>())
}
