//! The one script: compare the version of a key and replace what is there, atomically.
//!
//! One key, so it runs in Cluster as it is. Sent by its digest (`EVALSHA`); a server that does not
//! know it yet, or was told `SCRIPT FLUSH`, is sent its text.

use std::sync::{Arc, LazyLock};

use cache_core::{CacheKey, Fence, Result};
use redis::{Pipeline, ServerErrorKind, Value};

use crate::connections::{Call, Connections, Via};
use crate::errors;
use crate::record::Header;

const TEXT: &str = include_str!("replace.lua");
static DIGEST: LazyLock<String> =
    LazyLock::new(|| sha1_smol::Sha1::from(TEXT).digest().to_string());

/// One run of the script.
#[derive(Debug)]
pub(crate) struct Replace {
    pub(crate) key: CacheKey,
    pub(crate) name: Vec<u8>,
    /// The version that the key must have; `None` for any.
    pub(crate) expected: Option<Fence>,
    pub(crate) record: Vec<u8>,
    /// What Redis is told to keep the record for, in milliseconds.
    pub(crate) life: u64,
}

/// What a run found.
#[derive(Debug)]
pub(crate) enum Replaced {
    /// Another version: nothing was done.
    Superseded,
    /// Nothing was there; the record is stored.
    Nothing,
    /// A record with this header was there; the new one is stored in its place.
    Record(Header),
    /// Something else was there; the record is stored in its place.
    Foreign,
}

/// Runs the script for every job, in one round trip.
pub(crate) async fn run(
    connections: &Arc<Connections>,
    jobs: &[Replace],
    call: Call,
) -> Result<Vec<Replaced>> {
    let all: Vec<usize> = (0..jobs.len()).collect();
    let by_digest = pipeline("EVALSHA", &DIGEST, jobs, &all);
    let (mut replies, mut via) = connections.exchange(&by_digest, call).await?;

    let unknown = |reply: &Value| matches!(reply, Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoScript));
    let missed: Vec<usize> = (0..replies.len()).filter(|&index| unknown(&replies[index])).collect();
    if !missed.is_empty() {
        let by_text = pipeline("EVAL", TEXT, jobs, &missed);
        let answers;
        (answers, via) = connections.exchange(&by_text, call).await?;
        for (index, answer) in missed.into_iter().zip(answers) {
            replies[index] = answer;
        }
    }
    let read = |(job, reply): (&Replace, Value)| Replaced::read(connections, &via, &job.key, reply);
    jobs.iter().zip(replies).map(read).collect()
}

fn pipeline(verb: &str, script: &str, jobs: &[Replace], which: &[usize]) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(which.len());
    for job in which.iter().map(|&index| &jobs[index]) {
        let expected: &[u8] = job.expected.as_ref().map_or(&[], |fence| &fence.0);
        pipeline
            .cmd(verb)
            .arg(script)
            .arg(1)
            .arg(&job.name)
            .arg(expected)
            .arg(&job.record)
            .arg(job.life);
    }
    pipeline
}

impl Replaced {
    fn read(connections: &Connections, via: &Via, key: &CacheKey, reply: Value) -> Result<Self> {
        match reply {
            Value::Nil => Ok(Self::Superseded),
            Value::BulkString(old) if old.is_empty() => Ok(Self::Nothing),
            Value::BulkString(old) => Ok(match Header::read(key, &old) {
                Ok(header) => Self::Record(header),
                Err(reason) => {
                    connections.judge(via, reason);
                    Self::Foreign
                }
            }),
            Value::ServerError(error) => Err(errors::from_server(error)),
            other => Err(errors::unexpected(&other)),
        }
    }
}
