//! Keys of typed requests: anything that `serde` can serialize.

use cache_core::CacheKey;
use serde::Serialize;

use crate::endpoint::EndpointKind;
use crate::error::NotCanonical;
use crate::request::Request;
use crate::scope::KeyScope;
use crate::scratch::{Scratch, buffers};

/// Why a typed request has no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TypedError {
    /// It could not be serialized.
    #[error("the request could not be serialized")]
    Serialize(#[source] serde_json::Error),
    /// Its JSON has no canonical form.
    #[error(transparent)]
    NotCanonical(#[from] NotCanonical),
}

buffers! {
    /// The JSON of a typed request.
    Json {
        /// Its text.
        text: u8,
    }
}

/// The key of `request` in `scope`: that of its JSON, as `serde_json` writes it.
///
/// ```
/// use cache_key::{EndpointKind, KeyScope, Request, Tenant, key_of};
///
/// #[derive(serde::Serialize)]
/// struct Embed<'a> {
///     model: &'a str,
///     input: Vec<&'a str>,
/// }
///
/// let scope = KeyScope::new(Tenant::Shared);
/// let typed = key_of(EndpointKind::Embeddings, &Embed { model: "m", input: vec!["a"] }, &scope)?;
/// let text = Request::parse(EndpointKind::Embeddings, br#"{"input":["a"],"model":"m"}"#)?.key(&scope);
/// assert_eq!(typed, text);
/// # Ok::<(), cache_key::TypedError>(())
/// ```
///
/// No feature of `serde_json` changes it. NaN and infinities become `null` there, which for a known
/// optional member is absence. A 32-bit float counts as the shortest decimal that gives it back: 0.7 is
/// 0.7.
///
/// # Errors
///
/// See [`TypedError`].
pub fn key_of<T>(kind: EndpointKind, request: &T, scope: &KeyScope) -> Result<CacheKey, TypedError>
where
    T: Serialize + ?Sized,
{
    let mut json = Scratch::<Json>::take();
    serde_json::to_writer(&mut json.text, request).map_err(TypedError::Serialize)?;
    Ok(Request::parse(kind, &json.text)?.key(scope))
}
