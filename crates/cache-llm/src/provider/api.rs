//! [`LlmProvider`]: what a typed provider can do.

use std::error::Error;
use std::future::Future;

use futures_util::stream::BoxStream;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The chunks of a typed stream.
pub type ChunkStream<C, E> = BoxStream<'static, Result<C, E>>;

/// A typed client of one endpoint of one provider.
///
/// Its types are anybody's own, e.g. those of `async-openai`. Requests serialize to the JSON that the
/// endpoint documents: keys are made of it. Answers and chunks are kept as the JSON that they serialize
/// to, so what a type does not hold is not kept.
///
/// [`CachedProvider`](crate::CachedProvider) is one around another, with a cache.
pub trait LlmProvider: Send + Sync {
    /// What is asked.
    type Request: Serialize + Send + Sync;
    /// A plain answer.
    type Answer: Serialize + DeserializeOwned + Send;
    /// One event of a stream.
    type Chunk: Serialize + DeserializeOwned + Send + 'static;
    /// Why there is no answer.
    type Error: Error + Send + Sync + 'static;

    /// Who answers, e.g. `openai`. It is part of the key.
    fn name(&self) -> &str;

    /// Whether a call makes sense now: a circuit breaker is closed, a budget is left.
    fn is_available(&self) -> impl Future<Output = bool> + Send;

    /// Asks for a plain answer.
    ///
    /// # Errors
    ///
    /// If there is none. Answers with an error status belong here.
    fn complete(
        &self,
        request: &Self::Request,
    ) -> impl Future<Output = Result<Self::Answer, Self::Error>> + Send;

    /// Asks for a stream, and returns as soon as it begins. It ends after the last chunk; a terminal event
    /// that holds nothing, `[DONE]`, is no chunk.
    ///
    /// # Errors
    ///
    /// If there is none.
    fn stream(
        &self,
        request: &Self::Request,
    ) -> impl Future<Output = Result<ChunkStream<Self::Chunk, Self::Error>, Self::Error>> + Send;

    /// The request that `body` is the JSON of: of a request for embeddings, what is missing. `None`, as it
    /// is by default, if that cannot be had; then all of it is asked for.
    fn request_of(&self, body: &[u8]) -> Option<Self::Request> {
        let _ = body;
        None
    }
}
