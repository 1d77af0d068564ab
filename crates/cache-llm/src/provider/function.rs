//! [`cached`]: any typed call, cached.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use cache_dual::Source;
use cache_key::{EndpointKind, KeyScope};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ProviderCache;
use super::error::{CachedError, CallError};
use crate::members::{Members, name};
use crate::origin::{Origin, OriginAnswer};
use crate::reply::{Body, BodyError, CacheMode, Reply, Storage};

/// A typed answer, and where it came from.
#[derive(Clone, Debug)]
pub struct Served<A> {
    /// The answer.
    pub answer: A,
    /// Where it came from.
    pub by: ServedBy,
}

/// Where a typed answer came from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ServedBy {
    /// The cache, or another caller's call at the same time.
    Cache {
        /// Which of them.
        source: Source,
        /// How old it is.
        age: Duration,
        /// How long it has left.
        remaining: Duration,
    },
    /// The provider. Where the request is none of the cache's business, its answer is
    /// [not stored](Storage::NotStored) for that reason, [`NotStored::Request`](crate::NotStored::Request).
    Provider(Storage),
}

impl<A> Served<A> {
    /// Whether the provider was not asked for it.
    pub const fn is_cached(&self) -> bool {
        matches!(self.by, ServedBy::Cache { .. })
    }
}

/// The answer to `request`: from the cache, from another caller's call that is under way, or of `call`,
/// which is made at most once.
///
/// The request is keyed by the JSON that it serializes to, as one for a plain answer. Answers are judged
/// and kept as those of HTTP calls are, so both share entries; a hit is decoded anew for each caller.
/// A request that is none of the cache's business goes to `call`, save while a
/// [`Cassette`](crate::Cassette) is played.
///
/// ```
/// use cache_llm::{DualCache, EndpointKind, KeyScope, ProviderCache, Tenant, cached};
/// use serde_json::{Value, json};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = ProviderCache::<std::io::Error>::builder(DualCache::builder().build()?).build()?;
/// let scope = KeyScope::new(Tenant::named("acme")).provider("openai");
/// let request = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
/// for is_cached in [false, true] {
///     let answer = cached(&cache, EndpointKind::ChatCompletions, &request, &scope, || async {
///         Ok(json!({"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}))
///     });
///     let served = answer.await?;
///     assert_eq!(served.answer["choices"][0]["message"]["content"], "hello");
///     assert_eq!(served.is_cached(), is_cached);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }
/// ```
///
/// # Errors
///
/// [`CachedError`]: what `call` returned, shared by all who waited; or a type that does not serialize; or,
/// while a [`Cassette`](crate::Cassette) is played, a request that is not on it.
pub async fn cached<R, A, E, F, Fut>(
    cache: &ProviderCache<E>,
    kind: EndpointKind,
    request: &R,
    scope: &KeyScope,
    call: F,
) -> Result<Served<A>, CachedError<E>>
where
    R: Serialize + ?Sized,
    A: Serialize + DeserializeOwned,
    E: Error + Send + Sync + 'static,
    F: FnOnce() -> Fut + Send,
    Fut: Future<Output = Result<A, E>> + Send,
{
    let body = body(request, false)?;
    let origin = || async { encoded(&call().await.map_err(CallError::Provider)?) };
    ask(cache, kind, &body, scope, CacheMode::Use, origin).await
}

/// The same of a body and an origin that encodes.
pub(super) async fn ask<A, E, O>(
    cache: &ProviderCache<E>,
    kind: EndpointKind,
    body: &str,
    scope: &KeyScope,
    mode: CacheMode,
    origin: O,
) -> Result<Served<A>, CachedError<E>>
where
    A: DeserializeOwned,
    E: Error + Send + Sync + 'static,
    O: Origin<Head = (), Error = CallError<E>>,
{
    let reply = cache.serve(kind, body.as_bytes(), scope, mode, origin).await;
    let (body, by) = match reply.map_err(CachedError::Answer)? {
        Reply::Passed(passed) => (passed.body, ServedBy::Provider(passed.storage)),
        Reply::Hit(hit) => {
            let (source, age, remaining) = (hit.source, hit.age, hit.remaining);
            (Body::Whole(hit.body), ServedBy::Cache { source, age, remaining })
        }
    };
    let bytes = body.bytes().await.map_err(|BodyError(why)| CachedError::Stream(why))?;
    let answer = serde_json::from_slice(&bytes).map_err(CachedError::Decode)?;
    Ok(Served { answer, by })
}

/// An answer as the cache takes it.
pub(super) fn encoded<E>(answer: &impl Serialize) -> Result<OriginAnswer<()>, CallError<E>> {
    let body = serde_json::to_vec(answer).map_err(CallError::Encode)?;
    Ok(OriginAnswer::whole(200, (), body))
}

/// The JSON of a request, for one transport whatever the request itself says.
pub(super) fn body<E: Error>(
    request: &(impl Serialize + ?Sized),
    stream: bool,
) -> Result<String, CachedError<E>> {
    let json = serde_json::to_string(request).map_err(CachedError::Request)?;
    let Some(members) = Members::parse(&json) else { return Ok(json) };
    let wanted = if stream { "true" } else { "false" };
    if members.get("stream").unwrap_or("false") == wanted {
        return Ok(json);
    }
    let mut body = String::from("{");
    for (member, value) in members.iter().filter(|(member, _)| *member != "stream") {
        name(&mut body, member);
        body.push_str(value);
    }
    name(&mut body, "stream");
    body.push_str(wanted);
    body.push('}');
    Ok(body)
}
