//! The one script: compare the version of a key and the time, and replace what is there, atomically.
//!
//! One key, so it runs in Cluster as it is. Sent by its digest (`EVALSHA`); a server that does not
//! know it yet, or was told `SCRIPT FLUSH`, is sent its text.

use std::sync::{Arc, LazyLock};

use cache_core::{CacheKey, Fence, Result, Timestamp};
use redis::{Pipeline, ServerErrorKind, Value};

use crate::connections::{Call, Connections};
use crate::errors;
use crate::record::{Header, Undecodable};

const TEXT: &str = include_str!("replace.lua");
static DIGEST: LazyLock<String> =
    LazyLock::new(|| sha1_smol::Sha1::from(TEXT).digest().to_string());

/// The reply to a job that came too late.
const LATE: Value = Value::Int(0);
/// The reply to a job that was done when it was sent before: its connection broke in between.
const DONE_BEFORE: Value = Value::Int(1);

/// One run of the script.
#[derive(Debug)]
pub(crate) struct Replace {
    pub(crate) key: CacheKey,
    pub(crate) name: Vec<u8>,
    pub(crate) over: Over,
    /// The last moment at which the server may do it, on its clock; `None` for whenever.
    pub(crate) not_after: Option<Timestamp>,
    pub(crate) record: Vec<u8>,
    /// What Redis is told to keep the record for, in milliseconds.
    pub(crate) life: u64,
}

/// What may be replaced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Over {
    /// Anything, which is reported.
    Any,
    /// Anything, which nobody asks for: the cheapest.
    Unseen,
    /// This version.
    Version(Fence),
}

impl Over {
    fn as_argument(&self) -> &[u8] {
        match self {
            Self::Any => b"",
            Self::Unseen => b"*",
            Self::Version(fence) => &fence.0,
        }
    }
}

/// What a run found.
#[derive(Debug)]
pub(crate) enum Replaced {
    /// Another version: nothing was done.
    Superseded,
    /// Nobody looked; the record is stored.
    Unseen,
    /// It was done by an earlier sending, over the version that it was to replace.
    DoneBefore,
    /// Nothing was there; the record is stored.
    Nothing,
    /// A record with this header was there; the new one is stored in its place.
    Record(Header),
    /// Something else was there; the record is stored in its place.
    Foreign,
}

/// Runs the script for every job, in one round trip.
///
/// # Errors
///
/// [`Error::TimedOut`](cache_core::Error::TimedOut) also if a job reached the server too late.
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
    if replies.contains(&LATE) {
        // Held up on the way, or the clocks have moved apart: the keeper compares them.
        connections.look_after(&via);
        return Err(errors::timed_out(call.limit()));
    }
    let (mut outcomes, mut questionable) = (Vec::with_capacity(jobs.len()), None);
    for (job, reply) in jobs.iter().zip(replies) {
        let (outcome, is_of_another) = Replaced::read(&job.key, reply)?;
        outcomes.push(outcome);
        questionable = questionable.or(is_of_another.then_some(&job.name));
    }
    if let Some(name) = questionable {
        connections.examine(&via, name, call).await;
    }
    Ok(outcomes)
}

fn pipeline(verb: &str, script: &str, jobs: &[Replace], which: &[usize]) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(which.len());
    for job in which.iter().map(|&index| &jobs[index]) {
        let not_after =
            job.not_after.map_or_else(String::new, |time| time.as_unix_millis().to_string());
        pipeline
            .cmd(verb)
            .arg(script)
            .arg(1)
            .arg(&job.name)
            .arg(job.over.as_argument())
            .arg(&job.record)
            .arg(job.life)
            .arg(not_after);
    }
    pipeline
}

impl Replaced {
    /// And whether what was there is the record of another key.
    fn read(key: &CacheKey, reply: Value) -> Result<(Self, bool)> {
        let outcome = match reply {
            Value::Nil => Self::Superseded,
            Value::Okay => Self::Unseen,
            DONE_BEFORE => Self::DoneBefore,
            Value::BulkString(old) if old.is_empty() => Self::Nothing,
            Value::BulkString(old) => match Header::read(key, &old) {
                Ok(header) => Self::Record(header),
                Err(reason) => return Ok((Self::Foreign, reason == Undecodable::OtherKey)),
            },
            Value::ServerError(error) => return Err(errors::from_server(error)),
            other => return Err(errors::unexpected(&other)),
        };
        Ok((outcome, false))
    }
}
