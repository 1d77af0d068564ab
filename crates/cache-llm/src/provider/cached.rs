//! [`CachedProvider`]: a typed provider with a cache around it.

use std::fmt;
use std::future::Future;

use bytes::Bytes;
use cache_key::{EndpointKind, KeyScope};

use super::ProviderCache;
use super::api::{ChunkStream, LlmProvider};
use super::chunks;
use super::error::{CachedError, CallError};
use super::function::{Served, ask, body, encoded};
use crate::origin::{Origin, OriginAnswer};
use crate::reply::CacheMode;

/// A typed provider with a cache around it; one itself.
///
/// It keeps the provider's name, and passes its availability through. A hit asks neither the provider
/// nor whether it is available; so callers that hold back while it is not may still ask here. While a
/// [`Cassette`](crate::Cassette) is played, no call of the provider is made, for no request, and it counts
/// as available.
///
/// ```
/// use std::io;
///
/// use cache_llm::{
///     CachedProvider, ChunkStream, DualCache, EndpointKind, KeyScope, LlmProvider, ProviderCache, Tenant,
/// };
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize)]
/// struct Embed {
///     model: String,
///     input: Vec<String>,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Embedding {
///     index: usize,
///     embedding: Vec<f32>,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Embeddings {
///     data: Vec<Embedding>,
/// }
///
/// struct Mine;
///
/// impl LlmProvider for Mine {
///     type Request = Embed;
///     type Answer = Embeddings;
///     type Chunk = ();
///     type Error = io::Error;
///
///     fn name(&self) -> &str {
///         "mine"
///     }
///     async fn is_available(&self) -> bool {
///         true
///     }
///     async fn complete(&self, request: &Embed) -> io::Result<Embeddings> {
///         let of = |(index, input): (usize, &String)| {
///             Embedding { index, embedding: vec![input.len() as f32] }
///         };
///         Ok(Embeddings { data: request.input.iter().enumerate().map(of).collect() })
///     }
///     async fn stream(&self, _: &Embed) -> io::Result<ChunkStream<(), io::Error>> {
///         Err(io::ErrorKind::Unsupported.into())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = ProviderCache::builder(DualCache::builder().build()?).build()?;
/// let scope = KeyScope::new(Tenant::named("acme")).base_url("http://127.0.0.1:8000");
/// let provider = CachedProvider::new(Mine, EndpointKind::Embeddings, cache, scope);
/// let request = Embed { model: "m".into(), input: vec!["sand".into()] };
/// assert_eq!(provider.complete(&request).await?.data[0].embedding, [4.0]);
/// let again = provider.serve(&request, Default::default()).await?;
/// assert!(again.is_cached());
/// assert_eq!(provider.name(), "mine");
/// # Ok(())
/// # }
/// ```
pub struct CachedProvider<P: LlmProvider> {
    inner: P,
    kind: EndpointKind,
    cache: ProviderCache<P::Error>,
    scope: KeyScope,
}

impl<P: LlmProvider> CachedProvider<P> {
    /// Puts `cache` around `inner`, whose requests are of `kind`. The provider's name becomes part of
    /// `scope`; what else tells answers apart, such as a base URL, is in it already.
    pub fn new(
        inner: P,
        kind: EndpointKind,
        cache: ProviderCache<P::Error>,
        scope: KeyScope,
    ) -> Self {
        let scope = scope.provider(inner.name());
        Self { inner, kind, cache, scope }
    }

    /// The provider inside.
    pub const fn inner(&self) -> &P {
        &self.inner
    }

    /// The cache around it.
    pub const fn cache(&self) -> &ProviderCache<P::Error> {
        &self.cache
    }

    /// As [`complete`](LlmProvider::complete), with a mode, and with where the answer came from.
    ///
    /// # Errors
    ///
    /// As those of [`cached`](crate::cached).
    pub async fn serve(
        &self,
        request: &P::Request,
        mode: CacheMode,
    ) -> Result<Served<P::Answer>, CachedError<P::Error>> {
        let body = body(request, false)?;
        let call = Completion { inner: &self.inner, request };
        ask(&self.cache, self.kind, &body, &self.scope, mode, call).await
    }
}

impl<P: LlmProvider> LlmProvider for CachedProvider<P> {
    type Request = P::Request;
    type Answer = P::Answer;
    type Chunk = P::Chunk;
    type Error = CachedError<P::Error>;

    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn is_available(&self) -> bool {
        // What a cassette plays never needs the provider.
        self.cache.inner.played().is_some() || self.inner.is_available().await
    }

    async fn complete(&self, request: &P::Request) -> Result<P::Answer, Self::Error> {
        self.serve(request, CacheMode::Use).await.map(|served| served.answer)
    }

    async fn stream(
        &self,
        request: &P::Request,
    ) -> Result<ChunkStream<P::Chunk, Self::Error>, Self::Error> {
        let body = body(request, true)?;
        let kind = self.kind;
        let call = || async {
            let chunks = self.inner.stream(request).await.map_err(CallError::Provider)?;
            Ok(chunks::encoded(kind, chunks))
        };
        let (body, mode) = (body.as_bytes(), CacheMode::Use);
        let reply = self.cache.serve(kind, body, &self.scope, mode, call).await;
        let body = reply.map_err(CachedError::Answer)?.into_body().into_stream();
        Ok(chunks::decoded(body, self.cache.inner.responses.largest()))
    }

    fn request_of(&self, body: &[u8]) -> Option<P::Request> {
        self.inner.request_of(body)
    }
}

/// A call for a plain answer.
struct Completion<'a, P: LlmProvider> {
    inner: &'a P,
    request: &'a P::Request,
}

impl<P: LlmProvider> Origin for Completion<'_, P> {
    type Head = ();
    type Error = CallError<P::Error>;

    async fn call(self) -> Result<OriginAnswer<()>, CallError<P::Error>> {
        encoded(&self.inner.complete(self.request).await.map_err(CallError::Provider)?)
    }

    fn resend(
        &mut self,
        body: Bytes,
    ) -> Option<impl Future<Output = Result<OriginAnswer<()>, CallError<P::Error>>> + Send> {
        let request = self.inner.request_of(&body)?;
        Some(
            async move { encoded(&self.inner.complete(&request).await.map_err(CallError::Provider)?) },
        )
    }
}

impl<P: LlmProvider> fmt::Debug for CachedProvider<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedProvider")
            .field("name", &self.inner.name())
            .field("kind", &self.kind)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
