//! Typed chunks as the events of a stream, and back.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::error::Error;

use bytes::Bytes;
use cache_core::BoxError;
use cache_key::EndpointKind;
use futures_util::stream::{StreamExt, iter, unfold};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api::ChunkStream;
use super::error::{CachedError, CallError};
use crate::members::Members;
use crate::origin::{BodyStream, OriginAnswer};
use crate::sse::SseParser;

/// A typed stream as the cache takes it.
pub(super) fn encoded<C, E>(kind: EndpointKind, chunks: ChunkStream<C, E>) -> OriginAnswer<()>
where
    C: Serialize + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    let events = chunks.map(|chunk| Ok::<_, BoxError>(event(&serde_json::to_string(&chunk?)?)));
    let done = match kind {
        EndpointKind::ChatCompletions | EndpointKind::Completions => Some("data: [DONE]\n\n"),
        _ => None, // their last event says so
    };
    let done = done.map(|done| Ok(Bytes::from_static(done.as_bytes())));
    OriginAnswer::events(200, (), events.chain(iter(done)))
}

/// One event. Those that have a `type` are named by it.
fn event(json: &str) -> Bytes {
    let name = Members::parse(json).and_then(|members| members.get("type"));
    let name = name.and_then(|name| name.strip_prefix('"')?.strip_suffix('"'));
    // A chunk that keeps JSON as it came may have line ends in it; in JSON, they are white space.
    let json = if json.contains(['\n', '\r']) {
        Cow::Owned(json.replace(['\n', '\r'], " "))
    } else {
        Cow::Borrowed(json)
    };
    match name.filter(|name| !name.contains('\\')) {
        Some(name) => format!("event: {name}\ndata: {json}\n\n"),
        None => format!("data: {json}\n\n"),
    }
    .into()
}

/// The chunks of a stream whose events have at most `limit` bytes. It ends with the first error.
pub(super) fn decoded<C, E>(body: BodyStream, limit: usize) -> ChunkStream<C, CachedError<E>>
where
    C: DeserializeOwned + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    let state = (Some(body), SseParser::new(limit), VecDeque::new());
    unfold(state, |(mut body, mut parser, mut ready)| async {
        loop {
            if let Some(chunk) = ready.pop_front() {
                let chunk: Result<C, CachedError<E>> = chunk;
                if chunk.is_err() {
                    (body, ready) = (None, VecDeque::new());
                }
                return Some((chunk, (body, parser, ready)));
            }
            match body.as_mut()?.next().await? {
                Ok(piece) => parser.push(&piece, |event| match event {
                    Ok(event) if event.data == b"[DONE]" => {}
                    Ok(event) => ready
                        .push_back(serde_json::from_slice(event.data).map_err(CachedError::Decode)),
                    Err(error) => ready.push_back(Err(CachedError::Stream(error.into()))),
                }),
                Err(error) => ready.push_back(Err(broken(error))),
            }
        }
    })
    .boxed()
}

/// What broke a stream off: the provider's own error where it is in this caller's hands.
fn broken<E: Error + Send + Sync + 'static>(error: BoxError) -> CachedError<E> {
    match error.downcast::<E>() {
        Ok(error) => CachedError::Answer(crate::reply::AnswerError::Origin(std::sync::Arc::new(
            CallError::Provider(*error),
        ))),
        Err(error) => CachedError::Stream(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chunk that keeps its JSON as it came is one line all the same.
    #[test]
    fn line_ends_end_no_event() {
        let json = "{\n \"type\":\r\n \"x\",\"a\":1\r}";
        let mut seen = Vec::new();
        SseParser::new(100).push(&event(json), |event| {
            let event = event.expect("a small one");
            seen.push((event.name.to_vec(), event.data.to_vec()));
        });
        let [(name, data)] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!(name, b"x");
        let value = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).expect("JSON");
        assert_eq!(value(data), value(json.as_bytes()));
    }
}
