//! What the server says of itself.

use std::io;
use std::time::Duration;

use cache_benches_readers::cpu_time;
use testbed::redis::{RedisServer, RedisServerOptions};

/// The server of a run, and the number of its process.
pub(crate) struct Server {
    server: RedisServer,
    process: String,
}

impl Server {
    pub(crate) fn start() -> io::Result<Self> {
        let server = RedisServer::start(&RedisServerOptions::default())?;
        let process = figure(&server.command("INFO server")?, "process_id:")?.to_owned();
        Ok(Self { server, process })
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn version(&self) -> io::Result<String> {
        Ok(figure(&self.server.command("INFO server")?, "redis_version:")?.to_owned())
    }

    /// Processor time that it has used.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        cpu_time(&self.process)
    }

    /// Holds nothing any more.
    pub(crate) fn empty(&self) -> io::Result<()> {
        self.server.command("FLUSHALL").map(drop)
    }

    /// Counts from zero again.
    pub(crate) fn forget(&self) -> io::Result<()> {
        self.server.command("CONFIG RESETSTAT").map(drop)
    }

    /// Microseconds a call of this command, since it forgot; not a number if there was none.
    pub(crate) fn micros_per_call(&self, command: &str) -> io::Result<f64> {
        let statistics = self.server.command("INFO commandstats")?;
        let Ok(line) = figure(&statistics, &format!("cmdstat_{command}:")) else {
            return Ok(f64::NAN);
        };
        let parts = line.split(',').find_map(|part| part.strip_prefix("usec_per_call="));
        parse(parts.unwrap_or_default())
    }

    /// How often it has read from a connection since it forgot; no exchange takes fewer reads than
    /// round trips.
    pub(crate) fn reads(&self) -> io::Result<f64> {
        let reads: f64 =
            parse(figure(&self.server.command("INFO stats")?, "total_reads_processed:")?)?;
        Ok(reads - 2.0) // that of the question, and that of the end of whoever asked to forget
    }
}

fn figure<'t>(text: &'t str, name: &str) -> io::Result<&'t str> {
    let figure = text.lines().find_map(|line| line.strip_prefix(name));
    figure.ok_or_else(|| io::Error::other(format!("the server does not tell {name}")))
}

fn parse(text: &str) -> io::Result<f64> {
    text.parse().map_err(|_| io::Error::other(format!("{text:?} is not a number")))
}
